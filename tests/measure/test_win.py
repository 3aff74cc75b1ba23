import numpy as np
import pytest
from scipy import stats

from vtrial.measure import win
from vtrial.measure.contrast import normal_effect
from vtrial.measure.margin import margin_test
from vtrial.measure.win import Tier, finkelstein_schoenfeld, win_contrast

EXACT = {"rtol": 1e-10, "atol": 1e-12}


def draw(replicates=5, subjects=40, seed=1):
    """Draw a death, a hospital stay (both with ties), and a score."""
    rng = np.random.default_rng(seed)
    treated = rng.uniform(size=(replicates, subjects)) < 0.5
    end = np.ceil(rng.uniform(3, 12, treated.shape))
    tiers = []
    for scale in (20, 8):
        time = np.ceil(rng.exponential(scale, treated.shape) * (1 + 0.5 * treated))
        event = (time <= end) * 1.0
        tiers.append(Tier(np.minimum(time, end), event))
    score = np.round(rng.normal(0.4 * treated, 1), 1)
    score[rng.uniform(size=score.shape) < 0.2] = np.nan
    tiers.append(Tier(score, margin=0.25))
    for tier in tiers:
        tier.value[:, :3] = np.nan
    return tiers, treated


def against(tiers, i, a, b):
    """Compare two subjects as a reader of Pocock's paper would."""
    for tier in tiers:
        x, y = tier.value[i, a], tier.value[i, b]
        if np.isnan(x) or np.isnan(y):
            continue
        if tier.event is None:
            result = (x - y > tier.margin) * 1 - (y - x > tier.margin) * 1
        else:
            dead, other = tier.event[i, a] == 1, tier.event[i, b] == 1
            first = dead and (x < y or (x == y and not other))
            last = other and (y < x or (x == y and not dead))
            result = last * 1 - first * 1
        result = result if tier.higher else -result
        if result:
            return result
    return 0


def pairs(tiers, treated, i):
    arm, other = (np.flatnonzero(g) for g in (treated[i], ~treated[i]))
    arm, other = (side[side >= 3] for side in (arm, other))
    return np.array([[against(tiers, i, a, b) for b in other] for a in arm])


@pytest.mark.parametrize("measure", ["win ratio", "win odds", "net benefit"])
def test_pairs_one_by_one_give_the_same(measure, monkeypatch):
    monkeypatch.setattr(win, "PAIRS_AT_ONCE", 1000)  # so that there are several parts
    tiers, treated = draw()
    made = win_contrast(measure, tiers, treated)
    for i in range(len(treated)):
        result = pairs(tiers, treated, i)
        hits = np.stack([result > 0, result < 0]) * 1.0
        wins, losses = hits.mean(axis=(1, 2))
        spread = sum(
            np.cov(hits.mean(axis=axis)) / hits.shape[3 - axis] for axis in (2, 1)
        )
        if measure == "net benefit":
            estimate, slope = wins - losses, np.array([1, -1])
        elif measure == "win ratio":
            estimate, slope = wins / losses, np.array([1 / wins, -1 / losses])
        else:
            share = (1 + wins - losses) / 2
            estimate = share / (1 - share)
            slope = np.array([1, -1]) / (2 * share * (1 - share))
        error = np.sqrt(slope @ spread @ slope)
        got = [made.estimate[i], made.error[i]]
        np.testing.assert_allclose(got, [estimate, error], **EXACT)


def test_lower_is_better_turns_the_result_round():
    tiers, treated = draw(seed=2)
    turned = [tier._replace(higher=False) for tier in tiers]
    plain = win_contrast("win ratio", tiers, treated)
    other = win_contrast("win ratio", turned, treated)
    np.testing.assert_allclose(other.estimate, 1 / plain.estimate, **EXACT)
    np.testing.assert_allclose(other.p, plain.p, **EXACT)
    assert np.isin(pairs(turned, treated, 0), [-1, 0, 1]).all()
    np.testing.assert_array_equal(pairs(turned, treated, 0), -pairs(tiers, treated, 0))


def test_one_number_is_the_mann_whitney_statistic():
    tiers, treated = draw(seed=3)
    only = [tiers[2]._replace(margin=0.0)]
    made = win_contrast("net benefit", only, treated)
    p = finkelstein_schoenfeld(only, treated)
    for i in range(len(treated)):
        seen = np.isfinite(tiers[2].value[i])
        sides = [tiers[2].value[i][seen & g] for g in (treated[i], ~treated[i])]
        test = stats.mannwhitneyu(*sides, method="asymptotic", use_continuity=False)
        share = test.statistic / len(sides[0]) / len(sides[1])
        np.testing.assert_allclose(made.estimate[i], 2 * share - 1, **EXACT)
        np.testing.assert_allclose(p[i], test.pvalue, **EXACT)


def test_finkelstein_and_schoenfelds_scores_one_by_one():
    tiers, treated = draw(seed=4)
    p = finkelstein_schoenfeld(tiers, treated)
    for i in range(len(treated)):
        who = np.arange(3, treated.shape[1])
        score = np.array([sum(against(tiers, i, a, b) for b in who) for a in who])
        inside = treated[i, 3:]
        size, count = len(who), inside.sum()
        spread = count * (size - count) / (size * (size - 1)) * (score**2).sum()
        z = score[inside].sum() / np.sqrt(spread)
        np.testing.assert_allclose(p[i], 2 * stats.norm.sf(abs(z)), **EXACT)


def test_empty_arms_and_ratios_without_losses_are_nan():
    tiers, treated = draw(seed=5)
    for tier in tiers:
        tier.value[0, treated[0]] = np.nan
    best = tiers[2]._replace(value=np.where(treated, 9.0, 1.0), margin=0.0)
    for measure in ("win ratio", "win odds", "net benefit"):
        made = win_contrast(measure, tiers, treated)
        for field in made:
            np.testing.assert_array_equal(np.isnan(field), np.arange(5) == 0)
        sure = win_contrast(measure, [best], treated)
        assert np.isnan(sure.estimate).all() == (measure != "net benefit")
    assert np.isnan(finkelstein_schoenfeld(tiers, treated)[0])


def test_a_net_benefit_can_be_held_against_a_margin():
    tiers, treated = draw(seed=6)
    made = win_contrast("net benefit", tiers, treated)
    p = margin_test(normal_effect(made.estimate, made.error), 0.0, above=True)
    np.testing.assert_allclose(np.minimum(p, 1 - p) * 2, made.p, **EXACT)


@pytest.mark.parametrize("measure", ["win ratio", "win odds", "net benefit"])
def test_strata_are_weighted_by_one_over_their_size(measure, monkeypatch):
    """Dong and others' (2018) sums of counts, stratum by stratum and pair by pair."""
    monkeypatch.setattr(win, "PAIRS_AT_ONCE", 2000)
    tiers, treated = draw(subjects=60, seed=7)
    strata = np.random.default_rng(7).integers(-1, 3, treated.shape)
    strata[1, strata[1] == 2] = np.where(treated[1, strata[1] == 2], 2, 0)
    made = win_contrast(measure, tiers, treated, strata=strata)
    for i in range(len(treated)):
        total, spread = np.zeros(3), np.zeros((2, 2))
        for stratum in range(3):
            group = [
                np.flatnonzero((strata[i] == stratum) & (treated[i] == g))
                for g in (True, False)
            ]
            arm, other = (side[side >= 3] for side in group)
            if not len(arm) or not len(other):
                continue
            result = np.array([[against(tiers, i, a, b) for b in other] for a in arm])
            hits = np.stack([result > 0, result < 0]) * 1.0
            weight = result.size / (len(arm) + len(other))
            total += weight * np.array([*hits.mean(axis=(1, 2)), 1.0])
            spread += weight**2 * sum(
                np.cov(hits.mean(axis=axis)) / hits.shape[3 - axis] for axis in (2, 1)
            )
        wins, losses, pairs_ = total
        ties = pairs_ - wins - losses
        if measure == "net benefit":
            estimate, slope = (wins - losses) / pairs_, np.array([1, -1]) / pairs_
        elif measure == "win ratio":
            estimate, slope = wins / losses, np.array([1 / wins, -1 / losses])
        else:
            up, down = wins + ties / 2, losses + ties / 2
            estimate = up / down
            slope = np.array([1, -1]) * (1 / up + 1 / down) / 2
        error = np.sqrt(slope @ spread @ slope)
        got = [made.estimate[i], made.error[i]]
        np.testing.assert_allclose(got, [estimate, error], **EXACT)


def test_one_stratum_is_none_and_one_without_pairs_tells_nothing():
    tiers, treated = draw(seed=8)
    plain = win_contrast("win ratio", tiers, treated)
    same = np.full(treated.shape, 4)
    np.testing.assert_allclose(
        win_contrast("win ratio", tiers, treated, strata=same), plain, **EXACT
    )
    apart = np.where(treated, 0, 1)
    for field in win_contrast("win ratio", tiers, treated, strata=apart):
        assert np.isnan(field).all()
    lone = np.zeros(treated.shape, int)
    lone[:, 10:14] = 1
    treated[:, 10:14] = [True, False, False, False]
    made = win_contrast("net benefit", tiers, treated, strata=lone)
    assert np.isfinite(made.estimate).all()
    assert np.isnan(made.error).all()

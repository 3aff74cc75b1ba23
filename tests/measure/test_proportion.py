import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import test_proportions_2indep as proportion_test

from vtrial.measure.contrast import Counts, compare
from vtrial.measure.proportion import (
    restricted_proportions,
    score_contrast,
    score_margin,
    stratified_contrast,
)

EXACT = {"rtol": 1e-8, "atol": 1e-12}
IN_STATSMODELS = {"risk ratio": "ratio", "odds ratio": "odds-ratio"}


def table(events, count, reference_events, reference_count):
    sizes = [events, count - events, reference_events]
    sizes += [reference_count - reference_events]
    value = np.repeat([1.0, 0.0, 1.0, 0.0], sizes)[None]
    return value, (np.arange(sum(sizes)) < count)[None]


def draw(replicates=30, sizes=(35, 40), shares=(0.3, 0.15), seed=1):
    rng = np.random.default_rng(seed)
    treated = np.tile(np.arange(sum(sizes)) < sizes[0], (replicates, 1))
    value = (rng.uniform(size=treated.shape) < np.where(treated, *shares)) * 1.0
    return value, treated, rng.integers(0, 4, treated.shape)


@pytest.mark.parametrize(
    ("counts", "corrected", "plain"),
    [
        # Newcombe (1998) Stat Med 17:873, table II, methods 6 and 5 (Miettinen and
        # Nurminen; Mee), contrasts a to h.
        ((56, 70, 48, 80), (0.0528, 0.3382), (0.0533, 0.3377)),
        ((9, 10, 3, 10), (0.1700, 0.8406), (0.1821, 0.8370)),
        ((6, 7, 2, 7), (0.0342, 0.8534), (0.0544, 0.8478)),
        ((5, 56, 0, 29), (-0.0326, 0.1933), (-0.0313, 0.1926)),
        ((0, 10, 0, 20), (-0.1658, 0.2844), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2879, 0.2879), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.7156, 1.0), (0.7225, 1.0)),
        ((10, 10, 0, 10), (0.6636, 1.0), (0.6777, 1.0)),
    ],
)
def test_newcombes_table(counts, corrected, plain):
    for expected, factor in ((corrected, True), (plain, False)):
        made = score_contrast("risk difference", *table(*counts), corrected=factor)
        np.testing.assert_allclose([made.low[0], made.high[0]], expected, atol=5.1e-5)


@pytest.mark.parametrize("measure", ["risk ratio", "odds ratio"])
@pytest.mark.parametrize("corrected", [True, False])
def test_scores_of_ratios_agree_with_statsmodels(measure, corrected):
    # At the limits statsmodels' own p-value is 1 less the level.
    value, treated, _ = draw()
    made = score_contrast(measure, value, treated, corrected=corrected)
    p = score_margin(
        measure, value, treated, margin=0.8, above=True, corrected=corrected
    )
    for i in range(len(value)):
        sides = [value[i][treated[i]], value[i][~treated[i]]]
        counts = [n for side in sides for n in (side.sum(), len(side))]

        def test(null, side="two-sided", counts=counts):
            return proportion_test(
                *counts,
                value=null,
                method="score",
                compare=IN_STATSMODELS[measure],
                correction=corrected,
                alternative=side,
            ).pvalue

        ends = [test(made.low[i]), test(made.high[i])]
        np.testing.assert_allclose(ends, 0.05, rtol=1e-8)
        np.testing.assert_allclose(p[i], test(0.8, "larger"), **EXACT)
        np.testing.assert_allclose(made.p[i], test(1.0), **EXACT)


@given(
    events=st.tuples(st.integers(0, 12), st.integers(0, 30)),
    effect=st.floats(-0.95, 0.95),
)
@settings(max_examples=60, deadline=None)
def test_shares_apart_are_the_most_likely_ones(events, effect):
    # statsmodels 0.15 has reference events for reference subjects in one term of this
    # cubic equation, so the likelihood itself is the judge.
    x, y = events
    counts = Counts(*(np.array([float(n)]) for n in (x, 12, y, 30)))
    arm, reference = restricted_proportions(
        "risk difference", counts, np.array([effect])
    )

    def lost(share):
        logs = special.xlogy([x, 12 - x], [share + effect, 1 - share - effect])
        rest = special.xlogy([y, 30 - y], [share, 1 - share])
        return -(logs.sum() + rest.sum())

    low, high = max(0.0, -effect), min(1.0, 1.0 - effect)
    ends = low + 1e-12, high - 1e-12
    best = optimize.minimize_scalar(
        lost, bounds=ends, method="bounded", options={"xatol": 1e-12}
    )
    np.testing.assert_allclose(arm, reference + effect, atol=1e-14)
    assert low <= reference[0] <= high
    inside = np.clip(reference[0], *ends)
    assert lost(inside) <= best.fun + 1e-9 * (1 + abs(best.fun))


@pytest.mark.parametrize(
    ("measure", "shares", "null", "ratio", "errors", "expected"),
    [
        # Farrington and Manning (1990) Stat Med 9:1447, as gsDesign's tests print them.
        # To half of the last digit that is printed.
        ("risk difference", (0.4, 0.05), 0.2, 1.0, (0.05, 0.2), "79.8438"),
        ("risk difference", (0.1, 0.1), -0.2, 2 / 3, (0.05, 0.1), "62.88"),
        ("risk ratio", (0.25, 0.05), 2.0, 1.5, (0.05, 0.1), "133.9289"),
    ],
)
def test_sample_sizes_of_farrington_and_manning(
    measure, shares, null, ratio, errors, expected
):
    # The restricted shares under the true ones, for an arm of 1 and others of `ratio`.
    counts = Counts(
        *(np.array([n]) for n in (shares[0], 1.0, shares[1] * ratio, ratio))
    )
    arm, reference = (
        float(share[0])
        for share in restricted_proportions(measure, counts, np.array([null]))
    )
    factor = 1.0 if measure == "risk difference" else null
    spreads = [
        a * (1 - a) + factor**2 * b * (1 - b) / ratio
        for a, b in ((arm, reference), shares)
    ]
    z = [special.ndtri(1 - error) for error in errors]
    gap = shares[0] - factor * shares[1] - (null if factor == 1.0 else 0.0)
    size = (z[0] * np.sqrt(spreads[0]) + z[1] * np.sqrt(spreads[1])) ** 2 / gap**2
    digits = len(expected.split(".")[1])
    assert size == pytest.approx(float(expected), abs=0.5 * 10**-digits)


def test_margins_and_limits_say_the_same():
    value, treated, _ = draw(seed=2)
    for measure in ("risk difference", "risk ratio", "odds ratio"):
        made = score_contrast(measure, value, treated, corrected=False)
        for i in range(5):
            row = slice(i, i + 1)
            for margin, above in ((made.low[i], True), (made.high[i], False)):
                p = score_margin(
                    measure,
                    value[row],
                    treated[row],
                    margin=float(margin),
                    above=above,
                )
                assert p[0] == pytest.approx(0.025, rel=1e-8)


def test_limits_of_ratios_may_be_zero_or_infinite():
    for measure in ("risk ratio", "odds ratio"):
        none = score_contrast(measure, *table(0, 12, 4, 10))
        assert none.low[0] == 0
        assert none.estimate[0] < none.high[0] < np.inf
        endless = score_contrast(measure, *table(4, 12, 0, 10))
        assert endless.high[0] == np.inf
        assert 0 < endless.low[0] < endless.estimate[0]
        neither = score_contrast(measure, *table(0, 12, 0, 10))
        assert (neither.low[0], neither.high[0]) == (0, np.inf)
        assert neither.p[0] == 1
    empty, treated = np.full((1, 6), np.nan), np.arange(6)[None] < 3
    for measure in ("risk difference", "risk ratio", "odds ratio"):
        assert np.isnan(score_contrast(measure, empty, treated)).all()


@pytest.mark.parametrize("measure", ["odds ratio", "risk ratio"])
def test_strata_agree_with_statsmodels(measure):
    value, treated, strata = draw(seed=3)
    made = stratified_contrast(measure, value, treated, strata)
    for i in range(len(value)):
        tables = [
            np.array(
                [
                    [value[i][one].sum(), (1 - value[i])[one].sum()]
                    for one in ((strata[i] == k) & g for g in (treated[i], ~treated[i]))
                ]
            )
            for k in range(4)
        ]
        other = StratifiedTable(tables)
        test = other.test_null_odds()
        np.testing.assert_allclose(made.p[i], test.pvalue, **EXACT)
        if measure == "odds ratio":
            low, high = other.oddsratio_pooled_confint()
            expected = [other.oddsratio_pooled, low, high, other.logodds_pooled_se]
            got = [made.estimate[i], made.low[i], made.high[i], made.error[i]]
            np.testing.assert_allclose(got, expected, **EXACT)
        else:
            np.testing.assert_allclose(
                made.estimate[i], other.riskratio_pooled, **EXACT
            )


def test_sums_over_strata_by_hand():
    # Two strata, 4 of 10 against 2 of 10 and 6 of 8 against 3 of 12.
    tables = [(4, 10, 2, 10), (6, 8, 3, 12)]
    value, treated = (
        np.concatenate(p, axis=1) for p in zip(*map(_t, tables), strict=True)
    )
    strata = np.repeat([0, 1], [20, 20])[None]
    made = stratified_contrast("risk difference", value, treated, strata)
    weights = [10 * 10 / 20, 8 * 12 / 20]
    gap = (5 * 0.2 + 4.8 * 0.5) / sum(weights)
    np.testing.assert_allclose(made.estimate, gap, rtol=1e-12)
    # Sato (1989), with the sums of P and Q of each table written out.
    p = (10**2 * 2 - 10**2 * 4 + 0) / 400 + (8**2 * 3 - 12**2 * 6 + 8 * 12 * 2) / 400
    q = (4 * 8 + 2 * 6) / 40 + (6 * 9 + 3 * 2) / 40
    error = np.sqrt(gap * p + q) / sum(weights)
    np.testing.assert_allclose(made.error, error, rtol=1e-12)
    made = stratified_contrast("risk ratio", value, treated, strata)
    over, under = 4 * 10 / 20 + 6 * 12 / 20, 2 * 10 / 20 + 3 * 8 / 20
    np.testing.assert_allclose(made.estimate, over / under, rtol=1e-12)
    # Greenland and Robins (1985), equation 13.
    spread = (100 * 6 - 8 * 20 + 96 * 9 - 18 * 20) / 400
    np.testing.assert_allclose(made.error, np.sqrt(spread / over / under), rtol=1e-12)


def _t(counts):
    return table(*counts)


def test_one_stratum_is_the_crude_estimate():
    value, treated, strata = draw(seed=4)
    for measure in ("risk difference", "risk ratio", "odds ratio"):
        made = stratified_contrast(measure, value, treated, 0 * strata)
        crude = compare(measure, value, treated)
        np.testing.assert_allclose(made.estimate, crude.estimate, rtol=1e-10)
    empty = np.full_like(value, np.nan)
    for measure in ("risk difference", "risk ratio", "odds ratio"):
        assert np.isnan(stratified_contrast(measure, empty, treated, strata)).all()

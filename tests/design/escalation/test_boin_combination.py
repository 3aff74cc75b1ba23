"""BOIN for combinations of two drugs: by hand, and against trials told one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vtrial.design.escalation import (
    characteristics,
    enact_escalation,
    escalation_method,
    exact_escalation,
    next_dose,
    select_dose,
    toxicity_of,
)
from vtrial.design.escalation.enact import LOT
from vtrial.design.escalation.grid import (
    at_or_above,
    isotonic_on_grid,
    lower_sets,
    neighbours,
)
from vtrial.design.escalation.kinds.boin import boundaries
from vtrial.design.randomisation.ticket import tickets
from vtrial.errors import ProtocolError

TRUTH = np.array([0.05, 0.15, 0.3, 0.1, 0.3, 0.5])
METHOD = escalation_method("BOIN-comb", doses=6, rows=2, target=0.3)


def test_the_grid_by_hand():
    """Rows hold combinations 0 1 2 and 3 4 5."""
    assert neighbours(2, 3, -1).tolist() == [
        *([-1, -1], [-1, 0], [-1, 1]),
        *([0, -1], [1, 3], [2, 4]),
    ]
    above = [np.flatnonzero(row).tolist() for row in at_or_above(2, 3)]
    assert above == [[0, 1, 2, 3, 4, 5], [1, 2, 4, 5], [2, 5], [3, 4, 5], [4, 5], [5]]
    sets = {tuple(np.flatnonzero(one)) for one in lower_sets(2, 2)}
    assert sets == {(0,), (0, 1), (0, 2), (0, 1, 2), (0, 1, 2, 3)}


def test_moves_by_hand():
    """With target 0.3 boundaries are 0.236 and 0.359 (Liu and Yuan 2015, table 1)."""
    assert np.round(boundaries(0.3, 0.18, 0.42), 3).tolist() == [0.236, 0.359]
    cases = [  # subjects, toxicities, last, next; eliminated
        ([3, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], 0, 0, []),  # 0.33 is between
        ([3, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0], 0, 0, []),  # no lower one
        ([3, 3, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], 1, 4, []),  # tie: the first drug's
        ([3, 3, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0], 2, 5, []),  # the only one higher
        ([3, 3, 3, 0, 3, 0], [0, 0, 3, 0, 0, 0], 4, 4, [2, 5]),  # both gone: it stays
        ([3, 3, 0, 3, 0, 0], [0, 3, 0, 0, 0, 0], 1, 0, [1, 2, 4, 5]),
        ([3, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0], 0, -1, [0, 1, 2, 3, 4, 5]),
        ([3, 0, 0, 3, 3, 3], [0, 0, 0, 0, 1, 2], 5, 4, []),  # 1 of 3 is more promising
    ]
    n, toxic, last, following, gone = zip(*cases, strict=True)
    made = next_dose(METHOD, np.array(n), np.array(toxic), np.array(last))
    assert made.dose.tolist() == list(following)
    assert [np.flatnonzero(row).tolist() for row in made.eliminated] == list(gone)
    other = next_dose(
        METHOD, np.array(n[2]), np.array(toxic[2]), np.array(1), lot=np.array(0.9)
    )
    assert other.dose == 2


def told(toxicity, lots, most):
    """Tell one trial as the paper does, without tables; return doses and counts."""
    low, high = boundaries(0.3, 0.18, 0.42)
    n, y = np.zeros((2, 2, 3))
    gone, at, path = np.zeros((2, 3), bool), (0, 0), []
    for first in range(0, most, 3):
        path.append(3 * at[0] + at[1])
        n[at] += 3
        y[at] += toxicity[first : first + 3, path[-1]].sum()
        if stats.beta.sf(0.3, 1 + y[at], 1 + n[at] - y[at]) > 0.95:
            gone[at[0] :, at[1] :] = True
            if gone[0, 0]:
                break
        rate, step = y[at] / n[at], 0
        step = 1 if rate <= low else -1 if rate >= high else 0
        near = [(at[0] + step, at[1]), (at[0], at[1] + step)] if step else []
        near = [
            one
            for one in near
            if 0 <= one[0] < 2 and 0 <= one[1] < 3 and (step < 0 or not gone[one])
        ]
        worth = [
            np.diff(stats.beta.cdf([low, high], 0.5 + y[one], 0.5 + n[one] - y[one]))[0]
            + 5e-4 * n[one]
            for one in near
        ]
        best = [one for one, w in zip(near, worth, strict=True) if w == max(worth)]
        if best:
            at = best[int(len(best) > 1 and lots[first // 3] > 0.5)]
    return path, n.ravel(), y.ravel()


def test_trials_go_as_they_are_told_one_by_one():
    count, most = 60, 24
    toxicity = toxicity_of(TRUTH, seed=5, replicate=np.arange(count), subjects=most)
    made = enact_escalation(METHOD, toxicity, seed=9)
    which = np.broadcast_to(np.arange(most // 3), (count, most // 3))
    lots = tickets(9, np.arange(count), which, purpose=LOT)
    for trial in range(count):
        path, n, y = told(toxicity[trial], lots[trial], most)
        assert made.path[trial, : len(path)].tolist() == path
        np.testing.assert_array_equal(made.treated[trial], n)
        np.testing.assert_array_equal(made.toxic[trial], y)
    assert len({tuple(path) for path in made.path}) > 20
    np.testing.assert_array_equal(
        made.selected, select_dose(METHOD, made.treated, made.toxic)
    )


def test_simulated_trials_agree_with_all_that_can_happen():
    """False alarm below 1 %: 12 numbers within 3.5 errors."""
    toxicity = toxicity_of(TRUTH, seed=2, replicate=np.arange(1000), subjects=12)
    made = characteristics(enact_escalation(METHOD, toxicity))
    exact = exact_escalation(METHOD, TRUTH, most=12)
    assert abs(exact.selected.sum() + exact.none - 1) < 1e-12
    np.testing.assert_allclose(exact.toxic, TRUTH * exact.treated, rtol=1e-9)
    error = np.sqrt(exact.selected * (1 - exact.selected) / 1000)
    assert (np.abs(made.selected - exact.selected) <= 3.5 * error + 1e-3).all()
    assert (
        np.abs(made.treated - exact.treated) <= 3.5 * made.treated_error + 0.02
    ).all()


def test_drugs_can_change_places():
    """With the lot either way and the same rates both drugs are climbed alike."""
    truth = np.array([0.1, 0.25, 0.25, 0.5])
    method = escalation_method("BOIN-comb", doses=4, rows=2, target=0.3)
    made = exact_escalation(method, truth, most=12)
    assert made.treated[1] == pytest.approx(made.treated[2], rel=1e-12)


def test_rates_are_the_greatest_of_least_means():
    """By the max-min formula over upper and lower sets (Robertson et al. 1988)."""
    random = np.random.default_rng(3)
    rate, weight = random.uniform(size=9), random.uniform(0.1, 9.0, size=9)
    lower = [np.zeros(9, bool), *(lower_sets(3, 3) > 0)]
    made = jax.jit(isotonic_on_grid)(
        jnp.asarray(rate), jnp.asarray(weight), jnp.asarray(lower_sets(3, 3))
    )
    expected = np.full(9, -np.inf)
    least = np.full((len(lower), 9), np.inf)
    for (which, out), into in itertools.product(enumerate(lower), lower):
        both = ~out & into
        if both.any():
            mean = np.average(rate[both], weights=weight[both])
            least[which] = np.where(both, np.minimum(least[which], mean), least[which])
    for which, out in enumerate(lower):
        expected = np.where(~out, np.maximum(expected, least[which]), expected)
    np.testing.assert_allclose(made, expected, rtol=1e-12)


def test_what_is_gone_takes_all_above_with_it():
    """BOIN 2.7.2 eliminates but row and column of 1 there, and selects 10."""
    method = escalation_method("BOIN-comb", doses=12, rows=3, target=0.3)
    n = np.array([3, 3, 3, 0] * 3)
    toxic = np.zeros(12, int)
    toxic[1] = 3
    assert select_dose(method, n, toxic) == 8


@pytest.mark.parametrize(
    ("doses", "rows", "words"),
    [
        (6, 4, "divides doses into rows"),
        (6, 6, "rows of at least 2"),
        (6, 1, "at least 2"),
        (72, 8, "at most 7 x 7"),
    ],
)
def test_doses_make_a_grid(doses, rows, words):
    with pytest.raises(ProtocolError, match=words):
        escalation_method("BOIN-comb", doses=doses, rows=rows, target=0.3)

"""Randomisation that looks back, and sequences of treatments."""

import functools

import numpy as np
import pytest

from vtrial.design import allocate
from vtrial.design.randomisation import (
    biased_coin,
    big_stick,
    by_cluster,
    factorial,
    imbalances,
    minimise,
    tickets,
    urn,
    williams_square,
)
from vtrial.errors import ProtocolError
from vtrial.protocol.design import Allocation

REPLICATES, SUBJECTS = 1000, 40


@pytest.fixture(scope="module")
def drawn():
    subject = np.tile(np.arange(SUBJECTS), (REPLICATES, 1))
    return tickets(7, np.arange(REPLICATES), subject)


def test_tickets_belong_to_the_subject(drawn):
    order = np.random.default_rng(1).permutation(SUBJECTS)
    subject = np.tile(order, (3, 1))
    np.testing.assert_array_equal(
        tickets(7, np.array([2, 4, 9]), subject), drawn[[2, 4, 9]][:, order]
    )
    assert (tickets(8, np.array([2]), subject[:1]) != drawn[2][order]).any()


def _apart(arm):
    """Return by how much the arms differ after each subject."""
    return np.cumsum(1 - 2 * arm, axis=1)


def test_biased_coin_has_efrons_limit(drawn):
    """Efron 1971: arms have as many at even times with probability 1 - (1 - p) / p."""
    arm = biased_coin(drawn, probability=2 / 3)
    assert set(np.unique(arm)) == {0, 1}
    balanced = (_apart(arm)[:, -1] == 0).mean()
    assert abs(balanced - 0.5) < 3 * 0.5 / np.sqrt(REPLICATES)
    np.testing.assert_array_equal(biased_coin(drawn, probability=0.5), drawn >= 0.5)


def test_urn_gives_weis_variance(drawn):
    """Wei 1977: for UD(0, 1) the variance of the difference tends to n/3."""
    arm = urn(drawn)
    apart = _apart(arm)
    assert (arm[:, 0] != arm[:, 1]).all()  # the second ball is the other's
    variance = apart[:, -1].var()
    assert abs(variance / (SUBJECTS / 3) - 1) < 3 * np.sqrt(2 / REPLICATES)
    three = urn(drawn, arms=3, begin=1.0)
    shares = [(three == k).mean() for k in range(3)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)


def test_big_stick_is_never_passed(drawn):
    apart = np.abs(_apart(big_stick(drawn, most=2)))
    assert apart.max() == 2


def test_minimisation_of_a_published_example():
    """Lim & In 2019, Korean J Anesthesiol 72:221-232, table 4 (PMC6547231).

    The 15th subject is of site 2, female and at least 65. As a control it leaves
    (5 - 4) + (4 - 3) + (4 - 3) = 3, treated (6 - 3) + (4 - 3) + (4 - 3) = 5.
    """
    site = [[4, 2], [3, 5], [0, 0]]
    sex = [[4, 4], [3, 3], [0, 0]]
    age = [[2, 2], [2, 2], [3, 3]]
    counts = np.array([site, sex, age], float)
    found = imbalances(counts, np.array([1, 1, 2]), spread="range")
    np.testing.assert_array_equal(found, [3, 5])


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        # Of the numbers 1, 2, 3 and 2, 2, 2 in three arms, one more in each arm:
        # 2 2 3 and 3 2 2; 1 3 3 and 2 3 2; 1 2 4 and 2 2 3; weights 2 and 1.
        ("range", [2 * 1 + 1, 2 * 2 + 1, 2 * 3 + 1]),
        ("variance", [2 / 3 + 1 / 3, 2 * 4 / 3 + 1 / 3, 2 * 7 / 3 + 1 / 3]),
        (
            "deviation",
            [2 * (1 / 3) ** 0.5 + (1 / 3) ** 0.5]
            + [
                2 * (4 / 3) ** 0.5 + (1 / 3) ** 0.5,
                2 * (7 / 3) ** 0.5 + (1 / 3) ** 0.5,
            ],
        ),
        ("marginal sum", [2 * 2 + 3, 2 * 3 + 3, 2 * 4 + 3]),
    ],
)
def test_imbalances_by_hand(spread, expected):
    counts = np.array([[[1.0, 2, 3]], [[2, 2, 2]]])
    found = imbalances(
        counts, np.array([0, 0]), ratio=(1, 1, 1), spread=spread, weights=(2, 1)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def _levels(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, [2, 3, 4], (REPLICATES, SUBJECTS, 3))


@pytest.mark.parametrize(
    "spread",
    [
        "range",
        pytest.param("variance", marks=pytest.mark.slow),
        pytest.param("marginal sum", marks=pytest.mark.slow),
    ],
)
def test_minimisation_balances_factors(drawn, spread):
    levels = _levels(3)
    made = minimise(drawn, levels, spread=spread)
    at_random = (drawn >= 0.5).astype(int)

    def worst(arm):
        sides = 1 - 2 * arm
        return np.mean(
            [
                np.abs((sides * (levels[..., f] == k)).sum(axis=1)).mean()
                for f, size in enumerate((2, 3, 4))
                for k in range(size)
            ]
        )

    assert worst(made) < 0.6 * worst(at_random)


def test_minimisation_gives_the_best_arm_its_probability(drawn):
    """A second subject of the same level goes to the other arm with it."""
    levels = np.zeros((REPLICATES, 2, 1), int)
    made = minimise(drawn[:, :2], levels, probability=0.8)
    share = (made[:, 0] != made[:, 1]).mean()
    assert abs(share - 0.8) < 3 * np.sqrt(0.16 / REPLICATES)


def test_minimisation_keeps_an_unequal_ratio(drawn):
    made = minimise(drawn, _levels(4), ratio=(2, 1), probability=0.9)
    assert abs((made == 0).mean() - 2 / 3) < 0.02


def test_who_is_not_enrolled_counts_for_nobody(drawn):
    levels = _levels(5)
    levels[:, 10] = -1
    made = minimise(drawn, levels)
    assert (made[:, 10] == -1).all()
    without = minimise(np.delete(drawn, 10, axis=1), np.delete(levels, 10, axis=1))
    np.testing.assert_array_equal(np.delete(made, 10, axis=1), without)


def test_trials_do_not_depend_on_their_company(drawn):
    levels = _levels(6)
    some = [3, 500, 7]
    made = minimise(drawn[some], levels[some])
    np.testing.assert_array_equal(made, minimise(drawn, levels)[some])


@pytest.mark.parametrize("treatments", [2, 3, 4, 5, 6, 7, 8])
def test_williams_squares_are_balanced(treatments):
    square = williams_square(treatments)
    odd = treatments % 2
    assert square.shape == (treatments * (1 + odd), treatments)
    each = np.arange(treatments)
    assert (np.sort(square, axis=1) == each).all()
    for period in square.T:
        np.testing.assert_array_equal(np.bincount(period), 1 + odd)
    follows = np.zeros((treatments, treatments), int)
    np.add.at(follows, (square[:, :-1], square[:, 1:]), 1)
    np.testing.assert_array_equal(follows, (1 + odd) * (1 - np.eye(treatments)))


def test_factorial_has_every_combination():
    arms = factorial([2, 2, 3])
    assert len(np.unique(arms, axis=0)) == len(arms) == 12


def test_clusters_stay_together():
    replicate, cluster = np.repeat([0, 1], 60), np.tile(np.arange(60) // 5, 2)
    assign = functools.partial(
        allocate, Allocation((1, 1), "permuted block", 4), seed=3
    )
    arm = by_cluster(replicate, cluster, assign)
    each = arm.reshape(2, 12, 5)
    assert (each == each[..., :1]).all()
    assert (each[..., 0].sum(axis=1) == 6).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda u, x: minimise(u, x, probability=0.4), "from 0.5, which is chance"),
        (lambda u, x: minimise(u, x, ratio=(1, 0)), "positive number for each of two"),
        (lambda u, x: minimise(u, x, weights=(1,)), "each of 3 factors"),
        (lambda u, x: biased_coin(u, probability=0.3), "from 0.5 to 1"),
        (lambda u, x: urn(u, add=-1.0), "0 or more balls"),
        (lambda u, x: big_stick(u, most=0), "at least 1"),
        (lambda u, x: williams_square(1), "of at least 2"),
        (lambda u, x: factorial([2, 0]), "a level or more"),
    ],
)
def test_what_cannot_be_is_refused(drawn, call, words):
    with pytest.raises(ProtocolError, match=words):
        call(drawn, _levels(1))

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from statsmodels.stats.multitest import multipletests

from vtrial.analysis.multiplicity import adjust, adjust_by_graph, rejected

EXACT = {"rtol": 1e-12, "atol": 1e-14}
IN_STATSMODELS = {
    "Bonferroni": "bonferroni",
    "Holm": "holm",
    "Hochberg": "simes-hochberg",
    "Hommel": "hommel",
}


def draw(replicates=200, count=6, seed=1):
    return np.random.default_rng(seed).uniform(size=(replicates, count)) ** 3


@pytest.mark.parametrize("method", IN_STATSMODELS)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_agrees_with_statsmodels(method, count):
    p = draw(replicates=15, count=count)
    p[:5] = np.round(p[:5], 1)  # ties
    made = adjust(method, p)
    name = IN_STATSMODELS[method]
    expected = np.stack([multipletests(row, method=name)[1] for row in p])
    np.testing.assert_allclose(made, expected, **EXACT)


def test_a_fixed_sequence_stops_at_the_first_that_is_not_rejected():
    made = adjust("fixed sequence", np.array([[0.01, 0.06, 0.001], [0.01, 0.02, 0.03]]))
    np.testing.assert_allclose(made, [[0.01, 0.06, 0.06], [0.01, 0.02, 0.03]])
    np.testing.assert_array_equal(
        rejected(made, 0.05), [[True, False, False], [True, True, True]]
    )


def test_a_published_graph():
    # Two doses and two endpoints: the example of graphicalMCP's page on shortcut
    # procedures (openpharma, Apache-2.0) after Bretz et al. (2009).
    weights = np.array([0.5, 0.5, 0.0, 0.0])
    transitions = np.array(
        [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]]
    )
    p = np.array([[0.018, 0.01, 0.105, 0.006]])
    made = adjust_by_graph(p, weights, transitions)
    np.testing.assert_allclose(made, [[0.024, 0.020, 0.105, 0.024]], **EXACT)


def test_known_procedures_are_graphs():
    p, count = draw(count=5), 5
    holm = (np.ones((count, count)) - np.eye(count)) / (count - 1)
    sequence = np.eye(count, k=1)
    none = np.zeros((count, count))
    even, first = np.full(count, 1 / count), np.eye(count)[0]
    for weights, graph, method in (
        (even, holm, "Holm"),
        (first, sequence, "fixed sequence"),
        (even, none, "Bonferroni"),
    ):
        made = adjust_by_graph(p, weights, graph)
        np.testing.assert_allclose(made, adjust(method, p), **EXACT)


def weights_of(chosen, weights, transitions):
    """Return an intersection's weights by algorithm 1 of Bretz et al. (2011)."""
    weights, transitions = weights.copy(), transitions.copy()
    left = set(range(len(weights)))
    for j in sorted(left - set(chosen)):
        left.discard(j)
        old = transitions.copy()
        for k in left:
            weights[k] += weights[j] * old[j, k]
            for m in left - {k}:
                back = old[k, j] * old[j, k]
                new = (old[k, m] + old[k, j] * old[j, m]) / (1 - back)
                transitions[k, m] = new if back < 1 else 0.0
        weights[j] = 0
    return weights


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_graph_is_the_closed_test_of_its_weighted_intersections(seed):
    rng = np.random.default_rng(seed)
    count = 4
    weights = rng.dirichlet(np.ones(count))
    weights[rng.integers(count)] = 0.0
    transitions = rng.dirichlet(np.ones(count), count)
    np.fill_diagonal(transitions, 0.0)
    p = draw(replicates=10, count=count, seed=seed)
    closed = np.zeros_like(p)
    for size in range(1, count + 1):
        for chosen in itertools.combinations(range(count), size):
            part = weights_of(chosen, weights, transitions)[list(chosen)]
            shares = np.where(part > 0, part, 1.0)
            one = np.where(part > 0, p[:, list(chosen)] / shares, 1.0)
            least = np.minimum(one.min(axis=1), 1.0)
            for j in chosen:
                closed[:, j] = np.maximum(closed[:, j], least)
    made = adjust_by_graph(p, weights, transitions)
    np.testing.assert_allclose(made, closed, rtol=1e-9)


def test_a_share_that_goes_nowhere_rejects_nothing_more():
    # Nobody hands anything to the third hypothesis.
    graph = np.array([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]])
    made = adjust_by_graph(
        np.array([[0.001, 0.03, 1e-9]]), np.array([1.0, 0, 0]), graph
    )
    np.testing.assert_allclose(made, [[0.001, 0.03, 1.0]])


@pytest.mark.parametrize("method", [*IN_STATSMODELS, "fixed sequence"])
def test_what_is_missing_counts_as_one_and_stays_missing(method):
    p = np.array([[0.01, np.nan, 0.2, 0.03]])
    made = adjust(method, p)
    expected = adjust(method, np.array([[0.01, 1.0, 0.2, 0.03]]))
    assert np.isnan(made[0, 1])
    np.testing.assert_allclose(made[0, [0, 2, 3]], expected[0, [0, 2, 3]])
    even = (np.ones((4, 4)) - np.eye(4)) / 3
    assert np.isnan(adjust_by_graph(p, np.full(4, 0.25), even)[0, 1])


def test_the_family_wise_error_is_kept():
    # 20,000 trials of five true null hypotheses with correlated tests: 4 errors of a
    # rate of 5 % are 0.6 % (a false alarm in 32,000, one-sided).
    rng = np.random.default_rng(3)
    z = rng.normal(size=(20_000, 5)) + rng.normal(size=(20_000, 1))
    p = 2 * special.ndtr(-np.abs(z) / np.sqrt(2))
    graph = rng.dirichlet(np.ones(5), 5)
    np.fill_diagonal(graph, 0.0)
    for made in (
        adjust("Holm", p),
        adjust("Hommel", p),
        adjust("fixed sequence", p),
        adjust_by_graph(p, np.array([0.4, 0.3, 0.2, 0.1, 0.0]), graph),
    ):
        assert rejected(made, 0.05).any(axis=1).mean() < 0.05 + 0.006


@pytest.mark.parametrize(
    ("weights", "transitions"),
    [
        ([0.7, 0.7], [[0, 1], [1, 0]]),
        ([0.5, -0.1], [[0, 1], [1, 0]]),
        ([0.5, 0.5], [[0, 1.5], [1, 0]]),
        ([0.5, 0.5], [[0.2, 0.5], [1, 0]]),
    ],
)
def test_what_is_no_graph_is_refused(weights, transitions):
    with pytest.raises(ValueError, match=r"at most 1|diagonal"):
        adjust_by_graph(draw(count=2), np.array(weights), np.array(transitions) * 1.0)

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.sketch import BINS, PROBABILITIES, merge, sketch

ASKED = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
PROFILE = settings(max_examples=40, deadline=None)


def sketches(blocks):
    made = np.stack([np.asarray(sketch(jnp.asarray(block))) for block in blocks])
    counts = np.stack([np.isfinite(block).sum(axis=0) for block in blocks])
    return made, counts


def test_one_block_is_exact_at_the_bins_and_interpolated_between():
    values = np.random.default_rng(1).normal(size=(500, 3))
    made, counts = sketches([values])
    expected = np.quantile(values, PROBABILITIES, axis=0, method="hazen").T
    np.testing.assert_allclose(made[0], expected, rtol=1e-12)
    np.testing.assert_allclose(merge(made, counts), expected, rtol=1e-12)
    np.testing.assert_allclose(
        merge(made, counts, ASKED),
        np.stack([np.interp(ASKED, PROBABILITIES, row) for row in expected]),
        rtol=1e-12,
    )


@pytest.mark.parametrize("subjects", [1, 2, 12, 13])
def test_the_median_of_a_small_block_is_exact(subjects):
    values = np.random.default_rng(subjects).normal(size=(subjects, 2))
    made, counts = sketches([values])
    median = merge(made, counts, np.array([0.5]))[:, 0]
    np.testing.assert_allclose(median, np.median(values, axis=0), rtol=1e-12)


def test_missing_values_count_for_nobody():
    values = np.random.default_rng(2).normal(size=(60, 2))
    holes = np.concatenate([np.full((40, 2), np.nan), values])
    np.testing.assert_array_equal(sketch(jnp.array(holes)), sketch(jnp.array(values)))
    empty = np.full((5, 2), np.nan)
    made, counts = sketches([values, empty])
    np.testing.assert_allclose(
        merge(made, counts, ASKED), merge(*sketches([values]), ASKED)
    )
    assert np.isnan(merge(*sketches([empty]), ASKED)).all()
    assert np.isnan(sketch(jnp.zeros((0, 2)))).all()


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    seed=st.integers(0, 10**6),
)
@PROFILE
@pytest.mark.slow
def test_merged_quantiles_are_within_the_bound_on_rank(sizes, seed):
    rng = np.random.default_rng(seed)
    shifts = rng.normal(size=len(sizes)) * rng.choice([0, 1, 10])
    blocks = [rng.normal(d, 1, (n, 1)) for n, d in zip(sizes, shifts, strict=True)]
    got = merge(*sketches(blocks), ASKED)[0]
    pooled = np.sort(np.concatenate(blocks)[:, 0])
    total = len(pooled)
    # Each block's distribution is followed within 1/198 + 1/(2n) of its own rank.
    slack = 1 / BINS + sum(0.5 for _ in sizes) / total + 1e-9
    least = np.searchsorted(pooled, got, "left") / total
    most = np.searchsorted(pooled, got, "right") / total
    assert (least <= ASKED + slack).all()
    assert (most >= ASKED - slack).all()


def test_many_blocks_merge_in_groups_with_little_bias():
    rng = np.random.default_rng(3)
    blocks = list(rng.lognormal(0, 1, (40, 250, 2)))
    made, counts = sketches(blocks)
    pooled = np.quantile(np.concatenate(blocks), ASKED, axis=0).T
    np.testing.assert_allclose(merge(made, counts, ASKED), pooled, rtol=0.02)
    groups = np.stack([merge(made[:20], counts[:20]), merge(made[20:], counts[20:])])
    sizes = np.stack([counts[:20].sum(axis=0), counts[20:].sum(axis=0)])
    np.testing.assert_allclose(merge(groups, sizes, ASKED), pooled, rtol=0.03)


def test_blocks_weigh_by_their_subjects():
    blocks = [np.zeros((900, 1)), np.ones((100, 1))]
    got = merge(*sketches(blocks), np.array([0.5, 0.85, 0.95]))[0]
    np.testing.assert_allclose(got, [0, 0, 1])

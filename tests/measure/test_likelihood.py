"""The likelihood and its derivatives against dense matrices of all values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vtrial.measure.covariance import structure_of
from vtrial.measure.likelihood import MixedModel, Sums, estimate, products, slopes
from vtrial.measure.mmrm_design import lay_out

RNG = np.random.default_rng(11)
VISITS, GROUPS = 3, 2


def draw():
    """Draw a trial of two groups with missing visits and two columns."""
    value = RNG.normal(10, 2, (1, 14, VISITS))
    value[RNG.uniform(size=value.shape) < 0.25] = np.nan
    design = np.stack([np.ones_like(value), RNG.normal(size=value.shape)], axis=3)
    return value, design, RNG.integers(0, GROUPS, (1, 14))


VALUE, DESIGN, GROUP = draw()
PANEL = lay_out(VALUE, DESIGN, group=GROUP)
SEEN = np.isfinite(VALUE[0])
slopes_of = jax.jit(slopes, static_argnums=2)
estimate_of = jax.jit(estimate, static_argnums=3)
CASES = [("toeph", True), ("toeph", False), ("sp gau", True), ("un", True)]


def sums(restricted):
    both = jnp.concatenate([PANEL.columns[0], PANEL.value[0][:, :, None]], axis=2)
    kinds = PANEL.mask.shape[1]
    rank = 2 if restricted else 0
    lengths = np.log(np.diag(PANEL.basis.triangle[0])).sum()
    constant = (SEEN.sum() - rank) * np.log(2 * np.pi) + rank * lengths
    return Sums(
        product=products(both, jnp.asarray(PANEL.kind[0]), kinds),
        subjects=jnp.asarray(np.bincount(PANEL.kind[0], minlength=kinds) * 1.0),
        mask=jnp.asarray(PANEL.mask[0]),
        group=jnp.asarray(PANEL.group[0]),
        distance=jnp.asarray(PANEL.distance[0]),
        kept=jnp.ones(2, bool),
        constant=jnp.asarray(constant),
    )


def whole(natural, name):
    """Return the covariance of all values that are seen."""
    own = natural.reshape(GROUPS, -1)
    distance = jnp.asarray(np.abs(np.subtract.outer(np.arange(3), np.arange(3))) * 1.0)
    blocks = [structure_of(name).matrix(p, distance) for p in own]
    full = jax.scipy.linalg.block_diag(*(blocks[g] for g in GROUP[0]))
    place = np.flatnonzero(SEEN.ravel())
    return full[np.ix_(place, place)]


def plain(natural, name, restricted):
    """Return minus twice the log likelihood, written down as it is defined."""
    matrix, design = whole(natural, name), jnp.asarray(DESIGN[0][SEEN])
    value = jnp.asarray(VALUE[0][SEEN])
    inverse = jnp.linalg.inv(matrix)
    gram = design.T @ inverse @ design
    rest = value - design @ jnp.linalg.solve(gram, design.T @ inverse @ value)
    made = jnp.linalg.slogdet(matrix)[1] + rest @ inverse @ rest
    number = len(value)
    if restricted:
        made, number = made + jnp.linalg.slogdet(gram)[1], number - 2
    return made + number * np.log(2 * np.pi)


def natural_of(name):
    structure = structure_of(name)
    free = jnp.asarray(RNG.normal(0, 0.4, (GROUPS, structure.size(VISITS))))
    free = free.at[:, 0].add(1.0)
    return free, jnp.concatenate([structure.natural(f, VISITS) for f in free])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "restricted"), CASES)
def test_value_gradient_and_hessian(name, restricted):
    free, natural = natural_of(name)
    model = MixedModel(structure_of(name), GROUPS, restricted, free=False)
    made = slopes_of(natural, sums(restricted), model)
    expected = plain(natural, name, restricted)
    np.testing.assert_allclose(made.value, expected, rtol=1e-13)
    gradient = jax.jit(jax.grad(plain), static_argnums=(1, 2))(
        natural, name, restricted
    )
    np.testing.assert_allclose(made.gradient, gradient, rtol=1e-9, atol=1e-9)
    hessian = jax.jit(jax.hessian(plain), static_argnums=(1, 2))(
        natural, name, restricted
    )
    np.testing.assert_allclose(made.hessian, hessian, rtol=1e-8, atol=1e-8)
    there = slopes_of(free.ravel(), sums(restricted), model._replace(free=True))
    np.testing.assert_allclose(there.value, expected, rtol=1e-13)


@pytest.mark.slow
def test_likelihood_is_that_of_the_normal_distribution():
    _, natural = natural_of("un")
    matrix, design = np.asarray(whole(natural, "un")), DESIGN[0][SEEN]
    value, inverse = VALUE[0][SEEN], np.linalg.inv(matrix)
    gram = design.T @ inverse @ design
    mean = design @ np.linalg.solve(gram, design.T @ inverse @ value)
    expected = -2 * stats.multivariate_normal(mean, matrix).logpdf(value)
    model = MixedModel(structure_of("un"), GROUPS, restricted=False, free=False)
    made = slopes_of(natural, sums(False), model)
    np.testing.assert_allclose(made.value, expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toeph", "sp gau"])
def test_what_tests_need(name):
    _, natural = natural_of(name)
    model = MixedModel(structure_of(name), GROUPS, restricted=True, free=False)
    size = len(natural)
    root = RNG.normal(size=(size, size))
    spread = root @ root.T
    made = estimate_of(natural, jnp.asarray(spread), sums(True), model)
    design = PANEL.columns[0][SEEN]
    inverse = np.linalg.inv(np.asarray(whole(natural, name)))
    first = np.moveaxis(np.asarray(jax.jacfwd(whole)(natural, name)), -1, 0)
    second = np.asarray(jax.hessian(whole)(natural, name))
    side = inverse @ design
    np.testing.assert_allclose(
        made.covariance, np.linalg.inv(design.T @ side), rtol=1e-11, atol=1e-13
    )
    slope = np.stack([-side.T @ v @ side for v in first])
    np.testing.assert_allclose(made.slope, slope, rtol=1e-10, atol=1e-12)
    curved = np.einsum(
        "ij,iab,bc,jcd->ad", spread, first, inverse, first, optimize=True
    )
    np.testing.assert_allclose(made.curved, side.T @ curved @ side, rtol=1e-9)
    bent = np.einsum("ij,abij->ab", spread, second)
    np.testing.assert_allclose(made.bent, side.T @ bent @ side, rtol=1e-8, atol=1e-10)

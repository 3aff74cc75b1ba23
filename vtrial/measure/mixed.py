"""Fit linear mixed models of repeated values to many trials at once.

Newton's method with exact derivatives, on the structure's unbounded numbers: steps go
along the Hessian's eigenvectors with the absolute values of its eigenvalues, no further
than a radius that grows and shrinks with how well the quadratic foretells the
likelihood. All trials of a batch step together under one bounded loop; each stops where
it has converged.

References
----------
Nocedal J, Wright SJ (2006) Numerical Optimization, 2nd ed, chapters 3 and 4.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.measure.covariance import Covariance, structure_of
from vtrial.measure.likelihood import (
    FixedEffects,
    MixedModel,
    Scalar,
    Slopes,
    Sums,
    Vector,
    estimate,
    products,
    slopes,
)
from vtrial.measure.mmrm_design import Basis, Panel

FEW, STEPS = 12, 60  # steps that nearly all trials need at most, and that any has
NEAR = 1e-8  # what one more Newton step would gain of -2 log likelihood: its last
NOISE = 1e-9  # of -2 log likelihood may be rounding, where visits go closely together
FLAT = 1e-3  # information below which a parameter has run away
BYTES = 8e6  # held at once: about what stays near the processor


class Fit(NamedTuple):
    """Mixed models of many trials; NaN for those that did not converge.

    Attributes
    ----------
    minus_two_log
        Minus twice the (restricted) log likelihood, with SAS's constants.
    converged, steps
        Whether, and after how many steps.
    parameter
        Covariance parameters of each group, as `vtrial.measure.covariance` lists them.
    matrix
        Covariance of all visits, for each kind of subject of the panel.
    effect, covariance
        Coefficients of the panel's orthonormal columns and their model-based
        covariance; `effects` and `degrees_of_freedom` speak of the design's.
    slope, curved, bent, spread
        See `vtrial.measure.likelihood.FixedEffects`.
    """

    minus_two_log: Float[np.ndarray, " replicate"]
    converged: Bool[np.ndarray, " replicate"]
    steps: Int[np.ndarray, " replicate"]
    parameter: Float[np.ndarray, "replicate group parameter"]
    matrix: Float[np.ndarray, "replicate kind visit visit"]
    effect: Float[np.ndarray, "replicate column"]
    covariance: Float[np.ndarray, "replicate column column"]
    slope: Float[np.ndarray, "replicate natural column column"]
    curved: Float[np.ndarray, "replicate column column"]
    bent: Float[np.ndarray, "replicate column column"]
    spread: Float[np.ndarray, "replicate natural natural"]
    panel: Panel

    @property
    def basis(self) -> Basis:
        """The triangle that makes the design's columns from orthonormal ones."""
        return self.panel.basis


def fit_mixed(
    panel: Panel, covariance: Covariance = "un", *, restricted: bool = True
) -> Fit:
    """Fit a mixed model to every trial of a panel.

    Parameters
    ----------
    covariance
        The structure, by its name; each group of the panel has its own parameters.
    restricted
        Whether to maximise the restricted likelihood (REML) or the likelihood (ML).

    Notes
    -----
    A trial has converged if its Hessian is positive definite and another step would
    gain less than 1e-8 of minus twice the log likelihood; that step is then taken. A
    parameter that runs away (a variance to zero, a correlation to one) has none of
    it: such a trial has not converged.
    """
    model = MixedModel(structure_of(covariance), panel.groups, restricted, free=True)
    replicates = len(panel.value)
    found = _fit_rows(panel, model, np.arange(replicates), FEW)
    left = np.flatnonzero(~np.asarray(found.converged))
    if len(left):  # those that need many steps hold up no others
        again = _fit_rows(panel, model, left, STEPS)
        for whole, part in zip(
            jax.tree.leaves(found), jax.tree.leaves(again), strict=True
        ):
            whole[left] = part
    spread = np.asarray(found.estimate.spread)
    good = np.asarray(found.converged) & np.isfinite(found.value)
    good &= np.isfinite(spread).all(axis=(1, 2))
    # A parameter without a positive variance is not at a minimum of -2 log L.
    good &= (np.diagonal(spread, axis1=1, axis2=2) > 0).all(axis=1)

    def known(array: Array | np.ndarray) -> np.ndarray:
        shape = (-1,) + (1,) * (array.ndim - 1)
        return np.where(good.reshape(shape), np.asarray(array), np.nan)

    made = found.estimate
    return Fit(
        minus_two_log=known(found.value),
        converged=good,
        steps=np.asarray(found.steps).astype(int),
        parameter=known(found.natural).reshape(replicates, panel.groups, -1),
        matrix=known(made.matrix),
        effect=known(np.asarray(made.effect) + panel.first),
        covariance=known(made.covariance),
        slope=known(made.slope),
        curved=known(made.curved),
        bent=known(made.bent),
        spread=known(spread),
        panel=panel,
    )


def effects(fit: Fit) -> Float[np.ndarray, "replicate column"]:
    """Return the coefficients of a design's columns; NaN for one that was dropped.

    A column that depends on those before it is dropped, as if its coefficient were 0.
    """
    made = np.matvec(design_inverse(fit.basis), fit.effect)
    return np.where(fit.basis.kept, made, np.nan)


def design_inverse(basis: Basis) -> Float[np.ndarray, "replicate column column"]:
    """Return the matrix from coefficients of orthonormal columns to the design's."""
    triangle, kept = basis
    eye = np.eye(triangle.shape[1])[None]
    whole = np.where(kept[:, None, :], triangle, eye)
    return np.where(kept[:, :, None], np.linalg.inv(whole), 0.0)


class _Data(NamedTuple):
    """A batch of trials: columns with the values last, and what `Sums` holds."""

    columns: Float[Array, "replicate subject visit columns"]
    kind: Int[Array, "replicate subject"]
    mask: Bool[Array, "replicate kind visit"]
    group: Int[Array, "replicate kind"]
    distance: Float[Array, "replicate kind visit visit"]
    kept: Bool[Array, "replicate column"]
    constant: Float[Array, " replicate"]


def _chunks(panel: Panel, model: MixedModel, rows: np.ndarray) -> Iterator[_Data]:
    """Cut trials of a panel into batches of one size, the last filled up with its last.

    Sizes are powers of two, so that few programs are compiled.
    """
    replicates, _, visits, columns = panel.columns.shape
    cells = (columns + 1) * (columns + 2) // 2 * visits * (visits + 1) // 2
    cells += 4 * model.groups * model.structure.size(visits) * visits**2
    most = max(BYTES / (panel.mask.shape[1] * cells * 8), 1.0)
    size = min(_rounded(replicates), 2 ** int(np.log2(most)))
    diagonal = np.diagonal(panel.basis.triangle, axis1=1, axis2=2)
    lengths = np.log(np.where(panel.basis.kept, diagonal, 1.0)).sum(axis=1)
    number = panel.seen.sum(axis=(1, 2)) - (panel.rank if model.restricted else 0)
    constant = number * np.log(2 * np.pi) - panel.log_weight
    # REML has log|X'WX| of the design X = Q R, while the search has that of Q.
    constant += 2 * lengths if model.restricted else 0.0
    both = np.concatenate([panel.columns, panel.value[:, :, :, None]], axis=3)
    arrays = (
        both,
        panel.kind,
        panel.mask,
        panel.group,
        panel.distance,
        panel.basis.kept,
        constant,
    )
    for start in range(0, len(rows), size):
        some = rows[np.minimum(np.arange(start, start + size), len(rows) - 1)]
        yield _Data(*(jnp.asarray(array[some]) for array in arrays))


def _rounded(number: int) -> int:
    """Round up to a power of two."""
    return 1 << (number - 1).bit_length()


class _BatchFit(NamedTuple):
    """Estimates for a batch of trials."""

    value: Float[Array, " replicate"]
    natural: Float[Array, "replicate parameter"]
    steps: Int[Array, " replicate"]
    converged: Bool[Array, " replicate"]
    estimate: FixedEffects


@partial(jax.jit, static_argnames="model")
def _fit(batch: _Data, most: Int[Array, ""], model: MixedModel) -> _BatchFit:
    """Fit a batch of trials in at most so many Newton steps."""
    kinds = batch.mask.shape[1]

    def sums_of(one: _Data) -> Sums:
        product = products(one.columns, one.kind, kinds)
        count = (one.kind[None, :] == jnp.arange(kinds)[:, None]).sum(axis=1)
        count = count.astype(product.dtype)
        return Sums(product, count, *one[2:])

    sums = jax.lax.map(sums_of, batch)
    start = jax.vmap(lambda d, s: _start(d, s, model))(batch, sums)
    found = _search(start, sums, most, model)

    def finish(state: _State, one: Sums) -> tuple[Vector, FixedEffects]:
        def natural(free: Vector) -> Vector:
            own = free.reshape(model.groups, -1)
            visits = one.mask.shape[1]
            return jax.vmap(lambda f: model.structure.natural(f, visits))(own).ravel()

        # Where the gradient is zero, the Hessian turns as a tensor does.
        turn = jax.jacfwd(natural)(state.place)
        spread = 2.0 * turn @ jnp.linalg.inv(state.slopes.hessian) @ turn.T
        place = natural(state.place)
        return place, estimate(place, spread, one, model._replace(free=False))

    natural, made = jax.vmap(finish)(found, sums)
    return _BatchFit(found.slopes.value, natural, found.steps, found.converged, made)


def _fit_rows(
    panel: Panel, model: MixedModel, rows: np.ndarray, steps: int
) -> _BatchFit:
    """Fit some trials of a panel, batch by batch, in at most so many Newton steps."""
    parts = [_fit(c, jnp.asarray(steps), model) for c in _chunks(panel, model, rows)]
    return jax.tree.map(
        lambda *some: np.concatenate([np.asarray(one) for one in some])[: len(rows)],
        *parts,
    )


def _start(data: _Data, sums: Sums, model: MixedModel) -> Vector:
    """Return starting parameters, from a rough covariance of the residuals."""
    rest = data.columns[:, :, -1]
    seen = sums.mask[jnp.maximum(data.kind, 0)] & (data.kind >= 0)[:, None]
    rough = _rough(rest, seen)
    apart = (sums.mask[:, :, None] & sums.mask[:, None, :]) & (sums.distance > 0)
    distance = jnp.where(apart, sums.distance, 0.0).sum()
    distance = distance / jnp.maximum(apart.sum(dtype=rest.dtype), 1.0)
    distance = jnp.where(distance > 0, distance, 1.0)
    return jnp.tile(model.structure.start(rough, distance), model.groups)


def _rough(
    rest: Float[Array, "subject visit"], seen: Bool[Array, "subject visit"]
) -> Float[Array, "visit visit"]:
    """Estimate a covariance by regressing each visit on those before, in completers.

    Of people who leave and do not come back that is the covariance itself that is most
    likely (Little, Rubin (2002) Statistical Analysis with Missing Data, section 7.4).
    A visit with too few such people has its own variance, and no covariance.
    """
    visits = rest.shape[1]
    whole = jnp.cumprod(seen.astype(rest.dtype), axis=1)
    once = jnp.maximum(seen.sum(axis=0, dtype=rest.dtype), 1.0)
    own = (rest**2).sum(axis=0) / once
    mean = own.sum() / visits
    own = jnp.where(own > 1e-3 * mean, own, jnp.where(mean > 0, mean, 1.0))

    def regress(visit: Int[Array, ""]) -> tuple[Vector, Scalar]:
        there = whole[:, visit]
        product = (rest * there[:, None]).T @ rest
        earlier = jnp.arange(visits) < visit
        inner = jnp.where(earlier[:, None] & earlier[None, :], product, 0.0)
        # A ridge too small to matter, for earlier visits that are collinear.
        inner += jnp.diag(jnp.where(earlier, 1e-9 * jnp.diag(product), 1.0))
        slope = jnp.linalg.solve(inner, jnp.where(earlier, product[:, visit], 0.0))
        left = product[visit, visit] - slope @ product[:, visit]
        count = there.sum()
        least = 1e-8 * own[visit]
        known = (count > visits + earlier.sum(dtype=rest.dtype)) & jnp.isfinite(
            slope
        ).all()
        variance = jnp.maximum(left / jnp.maximum(count, 1.0), least)
        return jnp.where(known, slope, 0.0), jnp.where(known, variance, own[visit])

    slope, variance = jax.vmap(regress)(jnp.arange(visits))
    # Sequential regressions are the covariance's modified Cholesky factor.
    turn = jnp.linalg.inv(jnp.eye(visits, dtype=rest.dtype) - slope)
    return (turn * variance[None, :]) @ turn.T


class _State(NamedTuple):
    """The state of one trial's Newton search."""

    place: Vector
    slopes: Slopes
    radius: Scalar
    active: Bool[Array, ""]
    converged: Bool[Array, ""]
    steps: Int[Array, ""]


def _search(
    start: Float[Array, "replicate parameter"],
    sums: Sums,
    most: Int[Array, ""],
    model: MixedModel,
) -> _State:
    """Step all trials together until each has converged or has no steps left."""
    count, size = start.shape
    eye = jnp.eye(size, dtype=start.dtype)
    nothing = Slopes(  # from which the first step goes nowhere, and is taken
        value=jnp.full(count, jnp.inf, start.dtype),
        gradient=jnp.zeros_like(start),
        hessian=jnp.broadcast_to(eye[None], (count, size, size)),
    )
    state = _State(
        place=start,
        slopes=nothing,
        radius=jnp.ones(count, start.dtype),
        active=jnp.ones(count, bool),
        converged=jnp.zeros(count, bool),
        steps=jnp.zeros(count, int),
    )
    step = jax.vmap(lambda state, one: _step(state, one, most, model))
    return jax.lax.while_loop(
        lambda state: state.active.any(), lambda state: step(state, sums), state
    )


def _step(state: _State, sums: Sums, most: Int[Array, ""], model: MixedModel) -> _State:
    """Try one step of one trial; keep it if the likelihood grows."""
    value, gradient, hessian = state.slopes
    fresh = ~jnp.isfinite(value)
    levels, axes = jnp.linalg.eigh(hessian)
    along = axes.T @ gradient
    # Absolute eigenvalues make a Newton step at a saddle one of descent.
    size = jnp.abs(levels)
    size = jnp.maximum(size, 1e-8 * size.max() + 1e-30)
    whole = -axes @ (along / size)
    length = jnp.sqrt((whole**2).sum())
    # The squared Newton decrement, g'H^-1 g, bounds what another step would gain.
    last = ((along**2 / size).sum() < NEAR) & (levels.min() > FLAT) & ~fresh
    step = whole * jnp.minimum(1.0, state.radius / jnp.maximum(length, 1e-30))
    made = slopes(state.place + step, sums, model)
    foretold = -(gradient @ step + 0.5 * step @ hessian @ step)
    gain = jnp.where(fresh, foretold, value - made.value)
    ratio = gain / jnp.maximum(foretold, 1e-30)
    noise = NOISE * jnp.abs(made.value)
    finite = jnp.isfinite(made.value) & jnp.isfinite(made.hessian).all()
    taken = state.active & finite & (gain >= -noise)
    bad = ~finite | ((ratio < 0.25) & (foretold > noise))
    # The trust region's rule of Nocedal, Wright (2006), algorithm 4.1.
    reached = jnp.minimum(length, state.radius)
    radius = jnp.where(bad, 0.25 * reached, state.radius)
    wide = ~bad & (ratio > 0.75) & (length > state.radius)
    radius = jnp.where(wide, 2.0 * radius, radius)
    steps = state.steps + state.active.astype(int)
    return _State(
        place=jnp.where(taken, state.place + step, state.place),
        slopes=jax.tree.map(lambda a, b: jnp.where(taken, a, b), made, state.slopes),
        radius=jnp.where(state.active, radius, state.radius),
        active=state.active & ~last & (finite | ~fresh) & (steps < most),
        converged=state.converged | (state.active & last & taken),
        steps=steps,
    )

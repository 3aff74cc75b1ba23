r"""Studies drawn anew from a fitted model, and how one that was seen stands among them.

Each replicate has the doses, times and covariates of the study, and effects and errors
of its own. NPDE are normalised prediction distribution errors: with m and C mean and
covariance of a subject's replicates and $C = L L'$, both the values y and the
replicates are decorrelated,

$$ y^* = L^{-1} (y - m), \qquad
   \mathrm{npde} = \Phi^{-1}\left(\frac1K \sum_k 1(y^{(k)*} < y^*)\right), $$

and are independent and standard normal if the model holds. Of a value below a limit,
the place among the replicates is drawn evenly below the limit's.

References
----------
Brendel K, Comets E, Laffont C, Laveille C, Mentré F (2006) Pharm Res 23:2036-2049.
Comets E, Brendel K, Mentré F (2008) Comput Methods Programs Biomed 90:154-166.
Nguyen THT, Comets E, Mentré F (2012) J Pharmacokinet Pharmacodyn 39:499-518 (limits).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int
from scipy.special import ndtri

from vtrial.errors import FitError
from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS, in_parts, size_of
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values
from vtrial.keys import purpose_key, subject_key, subject_number
from vtrial.model.residual import drawn
from vtrial.program_cache import kept

AT_ONCE = 50  # replicates that a program draws
FEWEST = 100
LEAST = 1e-10  # of a variance, that is left when what others explain is taken off


def replicates_of(
    likelihood: Likelihood, study: Study, values: Values, *, count: int, seed: int
) -> Float[np.ndarray, "subject replicate observation"]:
    """Draw a study's values anew, as often as asked; without limits.

    Draws are keyed by seed, replicate and the subject's ID. Where a subject of a
    replicate could not be solved, another of its replicates stands instead; NaN where
    there is none, and in padding.

    Raises
    ------
    FitError
        If so few are asked for that they tell nothing.
    """
    if count < FEWEST:
        raise FitError("simulations", f"{count}", f"{FEWEST} or more", "1000")
    numbers = np.array([subject_number(str(one)) for one in study.identity])
    parts = []
    for first in range(0, count, AT_ONCE):
        turns = jnp.arange(first, first + AT_ONCE)

        def compute(part: Data, who: np.ndarray, turns: Array = turns) -> Array:
            return _drawn(
                likelihood, values, part, jnp.asarray(who), jnp.asarray(seed), turns
            )

        parts.append(in_parts(compute, size_of(study.subjects), study.data, numbers))
    found = np.concatenate(parts, axis=1)[:, :count]
    return _mended(np.where(study.data.real[:, None, :], found, np.nan), study)


def _mended(
    found: Float[np.ndarray, "subject replicate observation"], study: Study
) -> Float[np.ndarray, "subject replicate observation"]:
    """Put sound replicates of a subject in the place of others."""
    real = study.data.real[:, None, :]
    lost = (~np.isfinite(found) & real).any(axis=2)
    if not lost.any():
        return found
    order = np.argsort(lost, axis=1, kind="stable")
    sound = np.maximum((~lost).sum(axis=1), 1)
    other = order[
        np.arange(len(found))[:, None], np.cumsum(lost, axis=1) % sound[:, None]
    ]
    place = np.where(lost, other, np.arange(found.shape[1])[None])
    return np.take_along_axis(found, place[:, :, None], axis=1)


@functools.partial(kept, static=1, makers=MAKERS)
def _drawn(
    likelihood: Likelihood,
    values: Values,
    data: Data,
    who: Int[Array, " subject"],
    seed: Int[Array, ""],
    turns: Int[Array, " replicate"],
) -> Float[Array, "subject replicate observation"]:
    """Draw some replicates of some subjects."""
    lower = jnp.linalg.cholesky(likelihood.effects.covariance(values))
    size, places = len(likelihood.effects), jnp.arange(data.values.shape[1])

    def one(turn: Int[Array, ""]) -> Float[Array, "subject observation"]:
        keys = jax.vmap(lambda number: subject_key(seed, turn, number))(who)

        def effects(key: Array) -> Array:
            return jax.random.normal(purpose_key(key, "effects of a fit"), (size,))

        def errors(key: Array) -> Array:
            own = purpose_key(key, "errors of a fit")
            return jax.vmap(lambda place: jax.random.fold_in(own, place))(places)

        eta = jax.vmap(effects)(keys) @ lower.T
        seen = likelihood.stand(values, eta, data)
        each = jax.vmap(errors)(keys)
        normal = jax.vmap(jax.vmap(jax.random.normal))(each)
        found = jnp.full(normal.shape, jnp.nan)
        for number, output in enumerate(likelihood.model.outputs):
            if output.error.varies:
                mine = jnp.asarray(data.output) == number
                value = drawn(output.error, seen.middle, seen.scale, normal, each)
                found = jnp.where(mine & seen.sound, value, found)
        return found

    return jnp.moveaxis(lax.map(one, turns), 0, 1)


def npde_of(
    study: Study,
    replicates: Float[np.ndarray, "subject replicate observation"],
    *,
    seed: int,
) -> Float[np.ndarray, "subject observation"]:
    """Return NPDE of each observation; NaN in padding and where nothing was drawn.

    Raises
    ------
    FitError
        If there are no more replicates than values of a subject.
    """
    width, count = int(study.data.real.sum(axis=1).max()), replicates.shape[1]
    if count <= 2 * width:
        allowed = f"more than twice the {width} observations that a subject has"
        raise FitError("simulations", f"{count}", allowed, "1000")
    found = np.full(study.data.real.shape, np.nan)
    step = 64  # subjects at once, for memory
    for first in range(0, study.subjects, step):
        rows = slice(first, first + step)
        found[rows] = _npde(study, replicates[rows], rows, seed)
    return found


def _npde(
    study: Study,
    replicates: Float[np.ndarray, "subject replicate observation"],
    rows: slice,
    seed: int,
) -> Float[np.ndarray, "subject observation"]:
    """Decorrelate the values of some subjects, and find their places."""
    known = np.isfinite(replicates).all(axis=1) & study.data.real[rows]
    drawn = np.where(known[:, None, :], replicates, 0.0)
    value = np.where(known, _imputed(study, drawn, rows, seed), 0.0)
    middle = drawn.mean(axis=1)
    about = drawn - middle[:, None, :]
    count = drawn.shape[1]
    spread = np.einsum("ska,skb->sab", about, about) / (count - 1)
    size = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    size = np.where(size > 0, size, 1.0)
    whole = spread / (size[:, :, None] * size[:, None, :])
    fill = np.where(np.diagonal(whole, axis1=1, axis2=2) > 0, LEAST, 1.0)
    lower = np.linalg.cholesky(whole + fill[:, :, None] * np.eye(fill.shape[1]))
    mine = np.linalg.solve(lower, ((value - middle) / size)[:, :, None])
    theirs = np.linalg.solve(lower, np.swapaxes(about / size[:, None, :], 1, 2))
    share = (theirs < mine).mean(axis=2)
    share = np.clip(share, 0.5 / count, 1.0 - 0.5 / count)
    return np.where(known, ndtri(share), np.nan)


def _imputed(
    study: Study,
    drawn: Float[np.ndarray, "subject replicate observation"],
    rows: slice,
    seed: int,
) -> Float[np.ndarray, "subject observation"]:
    """Return the values; below a limit, one of the replicates there, drawn."""
    value, below = study.data.values[rows], study.data.below[rows]
    if not below.any():
        return value
    who = [subject_number(str(one)) for one in study.identity[rows]]
    places = jnp.arange(value.shape[1])

    def even(number: Array) -> Array:
        key = purpose_key(subject_key(seed, 0, number), "below a limit")
        draw = jax.vmap(lambda p: jax.random.uniform(jax.random.fold_in(key, p)))
        return draw(places)

    share = np.asarray(jax.vmap(even)(jnp.asarray(who)))
    under = (drawn < value[:, None, :]).sum(axis=1)
    place = np.floor(share * under).astype(int)
    ordered = np.sort(drawn, axis=1)
    chosen = np.take_along_axis(ordered, place[:, None, :], axis=1)[:, 0]
    return np.where(below, np.where(under > 0, chosen, value), value)

r"""The most probable effects of each person, and how sure they are: MAP, with Laplace.

The joint density's -2 log, L, is minimised for all subjects side by side, by Fisher
scoring: with g its exact gradient and H its expected information, a step solves
$(H + \lambda\, \mathrm{diag} H)\, d = -g$, where $\lambda$ falls after a step that
helped and rises after one that did not. A subject has converged where the decrement
$g' H^{-1} g$, by which L could still fall, is small; its error is the root of that, in
posterior standard deviations. Who has not converged goes on in smaller company, with
steps from BFGS, whose matrix begins at H; who still has not, or has a mode far out,
begins anew elsewhere.

References
----------
Levenberg K (1944) Q Appl Math 2:164-168; Marquardt DW (1963) SIAM J Appl Math
11:431-441 (damping). Osborne MR (1992) Int Stat Rev 60:99-117 (Fisher scoring).
Nocedal J, Wright SJ (2006) Numerical Optimization, 2nd ed, ch 6 (BFGS).
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int

from vtrial.fit.likelihood import TIGHT, Likelihood, Look, likelihood_of
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values, values_of
from vtrial.model.model import Model
from vtrial.program_cache import kept
from vtrial.types import Numerics

SIZES = (1, 16, 64, 128, 256)  # subjects side by side in a program
FIRST, SECOND = 20, 60  # steps by scoring, and then by BFGS
DECREMENT = 1e-14  # of L, at which an effect is known to 1e-7 of its deviation
ROUGH = 1e-6  # of L, at which a subject counts as converged if rounding stops it
STARTS = (0.0, 0.5, -0.5, 1.0, -1.0)  # in prior deviations
LONGEST = 1.0  # of a step, in prior deviations
FAR = 3.0  # prior deviations, beyond which a mode is looked for elsewhere, too
MAKERS = ("fit", "model", "dosing", "solver")


class Outcome(IntEnum):
    """How the search for a subject's mode ended."""

    CONVERGED = 0
    STEP_LIMIT = 1
    NO_DENSITY = 2

    @property
    def words(self) -> str:
        """Outcome, in a report's words."""
        return ("converged", "not converged", "no likelihood at any start")[self]


class Modes(NamedTuple):
    """The most probable effects of each person.

    Fields
    ------
    eta
        In the order of `likelihood.effects.labels`.
    covariance
        Of the effects about their mode: twice the inverse of L's information.
    objective
        L at the mode, without n log 2 pi and q log 2 pi.
    predicted
        [the output's unit] At the mode, without residual error; NaN in padding.
    outcome
        An `Outcome` each.
    steps
        How many were tried.
    """

    eta: Float[np.ndarray, "subject effect"]
    covariance: Float[np.ndarray, "subject effect effect"]
    objective: Float[np.ndarray, " subject"]
    predicted: Float[np.ndarray, "subject observation"]
    outcome: Int[np.ndarray, " subject"]
    steps: Int[np.ndarray, " subject"]


class Search(NamedTuple):
    """Where the search of each subject stands: `trial` is looked at next."""

    eta: Float[Array, "subject effect"]
    objective: Float[Array, " subject"]
    gradient: Float[Array, "subject effect"]
    information: Float[Array, "subject effect effect"]
    predicted: Float[Array, "subject observation"]
    matrix: Float[Array, "subject effect effect"]
    damping: Float[Array, " subject"]
    trial: Float[Array, "subject effect"]
    done: Bool[Array, " subject"]
    steps: Int[Array, " subject"]


class Found(NamedTuple):
    """What a program gives of a part of the subjects."""

    eta: Float[Array, "subject effect"]
    objective: Float[Array, " subject"]
    information: Float[Array, "subject effect effect"]
    decrement: Float[Array, " subject"]
    predicted: Float[Array, "subject observation"]
    steps: Int[Array, " subject"]


register_namedtuple_serialization(Found, serialized_name="vtrial:fit.Found")


def modes(
    model: Model,
    study: Study,
    *,
    values: Values | None = None,
    start: Float[np.ndarray, "subject effect"] | None = None,
    likelihood: Likelihood | None = None,
    numerics: Numerics = TIGHT,
) -> Modes:
    """Find the most probable random effects of every subject of a study.

    Parameters
    ----------
    values
        Population values; the model's own unless given.
    start
        Where the search begins; at zero unless given.
    likelihood
        What `likelihood_of` gave for the same model and study, to choose once.

    Raises
    ------
    ModelError
        If no likelihood of the model is known here.
    """
    likelihood = likelihood or likelihood_of(model, study, numerics)
    values = values_of(model) if values is None else values
    count = len(likelihood.effects)
    begin = np.zeros((study.subjects, count)) if start is None else np.asarray(start)
    size = size_of(study.subjects)
    search = functools.partial(_searched, likelihood, values, size)
    found = search(study.data, begin, bfgs=False)
    rows = np.flatnonzero(~(found.decrement < DECREMENT))
    found = _again(search, study.data, found, found.eta, rows)
    spread = np.sqrt(np.diag(np.asarray(likelihood.effects.covariance(values))))
    for shift in STARTS:
        far = (np.abs(found.eta) > FAR * spread).any(axis=1)
        rows = np.flatnonzero(far | ~(found.decrement < ROUGH))
        if not rows.size or not count:
            break
        other = np.broadcast_to(shift * spread, begin.shape)
        found = _again(search, study.data, found, other, rows)
    outcome = np.where(found.decrement < ROUGH, 0, Outcome.STEP_LIMIT)
    outcome = np.where(np.isfinite(found.objective), outcome, Outcome.NO_DENSITY)
    return Modes(
        eta=found.eta,
        covariance=2.0 * _inverse(found.information),
        objective=found.objective,
        predicted=found.predicted,
        outcome=outcome,
        steps=found.steps,
    )


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Invert each matrix; NaN where one is not finite."""
    good = np.reshape(np.isfinite(matrices).all(axis=(1, 2)), (-1, 1, 1))
    safe = np.where(good, matrices, np.eye(matrices.shape[1]))
    return np.where(good, np.linalg.inv(safe), np.nan)


def _again(
    search: Callable[..., Any],
    data: Data,
    found: Any,
    start: np.ndarray,
    rows: np.ndarray,
) -> Any:
    """Go on for some, and keep what is better."""
    if not rows.size:
        return found
    other = search(taken(data, rows), start[rows], bfgs=True)
    with np.errstate(invalid="ignore"):  # infinite less infinite
        gap: np.ndarray = np.asarray(other.objective) - found.objective[rows]
    nearer = np.less(other.decrement, found.decrement[rows])
    better: np.ndarray = np.atleast_1d((gap < 0) | ((gap <= ROUGH) & nearer))
    sound = (other.decrement < ROUGH) | ~(found.decrement[rows] < ROUGH)
    better = np.atleast_1d(better & np.isfinite(other.objective) & sound)
    merged: Any = []
    for old, new in zip(found, other, strict=True):
        whole = old.copy()
        whole[rows[better]] = new[better]
        merged.append(whole)
    steps = found.steps.copy()
    steps[rows] += other.steps
    return Found(*merged)._replace(steps=steps)


def taken(data: Data, rows: np.ndarray) -> Data:
    """Take some subjects; what all share is given to each."""

    def take(leaf: Any) -> np.ndarray:
        held = np.asarray(leaf)
        return held[rows if len(held) > 1 else np.zeros_like(rows)]

    return jax.tree.map(take, data)


def size_of(subjects: int) -> int:
    """Return how many subjects a program takes at once."""
    return next((one for one in SIZES if subjects <= one), SIZES[-1])


def in_parts(
    compute: Callable[..., Any], size: int, data: Data, *others: np.ndarray
) -> Any:
    """Apply a program to parts of one size, on two threads; join what it gives.

    The last part is filled up with the last subject, so that few sizes are compiled,
    and one suffices for a study.
    """
    count = len(data.begin)
    rows = np.minimum(np.arange(math.ceil(count / size) * size), count - 1)
    parts = rows.reshape(-1, size)

    def one(mine: np.ndarray) -> Any:
        given = compute(taken(data, mine), *(other[mine] for other in others))
        return jax.tree.map(np.asarray, given)

    if len(parts) == 1:
        found = [one(parts[0])]
    else:
        first = one(parts[0])  # compiles, before there are threads
        with ThreadPoolExecutor(2) as pool:
            found = [first, *pool.map(one, parts[1:])]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *found)


def _searched(
    likelihood: Likelihood,
    values: Values,
    size: int,
    data: Data,
    start: np.ndarray,
    *,
    bfgs: bool,
) -> Any:
    """Search for every subject, in parts."""
    how = jnp.asarray(bfgs)

    def compute(part: Data, begin: np.ndarray) -> Found:
        return descend(likelihood, how, values, part, jnp.asarray(begin))

    found = in_parts(compute, size, data, np.array(start, float))
    writable: Any = [np.array(part) for part in found]
    return Found(*writable)


@functools.partial(kept, static=1, makers=MAKERS)
def descend(
    likelihood: Likelihood,
    bfgs: Bool[Array, ""],
    values: Values,
    data: Data,
    start: Float[Array, "subject effect"],
) -> Found:
    """Minimise L of some subjects, by scoring or, if `bfgs`, by its steps."""
    most = jnp.where(bfgs, SECOND, FIRST)
    count, size = start.shape
    plain = jnp.broadcast_to(jnp.eye(size), (count, size, size))
    zero = jnp.zeros(count, int)
    spread = jnp.sqrt(jnp.diag(likelihood.effects.covariance(values)))
    state = Search(
        eta=start,
        objective=jnp.full(count, jnp.inf),
        gradient=jnp.zeros_like(start),
        information=plain,
        predicted=jnp.full(data.values.shape, jnp.nan),
        matrix=plain,
        damping=jnp.where(bfgs, jnp.zeros(count), 1e-2),
        trial=start,
        done=zero > 0,
        steps=zero,
    )

    def going(state: Search) -> Bool[Array, ""]:
        return jnp.any(~state.done) & (jnp.max(state.steps) < most)

    def step(state: Search) -> Search:
        return _step(state, likelihood.look(values, state.trial, data), bfgs, spread)

    state = lax.while_loop(going, step, state)
    decrement = _decrement(state.gradient, state.information)
    return Found(
        state.eta,
        state.objective,
        state.information,
        jnp.where(jnp.isfinite(state.objective), decrement, jnp.inf),
        state.predicted,
        state.steps,
    )


def _decrement(
    gradient: Float[Array, "subject effect"],
    matrix: Float[Array, "subject effect effect"],
) -> Float[Array, " subject"]:
    """Return by how much a quadratic L of this gradient would still fall, twice."""
    step = jnp.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    return jnp.sum(step * gradient, axis=1)


def _step(
    state: Search, seen: Look, bfgs: Bool[Array, ""], spread: Float[Array, " effect"]
) -> Search:
    """Keep the trials that helped, and say where to look next."""
    slack = 1e-11 * (1.0 + jnp.abs(state.objective))
    better = (seen.objective <= state.objective + slack) & ~state.done
    move, change = state.trial - state.eta, seen.gradient - state.gradient
    follows = (bfgs & (state.steps > 0))[:, None, None]
    updated = _updated(state.matrix, move, change)
    matrix = jnp.where(follows, updated, seen.information)
    keep = functools.partial(_keep, better)
    eta, gradient = keep(state.trial, state.eta), keep(seen.gradient, state.gradient)
    information = keep(seen.information, state.information)
    matrix = keep(matrix, state.matrix)
    eased = jnp.where(state.damping > 1e-6, state.damping * 0.1, 0.0)
    harder = jnp.maximum(state.damping * 10.0, 1e-3)
    damping = jnp.where(better, eased, harder)
    done = state.done | (damping > 1e9)
    done = done | (_decrement(gradient, information) < DECREMENT)
    diagonal = jnp.diagonal(matrix, axis1=1, axis2=2)
    more = (damping[:, None] * diagonal)[:, :, None] * jnp.eye(eta.shape[1])[None]
    step = -jnp.linalg.solve(matrix + more, gradient[:, :, None])[:, :, 0]
    length = jnp.max(jnp.abs(step) / spread[None], axis=1, initial=0.0)
    step = step * jnp.minimum(1.0, LONGEST / jnp.maximum(length, 1e-300))[:, None]
    return Search(
        eta=eta,
        objective=keep(seen.objective, state.objective),
        gradient=gradient,
        information=information,
        predicted=keep(seen.predicted, state.predicted),
        matrix=matrix,
        damping=damping,
        trial=eta + jnp.where(done[:, None], 0.0, step),
        done=done,
        steps=state.steps + (~state.done).astype(int),
    )


def _keep(better: Bool[Array, " subject"], new: Array, old: Array) -> Array:
    """Take the new where it is better."""
    mask = better.reshape(-1, *[1] * (new.ndim - 1))
    return jnp.where(mask, new, old)


def _updated(
    matrix: Float[Array, "subject effect effect"],
    move: Float[Array, "subject effect"],
    change: Float[Array, "subject effect"],
) -> Float[Array, "subject effect effect"]:
    """Update BFGS's matrix by a step and the gradient's change, where that curves up.

    Powell's damping keeps it positive definite.
    """
    along = jnp.einsum("skl,sl->sk", matrix, move)
    curve = jnp.sum(move * along, axis=1)
    told = jnp.sum(move * change, axis=1)
    low = told < 0.2 * curve
    share = jnp.where(low, 0.8 * curve / jnp.where(low, curve - told, 1.0), 1.0)
    mixed = share[:, None] * change + (1.0 - share)[:, None] * along
    mixing = jnp.sum(move * mixed, axis=1)
    sound = (curve > 0) & (mixing > 0)
    curve, mixing = (jnp.where(sound, part, 1.0) for part in (curve, mixing))
    fresh = (
        matrix
        - along[:, :, None] * along[:, None, :] / curve[:, None, None]
        + mixed[:, :, None] * mixed[:, None, :] / mixing[:, None, None]
    )
    return jnp.where(sound[:, None, None], fresh, matrix)

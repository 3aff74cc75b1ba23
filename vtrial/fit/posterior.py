"""From draws of a posterior distribution to an Answer, and where chains begin."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.distributions import biject_to, constraints

from vtrial.fingerprint import fingerprint
from vtrial.fit.focei import Focei, Point
from vtrial.fit.hierarchy import Given, reference_of
from vtrial.fit.marginal import marginal_of
from vtrial.fit.method import Answer, How
from vtrial.fit.methods.importance import modes_at
from vtrial.fit.minimum import minimise, scored
from vtrial.fit.parameters import Layout
from vtrial.fit.pointwise import MOST, worth_of
from vtrial.fit.prior import prior_of, said
from vtrial.fit.problem import Problem

LONGEST = 0.5  # by which chains may begin off the reference
AGREED = 1.05  # of R-hat
WEIGHED = 500  # draws of the likelihood's sampling


def begun(problem: Problem, how: How) -> tuple[Given, np.ndarray, np.ndarray]:
    """Return what the program is told, its vector, and a triangle of its errors.

    Without the estimates of another fit, subjects are looked at from FOCEI's.
    """
    focei = Focei(*problem)

    def evaluate(vector: np.ndarray, before: Any) -> Point:
        return focei.at(vector, None if before is None else before.modes.eta)

    if how.started:
        vector, point = how.start, evaluate(how.start, None)
    else:
        best = minimise(evaluate, how.start, most=how.most, tell=how.tell)
        vector, point = best.vector, best.point
    reference = reference_of(problem, vector, point.modes.eta)
    prior = prior_of(problem.model, problem.layout, problem.base)
    errors = np.linalg.cholesky(2.0 * np.linalg.inv(scored(point.products)))
    return Given(problem.base, problem.study.data, prior, reference), vector, errors


def positions_of(
    layout: Layout,
    vector: Float[ArrayLike, " estimate"],
    shape: tuple[int, int],
) -> dict[str, Array]:
    """Return sites without bounds that make up a vector; scores are 0."""
    at = jnp.asarray(vector)
    count, place = len(layout.typical), len(layout.typical)
    found: dict[str, Array] = {"z": jnp.zeros(shape)}
    if count:
        found["typical"] = at[:count]
    spread = []
    for number, group in enumerate(layout.groups):
        size = len(group.places)
        rows, columns = np.tril_indices(size)
        lower = (
            jnp.zeros((size, size)).at[rows, columns].set(at[place : place + len(rows)])
        )
        place += len(rows)
        lower = jnp.where(jnp.eye(size) > 0, jnp.exp(lower), lower)
        length = jnp.sqrt(jnp.sum(lower**2, axis=1))
        spread.append(jnp.log(length))
        if size > 1:
            bounds: Any = biject_to(constraints.corr_cholesky)
            found[f"correlation.{number}"] = bounds.inv(lower / length[:, None])
    if spread:
        found["spread"] = jnp.concatenate(spread)
    if layout.sizes:
        found["size"] = at[place:]
    return found


def scattered(
    key: Key[Array, ""],
    layout: Layout,
    vector: Float[np.ndarray, " estimate"],
    errors: Float[np.ndarray, "estimate estimate"],
    shape: tuple[int, int, int],
) -> dict[str, Array]:
    """Return as many positions about a vector as its errors would scatter it."""

    def one(key: Array) -> dict[str, Array]:
        first, second = jax.random.split(key)
        move = jnp.asarray(errors) @ jax.random.normal(first, (len(layout),))
        move = jnp.clip(move, -LONGEST, LONGEST)
        found = positions_of(layout, jnp.asarray(vector) + move, shape[1:])
        return found | {"z": jax.random.normal(second, shape[1:])}

    return jax.vmap(one)(jax.random.split(key, shape[0]))


def answered(
    problem: Problem,
    how: How,
    draws: Float[np.ndarray, "chain draw estimate"],
    *,
    more: dict[str, np.ndarray],
    told: dict[str, Any],
    by: str,
) -> Answer:
    """Say what draws are worth; the estimate is their mean on the layout's scale.

    `more` has columns beside theirs, a row a draw.
    """
    chains, count, size = draws.shape
    flat = draws.reshape(-1, size)
    vector = flat.mean(axis=0)
    modes = modes_at(problem, vector)
    point = marginal_of(problem, vector, modes, draws=WEIGHED, seed=how.seed).at(vector)
    names = problem.layout.names
    natural = problem.layout.naturals(flat, problem.base)
    columns = {
        "chain": np.repeat(np.arange(1, chains + 1), count),
        "draw": np.tile(np.arange(1, count + 1), chains),
    }
    columns |= {name: natural[:, x] for x, name in enumerate(names)} | more
    kept = np.linspace(0, len(flat) - 1, min(len(flat), MOST)).round().astype(int)
    found = worth_of(problem, flat[kept], middle=vector, eta=modes.eta, seed=how.seed)
    density, variance = np.asarray(found.density), np.asarray(found.variance)
    sound = np.isfinite(density).all(axis=0)
    told |= {"worth_error": float(np.sqrt(variance[:, sound].mean(axis=1).sum()))}
    priors = said(prior_of(problem.model, problem.layout, problem.base), problem.layout)
    return Answer(
        vector=vector,
        covariance=np.atleast_2d(np.cov(flat.T)),
        by=by,
        objective=point.objective,
        parts=point.parts,
        error=point.error,
        likelihood="importance sampling",
        modes=modes,
        converged=bool(told.pop("converged")),
        traces=columns,
        draws=flat,
        worth=density.T[sound],
        told={**told, "priors": priors},
    )


def agreement(
    draws: Float[np.ndarray, "chain draw estimate"], names: tuple[str, ...]
) -> dict[str, Any]:
    """Return R-hat of split chains and the effective number of draws, by name."""
    hat = np.atleast_1d(np.asarray(split_gelman_rubin(draws)))
    worth = np.atleast_1d(np.asarray(effective_sample_size(draws)))
    return {
        "r_hat": dict(zip(names, hat.tolist(), strict=True)),
        "ess": dict(zip(names, worth.tolist(), strict=True)),
        "converged": bool((hat < AGREED).all()),
    }


def digest_of(problem: Problem, how: How) -> str:
    """Return what is equal for the same work only."""
    held = hashlib.sha256(fingerprint("fit", "model", "solver", "dosing").encode())
    told = (problem.model.text, problem.layout, sorted(how.options.items()), how.seed)
    held.update(repr((told, how.start.tolist())).encode())
    for leaf in jax.tree.leaves((problem.study.data, problem.base)):
        held.update(np.ascontiguousarray(leaf).tobytes())
    return held.hexdigest()

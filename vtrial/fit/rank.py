"""Simulation-based calibration: whether a method's posterior is what it says.

Parameters are drawn from their prior, a study from them, and the posterior from the
study. If all is right, the rank of what was drawn among the draws of its posterior is
uniform.

References
----------
Talts S, Betancourt M, Simpson D, Vehtari A, Gelman A (2018) arXiv:1804.06788.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpyro.handlers import seed as seeded
from numpyro.handlers import trace as traced
from scipy.stats import chi2

from vtrial.errors import FitError
from vtrial.fit.chain import Plan, drawn
from vtrial.fit.hierarchy import (
    Given,
    Reference,
    foreign,
    population,
    reference_of,
)
from vtrial.fit.likelihood import likelihood_of
from vtrial.fit.mode import modes, taken
from vtrial.fit.parameters import layout_of
from vtrial.fit.posterior import positions_of
from vtrial.fit.prior import Prior, prior_of
from vtrial.fit.problem import Problem
from vtrial.fit.study import Study
from vtrial.fit.values import values_of
from vtrial.keys import purpose_key
from vtrial.model.model import Model

BINS = 8


class Ranks(NamedTuple):
    """Where what was drawn stands among draws of its posterior.

    Fields
    ------
    names
        Of the estimates.
    rank
        From 0 to `most`.
    most
        How many draws of a posterior are compared.
    divergences
        Of all chains.
    """

    names: tuple[str, ...]
    rank: Int[np.ndarray, "replicate estimate"]
    most: int
    divergences: int

    def p_values(self, bins: int = BINS) -> dict[str, float]:
        """Return by name how probable ranks so uneven are, by chi-squared.

        Where ranks do not divide evenly, bins expect what they hold of them.
        """
        edges = np.linspace(0, self.most + 1, bins + 1)
        wide = np.histogram(np.arange(self.most + 1), edges)[0] / (self.most + 1)
        found = {}
        for name, mine in zip(self.names, self.rank.T, strict=True):
            seen = np.histogram(mine, edges)[0]
            expected = wide * len(mine)
            far = float(((seen - expected) ** 2 / expected).sum())
            found[name] = float(chi2.sf(far, bins - 1))
        return found


def ranks_of(
    model: Model,
    study: Study,
    *,
    replicates: int = 64,
    draws: int = 300,
    warmup: int = 200,
    thin: int = 10,
    seed: int = 1,
    prior: Prior | None = None,
) -> Ranks:
    """Return the ranks of a model's parameters, in studies laid out as one is.

    A chain each of NUTS, side by side. Values below a limit are not simulated: the
    study must have none, and errors must be normal on some scale.

    Raises
    ------
    FitError
        If values cannot be simulated.
    """
    laws = {o.error.law for o in model.outputs if o.error.varies}
    if study.data.below.any() or laws - {"normal", "log"}:
        found = "limits, or an error of another law"
        raise FitError(model.name, found, "normal or log-normal, without limits", "")
    likelihood, layout = likelihood_of(model, study), layout_of(model)
    base = values_of(model)
    prior = prior_of(model, layout, base) if prior is None else prior
    problem = Problem(model, study, likelihood, layout, base)
    key = purpose_key(jax.random.key(seed), "simulation-based calibration")
    first, second, third = jax.random.split(key, 3)
    truth = _truths(problem, prior, first, replicates)
    simulated = _simulated(problem, truth, second)
    given, positions = _laid(problem, prior, simulated)
    found = drawn(
        likelihood,
        layout,
        given,
        plan=Plan(warmup, apart=True),
        key=third,
        positions=positions,
        draws=draws,
    )
    kept = found.vector[:, thin - 1 :: thin]
    rank = (kept < truth[:, None, :]).sum(axis=1)
    return Ranks(layout.names, rank, kept.shape[1], int(found.diverging.sum()))


def _truths(
    problem: Problem, prior: Prior, key: Array, replicates: int
) -> Float[np.ndarray, "replicate estimate"]:
    """Draw populations from their prior."""

    def one(key: Array) -> Array:
        made = traced(seeded(population, key)).get_trace(problem.layout, prior)
        return made["vector"]["value"]

    with foreign():
        return np.asarray(jax.vmap(one)(jax.random.split(key, replicates)))


def _simulated(
    problem: Problem, truth: Float[np.ndarray, "replicate estimate"], key: Array
) -> Float[np.ndarray, "replicate subject observation"]:
    """Draw subjects and what is measured of them, as the study measures."""
    likelihood, layout, data = problem.likelihood, problem.layout, problem.study.data
    logs = [o.error.law == "log" for o in problem.model.outputs]
    by_log = np.array(logs)[data.output]

    @jax.jit
    def one(vector: Array, key: Array) -> Array:
        values = layout.values(vector, problem.base)
        first, second = jax.random.split(key)
        lower = jnp.linalg.cholesky(likelihood.effects.covariance(values))
        score = jax.random.normal(first, (problem.study.subjects, len(lower)))
        seen = likelihood.stand(values, score @ lower.T, data)
        error = jax.random.normal(second, seen.scale.shape)
        found = seen.middle + seen.scale * error
        found = jnp.where(by_log, jnp.exp(found), found)
        return jnp.where(seen.sound, found, 1.0)

    keys = jax.random.split(key, len(truth))
    return np.asarray(jax.lax.map(lambda at: one(*at), (jnp.asarray(truth), keys)))


def _laid(
    problem: Problem,
    prior: Prior,
    simulated: Float[np.ndarray, "replicate subject observation"],
) -> tuple[Given, dict[str, Array]]:
    """Return what each chain is told, and where it begins: in the prior's middle.

    All studies are looked at from there as one of many subjects.
    """
    study, layout = problem.study, problem.layout
    count, subjects = simulated.shape[:2]
    rows = np.tile(np.arange(subjects), count)
    data = taken(study.data, rows)._replace(values=simulated.reshape(len(rows), -1))
    whole = replace(study, identity=np.arange(len(rows)).astype(str), data=data)
    vector = layout.vector(problem.base)
    large = problem._replace(study=whole)
    found = modes(
        problem.model, whole, values=problem.base, likelihood=problem.likelihood
    )
    reference = reference_of(large, vector, found.eta)

    def split(leaf: Any) -> Array:
        return jnp.asarray(leaf).reshape(count, subjects, *np.shape(leaf)[1:])

    def same(leaf: Any) -> Array:
        return jnp.broadcast_to(jnp.asarray(leaf), (count, *np.shape(leaf)))

    mine = Reference(same(vector), *(split(leaf) for leaf in reference[1:]))
    shape = (subjects, found.eta.shape[1])
    given = Given(
        jax.tree.map(same, problem.base),
        jax.tree.map(split, data),
        Prior(*(same(leaf) for leaf in prior)),  # type: ignore[arg-type] # of JAX
        mine,
    )
    return given, jax.tree.map(same, positions_of(layout, vector, shape))

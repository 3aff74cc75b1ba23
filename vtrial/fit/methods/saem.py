"""By stochastic approximation of expectation-maximisation."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from vtrial.fit.marginal import numbers_of
from vtrial.fit.mean_effect import means_of
from vtrial.fit.method import Answer, How, Method
from vtrial.fit.methods.importance import judged, modes_at
from vtrial.fit.mode import Modes
from vtrial.fit.problem import Problem
from vtrial.fit.stochastic import STEPS, Guide, Shape, Walk, iterate

PEOPLE = 64  # of all chains together, at least
SETTLED = 0.2  # standard errors, by which the last two eighths may differ in mean


def _estimate(problem: Problem, how: How) -> Answer:
    """Iterate, average the last half, and judge that by its likelihood."""
    plain = how.options["warmup"] // (4 if how.started else 1)
    means = means_of(problem, how.start)
    trace = _traced(problem, how, means, plain)
    tail = trace[-max(how.options["iterations"] // 2, 2) :]
    names, half = problem.layout.names, len(tail) // 2
    natural = problem.layout.naturals(trace, problem.base)
    columns = {"iteration": np.arange(1, len(trace) + 1)}
    columns |= {name: natural[:, x] for x, name in enumerate(names)}
    found = judged(problem, how, tail.mean(axis=0))
    errors = np.sqrt(np.diag(found.covariance))
    moved = (tail[half:].mean(axis=0) - tail[:half].mean(axis=0)) / errors
    labels = problem.likelihood.effects.labels
    told = {
        "means_of": {labels[effect]: names[place] for place, effect in means},
        "moved_in_se": dict(zip(names, moved.tolist(), strict=True)),
    }
    return replace(
        found,
        converged=bool((np.abs(moved) <= SETTLED).all()),
        traces=columns,
        told={**found.told, **told},
    )


def _traced(
    problem: Problem, how: How, means: tuple[tuple[int, int], ...], plain: int
) -> np.ndarray:
    """Return the vector after every iteration."""
    total = plain + how.options["iterations"]
    layout, study = problem.layout, problem.study
    paired = {place for place, _ in means}
    slow = [
        place
        for place, kind in enumerate(layout.kinds)
        if kind != "covariance" and place not in paired
    ]
    shape = Shape(means, tuple(slow))
    found = modes_at(problem, how.start)
    chains = how.options["chains"]
    chains = max(chains, math.ceil(PEOPLE / study.subjects)) if chains == 1 else chains
    walk, guide = _begun(problem, how, found, len(slow), chains, plain)
    rows: list[np.ndarray] = []
    for number in range(math.ceil(total / STEPS)):
        walk, part = iterate(
            problem.likelihood, layout, shape, walk, guide, problem.base, study.data
        )
        rows.append(np.asarray(part))
        if how.tell is not None:
            how.tell((number + 1) * STEPS, math.nan, math.nan)
    return np.concatenate(rows)[:total]


def _begun(
    problem: Problem, how: How, found: Modes, slow: int, chains: int, plain: int
) -> tuple[Walk, Guide]:
    """Return where iterations begin: at the modes, with steps as wide as these are."""
    subjects, size = found.eta.shape
    values = problem.layout.values(how.start, problem.base)
    omega = np.asarray(problem.likelihood.effects.covariance(values))
    sound = np.isfinite(found.covariance).all(axis=(1, 2)).reshape(-1, 1, 1)
    spread = np.where(sound, found.covariance, omega[None])
    walk = Walk(
        number=jnp.asarray(0),
        vector=jnp.asarray(how.start),
        eta=jnp.broadcast_to(jnp.asarray(found.eta), (chains, subjects, size)),
        first=jnp.zeros(size),
        second=jnp.zeros((size, size)),
        curve=jnp.zeros((slow, slow)),
        stretch=jnp.full((chains, subjects), 2.0 / math.sqrt(max(size, 1))),
    )
    guide = Guide(
        seed=jnp.asarray(how.seed),
        numbers=jnp.asarray(numbers_of(problem)),
        lower=jnp.linalg.cholesky(jnp.asarray(spread)),
        slowly=jnp.asarray(0 if how.started else plain // 2),
        plain=jnp.asarray(plain),
    )
    return walk, guide


KINDS = (
    Method(
        word="saem",
        place=30,
        says="stochastic approximation of expectation-maximisation: Metropolis steps "
        "of every subject's effects; the objective is sampled at the end",
        estimate=_estimate,
        options={"iterations": 300, "warmup": 200, "chains": 1, "draws": 500},
    ),
)

"""The population's predictions: what is expected of subjects by their design alone.

A prediction has the subject's own covariates, doses and times, parameters at their
values and random effects at zero. Corrected predictive checks hold measured values
against it.

References
----------
Bergstrand M, Hooker AC, Wallin JE, Karlsson MO (2011) AAPS J 13:143-151.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from vtrial.cohort.subjects import Subjects
from vtrial.dosing.doses import BEFORE_DOSE, Times
from vtrial.model.model import Model
from vtrial.model.residual import measured
from vtrial.observe.alike import shape_of
from vtrial.observe.block_program import Ready, Trial
from vtrial.observe.bringing import Borne, Inputs, brought, padded
from vtrial.observe.observation_times import draws
from vtrial.observe.predicted import DRAWS
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.program_cache import kept
from vtrial.protocol.evidence import Observed
from vtrial.protocol.protocol import Arm
from vtrial.solver.program import bucket
from vtrial.types import Status

Make = Callable[[Subjects], Ready]


class TypicalPredictions(NamedTuple):
    """Predictions of some subjects, in the outputs' units; NaN where not solved.

    Fields
    ------
    predicted
        With random effects zero.
    spread
        Standard deviation of a measured value between subjects of the same design; None
        where it was not asked for.
    """

    predicted: Float[np.ndarray, "subject visit output"]
    spread: Float[np.ndarray, "subject visit output"] | None


def typical_of(
    trial: Trial, arm: Arm, people: Subjects, chosen: Int[np.ndarray, " place"]
) -> TypicalPredictions:
    """Predict what is measured of the chosen subjects under an arm.

    The second simulation has the times, doses and covariates of the first one.
    """
    visits = len(trial.schedule.visits)

    def make(some: Subjects) -> Ready:
        ready = trial.ready(arm, some, chosen)
        seen = jax.tree.map(lambda part: part[:, :visits], ready.times)
        return ready._replace(times=seen)

    predicted, spread = _look(trial, make, people)
    rows = slice(chosen.size)
    return TypicalPredictions(predicted[rows], None if spread is None else spread[rows])


def predict_points(trial: Trial, observed: Observed) -> TypicalPredictions:
    """Predict the measured points of a real study: (point, 1, 1).

    Each of its subjects has its own covariates and times; the arm gives the doses. At
    the time of a dose a point stands on the side that the nearest visit stands on.
    """
    protocol = trial.protocol
    count = max(observed.subject, default=-1) + 1
    times, place = _laid(trial, observed, count)
    chosen = padded(np.arange(count), math.prod(bucket(count)))
    who = np.zeros(count, int), np.arange(count)
    people = trial.drawn_as(*who, seed=protocol.seed)
    given = {name: jnp.asarray(values) for name, values in observed.covariates}
    people = people._replace(covariates=given)

    shape, seed = shape_of(protocol.arm(observed.arm)), np.int64(protocol.seed)
    numbers, rows = shape.values(), jnp.asarray(chosen)
    every = jax.tree.map(lambda part: jnp.asarray(np.asarray(part)[chosen]), times)

    def make(some: Subjects) -> Ready:
        parts = _brought(trial.scheme, shape.arm, numbers, some, rows, seed)
        return Ready(parts.inputs, parts.doses, every, parts.keys)

    output = [o.name for o in protocol.model.outputs].index(observed.output)
    predicted, spread = _look(trial, make, people)
    at = np.asarray(observed.subject, int), place, output
    return TypicalPredictions(
        predicted[at][:, None, None],
        None if spread is None else spread[at][:, None, None],
    )


def _laid(
    trial: Trial, observed: Observed, count: int
) -> tuple[Times, Int[np.ndarray, " point"]]:
    """Lay points out by subject, and return where in its row each of them is."""
    measures = {v.name: set(v.measure) for v in trial.protocol.visits}
    plan = trial.schedule
    visits = [
        i for i, name in enumerate(plan.visits) if observed.output in measures[name]
    ]
    subject, time = np.asarray(observed.subject, int), np.asarray(observed.time, float)
    place = np.zeros(len(subject), int)
    for number in range(count):
        mine = np.flatnonzero(subject == number)
        place[mine] = np.arange(mine.size)
    shape = (count, int(place.max(initial=0)) + 1)
    laid, rank = np.full(shape, np.inf), np.full(shape, BEFORE_DOSE)
    laid[subject, place] = time
    gaps = np.abs(time[:, None] - plan.planned[visits][None, :])
    rank[subject, place] = plan.rank[visits][gaps.argmin(axis=1)]
    seen = jnp.asarray(laid)
    return Times(seen, jnp.asarray(rank), plan.occasion(seen)), place


@functools.partial(kept, static=2, makers=MAKERS)
def _brought(
    scheme: Scheme,
    shape: Arm,
    numbers: Inputs,
    people: Subjects,
    place: Int[Array, " place"],
    seed: Int[ArrayLike, ""],
) -> Borne:
    """Compile what subjects bring to the solver, with times of their own."""
    return brought(scheme.protocol, shape, numbers, people, place, jnp.asarray(seed))


def _look(
    trial: Trial, make: Make, people: Subjects
) -> tuple[np.ndarray, np.ndarray | None]:
    """Solve the typical subjects, and if it is asked for, others like them."""
    protocol = trial.protocol
    plain = people.typical(protocol.model)
    ready = make(plain)
    visible = len(protocol.model.outputs)
    predicted = _solved(trial, ready)[..., :visible]
    if protocol.keep.predictions != "prediction and variability":
        return predicted, None
    noisy = _noisy(protocol.model)
    count = np.zeros(predicted.shape)
    first, second = np.zeros(predicted.shape), np.zeros(predicted.shape)
    for draw in range(DRAWS):
        effects = _again(trial, people, draw)
        true = _solved(trial, make(plain._replace(effects=effects)))
        gap = np.asarray(noisy(jnp.asarray(true), ready.keys, draw)) - predicted
        known = np.isfinite(gap)
        gap = np.where(known, gap, 0.0)
        count, first, second = count + known, first + gap, second + gap**2
    enough = np.where(count > 1, count, np.nan)
    around = np.maximum(second - first**2 / enough, 0.0)
    return predicted, np.sqrt(around / (enough - 1))


def _again(trial: Trial, people: Subjects, draw: int) -> dict[str, Array]:
    """Draw random effects of other subjects, keyed by their identity."""
    words = f"{trial.protocol.seed} spread {draw}".encode()
    number = hashlib.blake2s(words, digest_size=4).digest()
    seed = int.from_bytes(number, "big") >> 1
    who = np.asarray(people.replicate), np.asarray(people.subject)
    return trial.drawn_as(*who, seed=seed).effects


def _solved(trial: Trial, ready: Ready) -> Float[np.ndarray, "subject time output"]:
    """Return what is computed at observations; NaN for who could not be solved.

    Outputs come first, then what their residual errors ask for.
    """
    path = trial.solve(ready, trial.protocol.numerics)
    observed = trial.protocol.model.observed
    every = [np.asarray(path.outputs[name]) for name, _ in observed]
    solved = np.asarray(path.status) == Status.SOLVED
    return np.where(solved[:, None, None], np.stack(every, axis=2), np.nan)


@functools.lru_cache(maxsize=8)
def _noisy(model: Model) -> Callable[..., Float[Array, "subject time output"]]:
    """Compile what adds the residual errors of one draw."""

    def one(
        true: Float[Array, "subject time output"],
        keys: Key[Array, " subject"],
        draw: Int[Array, ""] | int,
    ) -> Float[Array, "subject time output"]:
        keys = jax.vmap(lambda key: jax.random.fold_in(key, draw))(keys)
        known = {name: true[:, :, i] for i, (name, _) in enumerate(model.observed)}
        values = []
        for output in model.outputs:
            purpose, count = f"spread {output.name}", true.shape[1]
            normal = draws(keys, purpose, count, jax.random.normal)
            more = draws(keys, f"{purpose} more", count, lambda key: key)
            part = known[output.name]
            made = measured(
                output,
                part,
                normal.astype(part.dtype),
                computed={name: known[name] for name in output.error.computed},
                keys=more if output.error.draws_more else None,
            )
            values.append(made)
        return jnp.stack(values, axis=2)

    return jax.jit(one)

"""What the grid costs: extremes and areas again from every other of its times."""

import dataclasses
import functools

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import TIMES_HOURS
from vtrial.observe.block_program import Trial
from vtrial.observe.measuring import true_outcomes
from vtrial.observe.observation_times import ObservationTimes
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.program_cache import kept
from vtrial.protocol.knots import rounded
from vtrial.protocol.protocol import Protocol
from vtrial.types import Status

MOST = 64  # subjects of an arm
FLOOR = 1e-3  # of a subject's largest value; an error below it is measured by it


def courses_asked(protocol: Protocol) -> list[Endpoint]:
    """List the endpoints that are extremes or areas of true courses of outputs."""
    return [
        dataclasses.replace(point, above=None, below=None, grades=(), intercurrent=())
        for point in protocol.endpoints
        if point.values == "true" and point.kind.course is not None
        if point.formula is None
    ]


def grid_error(
    trial: Trial, allocated: Int[np.ndarray, " subject"]
) -> dict[str, dict[str, float]]:
    """Return how far endpoints move if every other time of the grid is left out.

    Computed from the first subjects of the first block under each arm, where
    `allocated` says which arm each subject of that block gets; as plain data:
    by endpoint how many `times` its span has, and the `max` and the `median` over
    subjects of the change. It is relative to the number, or to 0.1 % of the subject's
    largest value if that is more; that of a time to the length of the span. The number
    itself errs less than so much where the course is smooth.
    """
    asked = courses_asked(trial.protocol)
    if not asked:
        return {}
    truth: dict[str, list[np.ndarray]] = {point.of: [] for point in asked}
    who = trial.identity(0)
    people = trial.people(who)
    for index, arm in enumerate(trial.protocol.arms):
        chosen = np.flatnonzero(allocated == index)[:MOST]
        if not chosen.size:
            continue
        path = trial.course(arm, people, chosen).path
        solved = np.asarray(path.status)[: chosen.size] == Status.SOLVED
        for output, seen in truth.items():
            seen.append(np.asarray(path.outputs[output])[: chosen.size][solved])
    whole = {name: np.concatenate(values) for name, values in truth.items()}
    room = MOST * len(trial.protocol.arms)  # whoever failed, so that one program does
    full = {k: np.pad(v, ((0, room - len(v)), (0, 0))) for k, v in whole.items()}
    numbers, told = _numbers(trial.scheme, full), {}
    for point in asked:
        true = whole[point.of]
        one, two = (np.asarray(part)[: len(true)] for part in numbers[point.name])
        told[point.name] = _told(trial.schedule, point, _moved(point, true, one, two))
    return told


def grid_error_ready(trial: Trial) -> None:
    """Compile what measures the error of a grid, before it is needed."""
    if asked := courses_asked(trial.protocol):
        size = MOST * len(trial.protocol.arms), trial.schedule.rank.size
        like = jax.ShapeDtypeStruct(size, f"float{trial.protocol.numerics.precision}")
        _numbers.stored.ready(trial.scheme, {point.of: like for point in asked})


def _moved(
    endpoint: Endpoint,
    truth: Float[np.ndarray, "subject time"],
    one: Float[np.ndarray, " subject"],
    two: Float[np.ndarray, " subject"],
) -> Float[np.ndarray, " subject"]:
    """Return each subject's relative change; those without a number are left out."""
    scale = np.full(one.shape, endpoint.end - endpoint.start)
    if endpoint.kind.unit != "h":
        size = np.max(np.abs(truth), axis=1, initial=0.0, where=np.isfinite(truth))
        size = size * (scale if endpoint.kind.unit == TIMES_HOURS else 1.0)
        scale = np.maximum(np.abs(one), FLOOR * size)
    known = np.isfinite(one) & np.isfinite(two) & (scale > 0)
    return np.abs(one - two)[known] / scale[known]


@functools.partial(kept, static=1, makers=MAKERS)
def _numbers(
    scheme: Scheme, truth: dict[str, Float[Array, "subject time"]]
) -> dict[str, tuple[Float[Array, " subject"], ...]]:
    """Return each endpoint's numbers from all places of the grid, and from half."""
    plan, found = scheme.schedule, {}
    for point in courses_asked(scheme.protocol):
        every = plan.true_places(point)
        found[point.name] = tuple(
            true_outcomes(plan, point, places, truth, None, None).outcome
            for places in (every, halved(plan, point, every))
        )
    return found


def halved(
    plan: ObservationTimes, endpoint: Endpoint, places: Int[np.ndarray, " place"]
) -> Int[np.ndarray, " kept"]:
    """Leave out every other of the places that lie between knots and limits."""
    smooth = plan.course(places).smooth
    time = rounded(plan.grid[places])
    limits = rounded(np.array([endpoint.start, endpoint.end]))
    between = np.r_[False, smooth[:-1] & smooth[1:], False][: places.size]
    between &= ~np.isin(time, plan.knots.time) & ~np.isin(time, limits)
    return np.delete(places, np.flatnonzero(between)[::2])


def _told(
    plan: ObservationTimes, endpoint: Endpoint, moved: Float[np.ndarray, " subject"]
) -> dict[str, float]:
    """Return what is kept of an endpoint's changes."""
    time = plan.grid[plan.true_places(endpoint)]
    inside = (time >= endpoint.start) & (time <= endpoint.end)
    if not moved.size:
        return {"times": float(inside.sum())}
    return {
        "times": float(inside.sum()),
        "max": float(moved.max()),
        "median": float(np.median(moved)),
    }

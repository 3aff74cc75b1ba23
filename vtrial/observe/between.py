"""What the grid costs: extremes and areas again from every other of its times."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, Int

from vtrial.endpoint.endpoint import OF_COURSES, Endpoint
from vtrial.observe.block_program import Trial
from vtrial.observe.measuring import true_outcomes
from vtrial.observe.observation_times import ObservationTimes
from vtrial.protocol.knots import rounded
from vtrial.protocol.protocol import Protocol
from vtrial.types import Status

MOST = 64  # subjects of an arm
FLOOR = 1e-3  # of a subject's largest value; an error below it is measured by it


def courses_asked(protocol: Protocol) -> list[Endpoint]:
    """List the endpoints that are extremes or areas of true courses."""
    return [
        dataclasses.replace(point, above=None, below=None, grades=(), intercurrent=())
        for point in protocol.endpoints
        if point.values == "true" and point.take in OF_COURSES
    ]


def grid_error(
    trial: Trial, allocated: Int[np.ndarray, " subject"]
) -> dict[str, dict[str, float]]:
    """Tell how far endpoints move if every other time of the grid is left out.

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
        path = trial.solve(trial.ready(arm, people, chosen), trial.protocol.numerics)
        solved = np.asarray(path.status)[: chosen.size] == Status.SOLVED
        for output, seen in truth.items():
            seen.append(np.asarray(path.outputs[output])[: chosen.size][solved])
    plan, whole = trial.schedule, {k: np.concatenate(v) for k, v in truth.items()}
    return {
        point.name: _told(plan, point, _moved(plan, point, whole[point.of]))
        for point in asked
    }


def _moved(
    plan: ObservationTimes, endpoint: Endpoint, truth: Float[np.ndarray, "subject time"]
) -> Float[np.ndarray, " subject"]:
    """Return each subject's relative change; those without a number are left out."""
    every = plan.true_places(endpoint)
    one, two = (
        np.asarray(
            jax.jit(lambda true, places=places: _numbers(plan, endpoint, places, true))(
                truth
            )
        )
        for places in (every, halved(plan, endpoint, every))
    )
    scale = np.full(one.shape, endpoint.end - endpoint.start)
    if not endpoint.take.startswith("time"):
        size = np.max(np.abs(truth), axis=1, initial=0.0, where=np.isfinite(truth))
        size = size * (scale if endpoint.take == "area" else 1.0)
        scale = np.maximum(np.abs(one), FLOOR * size)
    known = np.isfinite(one) & np.isfinite(two) & (scale > 0)
    return np.abs(one - two)[known] / scale[known]


def _numbers(
    plan: ObservationTimes,
    endpoint: Endpoint,
    places: Int[np.ndarray, " place"],
    true: Float[jax.Array, "subject time"],
) -> Float[jax.Array, " subject"]:
    """Return an endpoint's number from some places of the grid."""
    made = true_outcomes(plan, endpoint, places, {endpoint.of: true}, None, None)
    return made.outcome


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

"""Endpoints: the values of a subject's visits to one number."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.endpoint.course import Course, area_under, extreme
from vtrial.endpoint.endpoint import EVENTS, NONCOMPARTMENTAL, OF_COURSES, Endpoint
from vtrial.endpoint.equation import asked_by, called, computed
from vtrial.endpoint.events import crossing, drawn_count, drawn_event, told_event
from vtrial.endpoint.missing import why_missing
from vtrial.endpoint.noncompartmental import noncompartmental
from vtrial.endpoint.points import Points, last, lines, only_if, slack
from vtrial.endpoint.quantification import quantified
from vtrial.endpoint.tumour import best_response, progression
from vtrial.types import Missing


class Outcome(NamedTuple):
    """An endpoint's number for each subject; NaN where there is none.

    Fields
    ------
    outcome
        The number, in the endpoint's unit; 1 or 0 for a response; [h] for times.
    baseline
        The last value at or before the endpoint's baseline time.
    event
        1 if the outcome is what it says, 0 if it is a time to an event that was not
        seen by then (censored).
    reason
        Why there is no number: a `Missing` code, 0 where there is one.
    """

    outcome: Float[Array, " subject"]
    baseline: Float[Array, " subject"]
    event: Float[Array, " subject"]
    reason: Int[Array, " subject"]


class Interruption(NamedTuple):
    """What intercurrent events do to an endpoint; times [h], infinite where none.

    Fields
    ------
    until
        Values after this time do not count.
    settled
        If this is before the end of the span, the last value up to it stands for the
        span's.
    failed
        If this is before the end of the span, the outcome is the endpoint's `failure`.
    """

    until: Float[Array, " subject"]
    settled: Float[Array, " subject"]
    failed: Float[Array, " subject"]


def outcomes(
    endpoint: Endpoint,
    time: Float[Array, "#subject time"],
    value: Float[Array, "subject time"],
    scheduled: Float[Array, "#subject time"] | None = None,
    *,
    interruption: Interruption | None = None,
    keys: Key[Array, " subject"] | None = None,
    course: Course | None = None,
) -> Outcome:
    """Return an endpoint's outcome for every subject.

    Parameters
    ----------
    endpoint
        What is asked; static under `jit`.
    time
        [h] When values were taken, ascending; shared or a row a subject. Padding is
        infinite.
    value
        Values of the endpoint's output; a missing visit is NaN and is skipped. A
        subject without a value in the span has outcome NaN.
    scheduled
        [h] Nominal times of the same values. They, if given, decide what lies in the
        span: a visit that was held late in its window still counts.
    interruption
        When intercurrent events cut the values off; never if left out.
    keys
        For endpoints that are drawn by a hazard.
    course
        How true values go on between the times of the grid; `minimum`, `maximum`, their
        times and `area` are then of that course and not of the values alone.

    Notes
    -----
    `value`, `change` and `percent change` take the last value in the span. `mean` is
    the plain mean of the values. `area` is the linear trapezoidal rule, and `time
    above`, `time below` and `time in range` follow straight lines between values; all
    four run from the first to the last value in the span and extrapolate to neither
    end, and need two values. `share above`, `share below` and `share in range` are of
    the values themselves. `time of minimum` and `time of maximum` count from the start
    of the span, the first of equal ones. `time to` is the time, from hour 0, of the
    first value at or beyond the limit, or of the last value (event 0) if none is; as a
    response an event that was not seen counts as never. Areas and terminal rates are
    in `noncompartmental`, events in `happening`, tumours in `tumour`. Ends of spans are
    included, with a slack of 64 units in the last place.

    Examples
    --------
    >>> peak = Endpoint("peak", of="conc", take="maximum", start=0.0, end=24.0)
    >>> time = jnp.array([[0.0, 1.0, 4.0, 30.0]])
    >>> value = jnp.array([[0.0, 8.5, jnp.nan, 9.9]])
    >>> print(f"{outcomes(peak, time, value).outcome[0]:.1f} mg/L")
    8.5 mg/L
    """
    time = time.astype(value.dtype)
    planned = time if scheduled is None else scheduled.astype(value.dtype)
    shared = [array.shape[0] == 1 for array in (time, planned)]
    time, planned = (
        array[0] if one else array
        for array, one in zip((time, planned), shared, strict=True)
    )
    inputs = (time, value, planned, interruption, keys)
    axes = (None if shared[0] else 0, 0, None if shared[1] else 0, 0, 0)
    axes = tuple(
        None if part is None else axis for part, axis in zip(inputs, axes, strict=True)
    )
    one = functools.partial(_outcome, endpoint, course)
    return Outcome(*jax.vmap(one, axes)(*inputs))


def _outcome(
    endpoint: Endpoint,
    course: Course | None,
    time: Float[Array, " time"],
    value: Float[Array, " time"],
    planned: Float[Array, " time"],
    interruption: Any,
    key: Key[Array, ""] | None,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Int[Array, ""]]:
    """Return one subject's outcome, baseline, event, and why there is none."""
    points = _points(endpoint, time, value, planned, interruption)
    if endpoint.take in EVENTS:
        number, event = _event(endpoint, points, key)
        if interruption is not None:
            event = jnp.where(number <= interruption.until, event, 0.0)
            number = jnp.minimum(number, interruption.until)
    else:
        if course is not None and endpoint.take in OF_COURSES:
            number = _of_course(endpoint, course, points)
        else:
            number = _number(endpoint, points, key)
        event = jnp.ones((), value.dtype)
    if endpoint.grades:
        number = grade(endpoint.grades, number)
    number, event = respond(endpoint, number, event)
    if interruption is not None and endpoint.failure is not None:
        number = jnp.where(
            interruption.failed <= endpoint.end, endpoint.failure, number
        )
        event = jnp.where(interruption.failed <= endpoint.end, 1.0, event)
    reason = why_missing(endpoint, points, number)
    if interruption is not None:
        cut = (interruption.until <= endpoint.end) & (reason == Missing.NO_VALUE)
        reason = jnp.where(cut, jnp.asarray(int(Missing.CUT_OFF), "int8"), reason)
    event = jnp.where(jnp.isfinite(number), event, jnp.nan)
    return number, points.baseline, event, reason


def _points(
    endpoint: Endpoint,
    time: Float[Array, " time"],
    value: Float[Array, " time"],
    planned: Float[Array, " time"],
    interruption: Any,
) -> Points:
    """Say which values count."""
    seen = jnp.isfinite(value) & jnp.isfinite(time)
    start, end, before = (
        slack(limit, value, least=1.0)
        for limit in (endpoint.start, endpoint.end, endpoint.baseline)
    )
    begun = planned >= endpoint.start - start
    baseline = last(value, seen & (planned <= endpoint.baseline + before))
    if interruption is not None and endpoint.take != "event time":
        seen &= time <= interruption.until
        settled = interruption.settled <= endpoint.end
        begun |= settled & (interruption.settled <= interruption.until)
    inside = seen & begun & (planned <= endpoint.end + end)
    begin = time[jnp.argmax(inside)]
    points = Points(time, value, seen, inside, baseline, begin, inside.sum())
    return quantified(points, endpoint.lloq, endpoint.below_quantification)


def _event(
    endpoint: Endpoint, points: Points, key: Key[Array, ""] | None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of an event, and whether it happened by then."""
    match endpoint.take:
        case "time to":
            return crossing(endpoint, points)
        case "time to progression":
            return progression(points, endpoint.factor, endpoint.high or 0.0)
        case "event time":
            return told_event(points, endpoint.factor, endpoint.end)
        case _:
            assert key is not None, "an event that is drawn has a key"
            return drawn_event(points, key)


def _number(
    endpoint: Endpoint, points: Points, key: Key[Array, ""] | None
) -> Float[Array, ""]:
    """Make the one number that `take` asks for."""
    if endpoint.take in NONCOMPARTMENTAL:
        return noncompartmental(endpoint.take, points, endpoint.end)
    match endpoint.take:
        case "value":
            return last(points.value, points.inside)
        case "change":
            return last(points.value, points.inside) - points.baseline
        case "percent change":
            change = last(points.value, points.inside) - points.baseline
            zero = points.baseline == 0
            ratio = change / jnp.where(zero, 1.0, points.baseline)
            return jnp.where(zero, jnp.nan, 100 * ratio)
        case "minimum":
            least = jnp.min(points.value, where=points.inside, initial=jnp.inf)
            return only_if(points.inside.any(), least)
        case "maximum":
            most = jnp.max(points.value, where=points.inside, initial=-jnp.inf)
            return only_if(points.inside.any(), most)
        case "mean":
            count = points.inside.sum(dtype=points.value.dtype)
            total = jnp.sum(points.value, where=points.inside)
            return only_if(count > 0, total / jnp.maximum(count, 1.0))
        case "time of minimum" | "time of maximum":
            sign = -1 if endpoint.take == "time of minimum" else 1
            place = jnp.argmax(jnp.where(points.inside, sign * points.value, -jnp.inf))
            return only_if(points.inside.any(), points.time[place] - endpoint.start)
        case "share above" | "share below" | "share in range":
            here = points.inside & _within(endpoint, points.value)
            count = points.inside.sum(dtype=points.value.dtype)
            share = here.sum(dtype=points.value.dtype) / jnp.maximum(count, 1.0)
            return only_if(count > 0, 100 * share)
        case "best response":
            return best_response(
                points,
                millimetres=endpoint.factor,
                none=endpoint.high or 0.0,
                confirmed=endpoint.confirmed,
            )
        case "number of events":
            assert key is not None, "events that are drawn have a key"
            return drawn_count(points, key)
        case _:
            return _along(endpoint, points)


def _of_course(endpoint: Endpoint, course: Course, points: Points) -> Float[Array, ""]:
    """Make the number that `take` asks for of a course and not of its values alone."""
    if endpoint.take == "area":
        return area_under(course, points)
    sign = 1.0 if endpoint.take.endswith("maximum") else -1.0
    value, time = extreme(course, points, sign)
    return time - endpoint.start if endpoint.take.startswith("time") else value


def _within(endpoint: Endpoint, value: Float[Array, " time"]) -> Bool[Array, " time"]:
    """Say which values are at or over `low`, and under or at `high`."""
    within = jnp.isfinite(value)
    if endpoint.low is not None:
        within &= value >= endpoint.low
    if endpoint.high is not None:
        below = endpoint.take == "share below"
        within &= (value < endpoint.high) if below else (value <= endpoint.high)
    return within


def _along(endpoint: Endpoint, points: Points) -> Float[Array, ""]:
    """Sum what `take` asks for over the lines between neighbouring values."""
    length, first, second, _ = lines(points)
    match endpoint.take:
        case "area":
            part = (first + second) / 2
        case "time above":
            part = _above(first, second, endpoint.low, itself=True)
        case "time below":
            part = 1 - _above(first, second, endpoint.high, itself=False)
        case _:
            part = _above(first, second, endpoint.low, itself=True)
            part -= _above(first, second, endpoint.high, itself=False)
    return only_if(points.inside.sum() >= 2, jnp.sum(length * part))


def _above(
    first: Float[Array, " line"],
    second: Float[Array, " line"],
    limit: float | None,
    *,
    itself: bool,
) -> Float[Array, " line"]:
    """Return the share of each line above a limit; `itself`: flat on it counts."""
    if limit is None:
        return jnp.ones_like(first) if itself else jnp.zeros_like(first)
    rise = jnp.abs(second - first)
    flat = rise == 0
    share = (jnp.maximum(first, second) - limit) / jnp.where(flat, 1.0, rise)
    level = first >= limit if itself else first > limit
    return jnp.where(flat, level.astype(first.dtype), jnp.clip(share, 0.0, 1.0))


def grade(
    grades: tuple[float, ...], number: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return how many limits are passed; falling limits are passed from above."""
    falling = grades[0] > grades[-1]
    passed = [number < limit if falling else number > limit for limit in grades]
    count = jnp.stack(passed).sum(axis=0, dtype=number.dtype)
    return jnp.where(jnp.isfinite(number), count, jnp.nan)


def combined(
    endpoint: Endpoint,
    found: Mapping[str, Outcome],
    covariates: Mapping[str, Float[Array, "..."]],
) -> Outcome:
    """Return the outcomes of an endpoint that is made of others.

    An equation has no number where one that it uses has none, for the reason of that
    one, and no baseline. The first of several events is the earliest that was seen; if
    none was, the subject is censored when the first of them was.
    """
    if endpoint.first_of:
        used = list(endpoint.first_of)
        times = jnp.stack([found[name].outcome for name in endpoint.first_of])
        events = jnp.stack([found[name].event for name in endpoint.first_of])
        happened = jnp.where(events == 1, times, jnp.inf).min(axis=0)
        number = jnp.minimum(happened, times.min(axis=0))
        event = (happened <= number).astype(number.dtype)
    else:
        asked = asked_by(endpoint)
        used = [name for name in found if called(name) in asked]
        known = {called(name): one.outcome for name, one in found.items()}
        number = computed(endpoint, {**covariates, **known})
        event = jnp.ones_like(number)
    none = jnp.full_like(number, jnp.nan)
    reason = _inherited(number, [found[name] for name in used])
    number, event = respond(endpoint, number, event)
    return Outcome(outcome=number, baseline=none, event=event, reason=reason)


def _inherited(
    number: Float[Array, "..."], used: Sequence[Outcome]
) -> Int[Array, "..."]:
    """Return why a number lacks: as the first that it is made of, if that lacks."""
    none = jnp.asarray(int(Missing.NOT_FINITE), "int8")
    reason = jnp.where(jnp.isfinite(number), jnp.zeros_like(none), none)
    for one in reversed(used):
        lacks = (reason != 0) & (one.reason != 0)
        reason = jnp.where(lacks, one.reason, reason)
    return reason


def respond(
    endpoint: Endpoint, number: Float[Array, "..."], event: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Turn a number into 1 (under `below`, over `above`) or 0, if it is a response."""
    known = jnp.isfinite(number)
    if not endpoint.binary:
        return number, jnp.where(known, event, jnp.nan)
    number = jnp.where(event == 0, jnp.inf, number)
    response = known
    if endpoint.below is not None:
        response &= number < endpoint.below
    if endpoint.above is not None:
        response &= number > endpoint.above
    answer = jnp.where(known, response.astype(number.dtype), jnp.nan)
    return answer, jnp.where(known, 1.0, jnp.nan).astype(number.dtype)

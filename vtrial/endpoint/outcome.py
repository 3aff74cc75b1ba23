"""Endpoints: the values of a subject's visits to one number."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vtrial.endpoint.course import Course
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import asked_by, called, computed
from vtrial.endpoint.missing import why_missing
from vtrial.endpoint.points import Points, last, slack
from vtrial.endpoint.quantification import quantified
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
    How the number is made is in the files of `kinds/`. Times to events count from hour
    0; as a response an event that was not seen counts as never. Ends of spans are
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
    made = _made(endpoint, course, points, key)
    number, event = made if endpoint.kind.event else (made, jnp.ones((), value.dtype))
    if interruption is not None and endpoint.kind.event:
        event = jnp.where(number <= interruption.until, event, 0.0)
        number = jnp.minimum(number, interruption.until)
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
    """Select the values that count: the endpoint's span, baseline, and cut-offs."""
    seen = jnp.isfinite(value) & jnp.isfinite(time)
    start, end, before = (
        slack(limit, value, least=1.0)
        for limit in (endpoint.start, endpoint.end, endpoint.baseline)
    )
    begun = planned >= endpoint.start - start
    baseline = last(value, seen & (planned <= endpoint.baseline + before))
    if interruption is not None and not endpoint.kind.foretold:
        seen &= time <= interruption.until
        settled = interruption.settled <= endpoint.end
        settled &= interruption.settled <= interruption.until
        if endpoint.period is not None:  # an earlier period is another treatment's
            settled &= planned >= endpoint.period - slack(endpoint.period, value)
        begun |= settled
    inside = seen & begun & (planned <= endpoint.end + end)
    begin = time[jnp.argmax(inside)]
    points = Points(time, value, seen, inside, baseline, begin, inside.sum())
    return quantified(points, endpoint.lloq, endpoint.below_quantification)


def _made(
    endpoint: Endpoint,
    course: Course | None,
    points: Points,
    key: Key[Array, ""] | None,
) -> Any:
    """Return what the kind makes: a number, or the time of an event and if it was."""
    kind = endpoint.kind
    if course is not None and kind.course is not None:
        return kind.course(course, points, endpoint)
    assert kind.kernel is not None, "it is made of a subject's values"
    if not kind.drawn:
        return kind.kernel(points, endpoint)
    assert key is not None, "what is drawn has a key"
    return kind.kernel(points, endpoint, key)


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

"""Endpoints: the values of a subject's visits to one number."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.protocol.protocol import Endpoint


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
    """

    outcome: Float[Array, " subject"]
    baseline: Float[Array, " subject"]
    event: Float[Array, " subject"]


class _Points(NamedTuple):
    """One subject's points, and which of them lie in the endpoint's span."""

    time: Float[Array, " time"]
    value: Float[Array, " time"]
    inside: Bool[Array, " time"]
    baseline: Float[Array, ""]


def outcomes(
    endpoint: Endpoint,
    time: Float[Array, "#subject time"],
    value: Float[Array, "subject time"],
    scheduled: Float[Array, "#subject time"] | None = None,
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

    Notes
    -----
    `value`, `change` and `percent change` take the last value in the span. `mean` is
    the plain mean of the values. `area` is the linear trapezoidal rule, and `time
    above`, `time below` and `time in range` follow straight lines between values; all
    four run from the first to the last value in the span and extrapolate to neither
    end, and need two values. `time to` is the time, from hour 0, of the first value
    at or beyond the limit, or of the last value (event 0) if none is; as a response
    an event that was not seen counts as never. Ends of spans are included, with a
    slack of 64 units in the last place.

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
    axes = (None if shared[0] else 0, 0, None if shared[1] else 0)
    one = functools.partial(_outcome, endpoint)
    return Outcome(*jax.vmap(one, in_axes=axes)(time, value, planned))


def _outcome(
    endpoint: Endpoint,
    time: Float[Array, " time"],
    value: Float[Array, " time"],
    planned: Float[Array, " time"],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Return one subject's outcome, baseline and event."""
    seen = jnp.isfinite(value) & jnp.isfinite(time)
    start, end, before = (
        _slack(limit, value, least=1.0)
        for limit in (endpoint.start, endpoint.end, endpoint.baseline)
    )
    inside = seen & (planned >= endpoint.start - start)
    inside &= planned <= endpoint.end + end
    baseline = _last(value, seen & (planned <= endpoint.baseline + before))
    points = _Points(time, value, inside, baseline)
    if endpoint.take == "time to":
        number, event = _time_to(endpoint, points)
    else:
        number, event = _number(endpoint, points), jnp.ones((), value.dtype)
    if endpoint.binary:
        number, event = _response(endpoint, number, event), jnp.ones((), value.dtype)
    return number, baseline, jnp.where(jnp.isfinite(number), event, jnp.nan)


def _number(endpoint: Endpoint, points: _Points) -> Float[Array, ""]:
    """Make the one number that `take` asks for."""
    match endpoint.take:
        case "value":
            return _last(points.value, points.inside)
        case "change":
            return _last(points.value, points.inside) - points.baseline
        case "percent change":
            change = _last(points.value, points.inside) - points.baseline
            zero = points.baseline == 0
            ratio = change / jnp.where(zero, 1.0, points.baseline)
            return jnp.where(zero, jnp.nan, 100 * ratio)
        case "minimum":
            least = jnp.min(points.value, where=points.inside, initial=jnp.inf)
            return _if(points.inside.any(), least)
        case "maximum":
            most = jnp.max(points.value, where=points.inside, initial=-jnp.inf)
            return _if(points.inside.any(), most)
        case "mean":
            count = points.inside.sum(dtype=points.value.dtype)
            total = jnp.sum(points.value, where=points.inside)
            return _if(count > 0, total / jnp.maximum(count, 1.0))
        case _:
            return _along(endpoint, points)


def _along(endpoint: Endpoint, points: _Points) -> Float[Array, ""]:
    """Sum what `take` asks for over the lines between neighbouring values."""
    time, value, inside, _ = points
    place = jnp.where(inside, jnp.arange(time.size), -1)
    latest = jax.lax.cummax(place)
    before = jnp.concatenate([jnp.full(1, -1), latest[:-1]])
    line = inside & (before >= 0)
    length = jnp.where(line, time - time[before], 0.0)
    first = jnp.where(line, value[before], 0.0)
    second = jnp.where(line, value, 0.0)
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
    return _if(inside.sum() >= 2, jnp.sum(length * part))


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


def _time_to(
    endpoint: Endpoint, points: _Points
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the time of the first value beyond a limit, or the last time and 0."""
    value, reached = points.value, jnp.zeros_like(points.inside)
    if endpoint.low is not None:
        reached |= value >= endpoint.low - _slack(endpoint.low, value)
    if endpoint.high is not None:
        reached |= value <= endpoint.high + _slack(endpoint.high, value)
    reached &= points.inside
    event = reached.any()
    last = _last(points.time, points.inside)
    time = jnp.where(event, points.time[jnp.argmax(reached)], last)
    return time, event.astype(value.dtype)


def _response(
    endpoint: Endpoint, number: Float[Array, ""], event: Float[Array, ""]
) -> Float[Array, ""]:
    """Turn a number into 1 (under `below`, over `above`) or 0."""
    known = jnp.isfinite(number)
    number = jnp.where(event == 0, jnp.inf, number)
    response = known
    if endpoint.below is not None:
        response &= number < endpoint.below
    if endpoint.above is not None:
        response &= number > endpoint.above
    return _if(known, response.astype(number.dtype))


def _last(
    values: Float[Array, " time"], chosen: Bool[Array, " time"]
) -> Float[Array, ""]:
    """Return the last of the chosen values; NaN if none is chosen."""
    place = jnp.max(jnp.where(chosen, jnp.arange(values.size), -1))
    return _if(place >= 0, values[place])


def _if(condition: Bool[Array, ""], number: Float[Array, ""]) -> Float[Array, ""]:
    """Return a number if the condition holds, else NaN."""
    return jnp.where(condition, number, jnp.nan)


def _slack(limit: float, like: Array, *, least: float = 0.0) -> float:
    """Return how far beyond a limit counts as on it: rounding of times and values."""
    size = max(abs(limit), least)
    return 64 * float(jnp.finfo(like.dtype).eps) * size if size < jnp.inf else 0.0

"""What is told of a day: waits, shares, hours, numbers of people."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vtrial.model.flow import Flow, Told
from vtrial.solver.queue.day import Day, Visit


class Times(NamedTuple):
    """A time of each person [h], and whose counts."""

    value: Float[Array, " person"]
    counts: Bool[Array, " person"]


class Spans(NamedTuple):
    """From when to when each person is somewhere [h]; empty for who never is."""

    begin: Float[Array, " person"]
    end: Float[Array, " person"]


def tell(flow: Flow, day: Day) -> dict[str, Float[Array, ""]]:
    """Return every output of a flow for one day, in its unit; NaN if of nobody."""
    return {one.name: _LOOKS[one.of](flow, day, one) * one.scale for one in flow.told}


def total(values: Float[Array, " n"]) -> Float[Array, ""]:
    """Add up one after another: zeros at the end do not even change a rounding."""

    def add(sum_: Array, value: Array) -> tuple[Array, None]:
        return sum_ + value, None

    start = jnp.zeros((), values.dtype)
    return lax.scan(add, start, values)[0]


def _counted(flow: Flow, day: Day, one: Told) -> Bool[Array, " person"]:
    """Return who is counted: of the class, and not before it is counted."""
    who = day.people
    counts = who.comes & (who.arrives >= flow.since)
    return counts if one.group < 0 else counts & (who.group == one.group)


def _visits(day: Day, one: Told) -> list[Visit]:
    """Return the visits that an output is about."""
    return list(day.visits) if one.station < 0 else [day.visits[one.station]]


def _came(visits: list[Visit]) -> Bool[Array, " person"]:
    return jnp.any(jnp.stack([jnp.isfinite(v.joined) for v in visits]), axis=0)


def _gave_up(visits: list[Visit]) -> Bool[Array, " person"]:
    lost = [jnp.isfinite(v.joined) & ~v.seen for v in visits]
    return jnp.any(jnp.stack(lost), axis=0)


def _between(begin: Float[Array, "*n"], end: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return how long it is from one to the other; 0 where neither ever is."""
    never = jnp.isinf(begin)
    return jnp.where(never, 0.0, end - jnp.where(never, 0.0, begin))


def _queued(visits: list[Visit]) -> Float[Array, " person"]:
    times = [_between(v.joined, v.parted) for v in visits]
    return jnp.sum(jnp.stack(times), axis=0)


def _wait(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    visits = _visits(day, one)
    served = _came(visits) & ~_gave_up(visits)
    return _of_times(Times(_queued(visits), served & _counted(flow, day, one)), one)


def _queueing(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    visits = _visits(day, one)
    counts = _came(visits) & _counted(flow, day, one)
    return _of_times(Times(_queued(visits), counts), one)


def _there(day: Day, one: Told) -> Spans:
    """Return from when to when people are there, or at the station."""
    if one.station >= 0:
        visit = day.visits[one.station]
        return Spans(visit.joined, visit.ended)
    ends = [jnp.where(jnp.isinf(v.joined), -jnp.inf, v.ended) for v in day.visits]
    last = jnp.max(jnp.stack(ends), axis=0)
    came = _came(list(day.visits))
    return Spans(day.people.arrives, jnp.where(came, last, jnp.inf))


def _stay(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    begin, end = _there(day, one)
    counts = jnp.isfinite(begin) & _counted(flow, day, one)
    return _of_times(Times(_between(begin, end), counts), one)


def _left(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    visits = _visits(day, one)
    counts = _came(visits) & _counted(flow, day, one)
    lost = jnp.sum(counts & _gave_up(visits)).astype(float)
    if one.take == "count":
        return lost
    return _over(lost, jnp.sum(counts).astype(float))


def _arrivals(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    came = _came(_visits(day, one)) & _counted(flow, day, one)
    return jnp.sum(came).astype(float)


def _over(part: Float[Array, ""], whole: Float[Array, ""]) -> Float[Array, ""]:
    """Divide; NaN of nobody."""
    return jnp.where(whole > 0, part / jnp.maximum(whole, 1.0), jnp.nan)


def _of_times(times: Times, one: Told) -> Float[Array, ""]:
    """Return what is made of the times of people."""
    value, counts = times
    many = jnp.sum(counts).astype(value.dtype)
    if one.take == "share above":
        above = jnp.sum(counts & (value > one.number)).astype(value.dtype)
        return _over(above, many)
    if one.take == "maximum":
        longest = jnp.max(jnp.where(counts, value, -jnp.inf))
        return jnp.where(many > 0, longest, jnp.nan)
    if one.take == "quantile":
        return _quantile(value, counts, one.number)
    sum_ = total(jnp.where(counts, value, 0.0))
    return sum_ if one.take == "total" else _over(sum_, many)


def _quantile(
    value: Float[Array, " person"], counts: Bool[Array, " person"], p: float
) -> Float[Array, ""]:
    """Interpolate between order statistics (type 7 of Hyndman and Fan 1996)."""
    ascending = jnp.sort(jnp.where(counts, value, jnp.inf))
    many = jnp.sum(counts)
    place = p * jnp.maximum(many - 1, 0).astype(value.dtype)
    low = jnp.floor(place).astype(int)
    high = jnp.minimum(low + 1, jnp.maximum(many - 1, 0))
    below, above = ascending[low], ascending[high]
    part = place - low.astype(value.dtype)
    inner = jnp.where(high > low, above - below, 0.0)
    return jnp.where(many > 0, below + part * inner, jnp.nan)


def _queue(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    """Make something of how many wait."""
    spans = [Spans(v.joined, v.parted) for v in _visits(day, one)]
    return _of_spans(flow, day, one, spans)


def _present(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    """Make something of how many are there."""
    return _of_spans(flow, day, one, [_there(day, one)])


def _of_spans(flow: Flow, day: Day, one: Told, spans: list[Spans]) -> Float[Array, ""]:
    """Return what is made of the number of people that are somewhere."""
    who = day.people
    here = who.comes if one.group < 0 else who.comes & (who.group == one.group)
    begin = jnp.concatenate([jnp.where(here, s.begin, jnp.inf) for s in spans])
    end = jnp.concatenate([jnp.where(here, s.end, jnp.inf) for s in spans])
    if one.take == "after":
        inside = (begin <= one.number) & (one.number < end)
        return jnp.sum(inside).astype(begin.dtype)
    begin, end = jnp.maximum(begin, flow.since), jnp.maximum(end, flow.since)
    if one.take == "mean":
        over = _between(*(jnp.minimum(t, flow.closes) for t in (begin, end)))
        return total(over) / (flow.closes - flow.since)
    return _of_course(begin, end, one)


def _of_course(
    begin: Float[Array, " n"], end: Float[Array, " n"], one: Told
) -> Float[Array, ""]:
    """Return the most people at a time, or for how long there were more than some."""
    time = jnp.concatenate([begin, end])
    change = jnp.concatenate([jnp.ones_like(begin), -jnp.ones_like(end)])
    order = jnp.lexsort((change, time))  # who goes, goes before who comes then
    time, there = time[order], jnp.cumsum(change[order])
    lasts = _between(time, jnp.append(time[1:], jnp.inf))
    lasts = jnp.where(jnp.isfinite(lasts), lasts, 0.0)
    if one.take == "maximum":
        return jnp.max(jnp.where(lasts > 0, there, 0.0))
    return total(jnp.where(there > one.number, lasts, 0.0))


def _staff(flow: Flow, day: Day, one: Told) -> Float[Array, ""]:
    """Return hours that servers were there, or served."""
    if one.take == "busy":
        counts = _counted(flow, day, one)
        served = [
            jnp.where(v.seen & counts, _between(v.parted, v.ended), 0.0)
            for v in _visits(day, one)
        ]
        return total(jnp.sum(jnp.stack(served), axis=0))
    rotas = day.rotas if one.station < 0 else [day.rotas[one.station]]
    hours = jnp.zeros(())
    for rota in rotas:
        if rota is not None:
            ends = jnp.append(rota.begins[1:], flow.closes)
            lasts = jnp.maximum(ends - jnp.maximum(rota.begins, flow.since), 0.0)
            hours = hours + jnp.sum(rota.number.astype(lasts.dtype) * lasts)
    return hours


_LOOKS: dict[str, Callable[[Flow, Day, Told], Float[Array, ""]]] = {
    "wait": _wait,
    "queueing": _queueing,
    "stay": _stay,
    "left": _left,
    "arrivals": _arrivals,
    "queue": _queue,
    "present": _present,
    "staff": _staff,
}

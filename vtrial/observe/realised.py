"""Realised doses: what a subject's plan makes of a regimen while rules change it.

A plan is where a subject stands in the regimen it follows, and what was done to it: how
far it was delayed, the factor or the amount that stands for the written ones, whether
doses are held. Doses become real in the stage in whose time they fall.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import DOSE, Doses
from vtrial.dosing.expansion import RANK, expand, written
from vtrial.dosing.regimen import Regimen
from vtrial.solver.events import same
from vtrial.types import Given

EVER = jnp.inf


class Rows(NamedTuple):
    """Doses, (subject, row); time [h] is infinite where there is none."""

    time: Float[Array, "*regimen subject row"]
    amount: Float[Array, "*regimen subject row"]
    rate: Float[Array, "*regimen subject row"]
    compartment: Int[Array, "*regimen subject row"]
    interval: Float[Array, "*regimen subject row"]
    steady: Int[Array, "*regimen subject row"]


class Tables(NamedTuple):
    """All regimens of an arm, written out: (regimen, #subject, dose).

    `scales` says whose rate goes with the amount, `group` which of the states that are
    dosed each dose goes into, `coming` which is the next into each from a place on:
    behind the last one the last, -1 where there is none.
    """

    doses: Rows
    scales: Bool[Array, "regimen dose"]
    group: Int[Array, "regimen dose"]
    coming: Int[Array, "regimen place group"]
    missed: Bool[Array, "subject dose"] | None


class Plan(NamedTuple):
    """Where subjects stand in their regimens, and what rules made of these.

    Fields
    ------
    regimen, next
        Which one it is, and the place of the next dose.
    origin
        [h] What is added to the times of the regimen.
    factor, fixed
        (subject, group) Of the amount, and the amount that stands for the written one
        (NaN: none).
    held
        (subject, group) [h] Until when doses are held; -inf: they are not.
    stopped
        Whether nothing is given any more.
    recent
        The last doses that were given, which may not have had their effect yet.
    extra
        What is to be given beside the regimen, in the next stage.
    """

    regimen: Int[Array, " subject"]
    next: Int[Array, " subject"]
    origin: Float[Array, " subject"]
    factor: Float[Array, "subject group"]
    fixed: Float[Array, "subject group"]
    held: Float[Array, "subject group"]
    stopped: Bool[Array, " subject"]
    recent: Rows
    extra: Rows


class Ledger(NamedTuple):
    """What was given, (subject, row): time [h], amount, rate, state, `Given` reason."""

    time: Float[Array, "*stage subject row"]
    amount: Float[Array, "*stage subject row"]
    rate: Float[Array, "*stage subject row"]
    compartment: Int[Array, "*stage subject row"]
    reason: Int[Array, "*stage subject row"]


def groups_of(regimens: Sequence[Regimen]) -> tuple[int, ...]:
    """Return the positions of the states that are dosed."""
    return tuple(sorted({s.compartment for one in regimens for s in one.steps}))


def tables_of(
    regimens: Sequence[Regimen], values: Mapping[str, Float[Array, " subject"]]
) -> Tables:
    """Write out regimens side by side; `values` are the covariates they ask for."""
    groups = groups_of(regimens)
    most = max([one.count for one in regimens], default=0)
    doses = [expand(one if one.steps else None, values) for one in regimens]
    rows = max([one.amount.shape[0] for one in doses], default=1)

    def side(name: str) -> Array:
        filler = jnp.inf if name == "time" else 0

        def full(one: Doses) -> Array:
            value = jnp.broadcast_to(getattr(one, name), (rows, one.time.shape[1]))
            short = most - value.shape[1]
            return jnp.pad(value, ((0, 0), (0, short)), constant_values=filler)

        if not doses:
            kind = int if name in ("compartment", "steady") else float
            return jnp.zeros((1, rows, 0), kind)
        return jnp.stack([full(one) for one in doses])

    rows_ = {name: side(name) for name in Rows._fields}
    scales, group = np.zeros((2, max(1, len(doses)), most), int)
    coming = np.full((max(1, len(doses)), most + 1, len(groups)), -1)
    for place, one in enumerate(regimens):
        shared = written(one)
        scales[place, : one.count] = shared.lasts
        group[place, : one.count] = np.searchsorted(groups, shared.into)
        for column, into in enumerate(groups):
            mine = np.flatnonzero(shared.into == into)
            if mine.size:
                after = np.searchsorted(mine, np.arange(most + 1))
                coming[place, :, column] = mine[np.minimum(after, mine.size - 1)]
    lasts, into = jnp.asarray(scales > 0), jnp.asarray(group)
    return Tables(Rows(**rows_), lasts, into, jnp.asarray(coming), None)


def with_habits(
    tables: Tables,
    missed: Bool[Array, "subject dose"],
    late: Float[Array, "subject dose"],
) -> Tables:
    """Let subjects miss doses of the first regimen, and take others late [h]."""
    count, short = missed.shape[0], tables.group.shape[1] - missed.shape[1]
    pads = ((0, 0), (0, short))
    missed, late = jnp.pad(missed, pads), jnp.pad(late, pads)
    time = tables.doses.time
    time = jnp.broadcast_to(time, (time.shape[0], count, time.shape[2]))
    moved = time.at[0].add(late)
    return tables._replace(doses=tables.doses._replace(time=moved), missed=missed)


def plan_of(count: int, groups: int, *, recent: int, extra: int) -> Plan:
    """Return the plan of subjects who begin their first regimen at hour 0."""
    each = jnp.zeros((count, groups))
    return Plan(
        regimen=jnp.zeros(count, int),
        next=jnp.zeros(count, int),
        origin=jnp.zeros(count),
        factor=each + 1.0,
        fixed=jnp.full_like(each, jnp.nan),
        held=jnp.full_like(each, -EVER),
        stopped=jnp.zeros(count, bool),
        recent=no_rows(count, recent),
        extra=no_rows(count, extra),
    )


def no_rows(count: int, rows: int) -> Rows:
    """Return rows without a dose."""
    shape = (count, rows)
    real, whole = jnp.zeros(shape), jnp.zeros(shape, int)
    return Rows(jnp.full(shape, jnp.inf), real, real, whole, real, whole)


def fall_due(
    plan: Plan, tables: Tables, until: Float[Array, " subject"], width: int
) -> tuple[Plan, Rows, Ledger]:
    """Make real what falls before `until` [h], of which there are `width` at most.

    Returns the plan as it stands then, the doses of the stage, those before it that
    may still act included, and what is new in the ledger.
    """
    place = plan.next[:, None] + jnp.arange(width)[None, :]
    planned = _taken(tables, plan.regimen, place)
    group = _looked_up(tables.group, plan.regimen, place)
    time = planned.time + plan.origin[:, None]
    here = same(time) < same(until)[:, None]
    fixed, factor, held = (
        jnp.take_along_axis(part, group, axis=1)
        for part in (plan.fixed, plan.factor, plan.held)
    )
    amount = jnp.where(jnp.isnan(fixed), planned.amount, fixed) * factor
    shown = jnp.where(planned.amount > 0, planned.amount, 1.0)
    scales = _looked_up(tables.scales, plan.regimen, place) & (planned.rate > 0)
    rate = jnp.where(scales, planned.rate * (amount / shown), planned.rate)
    kinds = int(Given.PLANNED), int(Given.CHANGED)
    reason = jnp.where(amount == planned.amount, *kinds)
    reason = jnp.where(time < held, int(Given.HELD), reason)
    if tables.missed is not None:
        last = tables.missed.shape[1] - 1
        missed = jnp.take_along_axis(tables.missed, jnp.minimum(place, last), axis=1)
        missed &= (plan.regimen == 0)[:, None]
        reason = jnp.where(
            missed & (reason <= Given.CHANGED), int(Given.MISSED), reason
        )
    reason = jnp.where(plan.stopped[:, None], int(Given.STOPPED), reason)
    gone = reason > Given.CHANGED
    given = planned._replace(
        time=jnp.where(here & ~gone, time, jnp.inf),
        amount=jnp.where(here & ~gone, amount, 0.0),
        rate=rate,
    )
    extra = plan.extra
    whole = Ledger(
        jnp.where(here, time, jnp.inf),
        jnp.where(gone, 0.0, amount),
        rate,
        given.compartment,
        reason.astype(int),
    )
    beside_it = Ledger(
        extra.time,
        extra.amount,
        extra.rate,
        extra.compartment,
        jnp.full_like(extra.steady, int(Given.EXTRA)),
    )
    pairs = zip(whole, beside_it, strict=True)
    ledger = Ledger(*(jnp.concatenate(pair, axis=1) for pair in pairs))
    doses = beside(plan.recent, given, extra)
    kept = _latest(doses, plan.recent.time.shape[1])
    plan = plan._replace(
        next=plan.next + here.sum(axis=1),
        recent=kept,
        extra=no_rows(*extra.time.shape),
    )
    return plan, doses, ledger


def next_amounts(plan: Plan, tables: Tables) -> Float[Array, "subject group"]:
    """Return the amount of the next dose into each state, as it stands now.

    Behind the last one it is the last.
    """
    if not tables.group.shape[1]:
        return jnp.full(plan.factor.shape, jnp.nan)
    place = tables.coming[plan.regimen, plan.next]
    written = _taken(tables, plan.regimen, jnp.maximum(place, 0)).amount
    whole = jnp.where(place < 0, jnp.nan, written)
    return jnp.where(jnp.isnan(plan.fixed), whole, plan.fixed) * plan.factor


def next_time(
    plan: Plan, tables: Tables, into: Bool[Array, " group"]
) -> Float[Array, " subject"]:
    """Return when the next dose into some states is due [h]; infinite behind the last.

    It is infinite for whom nothing is given any more.
    """
    size = tables.group.shape[1]
    if not size:
        return jnp.full(plan.origin.shape, jnp.inf)
    group = jnp.take(tables.group, plan.regimen, axis=0)
    place = jnp.broadcast_to(jnp.arange(size)[None], group.shape)
    time = _taken(tables, plan.regimen, place).time + plan.origin[:, None]
    later = into[group] & (place >= plan.next[:, None]) & ~plan.stopped[:, None]
    return jnp.min(jnp.where(later, time, jnp.inf), axis=1)


def past_of(given: Ledger) -> Rows:
    """Return what was given, of what is in a ledger, as rows."""
    there = jnp.isfinite(given.time) & (given.amount > 0)
    like = jnp.zeros_like(given.compartment)
    return Rows(
        jnp.where(there, given.time, jnp.inf),
        jnp.where(there, given.amount, 0.0),
        given.rate,
        given.compartment,
        jnp.zeros_like(given.time),
        like,
    )


def first_rows(rows: Rows, count: int) -> Rows:
    """Return the first rows by time, those without a dose behind them."""
    order = jnp.argsort(rows.time, axis=1, stable=True)[:, :count]
    return Rows(*(jnp.take_along_axis(part, order, axis=1) for part in rows))


def beside(*parts: Rows) -> Rows:
    """Put rows side by side."""
    return Rows(*(jnp.concatenate(each, axis=1) for each in zip(*parts, strict=True)))


def as_doses(rows: Rows) -> Doses:
    """Return rows as doses for a solver, each row of the ledger an administration."""
    like = jnp.zeros_like(rows.steady)
    return Doses(**rows._asdict(), event=like + DOSE, rank=like + RANK)


def _latest(rows: Rows, count: int) -> Rows:
    """Return the last rows by time, those without a dose first."""
    if not count:
        return Rows(*(part[:, :0] for part in rows))
    order = jnp.argsort(jnp.where(jnp.isfinite(rows.time), rows.time, -jnp.inf), axis=1)
    kept = order[:, -count:]
    return Rows(*(jnp.take_along_axis(part, kept, axis=1) for part in rows))


def _taken(
    tables: Tables, regimen: Int[Array, " subject"], place: Int[Array, "subject row"]
) -> Rows:
    """Take each subject's doses at places of its regimen; none behind the last."""
    size = tables.group.shape[1]
    if not size:
        return no_rows(*place.shape)
    inside = jnp.minimum(place, size - 1)

    def take(values: Array) -> Array:
        if values.shape[0] == 1:
            mine = jnp.broadcast_to(values[0], (place.shape[0], size))
        elif values.shape[1] == 1:
            mine = values[regimen, 0]
        else:
            mine = values[regimen, jnp.arange(place.shape[0])]
        return jnp.take_along_axis(mine, inside, axis=1)

    rows = Rows(*map(take, tables.doses))
    return rows._replace(time=jnp.where(place < size, rows.time, jnp.inf))


def _looked_up(
    values: Array, regimen: Int[Array, " subject"], place: Int[Array, "subject row"]
) -> Array:
    """Look up what all subjects share, at places of each one's regimen."""
    size = values.shape[1]
    if not size:
        return jnp.zeros(place.shape, values.dtype)
    return values[regimen[:, None], jnp.minimum(place, size - 1)]

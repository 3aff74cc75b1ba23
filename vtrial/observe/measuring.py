"""Observation of simulated subjects: measurements until dropout, and outcomes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.endpoint.endpoint import DROPOUT, Endpoint
from vtrial.endpoint.equation import (
    asked_by,
    called,
    covariates_of,
    with_formulas,
)
from vtrial.endpoint.missing import left_before
from vtrial.endpoint.outcome import Interruption, Outcome, combined, outcomes
from vtrial.endpoint.points import slack
from vtrial.keys import purpose_key
from vtrial.model.residual import measured
from vtrial.observe.adherence import attended
from vtrial.observe.departure import (
    Left,
    built,
    by_constants,
    covariates_of_causes,
    nothing_built,
    risk_of,
)
from vtrial.observe.ends import Ends
from vtrial.observe.observation_times import ObservationTimes
from vtrial.observe.residual_draws import residual_normals
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.types import Missing

Truth = Mapping[str, Float[Array, "subject time"]]
Noisy = Mapping[str, Float[Array, "subject visit"]]
Series = Mapping[str, tuple[Float[Array, "subject row"], Float[Array, "subject row"]]]


class Who(NamedTuple):
    """Subjects under an arm.

    Fields
    ------
    keys
        From which all that is random about them is drawn.
    hazards
        [1/h] At which they leave for each cause, or by what its equation is multiplied.
    numbers
        Of these equations, one after the other.
    covariates
        Those that endpoints ask for, and dropout.
    left
        When they left and why, where rules decide that, too; None: by dropout alone.
    attends
        Share of the visits that they come to; None: all.
    stopped
        When they stopped treatment and why, by the codes of all arms; None: nobody
        asks.
    codes
        By the code of an arm's reason of leaving that of all arms.
    """

    keys: Key[Array, " subject"]
    hazards: Float[Array, " cause"]
    numbers: Float[Array, " number"]
    covariates: dict[str, Float[Array, " subject"]]
    left: Left | None = None
    attends: Float[Array, ""] | None = None
    stopped: Left | None = None
    codes: Int[Array, " reason"] | None = None


def share_attended(protocol: Protocol, arm: Arm) -> Float[Array, ""] | None:
    """Return the share of visits that subjects under an arm come to; None if all do."""
    shares = [one.adherence.visits if one.adherence else 1.0 for one in protocol.arms]
    if min(shares) == 1:
        return None
    return jnp.asarray(arm.adherence.visits if arm.adherence else 1.0)


def covariates_asked(protocol: Protocol) -> tuple[str, ...]:
    """Name the covariates that equations of endpoints and of dropout ask for."""
    own = {called(point.name) for point in protocol.endpoints}
    points = protocol.endpoints
    asked = [name for point in points for name in asked_by(point) if name not in own]
    asked += [name for point in points for name in covariates_of(point)]
    asked += covariates_of_causes(protocol)
    return tuple(dict.fromkeys(asked))


def measure(
    protocol: Protocol,
    plan: ObservationTimes,
    truth: Truth,
    taken: Float[Array, "#subject visit"],
    who: Who,
    left: Float[Array, " subject"],
) -> dict[str, Float[Array, "subject visit"]]:
    """Return what is measured of every output.

    NaN at visits that do not measure it, and for who has left before.
    """
    if not plan.visits:
        return {}
    measures = {v.name: set(v.measure) for v in protocol.visits}
    here = taken <= left[:, None]
    if who.attends is not None:
        here &= attended(who.keys, plan.counts(), who.attends)
    noisy = {}
    for output in protocol.model.outputs:
        asked = np.array([output.name in measures[name] for name in plan.visits])
        if not asked.any():
            continue
        true = truth[output.name][:, : asked.size]
        normal = residual_normals(protocol.model, plan, who.keys, output.name)
        values = measured(
            output,
            true,
            normal.astype(true.dtype),
            computed={n: truth[n][:, : asked.size] for n in output.error.computed},
            keys=plan.residual_keys(who.keys, output.name)
            if output.error.draws_more
            else None,
        )
        noisy[output.name] = jnp.where(asked[None, :] & here, values, jnp.nan)
    return noisy


def outcomes_of(
    protocol: Protocol,
    plan: ObservationTimes,
    taken: Float[Array, "#subject visit"],
    noisy: Noisy,
    truth: Truth,
    who: Who,
    left: Left,
    ledger: Series = MappingProxyType({}),
) -> list[Outcome]:
    """Return the outcomes of all endpoints; those made of others come after these.

    `ledger` has times [h] and values of what endpoints take of doses and decisions.
    """
    truth, noisy = (
        with_formulas(protocol.endpoints, values, who.covariates)
        for values in (truth, noisy)
    )
    found: dict[str, Outcome] = {}
    ends = Ends(protocol, left, who.stopped, who.codes)
    dropout = bool(protocol.design.dropout.causes) or who.left is not None
    for point in protocol.endpoints:
        if point.equals is not None or point.first_of:
            made = combined(point, found, who.covariates)
        else:
            keys = _drawn(point, who.keys)
            cut = _interruption(point, found, ends, dropout=dropout)
            if point.values == "ledger":
                made = outcomes(point, *ledger[point.of], interruption=cut)
            elif point.values == "true":
                places = plan.true_places(point)
                made = true_outcomes(plan, point, places, truth, cut, keys)
            else:
                values = _values(protocol, plan, point, taken, noisy)
                made = outcomes(point, *values, interruption=cut, keys=keys)
                if dropout and point.period is not None:
                    short = _cut_short(point, *values, ends.untold(point))
                    made = _without(made, short)
            if dropout and point.period is not None and _told(point):
                gone = left.time < point.period
                made = _without(made, gone)  # nothing of it was given
            if dropout and point.values == "measured":
                last = jnp.minimum(taken.max(axis=1), point.end)
                reason = left_before(made.reason, left.time < last)
                made = made._replace(reason=reason)
        found[point.name] = made
    return list(found.values())


def leaving(protocol: Protocol, plan: ObservationTimes, truth: Truth, who: Who) -> Left:
    """Return when each subject leaves, and why; what is true decides, if asked."""
    if who.left is not None:
        return who.left
    risk = risk_of(
        protocol,
        who.keys,
        who.hazards[None],
        who.numbers[None],
        who.covariates,
    )
    left = by_constants(protocol, risk)
    if not protocol.design.dropout.followed:
        return left
    grid = jnp.broadcast_to(
        jnp.asarray(plan.grid)[None], (left.time.size, plan.grid.size)
    )
    outputs = {name: value[:, plan.planned.size :] for name, value in truth.items()}
    begun = nothing_built(protocol, left, grid[:, 0])
    return built(protocol, risk, begun, grid, outputs).left


def true_outcomes(
    plan: ObservationTimes,
    endpoint: Endpoint,
    places: Int[np.ndarray, " place"],
    truth: Truth,
    cut: Interruption | None,
    keys: Key[Array, " subject"] | None,
) -> Outcome:
    """Return the outcomes of an endpoint of true values, at places of the grid."""
    value = truth[endpoint.of][:, plan.planned.size + places]
    nominal = plan.nominal(places, value.dtype)
    return outcomes(
        endpoint,
        jnp.asarray(plan.grid[places])[None, :],
        value,
        jnp.asarray(nominal)[None, :],
        interruption=cut,
        keys=keys,
        course=plan.course(places),
    )


def _values(
    protocol: Protocol,
    plan: ObservationTimes,
    endpoint: Endpoint,
    taken: Float[Array, "#subject visit"],
    noisy: Noisy,
) -> tuple[Array, Array, Array | None]:
    """Return the times, values and planned times of the visits that count."""
    measures = {v.name: set(v.measure) for v in protocol.visits}
    place = plan.chosen(endpoint, measures)
    place = place[np.argsort(plan.planned[place], kind="stable")]
    time, value = taken[:, place], noisy[endpoint.of][:, place]
    scheduled = jnp.asarray(plan.planned[place])[None, :]
    if plan.moves:
        order = jnp.argsort(time, axis=1)
        scheduled = jnp.broadcast_to(scheduled, time.shape)
        time, value, scheduled = (
            jnp.take_along_axis(part, order, axis=1)
            for part in (time, value, scheduled)
        )
    return time, value, scheduled


def _told(endpoint: Endpoint) -> bool:
    """Return whether the sheet says what dropout does to an endpoint."""
    return any(one.event == DROPOUT for one in endpoint.intercurrent)


def _cut_short(
    endpoint: Endpoint,
    time: Float[Array, "#subject visit"],
    value: Float[Array, "subject visit"],
    planned: Float[Array, "#subject visit"] | None,
    left: Float[Array, " subject"],
) -> Bool[Array, " subject"]:
    """Return who left before the last visit of an endpoint's span."""
    planned = time if planned is None else planned
    early, late = (slack(t, value, least=1.0) for t in (endpoint.start, endpoint.end))
    here = (planned >= endpoint.start - early) & (planned <= endpoint.end + late)
    return (here & (time > left[:, None])).any(axis=1)


def _without(made: Outcome, gone: Bool[Array, " subject"]) -> Outcome:
    """Take the numbers away from who left too early to have one."""
    left_early = jnp.asarray(int(Missing.LEFT), made.reason.dtype)
    return made._replace(
        outcome=jnp.where(gone, jnp.nan, made.outcome),
        event=jnp.where(gone, jnp.nan, made.event),
        reason=jnp.where(gone, left_early, made.reason),
    )


def _drawn(
    endpoint: Endpoint, keys: Key[Array, " subject"]
) -> Key[Array, " subject"] | None:
    """Return a key for each subject, if the endpoint is drawn by a hazard."""
    if not endpoint.kind.drawn:
        return None
    return jax.vmap(lambda key: purpose_key(key, f"event {endpoint.name}"))(keys)


def _interruption(
    endpoint: Endpoint,
    found: Mapping[str, Outcome],
    ends: Ends,
    *,
    dropout: bool,
) -> Interruption | None:
    """Return when intercurrent events cut an endpoint's values off.

    Who leaves is seen no more: an event that was not seen by then is censored, but what
    is looked at on the grid is a number that nobody has to come for.
    """
    left = ends.left.time
    never = jnp.full(left.shape, jnp.inf)
    censored = endpoint.kind.event and endpoint.values == "true" and dropout
    cut = Interruption(left if censored else never, never, never)
    for event in endpoint.intercurrent:
        strategy, time = event.strategy, never
        if event.of_endpoint:
            seen = found[event.event]
            time = jnp.where(seen.event == 1, seen.outcome, jnp.inf)
        else:
            time = ends.time_of(event)
        if strategy in ("hypothetical", "while on treatment"):
            cut = cut._replace(until=jnp.minimum(cut.until, time))
        if strategy == "while on treatment":
            cut = cut._replace(settled=jnp.minimum(cut.settled, time))
        if strategy == "composite":
            cut = cut._replace(failed=jnp.minimum(cut.failed, time))
    return cut if endpoint.intercurrent or censored else None

"""What is seen of simulated subjects: measurements until they leave, and outcomes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from vtrial.analysis.endpoint import Interruption, Outcome, outcomes, respond
from vtrial.analysis.missing import left_before
from vtrial.conduct.schedule import Schedule
from vtrial.keys import purpose_key
from vtrial.model.error import measured
from vtrial.model.tree import evaluate, names_in
from vtrial.protocol.derived import called
from vtrial.protocol.protocol import DRAWN, DROPOUT, EVENTS, Endpoint, Protocol
from vtrial.types import Missing

Truth = Mapping[str, Float[Array, "subject time"]]
Noisy = Mapping[str, Float[Array, "subject visit"]]


class Who(NamedTuple):
    """Subjects under an arm.

    Fields
    ------
    keys
        From which all that is random about them is drawn.
    hazard
        [1/h] At which they leave.
    covariates
        Those that endpoints ask for.
    """

    keys: Key[Array, " subject"]
    hazard: Float[Array, ""]
    covariates: dict[str, Float[Array, " subject"]]


def hazard_of(protocol: Protocol, arm: str) -> float:
    """Return the hazard [1/h] at which an arm is left."""
    hazards = protocol.dropout.hazards
    names = [one.name for one in protocol.arms]
    return hazards[names.index(arm)] if hazards else 0.0


def covariates_asked(protocol: Protocol) -> tuple[str, ...]:
    """Name the covariates that endpoints' equations ask for."""
    own = {called(point.name) for point in protocol.endpoints}
    asked = [
        name.name
        for point in protocol.endpoints
        if point.equals is not None
        for name in names_in(point.equals)
    ]
    return tuple(dict.fromkeys(name for name in asked if name not in own))


def measure(
    protocol: Protocol,
    plan: Schedule,
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
    noisy = {}
    for output in protocol.model.outputs:
        asked = np.array([output.name in measures[name] for name in plan.visits])
        if not asked.any():
            continue
        true = truth[output.name][:, : asked.size]
        normal = plan.normals(who.keys, output.name).astype(true.dtype)
        values = measured(output, true, normal)
        noisy[output.name] = jnp.where(asked[None, :] & here, values, jnp.nan)
    return noisy


def outcomes_of(
    protocol: Protocol,
    plan: Schedule,
    taken: Float[Array, "#subject visit"],
    noisy: Noisy,
    truth: Truth,
    who: Who,
    left: Float[Array, " subject"],
) -> list[Outcome]:
    """Return the outcomes of all endpoints; those made of others come after these."""
    found: dict[str, Outcome] = {}
    dropout = bool(protocol.dropout.hazards)
    for point in protocol.endpoints:
        if point.equals is not None or point.first_of:
            made = _combined(point, found, who.covariates)
        else:
            keys = _drawn(point, who.keys)
            cut = _interruption(point, found, left, dropout=dropout)
            if point.values == "true":
                places = plan.true_places(point)
                made = true_outcomes(plan, point, places, truth, cut, keys)
            else:
                values = _values(protocol, plan, point, taken, noisy)
                made = outcomes(point, *values, interruption=cut, keys=keys)
            if dropout and point.values == "measured":
                last = jnp.minimum(taken.max(axis=1), point.end)
                reason = left_before(made.reason, left < last)
                made = made._replace(reason=reason)
        found[point.name] = made
    return list(found.values())


def _combined(
    endpoint: Endpoint,
    found: Mapping[str, Outcome],
    covariates: Mapping[str, Float[Array, " subject"]],
) -> Outcome:
    """Return the outcomes of an endpoint that is made of others.

    An equation has no number where one that it uses has none, for the reason of that
    one, and no baseline. The first of several events is the earliest that was seen; if
    none was, the subject is censored when the first of them was.
    """
    if endpoint.first_of:
        times = jnp.stack([found[name].outcome for name in endpoint.first_of])
        events = jnp.stack([found[name].event for name in endpoint.first_of])
        used = list(endpoint.first_of)
        happened = jnp.where(events == 1, times, jnp.inf).min(axis=0)
        number = jnp.minimum(happened, times.min(axis=0))
        event = (happened <= number).astype(number.dtype)
    else:
        assert endpoint.equals is not None, "it is made of others"
        asked = {name.name for name in names_in(endpoint.equals)}
        used = [name for name in found if called(name) in asked]
        known = {called(name): one.outcome for name, one in found.items()}
        values = {**covariates, **known}
        number = evaluate(endpoint.equals, values)
        number = jnp.broadcast_to(number, next(iter(values.values())).shape)
        for name in asked:
            number = jnp.where(jnp.isfinite(values[name]), number, jnp.nan)
        event = jnp.ones_like(number)
    none = jnp.full_like(number, jnp.nan)
    reason = _inherited(number, [found[name] for name in used])
    number, event = respond(endpoint, number, event)
    return Outcome(outcome=number, baseline=none, event=event, reason=reason)


def _inherited(
    number: Float[Array, " subject"], used: Sequence[Outcome]
) -> Int[Array, " subject"]:
    """Return why a number lacks: as the first that it is made of, if that lacks."""
    none = jnp.asarray(int(Missing.NOT_FINITE), "int8")
    reason = jnp.where(jnp.isfinite(number), jnp.zeros_like(none), none)
    for one in reversed(used):
        lacks = (reason != 0) & (one.reason != 0)
        reason = jnp.where(lacks, one.reason, reason)
    return reason


def leaving(protocol: Protocol, who: Who) -> Float[Array, " subject"]:
    """Return when each subject leaves [h]; the same number decides under all arms."""
    if not protocol.dropout.hazards:
        return jnp.full(who.keys.shape, jnp.inf)
    drawn = jax.vmap(
        lambda key: jax.random.exponential(purpose_key(key, DROPOUT), (), float)
    )(who.keys)
    return drawn / who.hazard


def true_outcomes(
    plan: Schedule,
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
    plan: Schedule,
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


def _drawn(
    endpoint: Endpoint, keys: Key[Array, " subject"]
) -> Key[Array, " subject"] | None:
    """Return a key for each subject, if the endpoint is drawn by a hazard."""
    if endpoint.take not in DRAWN:
        return None
    return jax.vmap(lambda key: purpose_key(key, f"event {endpoint.name}"))(keys)


def _interruption(
    endpoint: Endpoint,
    found: Mapping[str, Outcome],
    left: Float[Array, " subject"],
    *,
    dropout: bool,
) -> Interruption | None:
    """Say when intercurrent events cut an endpoint's values off.

    Who leaves is seen no more: an event that was not seen by then is censored, but what
    is looked at on the grid is a number that nobody has to come for.
    """
    never = jnp.full(left.shape, jnp.inf)
    censored = endpoint.take in EVENTS and endpoint.values == "true" and dropout
    cut = Interruption(left if censored else never, never, never)
    for name, strategy in endpoint.intercurrent:
        time = left
        if name != DROPOUT:
            seen = found[name]
            time = jnp.where(seen.event == 1, seen.outcome, jnp.inf)
        if strategy in ("hypothetical", "while on treatment"):
            cut = cut._replace(until=jnp.minimum(cut.until, time))
        if strategy == "while on treatment":
            cut = cut._replace(settled=jnp.minimum(cut.settled, time))
        if strategy == "composite":
            cut = cut._replace(failed=jnp.minimum(cut.failed, time))
    return cut if endpoint.intercurrent or censored else None

"""Departure: when subjects leave, and for which of several causes.

Each cause has a hazard of its own. A subject leaves for it when its cumulative hazard
has grown by a standard exponential number, drawn for the subject and the cause; the
first cause to do so is the reason. Where a hazard is constant that time is known
beforehand; where it follows an equation it is integrated along the solved course.

References
----------
Beyersmann J, Latouche A, Buchholz A, Schumacher M (2009) Stat Med 28:956-971.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Float, Int, Key

from vtrial.endpoint.endpoint import DROPOUT
from vtrial.keys import purpose_key
from vtrial.model.tree import evaluate, names_in
from vtrial.protocol.design import NUMBER, numbered
from vtrial.protocol.dropout import CLOCK
from vtrial.protocol.protocol import Protocol

HOURS_PER_DAY = 24.0
MOST = 1e12  # [1/h] of a hazard: whoever has it leaves at once


class Left(NamedTuple):
    """When subjects left [h], infinite if never, and the code of the reason, 0: none.

    Codes are the places among `Dropout.reasons`, from 1 on.
    """

    time: Float[Array, " subject"]
    cause: Int[Array, " subject"]


class Risk(NamedTuple):
    """What decides when subjects leave.

    Fields
    ------
    wanted
        The cumulative hazard at which each leaves for each cause.
    hazards
        [1/h] Of each cause, or by what its equation is multiplied.
    numbers
        Of all equations.
    covariates
        That the equations ask for.
    """

    wanted: Float[Array, "subject cause"]
    hazards: Float[Array, "#subject cause"]
    numbers: Float[Array, "#subject number"]
    covariates: dict[str, Float[Array, " subject"]]


class Built(NamedTuple):
    """How far the hazards of the causes with equations have grown.

    Fields
    ------
    time
        [h] Until when.
    hazard, total
        [1/h] The hazard of each at that time, and its integral.
    left
        Who has left by then, or will for causes at a constant hazard.
    """

    time: Float[Array, " subject"]
    hazard: Float[Array, "subject equation"]
    total: Float[Array, "subject equation"]
    left: Left


for _kind in (Left, Risk, Built):
    register_namedtuple_serialization(
        _kind, serialized_name=f"vtrial:departure.{_kind.__name__}"
    )


def hazards_of(protocol: Protocol, arm: str) -> Float[np.ndarray, " cause"]:
    """Return the hazards [1/h] at which subjects leave an arm."""
    place = [one.name for one in protocol.arms].index(arm)
    causes = protocol.design.dropout.causes
    return np.array([cause.hazards[place] for cause in causes], float)


def numbers_of(protocol: Protocol) -> Float[np.ndarray, " number"]:
    """Return the numbers that stand in the equations of hazards."""
    dropout = protocol.design.dropout
    found: list[float] = []
    for place in dropout.followed:
        equation = dropout.causes[place].equation
        assert equation is not None, "it follows one"
        found += numbered(equation)[1]
    return np.array(found, float)


def covariates_of_causes(protocol: Protocol) -> list[str]:
    """Name the covariates that equations of hazards ask for."""
    outputs = {output.name for output in protocol.model.outputs}
    equations = [cause.equation for cause in protocol.design.dropout.causes]
    asked = [n.name for one in equations if one is not None for n in names_in(one)]
    known = {*outputs, *CLOCK}
    return [name for name in dict.fromkeys(asked) if name not in known]


def risk_of(
    protocol: Protocol,
    keys: Key[Array, " subject"],
    hazards: Float[Array, "#subject cause"],
    numbers: Float[Array, "#subject number"],
    covariates: Mapping[str, Float[Array, " subject"]],
) -> Risk:
    """Draw at which cumulative hazards subjects leave; the same under all arms."""

    def drawn(purpose: str) -> Float[Array, " subject"]:
        return jax.vmap(
            lambda key: jax.random.exponential(purpose_key(key, purpose), (), float)
        )(keys)

    names = [cause.name for cause in protocol.design.dropout.causes]
    purposes = [DROPOUT if n == DROPOUT else f"{DROPOUT} {n}" for n in names]
    none = jnp.zeros((keys.shape[0], 0))
    wanted = jnp.stack([drawn(one) for one in purposes], axis=1) if names else none
    asked = covariates_of_causes(protocol)
    return Risk(wanted, hazards, numbers, {name: covariates[name] for name in asked})


def by_constants(protocol: Protocol, risk: Risk) -> Left:
    """Return when subjects leave for causes at a constant hazard, the first of them."""
    count = risk.wanted.shape[0]
    found = Left(jnp.full(count, jnp.inf), jnp.zeros(count, int))
    for place, cause in enumerate(protocol.design.dropout.causes):
        if cause.equation is None:
            time = risk.wanted[:, place] / risk.hazards[:, place]
            found = earlier(found, time, place + 1)
    return found


def nothing_built(
    protocol: Protocol, left: Left, begin: Float[Array, " subject"]
) -> Built:
    """Return how things stand before any hazard has grown, at the first time [h]."""
    none = jnp.zeros((begin.size, len(protocol.design.dropout.followed)))
    return Built(begin, none, none, left)


def built(
    protocol: Protocol,
    risk: Risk,
    before: Built,
    time: Float[Array, "subject time"],
    outputs: Mapping[str, Float[Array, "subject time"]],
) -> Built:
    r"""Let the hazards grow over ascending times [h], and see who leaves.

    $$ H(t) = \int_0^t h(s)\, ds = E, \qquad E \sim \mathrm{Exp}(1) $$

    Hazards are straight lines between the times, whose integral is that of the
    trapezoid rule; in the interval in which it is reached the line is solved for the
    time. Nothing grows before hour 0.
    """
    times = jnp.concatenate([before.time[:, None], time], axis=1)
    step = jnp.diff(jnp.maximum(times, 0.0), axis=1)
    left, hazards, totals = before.left, [], []
    for place, at in enumerate(protocol.design.dropout.followed):
        hazard = _hazard(protocol, risk, at, time, outputs)
        every = jnp.concatenate([before.hazard[:, place][:, None], hazard], axis=1)
        rise = 0.5 * (every[:, 1:] + every[:, :-1]) * step
        grown = before.total[:, place][:, None] + jnp.cumsum(rise, axis=1)
        when = _reached(times, step, every, rise, grown, risk.wanted[:, at])
        left = earlier(left, when, at + 1)
        hazards.append(hazard[:, -1])
        totals.append(grown[:, -1])
    return Built(
        time[:, -1], jnp.stack(hazards, axis=1), jnp.stack(totals, axis=1), left
    )


def _hazard(
    protocol: Protocol,
    risk: Risk,
    at: int,
    time: Float[Array, "subject time"],
    outputs: Mapping[str, Float[Array, "subject time"]],
) -> Float[Array, "subject time"]:
    """Return the hazard [1/h] of a cause with an equation; none where it is NaN."""
    dropout = protocol.design.dropout
    start, equation = 0, None
    for place in dropout.followed:
        whole = dropout.causes[place].equation
        assert whole is not None, "it follows one"
        equation, numbers = numbered(whole)
        if place == at:
            break
        start += len(numbers)
    assert equation is not None, "it follows one"
    names = {name.name for name in names_in(equation)}
    values = {name: value.astype(float) for name, value in outputs.items()}
    values |= {k: v.astype(float)[:, None] for k, v in risk.covariates.items()}
    values |= {"t": time, "day": time / HOURS_PER_DAY}
    for place in range(risk.numbers.shape[1] - start):
        values[NUMBER.format(place)] = risk.numbers[:, start + place][:, None]
    found = evaluate(equation, {name: values[name] for name in names})
    found = found.astype(float) * risk.hazards[:, at][:, None]
    found = jnp.broadcast_to(found, time.shape)
    return jnp.where(jnp.isnan(found), 0.0, jnp.clip(found, 0.0, MOST))


def _reached(
    times: Float[Array, "subject node"],
    step: Float[Array, "subject interval"],
    hazard: Float[Array, "subject node"],
    rise: Float[Array, "subject interval"],
    grown: Float[Array, "subject interval"],
    wanted: Float[Array, " subject"],
) -> Float[Array, " subject"]:
    """Return when a cumulative hazard reaches what is wanted [h]; infinite if never."""
    over = grown >= wanted[:, None]
    here = jnp.argmax(over, axis=1)[:, None]

    def taken(values: Float[Array, "subject interval"]) -> Float[Array, " subject"]:
        return jnp.take_along_axis(values, here, axis=1)[:, 0]

    length = taken(step)
    first, last = taken(hazard[:, :-1]), taken(hazard[:, 1:])
    lacks = jnp.maximum(wanted - (taken(grown) - taken(rise)), 0.0)
    slope = (last - first) / jnp.where(length > 0, length, 1.0)
    # Of first s + slope s^2 / 2 = lacks, the root that does not cancel.
    root = jnp.sqrt(jnp.maximum(first**2 + 2.0 * slope * lacks, 0.0))
    since = 2.0 * lacks / jnp.where(first + root > 0, first + root, 1.0)
    begin = jnp.maximum(taken(times[:, :-1]), 0.0)
    time = begin + jnp.minimum(since, length)
    return jnp.where(over.any(axis=1), time, jnp.inf)


def earlier(left: Left, time: Float[Array, " subject"], code: int) -> Left:
    """Let subjects leave at a time [h] for a cause, if they have not left by then."""
    return Left(
        jnp.minimum(left.time, time), jnp.where(time < left.time, code, left.cause)
    )


def seen_to_leave(
    left: Left, time: Float[Array, "#subject time"], solved: Array
) -> Left:
    """Return who left by the last time [h] that a subject is looked at, NaN and 0 else.

    Of subjects that were not solved nothing is known.
    """
    last = jnp.max(jnp.where(jnp.isfinite(time), time, -jnp.inf), axis=1)
    gone = solved & (left.time <= last)
    return Left(jnp.where(gone, left.time, jnp.nan), jnp.where(gone, left.cause, 0))


def ruled(
    left: Left,
    moved: Float[Array, " subject"],
    acted: Int[Array, " subject"],
    places: Sequence[int],
    first: int,
) -> Left:
    """Let subjects leave by rules, at places of the arm's, whose codes begin at one.

    `moved` [h] is when they leave after the rules, `acted` the sum of 2^place of them.
    """
    code = left.cause
    for number, place in reversed(list(enumerate(places))):
        code = jnp.where(acted >> place & 1 > 0, first + number, code)
    return Left(moved, jnp.where(moved < left.time, code, left.cause))

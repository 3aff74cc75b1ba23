"""Ends: when subjects left the study or stopped their treatment, and by which cause."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from vtrial.dosing.expansion import written
from vtrial.endpoint.endpoint import DROPOUT, Endpoint, Intercurrent
from vtrial.observe.adherence import persistence
from vtrial.observe.course import Decisions
from vtrial.observe.departure import Left, earlier
from vtrial.observe.realised import Ledger
from vtrial.protocol.intercurrent import (
    ADHERENCE,
    asks_of_stop,
    leaving_causes,
    stopping_causes,
)
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.protocol.rules import reason_of
from vtrial.types import Given


@dataclass(frozen=True)
class Ends:
    """When subjects left and why, and when they stopped treatment and why.

    Fields
    ------
    left
        With the codes of an arm's reasons.
    stopped
        With the codes of all arms' causes; None: nobody asks.
    codes
        By the code of an arm's reason that of all arms; None: they are the same.
    """

    protocol: Protocol
    left: Left
    stopped: Left | None = None
    codes: Int[Array, " reason"] | None = None

    def time_of(self, event: Intercurrent) -> Float[Array, " subject"]:
        """Return when they left, or stopped, for the causes of an event [h]."""
        if event.event == DROPOUT:
            found, names = self.left, leaving_causes(self.protocol)
            if not event.causes:
                return found.time
            if self.codes is not None:
                found = found._replace(cause=self.codes[found.cause])
        else:
            found, names = self.seen_to_stop(), stopping_causes(self.protocol.arms)
            if not event.causes:
                return found.time
        asked = jnp.asarray([names.index(cause) + 1 for cause in event.causes])
        here = jnp.isin(found.cause, asked)
        return jnp.where(here, found.time, jnp.inf)

    def seen_to_stop(self) -> Left:
        """Return when they stopped treatment, and why; of who left before, never."""
        assert self.stopped is not None, "an endpoint asks for it"
        time, cause = self.stopped
        return Left(jnp.where(time <= self.left.time, time, jnp.inf), cause)

    def untold(self, endpoint: Endpoint) -> Float[Array, " subject"]:
        """Return when they left for causes that an endpoint says nothing of [h]."""
        time = self.left.time
        for event in endpoint.intercurrent:
            if event.event == DROPOUT:
                told = jnp.isfinite(self.time_of(event))
                time = jnp.where(told, jnp.inf, time)
        return time


def codes_of(protocol: Protocol, arm: Arm) -> Int[Array, " reason"]:
    """Return by the code of an arm's reason of leaving that of all arms; 0: none."""
    every = leaving_causes(protocol)
    codes = np.zeros(len(every) + 1, int)
    for code, reason in enumerate(protocol.design.dropout.reasons(arm.rules), 1):
        codes[code] = every.index(reason) + 1
    return jnp.asarray(codes)


def stopped_under(
    protocol: Protocol,
    arm: Arm,
    keys: Key[Array, " subject"],
    given: Ledger | None,
    decisions: Decisions | None,
) -> Left | None:
    """Return when subjects under an arm stopped treatment, and why; the first counts.

    None if no endpoint asks for it. A rule stops it when it acts. By adherence it is
    stopped from when nothing is taken any more, or behind the last dose that still was
    (one that was late, or delayed), if a dose is missed by it.
    """
    if not asks_of_stop(protocol):
        return None
    causes = stopping_causes(protocol.arms)
    found = Left(jnp.full(keys.shape, jnp.inf), jnp.zeros(keys.shape, int))
    adherence = arm.adherence
    if adherence is not None and adherence.stop > 0 and arm.regimen is not None:
        assert given is not None, "doses that may be missed have a ledger"
        until = persistence(adherence, keys)
        reason, time = given.reason, given.time
        taken = (reason == Given.PLANNED) | (reason == Given.CHANGED)
        taken &= jnp.isfinite(time)
        latest = jnp.max(jnp.where(taken, time, -jnp.inf), axis=1, initial=-jnp.inf)
        stop = jnp.maximum(until, latest)
        missed = (reason == Given.MISSED) & jnp.isfinite(time)
        missed &= time > (stop - adherence.jitter)[:, None]
        comes = (until < written(arm.regimen).time.max()) & missed.any(axis=1)
        when = jnp.where(comes, stop, jnp.inf)
        found = earlier(found, when, causes.index(ADHERENCE) + 1)
    for place, rule in enumerate(arm.rules):
        if rule.stops:
            assert decisions is not None, "rules decide"
            acted = decisions.acted >> place & 1 > 0
            when = jnp.where(acted, decisions.time, jnp.inf).min(axis=1)
            found = earlier(found, when, causes.index(reason_of(rule)) + 1)
    return found

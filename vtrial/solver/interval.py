"""An interval between two events that lanes step through, and how far each has come."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.solver.field import Drive, Field
from vtrial.solver.method import Amounts
from vtrial.solver.switch import Flags
from vtrial.types import Status


class Progress(NamedTuple):
    """Progress of every lane; `flags` are those that the clock switches."""

    time: Float[Array, " lane"]
    amounts: Amounts
    carried: Any
    size: Float[Array, " lane"]
    error: Float[Array, " lane"]
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]
    passed: Int[Array, " lane"]
    flags: Flags | None


class Interval(NamedTuple):
    """Equations, beginning and length [h] of an interval.

    `left` is the number of steps that may still be tried. Steps end where the clock
    switches something, and at the `stops` [h] from the beginning, or they are accurate
    `inside`. `sure` says whose nonnegative states the equations keep so.
    """

    field: Field
    begun: Progress
    length: Float[Array, " lane"]
    left: Int[Array, " lane"]
    drive: Drive | None
    sure: Bool[Array, " lane"]
    stops: Float[Array, "place lane"] | None = None
    inside: bool = False

    def following(self, course: Progress) -> Float[Array, " lane"]:
        """Return the next of the stops [h], or the end."""
        if self.stops is None:
            return self.length
        # Clipped for the gather; behind the last stop the end counts.
        place = jnp.minimum(course.passed, self.stops.shape[0] - 1)
        following = jnp.take_along_axis(self.stops, place[None], axis=0)[0]
        ahead = course.passed < self.stops.shape[0]
        return jnp.where(ahead, jnp.minimum(following, self.length), self.length)

    def stop(self, course: Progress) -> Float[Array, " lane"]:
        """Return where the next step is to end at the latest."""
        stop = self.following(course)
        return stop if course.flags is None else jnp.minimum(stop, course.flags.until)

    def going(self, course: Progress) -> Bool[Array, " lane"]:
        """Return which lanes are still stepping: not yet at the end, and not failed."""
        return (course.time < self.length) & (course.status == Status.SOLVED)


def judged(
    status: Int[Array, " lane"],
    refused: Bool[Array, " lane"],
    finite: Bool[Array, " lane"],
    tiny: Bool[Array, " lane"],
    spent: Bool[Array, " lane"],
    unfinished: Bool[Array, " lane"],
) -> Int[Array, " lane"]:
    """Return each lane's status after a step: solved so far, or why it failed."""
    why = jnp.where(finite, int(Status.STEP_TOO_SMALL), int(Status.NON_FINITE))
    status = jnp.where(refused & tiny, why, status)
    # The last step allowed may still be the one that arrives.
    limit = spent & unfinished & (status == Status.SOLVED)
    return jnp.where(limit, int(Status.STEP_LIMIT), status)

"""Forcing that comes and goes between a step's stages, unseen by its error estimate.

An error estimate knows the derivatives in the few places that a step looks at. What
drives the equations and is known beforehand, as a function of the clock or as a drug in
closed form, is cheap to look at more often: a step that would pass over a rise and fall
of it, and whose derivatives would mind, is too long.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.solver.field import Field
from vtrial.solver.method import Amounts

SEEN = (0.0, 0.161, 0.327, 0.655, 0.9, 1.0)  # parts of a step that are looked at anyway
EVEN = 10  # places in a step
NEARER = 16  # places, each so much nearer to its beginning
RATIO = 1.6
COUNT = len(SEEN) + EVEN + NEARER
UNLIKE = 0.3  # of its range: from here on something has come and gone unseen

Look = Callable[[Array], Sequence[Array]]
Hold = Callable[[int, Array], Field]
Error = Callable[[Amounts], Float[Array, " lane"]]


def unseen(
    field: Field,
    time: Float[Array, " lane"],
    size: Float[Array, " lane"],
    before: Amounts,
    after: Amounts,
    scaled: Error,
) -> Float[Array, " lane"]:
    """Return the scaled error of a step that passes over a drive of the clock.

    `scaled` makes one of the errors of the states.
    """
    drives = field.model.structure.drives

    def look(when: Array) -> Sequence[Array]:
        return field.drives_at(when)

    def hold(place: int, value: Array) -> Field:
        return field.holding({drives[place].name: value})

    return _passed_over(field, look, hold, time, size, (before, after), scaled)


def unseen_driver(
    field: Field,
    size: Float[Array, " lane"],
    amounts: Amounts,
    scaled: Error,
) -> Float[Array, " lane"]:
    """Return the scaled error of a first step that passes over its driver.

    It is that of the driver's states, which begin anew with each interval.
    """
    drive = field.drive
    assert drive is not None  # it is asked of hybrids only
    places = sorted(drive(jnp.zeros_like(size)))

    def look(when: Array) -> Sequence[Array]:
        found = drive(when)
        return [found[place] for place in places]

    def hold(place: int, value: Array) -> Field:
        return field.driven_by(lambda when: drive(when) | {places[place]: value})

    zero = jnp.zeros_like(size)
    return _passed_over(field, look, hold, zero, size, (amounts, amounts), scaled)


def _passed_over(
    field: Field,
    look: Look,
    hold: Hold,
    time: Float[Array, " lane"],
    size: Float[Array, " lane"],
    ends: tuple[Amounts, Amounts],
    scaled: Error,
) -> Float[Array, " lane"]:
    """Compare drives with straight lines between the places that are seen.

    Where one is most unlike, by much of its range, the derivatives are compared with
    what they are by the line. No array is known beforehand, so that a kernel for
    graphics processors may do this.
    """
    parts = _parts(size)
    error = jnp.zeros_like(size)
    for number, values in enumerate(look(time[None] + parts * size[None])):
        values = jnp.broadcast_to(values, parts.shape)
        lines = _lines(parts, values)
        apart = jnp.abs(values - lines)
        most = jnp.max(apart, axis=0)
        # A smooth bend is the error estimate's; what comes and goes is not.
        gross = most > UNLIKE * (jnp.max(values, axis=0) - jnp.min(values, axis=0))
        part = jnp.max(jnp.where(apart == most[None], parts, 0.0), axis=0)
        line = jnp.max(jnp.where(parts == part[None], lines, -jnp.inf), axis=0)
        when = time + part * size
        there = tuple(b + part * (a - b) for b, a in zip(*ends, strict=True))
        real, by_line = field(when, there), hold(number, line)(when, there)
        missed = tuple(size * (r - s) for r, s in zip(real, by_line, strict=True))
        error = jnp.maximum(error, jnp.where(gross, scaled(missed), 0.0))
    return error


def _parts(like: Float[Array, " lane"]) -> Float[Array, "place lane"]:
    """Return parts of a step: those that are seen first, then others crowded early."""
    shape = (COUNT, like.shape[0])
    place = lax.broadcasted_iota(like.dtype, shape, 0)
    even = (place - len(SEEN) + 0.5) / EVEN
    near = jnp.exp(-math.log(RATIO) * (place - len(SEEN) - EVEN + 1.0))
    parts = jnp.where(place < len(SEEN) + EVEN, even, near)
    for number, part in enumerate(SEEN):
        parts = jnp.where(place == number, part, parts)
    return parts


def _lines(
    parts: Float[Array, "place lane"], values: Float[Array, "place lane"]
) -> Float[Array, "place lane"]:
    """Return what is on straight lines between the places that are seen."""
    place = lax.broadcasted_iota(parts.dtype, parts.shape, 0)
    seen = [
        jnp.sum(jnp.where(place == number, values, 0.0), axis=0)[None]
        for number in range(len(SEEN))
    ]
    lines = jnp.broadcast_to(seen[0], parts.shape)
    for number, (low, high) in enumerate(itertools.pairwise(SEEN)):
        rise = (seen[number + 1] - seen[number]) / (high - low)
        lines = jnp.where(parts >= low, seen[number] + (parts - low) * rise, lines)
    return lines

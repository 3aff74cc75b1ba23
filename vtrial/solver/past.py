"""A solution's past: its latest steps, each with its dense output, to be read again.

Every lane has rings of its own, of steps and of the places where the solution is not
smooth. A moment is found among the steps by halving.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Bool, Float, Int, Shaped

from vtrial.solver.dense_output import Polynomial
from vtrial.solver.trajectory import Past

DEGREE = 4  # of dense output
PARTS = DEGREE + 1  # coefficients of a state
BEYOND = 1.5  # of a step: as far as its dense output is followed to guess a step size
ULPS = 32.0  # of the clock, by which a sum of times may be off

register_namedtuple_serialization(Past, serialized_name="vtrial:Past")


def first_past(
    initial: Sequence[Float[Array, " lane"]], time: Float[Array, " lane"], steps: int
) -> Past:
    """Return a past of initial values, with room for so many steps."""
    lanes, real = time.shape[0], initial[0].dtype
    zero = jnp.zeros_like(initial[0])
    row = [zero]
    for value in initial:
        row += [value, *[zero] * DEGREE]
    course = jnp.zeros((lanes, steps, len(row)), real)
    never = jnp.full((lanes, steps), jnp.inf, time.dtype)
    return Past(
        begun=never.at[:, 0].set(-jnp.inf),
        course=course.at[:, 0].set(jnp.stack(row, axis=1)),
        steps=jnp.ones((lanes,), int),
        mark=never,
        order=jnp.zeros((lanes, steps), int),
        marks=jnp.zeros((lanes,), int),
    )


def slack(
    clock: Float[Array, "*any"], by: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    """Return by how much a sum of a clock and a delay may be off [h]."""
    return ULPS * jnp.finfo(clock.dtype).eps * (jnp.abs(clock) + by)


def with_step(
    past: Past,
    begun: Float[Array, " lane"],
    size: Float[Array, " lane"],
    courses: Sequence[Polynomial],
    here: Bool[Array, " lane"],
) -> Past:
    """Add a step to the lanes that are `here`; `begun` [h] is of the clock."""
    row = jnp.stack([1 / size, *(c for each in courses for c in each)], axis=1)
    at = jnp.where(here, past.steps % past.begun.shape[1], past.begun.shape[1])
    return past._replace(
        begun=_written(past.begun, at, begun),
        course=_written(past.course, at, row),
        steps=past.steps + here.astype(int),
    )


def with_mark(
    past: Past,
    time: Float[Array, " lane"],
    order: Int[Array, " lane"],
    here: Bool[Array, " lane"],
) -> Past:
    """Mark a place [h] of the lanes that are `here`."""
    at = jnp.where(here, past.marks % past.mark.shape[1], past.mark.shape[1])
    return past._replace(
        mark=_written(past.mark, at, time),
        order=_written(past.order, at, order),
        marks=past.marks + here.astype(int),
    )


def _written(
    ring: Shaped[Array, "lane step *part"],
    at: Int[Array, " lane"],
    row: Shaped[Array, "lane *part"],
) -> Shaped[Array, "lane step *part"]:
    """Write a row into each lane's ring; into none where it would be beyond its end.

    Lane by lane: XLA ends the process where it puts two scatters, of a solution and of
    its derivatives, into one kernel.
    """
    room, zeros = ring.shape[1], (0,) * (ring.ndim - 2)
    size = (1, 1, *ring.shape[2:])

    def write(lane: Array, ring: Array) -> Array:
        place = (lane, jnp.minimum(at[lane], room - 1), *zeros)
        old = lax.dynamic_slice(ring, place, size)
        new = jnp.where(at[lane] < room, row[lane].reshape(size), old)
        return lax.dynamic_update_slice(ring, new, place)

    return lax.fori_loop(0, ring.shape[0], write, ring)


def marks_before(past: Past, time: Float[Array, " lane"]) -> Int[Array, " lane"]:
    """Count the marks, of all that ever were, up to a time [h]."""
    lost = jnp.maximum(past.marks - past.mark.shape[1], 0)
    return lost + jnp.sum(past.mark <= time[:, None], axis=1, dtype=int)


def mark_at(
    past: Past, number: Int[Array, " lane"]
) -> tuple[Float[Array, " lane"], Int[Array, " lane"]]:
    """Return time [h] and order of the mark of a number; infinity if there is none."""
    place = (number % past.mark.shape[1])[None]
    time, order = _taken(past.mark, place)[0], _taken(past.order, place)[0]
    return jnp.where(number < past.marks, time, jnp.inf), order


def is_kept(past: Past, time: Float[Array, " lane"]) -> Bool[Array, " lane"]:
    """Return whether the past is still known at a time [h]."""
    room = past.begun.shape[1]
    oldest = jnp.maximum(past.steps - room, 0) % room
    begun = _taken(past.begun, oldest[None])[0]
    return begun <= time


def value_at(
    past: Past,
    time: Float[Array, "place lane"],
    lean: Float[Array, "place lane"],
    number: int,
) -> Float[Array, "place lane"]:
    """Return a state at some times [h], by its number among those that are kept.

    Where one step ends and another begins, a positive `lean` [h] takes the later.
    """
    row = _step_at(past, time + lean)
    begun = _taken(past.begun, row)
    known = jnp.isfinite(begun)
    since = jnp.where(known, time - jnp.where(known, begun, 0.0), 0.0)
    size, *course = _parts_of(past.course, row, number)
    part = jnp.minimum(since.astype(size.dtype) * size, BEYOND)
    # Horner's rule.
    total = course[-1]
    for coefficient in reversed(course[:-1]):
        total = coefficient + part * total
    return total


def _parts_of(
    course: Float[Array, "lane step part"], row: Int[Array, "place lane"], number: int
) -> list[Float[Array, "place lane"]]:
    """Take one over the size of each lane's step at some places, and a state's course.

    One by one: XLA ends the process at some programs that take them together.
    """
    lanes, room, parts = course.shape
    flat, first = course.reshape(-1), (jnp.arange(lanes)[None] * room + row) * parts
    begin = 1 + number * PARTS
    return [flat[first + place] for place in (0, *range(begin, begin + PARTS))]


def _taken(
    ring: Shaped[Array, "lane step"], place: Int[Array, "place lane"]
) -> Shaped[Array, "place lane"]:
    """Take each lane's entries at some places of its ring."""
    lanes, room = ring.shape
    return ring.reshape(-1)[jnp.arange(lanes)[None] * room + place]


def _step_at(past: Past, time: Float[Array, "place lane"]) -> Int[Array, "place lane"]:
    """Return where in the ring the last step stands that began by a time [h]."""
    room = past.begun.shape[1]
    lost = jnp.broadcast_to(jnp.maximum(past.steps - room, 0), time.shape)
    newest = jnp.broadcast_to(past.steps - 1, time.shape)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high + 1) // 2
        by_then = _taken(past.begun, middle % room) <= time
        low = jnp.where(by_then, middle, low)
        return low, jnp.where(by_then, high, jnp.maximum(middle - 1, low))

    # A loop, for written out XLA would fuse, and compute, it many times over.
    halvings = (room - 1).bit_length()
    return lax.fori_loop(0, halvings, halve, (lost, newest))[0] % room

"""What comes and goes while a step looks elsewhere.

An error estimate knows the derivatives in the few places that a step looks at. What
drives the equations and is known beforehand, as a function of the clock or as a drug in
closed form, is cheap to look at more often: a step that would pass over a rise and fall
of it, and whose derivatives would mind, is too long.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.solver.field import Field
from vtrial.solver.method import Amounts

SEEN = (0.0, 0.161, 0.327, 0.655, 0.9, 1.0)  # parts of a step that are looked at anyway
EVEN = 8  # places in a step
NEARER = 16  # places, each so much nearer to its beginning
RATIO = 1.6
UNLIKE = 0.3  # of its range: from here on something has come and gone unseen

Look = Callable[[Array], Sequence[Array]]
Hold = Callable[[int, Array], Field]
Error = Callable[[Amounts], Float[Array, " lane"]]


def _places() -> np.ndarray:
    """Return parts of a step, crowded towards its beginning."""
    even = (np.arange(EVEN) + 0.5) / EVEN
    near = RATIO ** -np.arange(1.0, NEARER + 1)
    return np.sort(np.concatenate([even, near]))


PLACES = _places()
WEIGHTS = np.stack(  # of what is seen, for straight lines between
    [np.interp(PLACES, SEEN, unit) for unit in np.eye(len(SEEN))], axis=1
)


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
    """Return the scaled error of a first step that passes over what drives.

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
    what they are by the line.
    """
    places = jnp.asarray(PLACES, size.dtype)[:, None]
    seen = jnp.asarray(SEEN, size.dtype)[:, None]
    weights = jnp.asarray(WEIGHTS, size.dtype)
    looked = look(time[None] + places * size[None])
    nodes = look(time[None] + seen * size[None])
    error = jnp.zeros_like(size)
    for number, (values, known) in enumerate(zip(looked, nodes, strict=True)):
        values = jnp.broadcast_to(values, (len(PLACES), size.shape[0]))
        known = jnp.broadcast_to(known, (len(SEEN), size.shape[0]))
        lines = weights @ known
        apart = jnp.abs(values - lines)
        highest = jnp.maximum(jnp.max(values, axis=0), jnp.max(known, axis=0))
        lowest = jnp.minimum(jnp.min(values, axis=0), jnp.min(known, axis=0))
        place = jnp.argmax(apart, axis=0)[None]
        part = jnp.take(places[:, 0], place[0])
        gross = jnp.max(apart, axis=0) > UNLIKE * (highest - lowest)
        when = time + part * size
        line = jnp.take_along_axis(lines, place, axis=0)[0]
        there = tuple(b + part * (a - b) for b, a in zip(*ends, strict=True))
        real, by_line = field(when, there), hold(number, line)(when, there)
        missed = tuple(size * (r - s) for r, s in zip(real, by_line, strict=True))
        error = jnp.maximum(error, jnp.where(gross, scaled(missed), 0.0))
    return error

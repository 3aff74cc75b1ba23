"""The first step size of an interval."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.solver.drives import unseen_driver
from vtrial.solver.field import Field
from vtrial.solver.method import Amounts
from vtrial.solver.tolerance import mean_square, scaled, tolerated

SHRINK = 0.2  # a step that is refused, at most
NEARER = 2  # times a first step is made shorter at most, so that what drives is seen


def first_size(
    field: Field,
    rtol: float,
    time: Float[Array, " lane"],
    amounts: Amounts,
    length: Float[Array, " lane"],
    before: Float[Array, " lane"],
) -> Float[Array, " lane"]:
    """Choose a step size: as before an event, or a hundredth of the time scale.

    Hairer, Norsett, Wanner (1993) Solving ODEs I, II.4. A size from before is no more
    than the time scale: it may have grown at rest, and an error estimate of many time
    scales is small by chance. Where something else drives the equations, the states
    alone do not tell their time scale: there the rule's second half looks at how soon
    the derivatives change.
    """
    field, amounts, time = field.still(), *lax.stop_gradient((amounts, time))
    flow = field(time, amounts)
    weights = [
        tolerated(rtol, least, a, a)
        for least, a in zip(field.atol, amounts, strict=True)
    ]
    extent = mean_square([a / w for a, w in zip(amounts, weights, strict=True)])
    speed = mean_square([f / w for f, w in zip(flow, weights, strict=True)])
    usable = (speed > 0) & jnp.isfinite(speed) & (extent > 0)
    guess = 0.01 * extent / jnp.where(usable, speed, 1.0)
    guess = jnp.where(usable, guess, 1e-3 * length)
    guess = jnp.where(guess > 0, guess, 1e-6)
    # The guess is a hundredth of the time scale.
    scale = jnp.where(usable, 100 * guess, guess)
    if not field.is_autonomous:
        ahead = tuple(a + guess * f for a, f in zip(amounts, flow, strict=True))
        # The rule's second half: an Euler step shows how soon derivatives change.
        later = field(time + guess, ahead)
        bends = [
            (b - a) / (guess * w) for a, b, w in zip(flow, later, weights, strict=True)
        ]
        soon = jnp.sqrt(extent / jnp.maximum(mean_square(bends), 1e-30))
        bent = (extent > 0) & jnp.isfinite(soon)
        scale = jnp.where(bent, jnp.minimum(scale, soon), scale)
        guess = jnp.where(bent, jnp.minimum(guess, 0.1 * soon), guess)
    size = jnp.where(before > 0, jnp.minimum(before, scale), guess)
    return lax.stop_gradient(size)


def nearer(
    field: Field, rtol: float, size: Float[Array, " lane"], amounts: Amounts
) -> Float[Array, " lane"]:
    """Shorten a first step until it does not pass over its driver."""
    field, amounts = field.still(), lax.stop_gradient(amounts)

    def error_of(errors: Amounts) -> Float[Array, " lane"]:
        return scaled(rtol, field.atol, errors, amounts, amounts)

    def shorten(_: Array, size: Float[Array, " lane"]) -> Float[Array, " lane"]:
        error = unseen_driver(field, size, amounts, error_of)
        return jnp.where(error > 1, SHRINK * size, size)

    return lax.fori_loop(0, NEARER, shorten, lax.stop_gradient(size))

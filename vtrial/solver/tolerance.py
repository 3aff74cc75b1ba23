"""Error norms of a step: the solution's, and that of the sensitivities beside it.

Derivatives that are followed beside a solution by its own steps are right only if these
steps suit them, too. Where the solution rests, as a body at its baseline does, any step
does for it, and an explicit method would let a change of the baseline grow without
bound. So the error of derivatives counts as the solution's does, as in CVODES.
They are to be of the solution's size: derivatives by the logarithm of what is changed.

References
----------
Hindmarsh A.C. and others (2005) ACM Trans. Math. Softw. 31:363-396, section 2.6.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from vtrial.solver.method import Amounts

PART = 0.1  # of the solution, by which derivatives by a logarithm count at least

NOISE = 10.0  # times the absolute tolerance, an amount below nothing may be error


def scaled(
    rtol: float, atol: Amounts, errors: Amounts, before: Amounts, after: Amounts
) -> Float[Array, " lane"]:
    """Return the error norm: the root mean square of errors over tolerances.

    `atol` has a tolerance for each state. Where derivatives are followed, it is the
    largest of the solution's and theirs; it has no derivative itself.
    """
    atol = lax.stop_gradient(atol)
    own = mean_square(
        [
            e / tolerated(rtol, least, a, b)
            for e, least, a, b in zip(errors, atol, before, after, strict=True)
        ]
    )
    return _watched(rtol, own, atol, errors, before, after)


def tolerated(
    rtol: float,
    atol: Float[Array, " lane"],
    before: Float[Array, " lane"],
    after: Float[Array, " lane"],
) -> Float[Array, " lane"]:
    """Return a state's tolerated error: atol + rtol |state|."""
    return atol + rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))


def leap(
    rtol: float,
    atol: Float[Array, " lane"],
    before: Float[Array, " lane"],
    after: Float[Array, " lane"],
) -> Float[Array, " lane"]:
    """Return the ratio by which a step that turns a state negative is too long.

    An elimination that is saturated is as straight as a line, and its error estimate
    nothing, until the amount is used up: a step may end beyond, where the equations
    mean something else (over the pole of Michaelis and Menten's, say), with no error
    to be seen. It is the ratio of the step to the one that a straight line has to zero;
    0 where a state ends so near to zero that it may be an error, or was below before.
    """
    noise = NOISE * atol + rtol * jnp.abs(before)
    leaps = (before > -noise) & (after < -noise)
    positive = jnp.maximum(before, noise)
    return jnp.where(leaps, (positive - after) / positive, 0.0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _watched(
    rtol: float,
    own: Float[Array, " lane"],
    atol: Amounts,
    errors: Amounts,
    before: Amounts,
    after: Amounts,
) -> Float[Array, " lane"]:
    """Return the solution's error norm; under `jvp` sensitivities count, too."""
    del rtol, atol, errors, before, after
    return own


def _watch(
    rtol: float, primals: tuple, tangents: tuple
) -> tuple[Float[Array, " lane"], Float[Array, " lane"]]:
    """Let the errors of sensitivities count where there are any.

    They are tolerated as errors of the solution are, and by a part of it more: what is
    nothing beside the solution may be rounding.
    """
    own, atol, _, before, after = primals
    none = jnp.zeros_like(own)
    # A symbolic zero: what does not depend on the parameter has no error.
    errors, was, now = (
        [none if isinstance(t, SymbolicZero) else t for t in part]
        for part in tangents[2:]
    )
    own, before, after, errors, was, now = lax.stop_gradient(
        (own, before, after, errors, was, now)
    )
    theirs = [
        e / (tolerated(rtol, least, a, b) + PART * tolerated(rtol, least, x, y))
        for e, least, a, b, x, y in zip(
            errors, atol, was, now, before, after, strict=True
        )
    ]
    # No derivative of its own: the norm controls steps, and sizes are constants.
    return _worst(own, mean_square(theirs)), none


_watched.defjvp(_watch, symbolic_zeros=True)


@jax.custom_batching.custom_vmap
def _worst(
    own: Float[Array, " lane"], theirs: Float[Array, " lane"]
) -> Float[Array, " lane"]:
    """Return the larger norm; all sensitivities share the solution's steps."""
    return jnp.maximum(own, theirs)


@_worst.def_vmap
def _of_all(
    size: int, batched: list[bool], own: Array, theirs: Array
) -> tuple[Array, bool]:
    """Batch: of directions only if the solution is not batched."""
    if not batched[0]:
        return _worst(own, jnp.max(theirs, axis=0)), False
    if not batched[1]:
        theirs = jnp.broadcast_to(theirs, (size, *theirs.shape))
    return jnp.maximum(own, theirs), True


def mean_square(parts: Sequence[Float[Array, " lane"]]) -> Float[Array, " lane"]:
    """Return the root mean square, with a finite slope at zero."""
    total = sum((part * part for part in parts[1:]), parts[0] * parts[0])
    positive = total > 0
    # The slope of a square root at zero is infinite: guard its argument.
    root = jnp.sqrt(jnp.where(positive, total, 1.0) / len(parts))
    # NaN passes through, so that a step that overflows is refused.
    return jnp.where(positive, root, jnp.where(total == 0, 0.0, total))

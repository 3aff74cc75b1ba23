"""Dense matrices of many lanes: exponentials and inverses in plain array operations.

LAPACK is not asked: JAX's calls of it from several threads of a process wait for each
other forever (seen with jaxlib 0.10), and for matrices of this size it is no faster.

References
----------
Paterson M.S., Stockmeyer L.J. (1973) SIAM J. Comput. 2:60-66.
Higham N.J. (2008) Functions of Matrices, section 10.3: scaling and squaring.
"""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

DEGREE = 16  # of the Taylor polynomial
SIZE = 0.78  # norm up to which it has 53 bits (Higham 2008, table 10.1 continued)
SQUARINGS = 48

Matrix = Float[Array, "lane row column"]


def exponential(matrix: Matrix) -> Matrix:
    """Return the exponential of each lane's matrix."""
    size = matrix.shape[1]
    norm = jnp.max(jnp.sum(jnp.abs(matrix), axis=1), axis=1)
    # Scaling and squaring: halve the matrix until the polynomial is exact to 53 bits.
    known = jnp.isfinite(norm) & (norm > 0)
    halvings = jnp.ceil(jnp.log2(jnp.where(known, norm, 1.0) / SIZE))
    times = jnp.clip(halvings, 0, SQUARINGS).astype(int)
    scale = jnp.exp2(-times.astype(matrix.dtype))
    power = _taylor(matrix * scale[:, None, None], jnp.eye(size, dtype=matrix.dtype))

    def more(state: tuple[Int[Array, ""], Matrix]) -> Array:
        return state[0] < jnp.max(times)

    def square(state: tuple[Int[Array, ""], Matrix]) -> tuple[Array, Array]:
        done, power = state
        # A lane squares as often as it was halved, however often the others do.
        wanted = (done < times)[:, None, None]
        return done + 1, jnp.where(wanted, power @ power, power)

    return lax.while_loop(more, square, (jnp.zeros((), int), power))[1]


def _taylor(matrix: Matrix, one: Float[Array, "row column"]) -> Matrix:
    """Evaluate the polynomial in six products."""
    second = matrix @ matrix
    third, fourth = second @ matrix, second @ second
    powers = (jnp.broadcast_to(one[None], matrix.shape), matrix, second, third)

    def part(first: int) -> Matrix:
        terms = [p / math.factorial(first + k) for k, p in enumerate(powers)]
        return terms[0] + terms[1] + terms[2] + terms[3]

    total = part(DEGREE - 4) + fourth / math.factorial(DEGREE)
    for first in range(DEGREE - 8, -1, -4):
        total = part(first) + fourth @ total
    return total


def inverse(matrix: Matrix) -> Matrix:
    """Invert each lane's matrix by Gauss and Jordan, the largest pivot first.

    A singular matrix gives what is not finite.
    """
    lanes, size, _ = matrix.shape
    one = jnp.broadcast_to(jnp.eye(size, dtype=matrix.dtype)[None], matrix.shape)
    whole = jnp.concatenate([matrix, one], axis=2)
    rows = jnp.arange(size)[None]

    def eliminate(place: Int[Array, ""], whole: Array) -> Array:
        column = jnp.take(whole, place, axis=2)
        left = jnp.where(rows >= place, jnp.abs(column), -1.0)
        pivot = jnp.argmax(left, axis=1)
        here = (rows == place)[..., None]
        there = (rows == pivot[:, None])[..., None]
        taken = jnp.take_along_axis(whole, pivot[:, None, None], axis=1)
        given = lax.dynamic_slice_in_dim(whole, place, 1, axis=1)
        whole = jnp.where(here, taken, jnp.where(there, given, whole))
        row = taken / jnp.take(taken, place, axis=2)[..., None]
        factor = jnp.take(whole, place, axis=2)[..., None]
        return jnp.where(here, row, whole - factor * row)

    del lanes
    return lax.fori_loop(0, size, eliminate, whole)[:, :, size:]

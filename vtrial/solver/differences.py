"""Divided differences of the exponential function, wherever its nodes lie.

References
----------
McCurdy A., Ng K.C., Parlett B.N. (1984) Math. Comput. 43:501-528.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

NEAR = 0.1  # exponents nearer than this are treated by series
CLOSE = 1e-3  # two exponents nearer than this are
NARROW = 0.03  # an exponent below this loses digits of 1 - exp(-x)
SERIES = tuple((-1) ** k / math.factorial(k + 1) for k in range(8))
TERMS = 10  # of the series: enough for float64 at NEAR

Real = Float[Array, "..."]


def divided_differences(nodes: Sequence[Real], time: Real) -> list[list[Real]]:
    """Return f[x_i, ..., x_{i+k}] as [i][k] for f(x) = exp(-x time), x ascending.

    The sign is that of differences in -x: all values are positive. Where nodes
    lie close, by series (complete homogeneous polynomials), else by recursion.
    """
    count = len(nodes)
    plain = [jnp.exp(-node * time) for node in nodes]
    table = [[value] for value in plain]
    for i in range(count - 1):
        width = (nodes[i + 1] - nodes[i]) * time
        table[i].append(plain[i] * time * mean_decay(width))
    series = _series(nodes, time) if count > 2 else []
    for order in range(2, count):
        for i in range(count - order):
            gap = nodes[i + order] - nodes[i]
            far = gap * time >= NEAR
            # The quotient of two near exponentials would lose its digits.
            safe = jnp.where(far, gap, 1.0)
            across = (table[i][order - 1] - table[i + 1][order - 1]) / safe
            near = plain[i] * time**order * series[order - 1][i]
            table[i].append(jnp.where(far, across, near))
    return table


def mean_decay(width: Real) -> Real:
    """Return (1 - exp(-x)) / x, with slopes that keep their digits."""
    near = jnp.abs(width) < CLOSE
    safe = jnp.where(near, 1.0, width)
    series = 1 + width * (-1 / 2 + width * (1 / 6 + width * (-1 / 24 + width / 120)))
    return jnp.where(near, series, -jnp.expm1(-safe) / safe)


def mean_of_decay(width: Real, decay: Real) -> Real:
    """Return (1 - exp(-x)) / x where exp(-x) is known."""
    near = jnp.abs(width) < NARROW
    safe = jnp.where(near, 1.0, width)
    series = jnp.full_like(width, SERIES[-1])
    for weight in SERIES[-2::-1]:
        series = weight + width * series
    return jnp.where(near, series, (1.0 - decay) / safe)


def _series(nodes: Sequence[Real], time: Real) -> list[list[Real]]:
    """Return, by order and first node, sum over m of h_m(w_1, ..., w_k) / (m + k)!.

    Here w_j = (x_i - x_{i+j}) time, and the complete homogeneous polynomials obey
    h_m(.., w_k) = h_m(..) + w_k h_{m-1}(.., w_k).
    """
    count = len(nodes)
    found: list[list[Real]] = [[] for _ in range(count - 1)]
    for i in range(count - 1):
        orders = range(1, count - i)
        # Where nodes are far apart the series is not used, and must not overflow.
        shifts = [jnp.maximum((nodes[i] - nodes[i + k]) * time, -NEAR) for k in orders]
        complete = [jnp.ones_like(shift) for shift in shifts]
        totals = [
            one / math.factorial(k) for k, one in zip(orders, complete, strict=True)
        ]
        for m in range(1, TERMS):
            before = jnp.zeros_like(shifts[0])
            for place, shift in enumerate(shifts):
                before = before + shift * complete[place]
                complete[place] = before
                totals[place] = totals[place] + before / math.factorial(m + place + 1)
        for place, total in enumerate(totals):
            found[place].append(total)
    return found

"""Subjects that will take about as many steps are solved side by side.

All lanes of a chunk wait for the slowest. How many steps a subject takes is not known
beforehand, but goes with its fastest rate, which costs next to nothing: in the
workloads of `benchmarks.peers` the rank correlations are 0.66, 0.78 and 1.0.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod


def order_by_cost(
    layout: Layout,
    method: AbstractMethod,
    inputs: dict[str, Float[Array, "#subject period"]],
    count: Int[Array, ""],
    size: int,
) -> Int[Array, " subject"]:
    """Return `size` subjects in rising order of cost, those from `count` on last."""
    rate = jnp.broadcast_to(_fastest_rate(layout, method, inputs), (size,))
    rate = jnp.where(jnp.isfinite(rate), rate, jnp.finfo(rate.dtype).max)
    return jnp.argsort(jnp.where(jnp.arange(size) < count, rate, jnp.inf))


def reorder(tree: Any, order: Int[Array, " subject"]) -> Any:
    """Take subjects in another order; what is shared stays."""

    def take(value: Array) -> Array:
        return value if value.shape[0] == 1 else jnp.take(value, order, axis=0)

    return jax.tree.map(take, tree)


def _fastest_rate(
    layout: Layout,
    method: AbstractMethod,
    inputs: dict[str, Float[Array, "#subject period"]],
) -> Float[Array, "#subject"]:
    """Bound the eigenvalues at the initial values by Gershgorin's circles.

    The inputs are those of the first period; only states that are stepped through
    count.
    """
    model = layout.model
    first = {name: value[:, 0].astype(float) for name, value in inputs.items()}
    individual = model.individual(first)
    rows = model.jacobian(0.0, model.initial(individual), individual)
    stepped = getattr(method, "stepped", range(len(rows)))
    radius = jnp.zeros((1,))
    for i in stepped:
        entries = [rows[i][j] for j in stepped]
        sizes = [jnp.abs(e).reshape(-1) for e in entries if e is not None]
        if sizes:
            radius = jnp.maximum(radius, sum(sizes[1:], sizes[0]))
    return radius

"""Subjects that will take about as many steps are solved side by side.

All lanes of a chunk wait for the slowest. How many steps a subject takes is not known
beforehand, but goes with its fastest rate, which costs next to nothing: in the
workloads of `benchmarks.peers` the rank correlations are 0.66, 0.78 and 1.0.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from vtrial.model.model import Model
from vtrial.solver.choice import Choice
from vtrial.solver.layout import Layout
from vtrial.solver.method import AbstractMethod
from vtrial.types import Method


def order_by_cost(
    layout: Layout,
    method: AbstractMethod,
    inputs: dict[str, Float[Array, "#subject period"]],
    count: Int[Array, ""],
    size: int,
) -> Int[Array, " subject"]:
    """Return `size` subjects in rising order of cost, those from `count` on last."""
    stepped = getattr(method, "stepped", range(len(layout.model.states)))
    rate = fastest_rate(layout.model, stepped, inputs)
    rate = jnp.broadcast_to(rate, (size,))
    # Padding sorts behind all subjects, those without a finite rate included.
    rate = jnp.where(jnp.isfinite(rate), rate, jnp.finfo(rate.dtype).max)
    return jnp.argsort(jnp.where(jnp.arange(size) < count, rate, jnp.inf))


def reorder(tree: Any, order: Int[Array, " subject"]) -> Any:
    """Take subjects in another order; what is shared stays."""

    def take(value: Array) -> Array:
        return value if value.shape[0] == 1 else jnp.take(value, order, axis=0)

    return jax.tree.map(take, tree)


def fastest_rate(
    model: Model,
    stepped: Sequence[int],
    inputs: Mapping[str, Float[Array, "#subject period"]],
) -> Float[Array, "#subject"]:
    """Bound the eigenvalues at the initial values by Gershgorin's circles.

    The inputs are those of the first period; only states at the positions `stepped`
    count.
    """
    first = {name: value[:, 0].astype(float) for name, value in inputs.items()}
    individual = model.individual(first)
    rows = model.jacobian(0.0, model.initial(individual), individual)
    radius = jnp.zeros((1,))
    for i in stepped:
        entries = [rows[i][j] for j in stepped]
        sizes = [jnp.abs(e).reshape(-1) for e in entries if e is not None]
        if sizes:
            radius = jnp.maximum(radius, sum(sizes[1:], sizes[0]))
    return radius


@functools.partial(jax.jit, static_argnums=(0, 1))
def _rates(
    model: Model,
    stepped: tuple[int, ...],
    inputs: dict[str, Float[Array, "#subject period"]],
) -> Float[Array, "#subject"]:
    """Return the bounds, those of the typical subject first."""
    return fastest_rate(model, stepped, inputs)


def parted(
    model: Model,
    choice: Choice,
    inputs: Mapping[str, Float[ArrayLike, "#subject period"]],
) -> Sequence[tuple[Method | None, np.ndarray | None]]:
    """Split subjects by the method that solves them; None stands for all.

    It goes by each subject's inputs alone, so that no company changes an answer.
    """
    if choice.methods is None:
        return [(choice.method, None)]
    driven = model.structure.driven
    stepped = tuple(i for i, s in enumerate(model.states) if s not in driven)
    typical = model.typical()
    count = max(np.shape(value)[0] for value in inputs.values())
    lanes = 1 << count.bit_length()  # so that few numbers of rows are compiled
    first = {
        name: np.pad(
            np.broadcast_to(np.asarray(value)[:, :1], (count, 1)),
            ((1, lanes - count), (0, 0)),
            constant_values=1.0 if np.isnan(typical[name]) else typical[name],
        )
        for name, value in inputs.items()
    }
    rates = np.asarray(_rates(model, stepped, first))
    rates = np.broadcast_to(rates, (lanes + 1,))
    stiff = rates[1 : count + 1] > choice.border * rates[0]
    found: list[tuple[Method | None, np.ndarray | None]] = []
    for name, kind in zip(choice.methods, (False, True), strict=True):
        rows = np.flatnonzero(stiff == kind)
        if len(rows) == count:
            return [(name, None)]
        if len(rows):
            found.append((name, rows))
    return found

"""Linear compartments in closed form, as the forcing of the other equations.

Within an interval without events its amounts are sums of a few functions of time with
constant coefficients. The functions are a slowest exponential and, for each two
neighbouring eigenvalues, the divided difference between their exponentials: where two
eigenvalues meet, that stays what it is, and costs no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.model.compartments import Compartments
from vtrial.solver.differences import mean_decay, mean_of_decay
from vtrial.solver.linear_pk import Amounts, Body, powers

APART = 1e-7  # of their size: three eigenvalues are held at least so far apart
LEAST = 1e-9  # [1/h] and at least so far

Lane = Float[Array, "..."]
Weights = list[Lane]  # of the functions of time


class Forcing(NamedTuple):
    """Amounts as functions of time: coefficients by state, then by function."""

    nodes: tuple[Lane, ...]
    weights: tuple[tuple[Lane, ...], ...]


@dataclass(frozen=True)
class Driver:
    """Linear compartments that force other equations, with infusions or without."""

    shape: Compartments
    forced: bool

    def course(self, body: Body, amounts: Amounts, rates: Amounts) -> Forcing:
        """Return the amounts as functions of time since an interval began."""
        nodes = _apart(body.nodes, forced=self.forced)
        body = body._replace(nodes=nodes[1:] if self.forced else nodes)
        table = _table(nodes, forced=self.forced)
        free = table[1] if self.forced else table[0]
        parts = [(free, powers(self.shape, body, amounts))]
        if self.forced:
            parts.append((table[0][1:], powers(self.shape, body, rates)))
        size = len(nodes)
        weights = tuple(
            tuple(_total(parts, state, function) for function in range(size))
            for state in range(len(self.shape.states))
        )
        return Forcing(nodes, weights)

    def at(self, course: Forcing, time: Lane) -> Amounts:
        """Return the amounts some time [h] after the beginning."""
        nodes = course.nodes
        first = 1 if self.forced else 0
        if self.forced:  # one exponential gives both, each with all its digits
            width = nodes[1] * time
            decay = jnp.exp(-width)
            values = [time * mean_of_decay(width, decay), decay]
        else:
            values = [jnp.exp(-nodes[0] * time)]
        for slow, fast in zip(nodes[first:], nodes[first + 1 :], strict=False):
            # The first exponential is among the values already.
            decay = jnp.exp(-slow * time) if len(values) > first + 1 else values[first]
            values.append(decay * time * mean_decay((fast - slow) * time))
        return tuple(
            sum(
                (w * v for w, v in zip(row[1:], values[1:], strict=True)),
                row[0] * values[0],
            )
            for row in course.weights
        )


def _apart(nodes: Sequence[Lane], *, forced: bool) -> tuple[Lane, ...]:
    """Return the nodes in rising order, zero first for infusions; no three coincide."""
    held = [jnp.zeros_like(nodes[0])] if forced else []
    for node in nodes:
        if len(held) >= 2:
            # `_table` divides by the gaps between nodes two places apart, or more.
            least = held[-2] * (1 + APART) + LEAST
            node = jnp.maximum(node, least)
        held.append(node)
    return tuple(held)


def _table(nodes: Sequence[Lane], *, forced: bool) -> list[list[Weights]]:
    """Write f[x_i, ..., x_{i+k}] as [i][k], by weights of the functions of time.

    The functions are, in this order: f[x_0, x_1] if x_0 is the zero of infusions; the
    exponential of the first node; f[x_i, x_{i+1}] of the others.
    """
    count = len(nodes)
    zero, one = jnp.zeros_like(nodes[0]), jnp.ones_like(nodes[0])

    def unit(place: int) -> Weights:
        return [one if i == place else zero for i in range(count)]

    table: list[list[Weights]] = [[[]] for _ in nodes]
    first = 1 if forced else 0
    table[first][0] = unit(first)
    for i in range(count - 1):
        table[i].append(unit(i if i < first else i + 1))
    for order in range(2, count):
        for i in range(count - order):
            gap = nodes[i + order] - nodes[i]
            pair = zip(table[i][order - 1], table[i + 1][order - 1], strict=True)
            table[i].append([(a - b) / gap for a, b in pair])
    return table


def _total(
    parts: Sequence[tuple[Sequence[Weights], Sequence[Amounts]]],
    state: int,
    function: int,
) -> Lane:
    """Add up what every vector of every part brings to a state by one function."""
    terms = [
        weights[function] * vector[state]
        for table, vectors in parts
        for weights, vector in zip(table, vectors, strict=True)
    ]
    return sum(terms[1:], terms[0])

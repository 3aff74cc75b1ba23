"""One to three compartments: their rates, eigenvalues and amounts at any time.

The exponential of the rate matrix is written in Putzer's form, with divided
differences of the exponential function. It needs eigenvalues but no eigenvectors, so
nothing happens where two rates are equal.

References
----------
Putzer E.J. (1966) Am. Math. Mon. 73:2-7.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.model.compartments import Compartments
from vtrial.model.model import Model
from vtrial.solver.differences import divided_differences, mean_decay

LAGUERRE = 6  # iterations: cubic convergence from below the smallest root

Real = Float[Array, "..."]
Amounts = tuple[Real, ...]


class Body(NamedTuple):
    """Rate constants [1/h] of linear compartments, and their eigenvalues, ascending."""

    elimination: Real
    absorption: Real | None
    outward: tuple[Real, ...]
    inward: tuple[Real, ...]
    nodes: tuple[Real, ...]


def body_of(
    model: Model, individual: Mapping[str, Float[Array, "lane period"]]
) -> Body:
    """Compute the rates and eigenvalues of a model's driver."""
    rates = model.compartment_rates(individual)
    like = next(iter(individual.values()))

    def full(rate: Array) -> Array:
        return jnp.broadcast_to(rate.astype(like.dtype), like.shape)

    absorption = rates.get("absorption")
    outward = tuple(full(rate) for rate in rates["outward"])
    inward = tuple(full(rate) for rate in rates["inward"])
    elimination = full(rates["elimination"])  # type: ignore[arg-type]
    entry = None if absorption is None else full(absorption)  # type: ignore[arg-type]
    nodes = eigenvalues(elimination, outward, inward)
    nodes = _sorted(nodes if entry is None else (*nodes, entry))
    return Body(elimination, entry, outward, inward, nodes)


def solve_body(
    shape: Compartments, body: Body, time: Real, amounts: Amounts, rates: Amounts | None
) -> Amounts:
    """Return amounts after a time [h] of constant infusion rates, None for none.

    Amounts and rates are in the order of `shape.states`.
    """
    if rates is None:
        free = divided_differences(body.nodes, time)[0]
        return _expanded(shape, body, free, amounts)
    table = divided_differences((jnp.zeros_like(time), *body.nodes), time)
    total = _expanded(shape, body, table[1], amounts)
    more = _expanded(shape, body, table[0][1:], rates)
    return tuple(t + m for t, m in zip(total, more, strict=True))


def integral_of_body(
    shape: Compartments,
    body: Body,
    fading: Real | None,
    time: Real,
    *,
    before: Amounts,
    after: Amounts,
    rates: Amounts | None,
) -> Amounts:
    """Integrate amounts times exp(-fading * time) over an interval.

    `after` are the amounts at its end. Without fading the exponentials are integrated;
    with it (fading - matrix) z = before - after exp(-fading time) + infused is solved.
    """
    if fading is None:
        zero = jnp.zeros_like(time)
        nodes = (zero, *body.nodes) if rates is None else (zero, zero, *body.nodes)
        table = divided_differences(nodes, time)
        if rates is None:
            return _expanded(shape, body, table[0][1:], before)
        total = _expanded(shape, body, table[1][1:], before)
        more = _expanded(shape, body, table[0][2:], rates)
        return tuple(t + m for t, m in zip(total, more, strict=True))
    decay = jnp.exp(-fading * time)
    right = [b - decay * a for b, a in zip(before, after, strict=True)]
    if rates is not None:
        infused = time * mean_decay(fading * time)
        right = [b + r * infused for b, r in zip(right, rates, strict=True)]
    held = dict(zip(shape.states, right, strict=True))
    centre, leaving = held[shape.central], fading + body.elimination
    found: dict[str, Real] = {}
    if body.absorption is not None:
        found[shape.depot] = held[shape.depot] / (fading + body.absorption)
        centre = centre + body.absorption * found[shape.depot]
    links = list(zip(shape.peripherals, body.outward, body.inward, strict=True))
    for name, out, back in links:
        share = back / (fading + back)
        centre = centre + share * held[name]
        leaving = leaving + out * (1 - share)
    found[shape.central] = centre / leaving
    for name, out, back in links:
        entered = held[name] + out * found[shape.central]
        found[name] = entered / (fading + back)
    return tuple(found[name] for name in shape.states)


def powers(shape: Compartments, body: Body, amounts: Amounts) -> list[Amounts]:
    """Return Putzer's vectors: amounts, then one more factor (matrix + node) each."""
    vectors = [amounts]
    for node in body.nodes[:-1]:
        vectors.append(_shifted(shape, body, node, vectors[-1]))
    return vectors


def _expanded(
    shape: Compartments, body: Body, weights: Sequence[Real], amounts: Amounts
) -> Amounts:
    """Add up Putzer's vectors by weight."""
    vectors = powers(shape, body, amounts)
    parts = [
        [weight * value for value in vector]
        for weight, vector in zip(weights, vectors, strict=True)
    ]
    return tuple(functools.reduce(operator.add, c) for c in zip(*parts, strict=True))


def _shifted(shape: Compartments, body: Body, node: Real, amounts: Amounts) -> Amounts:
    """Return (matrix + node) times amounts."""
    held = dict(zip(shape.states, amounts, strict=True))
    centre = held[shape.central]
    flow = {name: node * value for name, value in held.items()}
    flow[shape.central] = flow[shape.central] - body.elimination * centre
    if body.absorption is not None:
        moved = body.absorption * held[shape.depot]
        flow[shape.depot] = flow[shape.depot] - moved
        flow[shape.central] = flow[shape.central] + moved
    for name, out, back in zip(
        shape.peripherals, body.outward, body.inward, strict=True
    ):
        moved = out * centre - back * held[name]
        flow[shape.central] = flow[shape.central] - moved
        flow[name] = flow[name] + moved
    return tuple(flow[name] for name in shape.states)


def eigenvalues(
    elimination: Real, outward: Sequence[Real], inward: Sequence[Real]
) -> tuple[Real, ...]:
    """Return the decay rates [1/h] of a central compartment with its peripherals.

    The characteristic polynomial has positive coefficients and real roots; the
    smallest root is found from below by Laguerre's iteration, the others from what
    is left, without cancellation.
    """
    if not outward:
        return (elimination,)
    if len(outward) == 1:
        leaving = elimination + outward[0]
        half = (leaving - inward[0]) / 2
        root = _safe_root(half * half + outward[0] * inward[0])
        return _pair((leaving + inward[0]) / 2, root, elimination * inward[0])
    (out1, out2), (in1, in2) = outward, inward
    second = elimination + out1 + out2 + in1 + in2
    first = elimination * (in1 + in2) + in1 * in2 + out2 * in1 + out1 * in2
    last = elimination * in1 * in2
    slowest = _smallest_root(second, first, last)
    rest = second - slowest
    product = first - slowest * rest
    root = _safe_root(rest * rest / 4 - product)
    return (slowest, *_pair(rest / 2, root, product))


def _pair(middle: Real, root: Real, product: Real) -> tuple[Real, Real]:
    """Return two roots, the smaller from their product."""
    larger = middle + root
    # The product has no cancellation, where middle less root would lose its digits.
    safe = jnp.where(larger > 0, larger, 1.0)
    return jnp.where(larger > 0, product / safe, 0.0), larger


def _smallest_root(second: Real, first: Real, last: Real) -> Real:
    """Solve x^3 - second x^2 + first x - last = 0 for its smallest root."""
    x = jnp.zeros_like(last)
    for _ in range(LAGUERRE):
        value = ((x - second) * x + first) * x - last
        slope = (3 * x - 2 * second) * x + first
        bend = 6 * x - 2 * second
        # Laguerre's step for a cubic; from zero it never passes the smallest real root.
        below = slope + _safe_root(4 * slope * slope - 6 * value * bend)
        safe = jnp.where(below > 0, below, 1.0)
        x = x - jnp.where(below > 0, 3 * value / safe, 0.0)
    return x


def _safe_root(square: Real) -> Real:
    """Take a square root whose slope is finite at zero."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _sorted(nodes: Sequence[Real]) -> tuple[Real, ...]:
    """Sort element by element: insert the last into those before it."""
    *rest, new = nodes
    placed = []
    for node in rest:
        placed.append(jnp.minimum(node, new))
        new = jnp.maximum(node, new)
    return (*placed, new)

"""Closed forms: one to three compartments, with or without first-order absorption.

The exponential of the rate matrix is written in Putzer's form, with divided
differences of the exponential function. It needs eigenvalues but no eigenvectors, so
nothing happens where two rates are equal.

References
----------
Putzer E.J. (1966) Am. Math. Mon. 73:2-7.
McCurdy A., Ng K.C., Parlett B.N. (1984) Math. Comput. 43:501-528.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.model.compartments import Compartments
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step, arrived

NEAR = 0.5  # exponents nearer than this are treated by series
TERMS = 16  # of the series: enough for float64 at NEAR
LAGUERRE = 6  # iterations: cubic convergence from below the smallest root

Real = Float[Array, "..."]


class Body(NamedTuple):
    """Rates [1/h] of a body, and the eigenvalues of its matrix in rising order."""

    elimination: Real
    absorption: Real | None
    outward: tuple[Real, ...]
    inward: tuple[Real, ...]
    nodes: tuple[Real, ...]


@dataclass(frozen=True)
class ClosedForm(AbstractMethod):
    """Solve recognised compartments exactly."""

    @property
    def is_linear(self) -> bool:
        """Compartments are linear."""
        return True

    def prepare(self, individual: Mapping[str, Float[Array, "lane period"]]) -> Body:
        """Compute rates and eigenvalues."""
        rates = self.model.compartment_rates(individual)
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

    def advance(
        self,
        prepared: Body,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: object,
    ) -> Step:
        """Solve an interval."""
        time = (span.stop - span.start).astype(amounts[0].dtype)
        after = self._solve(prepared, time, amounts, rates)
        return arrived(span, amounts, after, memory)

    def transition(
        self, prepared: Body, duration: Float[Array, " lane"]
    ) -> Float[Array, "lane state state"]:
        """Solve for one unit of amount in each state."""
        lanes, size = duration.shape[0], len(self.model.states)
        units = jnp.broadcast_to(
            jnp.eye(size, dtype=duration.dtype)[:, :, None], (size, size, lanes)
        )

        def column(unit: Float[Array, "state lane"]) -> Float[Array, "state lane"]:
            nothing = (jnp.zeros_like(duration),) * size
            amounts = tuple(unit[i] for i in range(size))
            return jnp.stack(self._solve(prepared, duration, amounts, nothing))

        return jnp.moveaxis(jax.vmap(column)(units), (0, 1, 2), (2, 1, 0))

    def _solve(
        self, body: Body, time: Real, amounts: Amounts, rates: Amounts
    ) -> Amounts:
        """Return amounts after a time of constant infusion rates."""
        shape = self.model.structure.compartments
        assert shape is not None
        states = self.model.states
        if self.forced:
            table = divided_differences((jnp.zeros_like(time), *body.nodes), time)
            free, driven = table[1], table[0][1:]
        else:
            free, driven = divided_differences(body.nodes, time)[0], []
        total = _expanded(shape, states, body, free, amounts)
        if not self.forced:
            return total
        more = _expanded(shape, states, body, driven, rates)
        return tuple(t + m for t, m in zip(total, more, strict=True))


def _expanded(
    shape: Compartments,
    states: Sequence[str],
    body: Body,
    weights: Sequence[Real],
    amounts: Amounts,
) -> Amounts:
    """Add up Putzer's terms: each weight times one more factor (matrix + node)."""
    total = tuple(weights[0] * a for a in amounts)
    for node, weight in zip(body.nodes, weights[1:], strict=False):
        amounts = _shifted(shape, states, body, node, amounts)
        total = tuple(t + weight * a for t, a in zip(total, amounts, strict=True))
    return total


def _shifted(
    shape: Compartments,
    states: Sequence[str],
    body: Body,
    node: Real,
    amounts: Amounts,
) -> Amounts:
    """Return (matrix + node) times amounts."""
    held = dict(zip(states, amounts, strict=True))
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
    return tuple(flow[name] for name in states)


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
    safe = jnp.where(larger > 0, larger, 1.0)
    return jnp.where(larger > 0, product / safe, 0.0), larger


def _smallest_root(second: Real, first: Real, last: Real) -> Real:
    """Solve x^3 - second x^2 + first x - last = 0 for its smallest root."""
    x = jnp.zeros_like(last)
    for _ in range(LAGUERRE):
        value = ((x - second) * x + first) * x - last
        slope = (3 * x - 2 * second) * x + first
        bend = 6 * x - 2 * second
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
        table[i].append(plain[i] * time * _mean_decay(width))
    series = _series(nodes, time) if count > 2 else []
    for order in range(2, count):
        for i in range(count - order):
            gap = nodes[i + order] - nodes[i]
            far = gap * time >= NEAR
            safe = jnp.where(far, gap, 1.0)
            across = (table[i][order - 1] - table[i + 1][order - 1]) / safe
            near = plain[i] * time**order * series[order - 1][i]
            table[i].append(jnp.where(far, across, near))
    return table


def _mean_decay(width: Real) -> Real:
    """Return (1 - exp(-x)) / x for x >= 0."""
    near = width < 1e-5
    safe = jnp.where(near, 1.0, width)
    return jnp.where(near, 1.0 - width / 2, -jnp.expm1(-safe) / safe)


def _series(nodes: Sequence[Real], time: Real) -> list[Real]:
    """Return, by order and first node, sum over m of h_m(w_1, ..., w_k) / (m + k)!.

    Here w_j = (x_i - x_{i+j}) time, and the complete homogeneous polynomials obey
    h_m(.., w_k) = h_m(..) + w_k h_{m-1}(.., w_k). All first nodes go side by side.
    """
    count = len(nodes)
    first = jnp.stack([nodes[i] for i in range(count)])
    shifts = []
    for order in range(1, count):
        last = jnp.stack([nodes[min(i + order, count - 1)] for i in range(count)])
        shifts.append(jnp.maximum((first - last) * time[None], -NEAR))

    def add(
        carry: tuple[list[Real], list[Real]], weights: Real
    ) -> tuple[tuple[list[Real], list[Real]], None]:
        complete, totals = carry
        raised: list[Real] = []
        for order, shift in enumerate(shifts):
            fresh = shift * complete[order]
            raised.append(raised[-1] + fresh if order else fresh)
        totals = [t + w * h for t, w, h in zip(totals, weights, raised, strict=True)]
        return (raised, totals), None

    ones = [jnp.ones_like(first)] * (count - 1)
    begun = [one / math.factorial(k) for k, one in enumerate(ones, start=1)]
    weights = jnp.asarray(
        [[1 / math.factorial(m + k) for k in range(1, count)] for m in range(1, TERMS)],
        time.dtype,
    )
    return lax.scan(add, (ones, begun), weights)[0][1]

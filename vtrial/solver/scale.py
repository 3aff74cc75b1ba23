"""How large each state of a subject is, before it is solved.

An absolute tolerance is meant for states of size one and above. What is smaller by
nature, as an amount in moles is, gets as much less: by the initial value, by the doses
into the state, and by what flows in from states of known size, as far as the equations
at the start tell.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vtrial.dosing.doses import Doses
from vtrial.model.model import Model
from vtrial.model.positivity import ASSURED
from vtrial.model.tree import evaluate
from vtrial.types import Numerics

PART = "|atol"  # behind a state's name: its absolute tolerance

Individual = Mapping[str, Float[Array, "lane period"]]


def tolerances(
    model: Model,
    numerics: Numerics,
    individual: Individual,
    doses: Doses,
    horizon: Float[Array, "#lane"],
) -> dict[str, Float[Array, "lane 1"]]:
    """Return each state's absolute tolerance, by names that no sheet can hold.

    `individual` has the individual parameters of every period, of which the first
    counts; `horizon` [h] is how long is solved for.
    """
    said = dict(numerics.atol_by_state)
    sizes = _sizes(model, individual, doses, horizon)
    found = {}
    for name, size in zip(model.states, sizes, strict=True):
        usual = numerics.atol * jnp.minimum(size, 1.0)
        value = jnp.full_like(size, said[name]) if name in said else usual
        found[f"{name}{PART}"] = lax.stop_gradient(value)[:, None]
    return found


def held_tolerances(
    model: Model, numerics: Numerics, individual: Individual
) -> tuple[Float[Array, "#lane 1"], ...]:
    """Return the absolute tolerances of all states; where none was found, the usual."""
    usual = jnp.full((1, 1), numerics.atol)
    return tuple(individual.get(f"{name}{PART}", usual) for name in model.states)


def assured(
    model: Model, individual: Individual, initial: tuple[Float[Array, " lane"], ...]
) -> Float[Array, "lane 1"]:
    """Return 1 for lanes whose equations preserve nonnegativity, 0 for the others.

    See `vtrial.model.positivity`: it takes that individual parameters have the signs
    that were assumed, at all times, and that the initial values are not negative.
    """
    known = model.structure.nonnegative
    holds: Bool[Array, " lane"] = jnp.ones(initial[0].shape, bool)
    for expression in known.assumed:
        value = jnp.atleast_2d(evaluate(expression, individual))
        holds &= jnp.all(value >= 0, axis=1)
    for name, value in zip(model.states, initial, strict=True):
        if name in known.states:
            holds &= value >= 0
    return holds.astype(initial[0].dtype)[:, None]


def is_assured(individual: Individual, like: Float[Array, " lane"]) -> Array:
    """Return where nonnegativity is assured; everywhere if that was not asked."""
    found = individual.get(ASSURED)
    return jnp.ones_like(like, bool) if found is None else found[:, 0] > 0


def _sizes(
    model: Model,
    individual: Individual,
    doses: Doses,
    horizon: Float[Array, "#lane"],
) -> list[Float[Array, " lane"]]:
    """Estimate the size of every state; 1 where there is no clue."""
    first = {name: value[:, 0] for name, value in individual.items()}
    like = next(iter(first.values()))
    begun = [jnp.broadcast_to(v, like.shape) for v in model.initial(first)]
    begun = [value.astype(like.dtype) for value in begun]
    stands = [
        jnp.abs(value) + _given(doses, place, like) for place, value in enumerate(begun)
    ]
    slowest = 1.0 / jnp.maximum(horizon, 1e-6).astype(like.dtype)
    rows = [list(row) for row in model.jacobian(0.0, stands, first)]
    flow = model.derivative(0.0, stands, first)
    leaving = [
        jnp.maximum(_finite(rows[i][i], like), slowest) for i in range(len(stands))
    ]
    sizes = [
        jnp.maximum(stood, _finite(f, like) / out)
        for stood, f, out in zip(stands, flow, leaving, strict=True)
    ]
    sources = [
        [(j, _finite(e, like)) for j, e in enumerate(row) if e is not None and j != i]
        for i, row in enumerate(rows)
    ]

    def spread(_: Array, sizes: list[Array]) -> list[Array]:
        return [
            jnp.maximum(
                size,
                sum((e * sizes[j] for j, e in inward), jnp.zeros_like(like)) / out,
            )
            for size, inward, out in zip(sizes, sources, leaving, strict=True)
        ]

    sizes = lax.fori_loop(0, len(sizes), spread, sizes)
    return [jnp.where((s > 0) & jnp.isfinite(s), s, 1.0) for s in sizes]


def _given(
    doses: Doses, place: int, like: Float[Array, " lane"]
) -> Float[Array, "#lane"]:
    """Return the largest dose into a state."""
    real = jnp.isfinite(doses.time) & (doses.compartment == place)
    amount = jnp.where(real & jnp.isfinite(doses.amount), doses.amount, 0.0)
    return jnp.max(amount, axis=1, initial=0.0).astype(like.dtype)


def _finite(value: Array | None, like: Float[Array, " lane"]) -> Float[Array, " lane"]:
    """Return a size; zero where it is absent or not finite."""
    if value is None:
        return jnp.zeros_like(like)
    size = jnp.abs(jnp.broadcast_to(value, like.shape)).astype(like.dtype)
    return jnp.where(jnp.isfinite(size), size, 0.0)

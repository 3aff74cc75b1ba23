"""Endpoints made of other endpoints by an equation."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.grammar import write_expression
from vtrial.model.tree import evaluate, names_in


def called(name: str) -> str:
    """Return what equations call an endpoint: spaces and dashes are underscores.

    Examples
    --------
    >>> called("grade 4")
    'grade_4'
    """
    return name.replace(" ", "_").replace("-", "_")


def equation_of(endpoint: Endpoint) -> str:
    """Write the equation of an endpoint; empty if it has none."""
    return write_expression(endpoint.equals) if endpoint.equals is not None else ""


def asked_by(endpoint: Endpoint) -> list[str]:
    """Name what an endpoint's equation asks for; nothing without one."""
    if endpoint.equals is None:
        return []
    return list(dict.fromkeys(name.name for name in names_in(endpoint.equals)))


def computed(
    endpoint: Endpoint, values: Mapping[str, Float[Array, "..."]]
) -> Float[Array, "..."]:
    """Compute an endpoint's equation; NaN where an endpoint that it uses is NaN."""
    assert endpoint.equals is not None, "it is made of others"
    number = evaluate(endpoint.equals, values)
    number = jnp.broadcast_to(number, next(iter(values.values())).shape)
    for name in asked_by(endpoint):
        number = jnp.where(jnp.isfinite(values[name]), number, jnp.nan)
    return number

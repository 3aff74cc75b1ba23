"""Endpoints made of other endpoints by an equation."""

from collections.abc import Mapping, Sequence

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


def end_of(endpoint: Endpoint, named: Mapping[str, Endpoint]) -> float:
    """Return when an endpoint is known [h]: the latest of those in its equation."""
    by_call = {called(name): one for name, one in named.items()}
    parts = [by_call[name] for name in asked_by(endpoint) if name in by_call]
    parts += [named[name] for name in endpoint.first_of if name in named]
    return max([end_of(one, named) for one in parts], default=endpoint.end)


def covariates_of(endpoint: Endpoint) -> list[str]:
    """Name the covariates that the equation asks for of which an endpoint is."""
    if endpoint.formula is None:
        return []
    named = dict.fromkeys(name.name for name in names_in(endpoint.formula))
    return [name for name in named if name not in endpoint.outputs]


def with_formulas(
    endpoints: Sequence[Endpoint],
    values: Mapping[str, Float[Array, "subject time"]],
    covariates: Mapping[str, Float[Array, " subject"]],
) -> dict[str, Float[Array, "subject time"]]:
    """Add to values of outputs those of the equations of which endpoints are.

    Those whose outputs are not there are left out. What is not finite is missing.
    """
    found = dict(values)
    for point in endpoints:
        whole = all(name in values for name in point.outputs)
        if point.formula is None or point.of in found or not whole:
            continue
        like = values[point.outputs[0]]
        known = {name: values[name] for name in point.outputs}
        for name in covariates_of(point):
            known[name] = covariates[name].astype(like.dtype)[:, None]
        number = jnp.broadcast_to(evaluate(point.formula, known), like.shape)
        number = number.astype(like.dtype)
        found[point.of] = jnp.where(jnp.isfinite(number), number, jnp.nan)
    return found


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

"""Primitives that GPU kernels lack, rewritten in those that they have."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Literal
from jaxtyping import Array

Rule = Callable[..., Array]


def rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays that avoids what a kernel lacks."""

    def call(*given: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*given)
        found = _evaluated(closed.jaxpr, closed.consts, jax.tree.leaves(given))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    return call


def _evaluated(jaxpr: Jaxpr, consts: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Evaluate equation by equation, each by its rule if there is one."""
    plain = [np.asarray(const)[()] for const in consts]
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, plain, strict=True))
    known |= dict(zip(jaxpr.invars, given, strict=True))

    def value(atom: Any) -> Any:
        if isinstance(atom, Literal):  # may be a plain number: say of what type
            kind: Any = atom.aval
            return np.asarray(atom.val, kind.dtype)[()]
        return known[atom]

    for equation in jaxpr.eqns:
        values = [value(atom) for atom in equation.invars]
        found = _one(equation, values)
        known |= dict(zip(equation.outvars, found, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _one(equation: Any, values: list[Any]) -> list[Any]:
    """Evaluate one equation."""
    name, params = equation.primitive.name, equation.params
    if name in ("jit", "custom_jvp_call"):
        inner = params["jaxpr" if name == "jit" else "call_jaxpr"]
        return _evaluated(inner.jaxpr, inner.consts, values)
    if name == "while":
        return _loop(params, values)
    if name in RULES:
        return [RULES[name](*values, **params)]
    plain = all(isinstance(value, np.generic) for value in values)
    if plain and not equation.outvars[0].aval.shape:
        with jax.ensure_compile_time_eval():
            return [np.asarray(equation.primitive.bind(*values, **params))[()]]
    found = equation.primitive.bind(*values, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def _loop(params: Any, values: list[Any]) -> list[Any]:
    """Evaluate a loop."""
    first, second = params["cond_nconsts"], params["body_nconsts"]
    asked, done = params["cond_jaxpr"], params["body_jaxpr"]
    asking, doing = values[:first], values[first : first + second]

    def going(carry: list[Any]) -> Any:
        given = [*asking, *carry]
        return _evaluated(asked.jaxpr, asked.consts, given)[0]

    def body(carry: list[Any]) -> list[Any]:
        return _evaluated(done.jaxpr, done.consts, [*doing, *carry])

    return lax.while_loop(going, body, values[first + second :])


def _any(value: Array, **_how: Any) -> Array:
    return jnp.max(jnp.where(value, jnp.float32(1), jnp.float32(0))) > 0


def _same(value: Array, **_how: Any) -> Array:
    return value


def _add(one: Array, other: Array, **_how: Any) -> Array:
    return one + other


def _whole_power(value: Array, *, y: int, **_how: Any) -> Array:
    return lax.integer_pow(value, y) if y >= 0 else 1 / lax.integer_pow(value, -y)


RULES: dict[str, Rule] = {
    "reduce_or": _any,
    "stop_gradient": _same,
    "add_any": _add,
    "integer_pow": _whole_power,
}

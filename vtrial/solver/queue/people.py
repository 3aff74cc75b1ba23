"""Who comes to a flow, and when: drawn by ordinal, the same under every arm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.keys import purpose_key
from vtrial.model.flow import SCALE, Flow, Law
from vtrial.model.flow_laws import LAWS
from vtrial.model.tree import evaluate

Values = dict[str, Array]  # of one subject, a number each


class People(NamedTuple):
    """The people of one day, in the order in which they come; (person) each.

    Fields
    ------
    arrives
        [h] From the start; infinite for the places that nobody takes.
    group
        The number of the class.
    comes
        Whether somebody takes the place.
    """

    arrives: Float[Array, " person"]
    group: Int[Array, " person"]
    comes: Bool[Array, " person"]


def uniforms(key: Key[Array, ""], purpose: str, most: int) -> Float[Array, " person"]:
    """Draw a number in [0, 1) for each person, by purpose and ordinal alone."""
    own = purpose_key(key, purpose)

    def one(ordinal: Int[Array, ""]) -> Float[Array, ""]:
        return jax.random.uniform(jax.random.fold_in(own, ordinal), (), float)

    return jax.vmap(one)(jnp.arange(most))


def people(
    flow: Flow, values: Values, key: Key[Array, ""], most: int
) -> tuple[People, Bool[Array, ""]]:
    r"""Draw the people of a day, and say whether more came than `most`.

    They come by a Poisson process of the rate $\lambda(t)$: with sums $G_i$ of
    independent Exp(1), the arrivals are $T_i = \Lambda^{-1}(G_i)$ by the cumulative
    rate $\Lambda$ (Çınlar 1975, Introduction to Stochastic Processes, ch. 4.7).
    """
    gaps = -jnp.log1p(-uniforms(key, "arrival", most))

    # One after another: however many places there are, sums round alike.
    def add(sum_: Array, gap: Array) -> tuple[Array, Array]:
        return sum_ + gap, sum_ + gap

    _, gone = lax.scan(add, jnp.zeros((), gaps.dtype), gaps)
    rates = jnp.stack([_number(rate, values) for rate in flow.rates])
    rates = rates * values[SCALE]
    until = jnp.cumsum(rates * flow.every)
    before = until - rates * flow.every
    piece = jnp.searchsorted(until, gone, side="right")
    comes = piece < len(flow.rates)
    piece = jnp.minimum(piece, len(flow.rates) - 1)
    within = (gone - before[piece]) / jnp.where(rates > 0, rates, 1.0)[piece]
    within = jnp.clip(within, 0.0, flow.every)
    arrives = jnp.where(
        comes, piece.astype(within.dtype) * flow.every + within, jnp.inf
    )
    shares = jnp.stack([_number(share, values) for share in flow.shares])
    group = chosen(shares, uniforms(key, "class", most))
    return People(arrives, group, comes), comes[-1]


def chosen(
    shares: Float[Array, " choice"], drawn: Float[Array, " person"]
) -> Int[Array, " person"]:
    """Choose by shares, which are divided by their sum, with uniform numbers."""
    until = jnp.cumsum(shares, axis=-1)
    above = drawn[:, None] * until[None, -1:] >= until[None]
    return jnp.minimum(jnp.sum(above, axis=-1), shares.shape[-1] - 1)


def lengths(
    laws: tuple[Law | None, ...],
    values: Values,
    group: Int[Array, " person"],
    drawn: Float[Array, " person"],
) -> Float[Array, " person"]:
    """Return times by the law of each person's class; infinite where there is none."""
    found = jnp.full(drawn.shape, jnp.inf, drawn.dtype)
    for word in dict.fromkeys(law.word for law in laws if law is not None):
        mine = [law if law and law.word == word else None for law in laws]
        one = next(law for law in mine if law is not None)
        given = [law or one for law in mine]  # of classes of other laws, no matter what
        arguments = [
            jnp.stack([_number(law.arguments[place], values) for law in given])[group]
            for place in range(len(one.arguments))
        ]
        is_it = jnp.asarray([law is not None for law in mine])[group]
        times = LAWS[word].quantile(drawn, *arguments)
        found = jnp.where(is_it, times, found)
    return found


def _number(expression: object, values: Values) -> Float[Array, ""]:
    return jnp.asarray(evaluate(expression, values), float)  # type: ignore[arg-type]

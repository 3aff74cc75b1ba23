"""Laws of service and patience, by the word that a sheet gives them.

A time is made of one uniform number of a person, by the law's quantile function: the
same person takes longer or shorter under another law, and as long under another arm.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float


class LawKind(NamedTuple):
    """A law: its quantile function, and its arguments in order.

    Fields
    ------
    quantile
        Of a probability in [0, 1) and the arguments; times in hours.
    arguments
        Their names; those in `times` are times, others are plain numbers.
    says
        What it is, for the guide and for messages.
    """

    quantile: Callable[..., Array]
    arguments: tuple[str, ...]
    says: str
    times: tuple[str, ...] = ("mean",)

    def example(self, word: str) -> str:
        """Return how a sheet writes it."""
        shown = {"mean": "30 min", "cv": "0.8"}
        return f"{word}({', '.join(shown[name] for name in self.arguments)})"


def _exponential(p: Float[Array, "*n"], mean: Array) -> Float[Array, "*n"]:
    return -mean * jnp.log1p(-p)


def _lognormal(p: Float[Array, "*n"], mean: Array, cv: Array) -> Float[Array, "*n"]:
    r"""Return a quantile: $\sigma^2 = \log(1 + cv^2)$, $\mu = \log m - \sigma^2/2$."""
    variance = jnp.log1p(cv**2)
    # At 0, which the generator may draw, the normal quantile is minus infinity.
    least = jnp.maximum(p, jnp.finfo(p.dtype).tiny)
    return mean * jnp.exp(jnp.sqrt(variance) * ndtri(least) - variance / 2)


def _deterministic(p: Float[Array, "*n"], mean: Array) -> Float[Array, "*n"]:
    return jnp.broadcast_to(mean, p.shape).astype(p.dtype)


LAWS: dict[str, LawKind] = {
    "exponential": LawKind(_exponential, ("mean",), "memoryless, of that mean"),
    "lognormal": LawKind(
        _lognormal, ("mean", "cv"), "of that mean and coefficient of variation"
    ),
    "deterministic": LawKind(_deterministic, ("mean",), "always that long"),
}

"""Draw from a program by the names of its sites.

All sites that are normal scores, or made of one, are drawn by one call of the generator
for keys side by side: compiled for each by itself, they were most of what a cohort took
to compile. The numbers are those that each key gives alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Float, Int, Key, Shaped, UInt
from numpyro.primitives import Messenger

from vtrial.cohort.prior import ATTEMPT, REPLICATE
from vtrial.keys import purpose_key, purpose_number

T = TypeVar("T")


class Keys(NamedTuple):
    """Who a subject is: the keys of its replicate and its own, and the attempt.

    Sites of the population draw from the key of the replicate; those of the covariates
    from the subject's, with the attempt folded in; random effects from the subject's,
    an element an occasion.
    """

    replicate: Key[Array, ""]
    subject: Key[Array, ""]
    attempt: Int[Array, ""]

    def of(self, by: str, numbers: UInt[Array, " site"]) -> Key[Array, " site"]:
        """Return the keys of sites, given by the numbers of their names."""
        whose = self.subject
        if by == REPLICATE:
            whose = purpose_key(self.replicate, "population")
        keys = jax.vmap(jax.random.fold_in, (None, 0))(whose, numbers)
        if by != ATTEMPT:
            return keys
        return jax.vmap(jax.random.fold_in, (0, None))(keys, self.attempt)


def draw(declare: Callable[[], T], keys: Keys) -> T:
    """Run a program, giving every site a key by its name, whatever others there are."""
    noted = _Noted()
    with noted:
        jax.eval_shape(declare)
    with _Keyed(keys, _scores(noted.sites, keys)):
        return declare()


class _Site(NamedTuple):
    """A site that is made of normal scores: its name, whose it is, how many scores."""

    name: str
    by: str
    shape: tuple[int, ...]


class _Noted(Messenger):
    """Note the sites that are made of normal scores; nothing is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: list[_Site] = []

    def process_message(self, msg: dict) -> None:  # type: ignore[override]
        """Note a random site, and give it a value of its shape."""
        if msg["type"] != "sample" or msg["value"] is not None:
            return
        shape = msg["fn"].shape()
        if _is_made_of_scores(msg["fn"]):
            self.sites.append(_Site(msg["name"], msg["infer"].get("by"), shape))
            msg["value"] = jnp.zeros(shape)
        else:
            whole = msg["fn"].support.is_discrete
            msg["value"] = jnp.zeros(shape, int if whole else float)


class _Keyed(Messenger):
    """Give every site what was drawn for it, or draw it by a key of its own."""

    def __init__(self, keys: Keys, scores: dict[str, Float[Array, " *n"]]) -> None:
        super().__init__()
        self.keys, self.scores = keys, scores

    def process_message(self, msg: dict) -> None:  # type: ignore[override]
        """Draw the value of a random site."""
        if msg["type"] != "sample" or msg["value"] is not None:
            return
        name, distribution = msg["name"], msg["fn"]
        if name in self.scores:
            msg["value"] = _made_of(distribution, self.scores[name])
        else:
            number = jnp.asarray([purpose_number(name)], jnp.uint32)
            (key,) = self.keys.of(msg["infer"].get("by"), number)
            msg["value"] = _sampled(distribution, key)


def _is_made_of_scores(distribution: Any) -> bool:
    return isinstance(distribution, dist.Normal | dist.LogNormal)


def _sampled(distribution: Any, key: Key[Array, ""]) -> Shaped[Array, " *n"]:
    """Draw a site by its own key; its elements, one an occasion, by keys of theirs."""
    if not distribution.shape():
        return distribution.sample(key)
    if not isinstance(distribution, dist.Gamma):
        raise TypeError(f"no draw by element of {type(distribution).__name__}")
    shape = jnp.asarray(distribution.concentration)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(shape.size))
    return jax.vmap(jax.random.gamma)(keys, shape) / jnp.asarray(distribution.rate)


def _made_of(distribution: Any, score: Float[Array, " *n"]) -> Float[Array, " *n"]:
    """Make a normal or log-normal number of a standard score."""
    value = distribution.loc + score * distribution.scale
    return jnp.exp(value) if isinstance(distribution, dist.LogNormal) else value


def _scores(sites: Sequence[_Site], keys: Keys) -> dict[str, Float[Array, " *n"]]:
    """Draw the standard normal scores of all sites.

    Those of a site for each occasion have the occasions' own keys.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[_Site]] = {}
    for site in sites:
        groups.setdefault((site.by, site.shape), []).append(site)
    parts = []
    for (by, shape), group in groups.items():
        numbers = [purpose_number(site.name) for site in group]
        own = keys.of(by, jnp.asarray(np.array(numbers, np.uint32)))
        if shape:
            (count,) = shape
            each = jax.vmap(jax.random.fold_in, (None, 0))
            own = jax.vmap(each, (0, None))(own, jnp.arange(count)).ravel()
        parts.append(own)
    if not parts:
        return {}
    normal = jax.vmap(lambda key: jax.random.normal(key, (), float))
    # Behind the barrier nothing is computed otherwise because there are other sites.
    drawn = lax.optimization_barrier(normal(jnp.concatenate(parts)))
    place, scores = 0, {}
    for (_, shape), group in groups.items():
        size = int(np.prod(shape, dtype=int))
        for site in group:
            scores[site.name] = drawn[place : place + size].reshape(shape)
            place += size
    return scores

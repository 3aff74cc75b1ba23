"""Draw from a program by the names of its sites."""

import threading

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key
from numpyro.primitives import Messenger

from vtrial.cohort.prior import ATTEMPT, REPLICATE
from vtrial.keys import purpose_key

TRACING = threading.Lock()  # NumPyro's stack of handlers is shared by all threads


class Keyed(Messenger):
    """Give every site a key by its name, whatever other sites there are.

    Sites of the population draw from the key of the replicate; those of the covariates
    from the subject's, with the attempt folded in; random effects from the subject's,
    an element an occasion.
    """

    def __init__(
        self,
        *,
        replicate: Key[Array, ""],
        subject: Key[Array, ""],
        attempt: Int[Array, ""],
    ) -> None:
        super().__init__()
        self.replicate, self.subject, self.attempt = replicate, subject, attempt

    def process_message(self, msg: dict) -> None:  # type: ignore[override]
        """Draw the value of a random site."""
        if msg["type"] != "sample" or msg["value"] is not None:
            return
        by, name, distribution = msg["infer"].get("by"), msg["name"], msg["fn"]
        if by == REPLICATE:
            population = purpose_key(self.replicate, "population")
            key = purpose_key(population, name)
        else:
            key = purpose_key(self.subject, name)
        if by == ATTEMPT:
            key = jax.random.fold_in(key, self.attempt)
        if distribution.shape():
            msg["value"] = _each(key, distribution.shape())
        else:
            msg["value"] = distribution.sample(key)


def _each(key: Key[Array, ""], shape: tuple[int, ...]) -> Array:
    """Draw a standard normal score for each occasion, by the occasion's own key."""
    (count,) = shape
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
    return jax.vmap(lambda k: jax.random.normal(k, (), float))(keys)

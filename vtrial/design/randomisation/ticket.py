"""One uniform number of each subject, by its own key, that decides its assignment."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from vtrial.keys import purpose_key, subject_key
from vtrial.program_cache import kept

PURPOSE = "randomisation"
MAKERS = ("keys.py", "design/randomisation")


def tickets(
    seed: int,
    replicate: Int[np.ndarray, " replicate"],
    subject: Int[np.ndarray, "replicate subject"],
    *,
    purpose: str = PURPOSE,
) -> Float[np.ndarray, "replicate subject"]:
    """Return a uniform number of each subject in each replicate trial.

    A subject's number depends on seed, replicate, subject and purpose alone.

    Parameters
    ----------
    seed
        Of the trial.
    replicate
        Numbers of the replicate trials, from 0.
    subject
        Numbers of the subjects, in the order in which they are enrolled.
    purpose
        What is drawn, in words.

    Examples
    --------
    >>> came = np.array([[0, 1, 2], [2, 0, 1]])
    >>> drawn = tickets(1, np.array([5, 5]), came)
    >>> bool((drawn[0] == drawn[1][[1, 2, 0]]).all())
    True
    """
    return np.asarray(
        _tickets(purpose, jnp.asarray(replicate), jnp.asarray(subject), np.int64(seed))
    )


def _draw(
    purpose: str,
    replicate: Int[Array, " replicate"],
    subject: Int[Array, "replicate subject"],
    seed: Int[ArrayLike, ""],
) -> Float[Array, "replicate subject"]:
    """Draw every subject's number."""

    def one(replicate: Int[Array, ""], subject: Int[Array, ""]) -> Float[Array, ""]:
        key = purpose_key(subject_key(jnp.asarray(seed), replicate, subject), purpose)
        return jax.random.uniform(key, dtype=jnp.float64)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)))(replicate, subject)


_tickets = kept(_draw, static=1, makers=MAKERS)

"""A trial's own draws, by its number, a purpose and the subject; never by position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.keys import purpose_key, replicate_key
from vtrial.program_cache import kept

MAKERS = ("keys.py", "design")


def uniforms(
    purpose: str, *, seed: int, trials: Int[np.ndarray, " trial"], subjects: int
) -> Float[np.ndarray, "trial subject"]:
    """Return a uniform draw for each subject of each trial, for a purpose in words.

    Examples
    --------
    >>> few = uniforms("arms", seed=1, trials=np.arange(2), subjects=2)
    >>> more = uniforms("arms", seed=1, trials=np.arange(3), subjects=5)
    >>> bool((few == more[:2, :2]).all())
    True
    """
    drawn = _drawn(purpose, subjects, jnp.asarray(trials), np.int64(seed))
    return np.asarray(drawn)


def people_of(
    ticket: Float[np.ndarray, "trial subject"],
    trials: Int[np.ndarray, " trial"],
    *,
    replicates: int,
    subjects: int,
    apart: bool,
) -> Int[np.ndarray, "trial subject"]:
    """Return whom uniform draws choose, with replacement, as places in a record.

    From all of its people; or `apart`, where replicates differ in their parameters,
    from those of one replicate, which the trials take in turn.

    Examples
    --------
    >>> ticket, trials = np.array([[0.0, 0.99], [0.5, 0.1]]), np.arange(2)
    >>> shape = {"replicates": 2, "subjects": 10}
    >>> people_of(ticket, trials, apart=False, **shape).tolist()
    [[0, 19], [10, 2]]
    >>> people_of(ticket, trials, apart=True, **shape).tolist()
    [[0, 9], [15, 11]]
    """
    size = subjects if apart else replicates * subjects
    place = np.minimum((ticket * size).astype(int), size - 1)
    first = (trials % replicates) * subjects if apart else np.zeros_like(trials)
    return first[:, None] + place


@functools.partial(kept, static=2, makers=MAKERS)
def _drawn(
    purpose: str,
    subjects: int,
    trials: Int[Array, " trial"],
    seed: Int[Array, ""] | np.int64,
) -> Float[Array, "trial subject"]:
    """Draw, by the trial's own key and the subject's number."""

    def one(trial: Int[Array, ""]) -> Float[Array, " subject"]:
        key = purpose_key(replicate_key(jnp.asarray(seed), trial), purpose)
        fold = functools.partial(jax.random.fold_in, key)
        keys = jax.vmap(fold)(jnp.arange(subjects))
        return jax.vmap(lambda k: jax.random.uniform(k, (), jnp.float64))(keys)

    return jax.vmap(one)(trials)

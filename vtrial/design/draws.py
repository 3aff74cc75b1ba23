"""A trial's own draws, by its number, a purpose and the subject; never by position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.keys import purpose_key, replicate_key
from vtrial.program_cache import kept

MAKERS = ("keys.py", "design/draws.py")


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
    trials: Int[np.ndarray, " trial"],
    *,
    seed: int,
    count: int,
    replicates: int,
    subjects: int,
    apart: bool,
) -> Int[np.ndarray, "trial subject"]:
    """Draw `count` people for each trial, with replacement, as places in a record.

    From all of its people; or `apart`, where replicates differ in their parameters,
    from those of one replicate, which the trials take in turn.

    Examples
    --------
    >>> shape = {"seed": 1, "count": 50, "replicates": 2, "subjects": 10}
    >>> people_of(np.arange(2), apart=False, **shape).max(axis=1).tolist()
    [19, 19]
    >>> people_of(np.arange(2), apart=True, **shape).max(axis=1).tolist()
    [9, 19]
    """
    ticket = uniforms("people", seed=seed, trials=trials, subjects=count)
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

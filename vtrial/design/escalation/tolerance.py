"""Potential toxicities from a curve: each subject has one tolerance at all doses."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from vtrial.errors import ProtocolError
from vtrial.keys import purpose_key, subject_key
from vtrial.program_cache import kept

PURPOSE = "tolerance"
MAKERS = ("keys.py", "design/escalation")


def toxicity_of(
    probabilities: Float[np.ndarray, " dose"],
    *,
    seed: int,
    replicate: Int[np.ndarray, " replicate"],
    subjects: int,
    purpose: str = PURPOSE,
) -> Bool[np.ndarray, "replicate subject dose"]:
    """Return whether each subject would have the toxicity, at every dose.

    A subject's tolerance is uniform, drawn by the subject's own key. It has the
    toxicity at doses whose probability is above it: who has it at a dose has it at
    every dose that is more toxic. With another `purpose` these are responses, or any
    other outcome that is independent of the first.

    Parameters
    ----------
    probabilities
        Of the toxicity, by dose.
    seed
        Of the trial.
    replicate
        Numbers of the replicate trials, from 0; more of them change no other.
    subjects
        How many each trial has at most; more of them change no other.
    purpose
        What is drawn, in words.

    Raises
    ------
    ProtocolError
        If a probability is none.

    Examples
    --------
    >>> found = toxicity_of(
    ...     np.array([0.1, 0.5]), seed=1, replicate=np.arange(500), subjects=12
    ... )
    >>> bool((found[..., 1] >= found[..., 0]).all())
    True
    >>> found.mean((0, 1)).round(2).tolist()
    [0.1, 0.5]
    """
    shares = np.asarray(probabilities, float)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ProtocolError(
            "escalation.probabilities",
            str(shares),
            "probabilities, one for each dose",
            "",
        )
    drawn = _tolerances(purpose, subjects, jnp.asarray(replicate), np.int64(seed))
    return np.asarray(drawn)[..., None] < shares


def _draw(
    purpose: str,
    subjects: int,
    replicate: Int[Array, " replicate"],
    seed: Int[ArrayLike, ""],
) -> Float[Array, "replicate subject"]:
    """Draw every subject's tolerance."""

    def one(replicate: Int[Array, ""], subject: Int[Array, ""]) -> Float[Array, ""]:
        key = purpose_key(subject_key(jnp.asarray(seed), replicate, subject), purpose)
        return jax.random.uniform(key, dtype=jnp.float64)

    each = jax.vmap(one, in_axes=(None, 0))
    return jax.vmap(each, in_axes=(0, None))(replicate, jnp.arange(subjects))


_tolerances = kept(_draw, static=2, makers=MAKERS)

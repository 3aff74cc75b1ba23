"""Potential toxicities from a curve: each subject has one tolerance at all doses."""

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.design.randomisation.ticket import tickets
from vtrial.errors import ProtocolError

PURPOSE = "tolerance"


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
    who = np.broadcast_to(np.arange(subjects), (len(replicate), subjects))
    return tickets(seed, replicate, who, purpose=purpose)[..., None] < shares

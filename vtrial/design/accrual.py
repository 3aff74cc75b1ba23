"""When subjects come into the trial: rates over the calendar, evenly or by chance."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.keys import purpose_key, replicate_key
from vtrial.program_cache import kept
from vtrial.protocol.enactment import Accrual

MAKERS = ("keys.py", "design/accrual.py")

Times = Float[np.ndarray, "trial subject"]


def enrolments(
    accrual: Accrual, *, seed: int, trials: Int[np.ndarray, " trial"], subjects: int
) -> Times:
    """Return when every subject is enrolled [h from the first day of accrual].

    As many are expected by a time as the rates have summed up to by then. Evenly, the
    n-th comes when that sum is n - 1/2; as a Poisson process, when it is the sum of n
    exponential draws (Cinlar E, Introduction to Stochastic Processes, 1975, ch. 4). A
    trial's draws depend on its number alone, and a larger trial begins as a smaller.

    Examples
    --------
    >>> from vtrial.protocol.enactment import Stretch
    >>> daily = Accrual((Stretch(0.0, 1 / 24, 1 / 24),))
    >>> enrolments(daily, seed=1, trials=np.arange(1), subjects=3).tolist()
    [[12.0, 36.0, 60.0]]
    """
    if not accrual.stretches:
        return np.zeros((len(trials), subjects))
    if accrual.by == "poisson":
        due = np.asarray(_waits(subjects, jnp.asarray(trials), np.int64(seed)))
    else:
        due = np.broadcast_to(np.arange(subjects) + 0.5, (len(trials), subjects))
    return accrual.reached(due)


@functools.partial(kept, static=1, makers=MAKERS)
def _waits(
    subjects: int, trials: Int[Array, " trial"], seed: Int[Array, ""] | np.int64
) -> Float[Array, "trial subject"]:
    """Sum up a trial's exponential waits, in units of the mean wait."""

    def one(trial: Int[Array, ""]) -> Float[Array, " subject"]:
        key = purpose_key(replicate_key(jnp.asarray(seed), trial), "accrual")
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))
        each = keys(jnp.arange(subjects))
        waits = jax.vmap(lambda k: jax.random.exponential(k, (), jnp.float64))(each)
        return jnp.cumsum(waits)

    return jax.vmap(one)(trials)

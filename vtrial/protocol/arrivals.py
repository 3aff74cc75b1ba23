"""When subjects come into the trial: rates over the calendar, evenly or by chance."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt

from vtrial.keys import purpose_key, purpose_number, replicate_key
from vtrial.program_cache import kept
from vtrial.protocol.enactment import Accrual

MAKERS = ("keys.py", "protocol/arrivals.py")
PURPOSE, FEWEST = "accrual", 16  # subjects who are looked for at a site, at least

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
    if not accrual.stretches and not accrual.sites:
        return np.zeros((len(trials), subjects))
    return enrolled_at(accrual, seed=seed, trials=trials, subjects=subjects).time


class Enrolled(NamedTuple):
    """When each subject is enrolled [h], and the place of its site."""

    time: Times
    site: Int[np.ndarray, "trial subject"]


def enrolled_at(
    accrual: Accrual, *, seed: int, trials: Int[np.ndarray, " trial"], subjects: int
) -> Enrolled:
    """Return when every subject is enrolled, and at which site.

    Each site has a process of its own, by its name, and closes once it has enrolled as
    many as its cap; the first subjects of all sites together are those of the trial,
    numbered as they come. Evenly, sites of one entry of the sheet take turns.

    Examples
    --------
    >>> from vtrial.protocol.enactment import Site, Stretch
    >>> daily = (Stretch(0.0, 1 / 24, 1 / 24),)
    >>> two = Accrual(sites=(Site("a", daily, 1), Site("b", daily, share=0.75)))
    >>> found = enrolled_at(two, seed=1, trials=np.arange(1), subjects=3)
    >>> found.time.tolist(), found.site.tolist()
    ([[12.0, 18.0, 42.0]], [[0, 1, 1]])
    """
    if not accrual.sites:
        time = _alone(accrual, seed=seed, trials=trials, subjects=subjects)
        return Enrolled(time, np.zeros(time.shape, int))
    most = np.array([min(one.cap or subjects, subjects) for one in accrual.sites])
    count = min(subjects, FEWEST + 2 * subjects // len(most))
    while True:
        times = _at_each(accrual, most, seed=seed, trials=trials, count=count)
        flat = times.reshape(len(trials), -1)
        order = np.argsort(flat, axis=1, kind="stable")[:, :subjects]
        time = np.take_along_axis(flat, order, axis=1)
        # Whoever a site would have enrolled next might have come before the last.
        next_ = times[:, most > count, -1].min(axis=1, initial=np.inf)
        if time.shape[1] == subjects and (time[:, -1] <= next_).all():
            return Enrolled(time, order // count)
        count = min(2 * count, subjects)


def _at_each(
    accrual: Accrual,
    most: Int[np.ndarray, " site"],
    *,
    seed: int,
    trials: Int[np.ndarray, " trial"],
    count: int,
) -> Float[np.ndarray, "trial site subject"]:
    """Return when each site would enrol its first subjects; infinite beyond its cap."""
    places, made = np.arange(count), []
    for one, limit in zip(accrual.sites, most, strict=True):
        if accrual.by == "poisson":
            number = purpose_number(f"{PURPOSE} at {one.name}")
            drawn = _waits_at(
                count, jnp.asarray(trials), np.int64(seed), np.uint32(number)
            )
            due = np.cumsum(np.asarray(drawn), axis=1)
        else:
            due = np.broadcast_to(places + one.share, (len(trials), count))
        time = Accrual(one.stretches).reached(due)
        made.append(np.where(places < limit, time, np.inf))
    return np.stack(made, axis=1)


def _alone(
    accrual: Accrual, *, seed: int, trials: Int[np.ndarray, " trial"], subjects: int
) -> Times:
    """Return when subjects come where there are no sites."""
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
        key = purpose_key(replicate_key(jnp.asarray(seed), trial), PURPOSE)
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))
        each = keys(jnp.arange(subjects))
        waits = jax.vmap(lambda k: jax.random.exponential(k, (), jnp.float64))(each)
        return jnp.cumsum(waits)

    return jax.vmap(one)(trials)


@functools.partial(kept, static=1, makers=MAKERS)
def _waits_at(
    count: int,
    trials: Int[Array, " trial"],
    seed: Int[Array, ""] | np.int64,
    site: UInt[Array, ""] | np.uint32,
) -> Float[Array, "trial subject"]:
    """Draw the waits at a site of each trial, in units of the mean wait."""

    def one(trial: Int[Array, ""]) -> Float[Array, " subject"]:
        own = jax.random.fold_in(replicate_key(jnp.asarray(seed), trial), site)
        keys = jax.vmap(functools.partial(jax.random.fold_in, own))(jnp.arange(count))
        return jax.vmap(lambda k: jax.random.exponential(k, (), jnp.float64))(keys)

    return jax.vmap(one)(trials)

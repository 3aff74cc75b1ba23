"""Enact escalations where toxicity may come late: a scan over subjects in time.

Whoever comes next is not kept waiting until all before have been observed to the end:
a subject without toxicity counts with the share of the window that has passed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.design.escalation.enact import (
    MAKERS,
    Escalated,
    begun,
    check,
    limits_of,
    padded_size,
    pieces_of,
)
from vtrial.design.escalation.kind import Course, Data, Late
from vtrial.design.escalation.method import PLACE, Method
from vtrial.design.escalation.registry import methods
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept


def enact_late_toxicity(
    method: Method,
    time: Float[np.ndarray, "replicate subject dose"],
    arrival: Float[np.ndarray, "replicate subject"],
    *,
    window: float | int,
    cohort: int = 1,
    start: int = 0,
    most: int | None = None,
    enough: int | None = None,
    skipping: bool = False,
) -> Escalated:
    """Enact a dose escalation that does not wait for those who are still observed.

    Parameters
    ----------
    method
        One that weighs pending outcomes, as the CRM does.
    time
        [h] From each subject's treatment to its toxicity, at each dose; infinite for
        none.
    arrival
        [h] When each subject comes, rising; it is treated at once.
    window
        [h] How long subjects are observed; what comes later does not count.
    cohort
        So many subjects who follow each other get the same dose.
    start, most, enough, skipping
        As in `enact_escalation`.

    Raises
    ------
    ProtocolError
        As there; or if the method cannot weigh pending outcomes, times are not
        positive, or subjects do not come one after the other.
    """
    replicates, there, _ = time.shape
    size = there if most is None else most
    _refuse(method, time, arrival, window)
    check(method, time <= window, None, cohort, start, size)
    data = method.kind.prepare(method, size)
    limits = limits_of(start, np.inf if enough is None else enough, skipping)
    span = np.float64(window)
    found = []
    for rows in pieces_of(replicates):
        count = len(time[rows])
        filled = padded_size(count)
        own = np.resize(time[rows][:, :size], (filled, size, method.doses))
        came = np.resize(arrival[rows][:, :size], (filled, size))
        made = _enacted(method.word, cohort, data, limits, span, own, came)
        found.append([np.asarray(part)[:count] for part in made])
    given, treated, toxic, selected, stopped = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    given, treated, toxic = (part.astype(int) for part in (given, treated, toxic))
    path = given[:, ::cohort]
    nobody = np.zeros_like(treated)
    chosen = selected.astype(int)
    return Escalated(path, given, treated, toxic, nobody, chosen, stopped)


def _enact(
    word: str,
    cohort: int,
    data: Data,
    limits: tuple[Array, Array, Array],
    window: Float[Array, ""],
    time: Float[Array, "replicate subject dose"],
    arrival: Float[Array, "replicate subject"],
) -> tuple[Array, ...]:
    """Enact trials, each a scan over its subjects."""
    kind, (start, enough, skipping) = methods()[word], limits
    assert kind.decide_late is not None
    assert kind.select_late is not None
    decide, choose = kind.decide_late, kind.select_late
    subjects, doses = time.shape[1:]
    place = jnp.arange(subjects)

    def one(time: Array, arrival: Array) -> tuple[Array, ...]:
        def seen(given: Array, now: Array, eliminated: Array) -> tuple[Course, Late]:
            late = _shown(given, time, now - arrival, window)
            course = _course(late, given, doses, eliminated)
            return course, late

        def step(
            at: tuple[Array, Array, Array, Array], subject: Array
        ) -> tuple[tuple[Array, Array, Array, Array], None]:
            given, dose, eliminated, stopped = at
            course, late = seen(given, arrival[subject], eliminated)
            decided = decide(data, course, late)
            asked = (subject > 0) & (subject % cohort == 0) & ~stopped
            higher = jnp.minimum(decided.dose, course.dose + 1)
            after = jnp.where(skipping, decided.dose, higher)
            had = jnp.where(after >= 0, course.treated[jnp.maximum(after, 0)], 0.0)
            after = jnp.where(had >= enough, -1, after)
            dose = jnp.where(asked, after, dose)
            eliminated = jnp.where(asked, decided.eliminated, eliminated)
            given = jnp.where(place == subject, dose, given)
            return (given, dose, eliminated, stopped | (dose < 0)), None

        nobody = jnp.full(subjects, -1, start.dtype)
        first = (nobody, start, jnp.zeros(doses, bool), jnp.asarray(False))
        (given, _, eliminated, stopped), _ = jax.lax.scan(step, first, place)
        course, late = seen(given, jnp.asarray(jnp.inf), eliminated)
        counts = (course.treated, course.toxic)
        return given, *counts, choose(data, course, late), stopped

    return jax.vmap(one)(time, arrival)


_enacted = kept(_enact, static=2, makers=MAKERS)


def _shown(given: Array, time: Array, elapsed: Array, window: Array) -> Late:
    """Return what each subject has shown since its treatment."""
    there, dose = given >= 0, jnp.maximum(given, 0)
    own = jnp.take_along_axis(time, dose[:, None], axis=1)[:, 0]
    toxic = there & (own <= window) & (own <= elapsed)
    share = jnp.clip(elapsed / window, 0.0, 1.0)
    weight = jnp.where(there, jnp.where(toxic, 1.0, share), 0.0)
    return Late(dose, toxic, weight)


def _course(late: Late, given: Array, doses: int, eliminated: Array) -> Course:
    """Return the counts of what has been shown."""
    there = given >= 0
    at = (late.dose[:, None] == jnp.arange(doses)[None]) & there[:, None]
    last = jnp.maximum(there.sum() - 1, 0)
    return begun(doses, late.dose[last])._replace(
        treated=at.sum(axis=0).astype(float),
        toxic=(at & late.toxic[:, None]).sum(axis=0).astype(float),
        eliminated=eliminated,
        fresh=there.any().astype(float),
        fresh_toxic=(late.toxic[last]).astype(float),
    )


def _refuse(
    method: Method, time: np.ndarray, arrival: np.ndarray, window: float | int
) -> None:
    """Refuse what cannot be enacted in time."""
    if method.kind.decide_late is None:
        able = [word for word, kind in methods().items() if kind.decide_late]
        allowed = f"one that weighs pending outcomes: {', '.join(able)}"
        raise ProtocolError(f"{PLACE}.method", method.word, allowed, "method: CRM")
    if not window > 0:
        raise ProtocolError(f"{PLACE}.window", f"{window:g} h", "positive", "")
    if not (time > 0).all():
        raise ProtocolError(
            f"{PLACE}.time", "not positive", "positive, or infinite", ""
        )
    if not (np.isfinite(arrival).all() and (np.diff(arrival, axis=1) >= 0).all()):
        raise ProtocolError(f"{PLACE}.arrival", "not rising", "times that rise", "")

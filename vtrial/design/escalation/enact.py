"""Enact escalation trials: a scan over cohorts, side by side over replicates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from vtrial.design.escalation.kind import Course, Data, Kind
from vtrial.design.escalation.method import PLACE, Method
from vtrial.design.escalation.registry import methods
from vtrial.design.randomisation.ticket import tickets
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

TOGETHER = 2048  # trials that are enacted at once; no number depends on it
MAKERS = ("design/escalation",)
LOT = "tie of an escalation"

Outcomes = (
    Num[np.ndarray, "replicate subject dose"]
    | Bool[np.ndarray, "replicate subject dose"]
)


@dataclass(frozen=True)
class Escalated:
    """Escalation trials as they went; doses are numbered from 0.

    Parameters
    ----------
    path
        The dose of each cohort, -1 after the trial has ended.
    given
        The dose of each subject, -1 for who was not enrolled.
    treated, toxic, responded
        Subjects at each dose, those with a toxicity, those with a response.
    selected
        The dose that was chosen, -1 for none.
    stopped
        Whether the method ended the trial before all subjects were enrolled.
    """

    path: Int[np.ndarray, "replicate cohort"]
    given: Int[np.ndarray, "replicate subject"]
    treated: Int[np.ndarray, "replicate dose"]
    toxic: Int[np.ndarray, "replicate dose"]
    responded: Int[np.ndarray, "replicate dose"]
    selected: Int[np.ndarray, " replicate"]
    stopped: Bool[np.ndarray, " replicate"]

    @property
    def size(self) -> Int[np.ndarray, " replicate"]:
        """Return how many subjects each trial enrolled."""
        return self.treated.sum(axis=1)


def enact_escalation(
    method: Method,
    toxicity: Outcomes,
    *,
    efficacy: Outcomes | None = None,
    cohort: int = 3,
    start: int = 0,
    most: int | None = None,
    enough: int | None = None,
    skipping: bool = False,
    seed: int = 0,
) -> Escalated:
    """Enact a dose escalation in every replicate, from potential outcomes.

    Subjects are enrolled in their order, in cohorts; a cohort gets one dose, what its
    subjects show at that dose is seen, and the method says what is next.

    Parameters
    ----------
    method
        From `escalation_method`.
    toxicity
        Whether each subject would have a dose-limiting toxicity at each dose: 0 or 1.
    efficacy
        The same of a response, for methods that look at it.
    cohort
        Subjects in a cohort.
    start
        The first cohort's dose, from 0.
    most
        Subjects in a trial at most; all there are, if it is not given.
    enough
        The trial ends where the next dose would be one that so many have had.
    skipping
        Whether an escalation may pass over doses.
    seed
        Of the trial, for ties that a method breaks by lot; the number of a trial is
        its place among them.

    Raises
    ------
    ProtocolError
        If outcomes are not 0 or 1 for each of the method's doses, or there are too few
        subjects, the first dose is none of the doses, the method needs cohorts of
        another size, or efficacy that is not given.

    Examples
    --------
    >>> from vtrial.design.escalation import escalation_method, toxicity_of
    >>> toxicity = toxicity_of(
    ...     np.array([0.05, 0.3, 0.6]), seed=1, replicate=np.arange(200), subjects=24
    ... )
    >>> method = escalation_method("BOIN", doses=3, target=0.3)
    >>> made = enact_escalation(method, toxicity)
    >>> int(np.bincount(made.selected + 1, minlength=4).argmax()) - 1
    1
    """
    replicates, there, _ = toxicity.shape
    size = there if most is None else most
    check(method, toxicity, efficacy, cohort, start, size)
    limits = (start, np.inf if enough is None else enough, skipping)
    data = method.kind.prepare(method, size)
    lots = _lots(method.kind, seed, replicates, -(-size // cohort))
    pieces = []
    for rows in pieces_of(replicates):
        shown = _cohorts(toxicity[rows], size, cohort)
        responses = (
            shown[..., :0]
            if efficacy is None
            else _cohorts(efficacy[rows], size, cohort)
        )
        count = len(toxicity[rows])
        lot = np.resize(lots[rows], (len(shown), lots.shape[1]))
        made = _enacted(method.word, data, limits_of(*limits), shown, responses, lot)
        pieces.append([np.asarray(part)[:count] for part in made])
    path, treated, toxic, responded, selected, stopped = (
        np.concatenate(parts) for parts in zip(*pieces, strict=True)
    )
    given = np.repeat(path, cohort, axis=1)[:, :size]
    return Escalated(
        path=path.astype(int),
        given=given.astype(int),
        treated=treated.astype(int),
        toxic=toxic.astype(int),
        responded=responded.astype(int),
        selected=selected.astype(int),
        stopped=stopped,
    )


def _enact(
    word: str,
    data: Data,
    limits: tuple[Array, Array, Array],
    toxicity: Float[Array, "replicate cohort place dose"],
    efficacy: Float[Array, "replicate cohort place dose_or_none"],
    lots: Float[Array, "replicate cohort"],
) -> tuple[Array, ...]:
    """Enact trials; who is not there to be enrolled has NaN."""
    kind = methods()[word]

    def one(toxicity: Array, efficacy: Array, lots: Array) -> tuple[Array, ...]:
        start = begun(toxicity.shape[-1], limits[0])
        step = step_of(kind, data, limits[1], limits[2])
        first = (start, limits[0], jnp.asarray(False))
        last, path = jax.lax.scan(step, first, (toxicity, efficacy, lots))
        course = last[0]
        counts = (course.treated, course.toxic, course.responded)
        return path, *counts, kind.select(data, course), last[2]

    return jax.vmap(one)(toxicity, efficacy, lots)


def step_of(
    kind: Kind, data: Data, enough: Array, skipping: Array
) -> Callable[..., Any]:
    """Return what one cohort does to a trial: course, next dose, whether it ended."""

    def step(
        at: tuple[Course, Array, Array], shown: tuple[Array, Array, Array]
    ) -> tuple[tuple[Course, Array, Array], Array]:
        course, dose, stopped = at
        going = (dose >= 0) & ~jnp.isnan(shown[0][:, 0]).all()
        seen = _seen(course, jnp.maximum(dose, 0), *shown)
        decided = kind.decide(data, seen)
        seen = seen._replace(eliminated=decided.eliminated)
        after = decided.dose
        free = skipping | kind.combined
        higher = jnp.where(free, after, jnp.minimum(after, seen.dose + 1))
        had = jnp.where(higher >= 0, seen.treated[jnp.maximum(higher, 0)], 0.0)
        following = jnp.where(had >= enough, -1, higher)
        kept_course = jax.tree.map(
            lambda new, old: jnp.where(going, new, old), seen, course
        )
        ended = stopped | (going & (following < 0))
        carried = (kept_course, jnp.where(going, following, dose), ended)
        return carried, jnp.where(going, dose, -1)

    return step


def _seen(
    course: Course, dose: Array, toxicity: Array, efficacy: Array, lot: Array
) -> Course:
    """Add what a cohort shows at a dose; NaN is a subject who is not there."""
    here = jnp.arange(course.treated.shape[0]) == dose
    there = ~jnp.isnan(toxicity[:, 0])
    size = there.sum().astype(float)
    toxic = jnp.where(there, toxicity[:, dose], 0.0).sum()
    responded = course.responded
    if efficacy.shape[-1]:
        number = jnp.where(there, efficacy[:, dose], 0.0).sum()
        responded = responded + jnp.where(here, number, 0.0)
    return Course(
        treated=course.treated + jnp.where(here, size, 0.0),
        toxic=course.toxic + jnp.where(here, toxic, 0.0),
        responded=responded,
        dose=dose,
        eliminated=course.eliminated,
        fresh=size,
        fresh_toxic=toxic,
        lot=lot,
    )


def begun(doses: int, start: Array) -> Course:
    """Return the course of a trial that nobody has entered."""
    zero = jnp.zeros(doses)
    return Course(
        treated=zero,
        toxic=zero,
        responded=zero,
        dose=start,
        eliminated=jnp.zeros(doses, bool),
        fresh=jnp.zeros(()),
        fresh_toxic=jnp.zeros(()),
        lot=jnp.zeros(()),
    )


_enacted = kept(_enact, static=1, makers=MAKERS)


def limits_of(
    start: int, enough: float | int, skipping: bool
) -> tuple[Array, Array, Array]:
    """Return what ends a trial and where it begins, as data."""
    return jnp.asarray(start), jnp.asarray(float(enough)), jnp.asarray(skipping)


def pieces_of(replicates: int) -> Iterator[slice]:
    """Yield runs of trials that are enacted together."""
    for begin in range(0, replicates, TOGETHER):
        yield slice(begin, begin + TOGETHER)


def padded_size(count: int) -> int:
    """Return for how many trials a program is compiled, so that there are few."""
    return min(TOGETHER, max(64, 1 << max(count - 1, 0).bit_length()))


def _lots(
    kind: Kind, seed: int, replicates: int, cohorts: int
) -> Float[np.ndarray, "replicate cohort"]:
    """Draw what ties are broken by, for methods that do it by lot."""
    if not kind.combined:
        return np.zeros((replicates, cohorts))
    which = np.broadcast_to(np.arange(cohorts), (replicates, cohorts))
    return np.asarray(tickets(seed, np.arange(replicates), which, purpose=LOT))


def _cohorts(
    outcome: Outcomes, size: int, cohort: int
) -> Float[np.ndarray, "padded cohort place dose"]:
    """Deal subjects to cohorts; trials and the last cohort are filled up with NaN."""
    count, _, doses = outcome.shape
    cohorts = -(-size // cohort)
    dealt = np.full((padded_size(count), cohorts * cohort, doses), np.nan)
    dealt[:count, :size] = outcome[:, :size]
    return dealt.reshape(-1, cohorts, cohort, doses)


def check(
    method: Method,
    toxicity: Outcomes,
    efficacy: Outcomes | None,
    cohort: int,
    start: int,
    most: int,
) -> None:
    """Refuse what cannot be enacted."""
    kind, (_, subjects, doses) = method.kind, toxicity.shape
    if doses != method.doses:
        raise ProtocolError(
            f"{PLACE}.toxicity", f"of {doses} doses", f"of {method.doses} doses", ""
        )
    if not 0 <= start < doses:
        raise ProtocolError(
            f"{PLACE}.start", str(start), f"from 0 to {doses - 1}", "start: 0"
        )
    if kind.cohort and cohort != kind.cohort:
        allowed = f"{kind.cohort} for {kind.word}"
        raise ProtocolError(
            f"{PLACE}.cohort", str(cohort), allowed, f"cohort: {kind.cohort}"
        )
    if cohort < 1:
        raise ProtocolError(f"{PLACE}.cohort", str(cohort), "at least 1", "cohort: 3")
    if not 0 < most <= subjects:
        allowed = f"from 1 to the {subjects} subjects there are"
        raise ProtocolError(f"{PLACE}.most", str(most), allowed, f"most: {subjects}")
    if kind.responses and efficacy is None:
        raise ProtocolError(
            f"{PLACE}.efficacy", "missing", f"given: {kind.word} looks at responses", ""
        )
    for name, outcome in (("toxicity", toxicity), ("efficacy", efficacy)):
        if outcome is not None and not np.isin(outcome, (0, 1)).all():
            raise ProtocolError(
                f"{PLACE}.{name}", "not 0 or 1", "0 or 1 throughout", ""
            )

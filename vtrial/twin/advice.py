r"""Advice: which of the doses that there are is most likely to do what is wanted.

Every candidate is solved for every draw of a person's posterior, behind what the record
holds. With the probability that all goals are met and that any harm is done, candidates
are ordered by

$$ U = P(\text{all goals}) - w\, P(\text{any harm}), $$

those that keep every limit first; of equals the lower daily amount goes first. Areas
and means are states of their own beside the model's, integrated with it.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.goal import Goal, Measure, above, parse_goal
from vtrial.dosing.goal_values import GRID, holds, measured, with_integrals
from vtrial.errors import DataError, Fault
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.model.model import Model
from vtrial.model.tree import evaluate
from vtrial.program_cache import kept
from vtrial.twin.candidate import Candidate, candidates_of
from vtrial.twin.course import begins_at, paths
from vtrial.twin.given import LATER, Ahead, ahead_of, seen_at, under
from vtrial.twin.importance import MAKERS, Posterior, in_parts
from vtrial.twin.person import LEVEL

UNTIL = 48.0  # [h] after the first new dose, unless a goal says when


@dataclass(frozen=True)
class Question:
    """What is asked of each candidate; hashable.

    Fields
    ------
    goals, harms, limits
        All of what counts as met, as harm, and as a bound.
    measures
        Every measure of them, once.
    blocks
        Which of the looked-at times are of each measure: from and to.
    """

    goals: tuple[Goal, ...]
    harms: tuple[Goal, ...]
    limits: tuple[Goal, ...]
    measures: tuple[Measure, ...]
    blocks: tuple[tuple[int, int], ...]

    @property
    def every(self) -> tuple[Goal, ...]:
        """All conditions, in order."""
        return (*self.goals, *self.harms, *self.limits)


class Judged(NamedTuple):
    """What became of candidates; the axes are subject, candidate and then a condition.

    `met` are probabilities, `bands` the median and an interval of a condition's value,
    `target` and `harm` probabilities of all goals and any harm, `lost` the share of
    draws that could not be solved, which count for nothing.
    """

    met: Float[np.ndarray, "subject candidate condition"]
    bands: Float[np.ndarray, "subject candidate condition band"]
    target: Float[np.ndarray, "subject candidate"]
    harm: Float[np.ndarray, "subject candidate"]
    lost: Float[np.ndarray, "subject candidate"]


@dataclass(frozen=True)
class Advice:
    """Candidates in order, for each person, and what the order means.

    Fields
    ------
    table
        A row a subject and candidate, the best first: ID, DOSE, `target`, `harm`,
        `utility`, a column a limit with its probability, `allowed` (whether all are
        kept), and the median, low and high of each value.
    goals
        As they were read, harms and limits behind them.
    start
        [h] When the first new dose is given, of each subject.
    words
        What the columns are, a sentence each.
    lost
        The largest share of draws that could not be solved.
    dosing
        The dosing words of each DOSE, with how often it is given.
    """

    table: pd.DataFrame
    goals: tuple[Goal, ...]
    start: Float[np.ndarray, " subject"]
    words: tuple[str, ...]
    lost: float
    dosing: Mapping[str, str]

    def in_words(self) -> pd.DataFrame:
        """Return the table as it is printed: each value with its interval in a cell."""
        found = self.table.copy()
        for label in dict.fromkeys(goal.label for goal in self.goals):
            ends = [found.pop(f"{label}{end}") for end in (" low", " high")]
            cells = zip(found[label], *ends, strict=True)
            found[label] = [f"{a:.3g} ({b:.3g} to {c:.3g})" for a, b, c in cells]
        return found if found["ID"].nunique() > 1 else found.drop(columns="ID")

    def best(self, person: object = None) -> str:
        """Return the dosing words of a person's first candidate; by default anybody's.

        Raises
        ------
        DataError
            If there is no such person.
        """
        rows = self.table
        if person is not None:
            rows = rows[rows["ID"].astype(str) == str(person)]
        if not len(rows):
            raise DataError("person", f"`{person}`", "an ID of the data", "")
        return self.dosing[str(rows["DOSE"].iloc[0])]


def advise(
    posterior: Posterior,
    goals: str | Sequence[str],
    *,
    doses: str,
    every: str,
    over: str = "",
    into: str = "",
    harm: str | Sequence[str] = (),
    weight: float = 1.0,
    start: float | None = None,
    until: float = UNTIL,
    level: float = LEVEL,
) -> Advice:
    """Order candidates by how probably they do what is wanted, for every person.

    Parameters
    ----------
    goals
        Such as `AUC24 in 400 to 600` or, as a limit, `P(nadir(anc) < 0.5) <= 0.5`.
    doses, every, over, into
        What there is to choose from, in words: strengths (`500, 750, 1000 mg`),
        intervals (`8 h, 12 h`), how long an infusion runs (`1 h`), into which state.
    harm
        Conditions that are harm, such as `AUC24 > 650`; unless given, to be above the
        upper end of a goal's range.
    weight
        How much a probability of harm counts beside one of the goals.
    start
        [h] When the first new dose is given; unless given, when the next is due.
    until
        [h] After that, when goals are looked at that do not say when.

    Raises
    ------
    DataError
        With every fault of the goals.
    DosingError
        With every fault of the doses.
    """
    asked = _read(posterior.model, goals, harm, until)
    _refuse(asked, weight)
    last = max(one.at for goal in asked.every for one in goal.measures)
    candidates = candidates_of(
        posterior.model, doses, every, over=over, into=into, lasting=last
    )
    question, relative = _laid(asked, candidates)
    begins = begins_at(posterior, start)
    judged = _judge(posterior, question, candidates, relative, begins, level)
    table = _table(posterior, question, candidates, judged, weight)
    words = list(dict.fromkeys(goal.words for goal in question.every))
    said = " or ".join(goal.written for goal in question.harms) or "nothing"
    words.append(f"harm is {said}")
    times = "" if weight == 1 else f"{weight:g} times "
    words.append(f"utility is the probability of the target less {times}that of harm")
    lost = float(np.max(judged.lost, initial=0.0))
    known = {one.words: one.dosing for one in candidates}
    return Advice(table, question.every, begins, tuple(words), lost, known)


class _Asked(NamedTuple):
    goals: tuple[Goal, ...]
    harms: tuple[Goal, ...]
    limits: tuple[Goal, ...]

    @property
    def every(self) -> tuple[Goal, ...]:
        return (*self.goals, *self.harms, *self.limits)


def _read(
    model: Model, goals: str | Sequence[str], harm: str | Sequence[str], until: float
) -> _Asked:
    """Read goals and harms; all faults at once."""
    faults: list[Fault] = []

    def read(texts: str | Sequence[str]) -> list[Goal]:
        found = []
        for text in [texts] if isinstance(texts, str) else texts:
            try:
                found.append(parse_goal(text, model, until=until))
            except DataError as error:
                faults.extend(error.faults)
        return found

    wanted, harms = read(goals), read(harm)
    if not wanted and not faults:
        allowed = "a goal, such as `AUC24 in 400 to 600`"
        faults.append(Fault("the goals", "missing", allowed, "AUC24 in 400 to 600"))
    for one in (one for one in harms if one.is_limit):
        allowed = "a condition without P(...), whose probability counts"
        faults.append(Fault(f"the harm `{one.written}`", "a limit", allowed, ""))
    if faults:
        raise DataError.of(dict.fromkeys(faults))
    plain = [goal for goal in wanted if not goal.is_limit]
    if not harms:
        harms = [above(g) for g in plain if np.isfinite(g.low) and np.isfinite(g.high)]
    limits = [goal for goal in wanted if goal.is_limit]
    return _Asked(tuple(plain), tuple(harms), tuple(limits))


def _refuse(asked: _Asked, weight: float) -> None:
    faults = []
    if not weight >= 0:
        faults.append(Fault("weight", f"{weight:g}", "0 or more", "1"))
    for goal in asked.every:
        late = [one for one in goal.measures if one.at <= 0]
        if late:
            found, allowed = "at 0 h or before", "behind the first new dose"
            faults.append(
                Fault(f"the goal `{goal.written}`", found, allowed, "at 48 h")
            )
    if faults:
        raise DataError.of(faults)


class _Relative(NamedTuple):
    """When candidates are looked at [h after the first new dose], sorted, and the rank.

    `back` says where each time, in the order of the measures, stands among them.
    """

    time: Float[np.ndarray, "candidate time"]
    rank: Int[np.ndarray, "candidate time"]
    back: Int[np.ndarray, "candidate time"]


def _laid(asked: _Asked, candidates: Sequence[Candidate]) -> tuple[Question, _Relative]:
    """Lay out when each measure looks at each candidate."""
    every = [one for goal in asked.every for one in goal.measures]
    measures = tuple(dict.fromkeys(every))
    corners = [_corners(candidate) for candidate in candidates]
    width = max(len(one) for one in corners)
    whole = np.array(
        [np.pad(one, (0, width - len(one)), mode="edge") for one in corners]
    )
    times, ranks, blocks, place = [], [], [], 0
    for one in measures:
        time, rank = _looked(one, candidates, whole)
        times.append(time)
        ranks.append(rank)
        blocks.append((place, place + time.shape[1]))
        place += time.shape[1]
    time, rank = np.concatenate(times, axis=1), np.concatenate(ranks, axis=1)
    order = np.lexsort((rank, time), axis=1)
    relative = _Relative(
        np.take_along_axis(time, order, axis=1),
        np.take_along_axis(rank, order, axis=1),
        np.argsort(order, axis=1),
    )
    return Question(*asked, measures, tuple(blocks)), relative


def _corners(candidate: Candidate) -> np.ndarray:
    """Return when doses begin and end [h], where courses have their corners."""
    found = []
    for step in candidate.regimen.steps:
        length = step.lengths()
        begin = step.times()
        found += [begin, begin + np.where(np.isfinite(length), length, 0.0)]
    return np.unique(np.concatenate(found))


def _looked(
    one: Measure,
    candidates: Sequence[Candidate],
    corners: Float[np.ndarray, "candidate corner"],
) -> tuple[np.ndarray, np.ndarray]:
    """Return when a measure looks at each candidate, and on which side of doses."""
    count = len(candidates)
    if one.kind in ("AUC", "mean"):
        begin = one.at - one.window if one.window else 0.0
        time = np.broadcast_to([begin, one.at], (count, 2))
    elif one.kind == "value":
        time = np.full((count, 1), one.at)
    elif one.kind == "trough":
        given = [
            np.concatenate([s.times() for s in c.regimen.steps]) for c in candidates
        ]
        time = np.array([[times[times <= one.at + 1e-9].max()] for times in given])
    else:
        grid = np.linspace(0.0, one.at, GRID + 1)
        grid = np.broadcast_to(grid, (count, grid.size))
        edges = np.minimum(corners, one.at)
        time = np.concatenate([grid, edges, edges], axis=1)
        before = np.full(grid.shape[1] + edges.shape[1], -1)
        rank = np.concatenate([before, np.full(edges.shape[1], LATER + 1)])
        rank = np.where(time >= one.at, -1, rank)  # what comes then is not yet there
        return time, rank
    return time, np.full(time.shape, -1)


@dataclass(frozen=True)
class _Static:
    ahead: Ahead
    question: Question


def _judge(
    posterior: Posterior,
    question: Question,
    candidates: Sequence[Candidate],
    relative: _Relative,
    begins: Float[np.ndarray, " subject"],
    level: float,
) -> Judged:
    """Solve every candidate for every draw, and count."""
    data = posterior.study.data
    each = [under(posterior, c.regimen, begins, instead=True) for c in candidates]
    width = max(np.asarray(doses.time).shape[1] for doses in each)
    wide = [_padded(doses, width) for doses in each]
    doses: Any = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *wide)
    model = with_integrals(posterior.study.model, question.measures)
    all_doses = jax.tree.map(lambda leaf: leaf.reshape(-1, leaf.shape[2]), doses)
    when = begins[:, None, None] + relative.time
    looks = seen_at(when.reshape(-1, when.shape[2]))
    static = _Static(ahead_of(posterior, model, all_doses, looks), question)
    shares = np.array([0.5, (1 - level) / 2, (1 + level) / 2])

    def compute(part: Data, mine: Doses, start: np.ndarray, draws: np.ndarray) -> Any:
        values = posterior.values
        return _counted(static, values, part, mine, start, draws, relative, shares)

    rows = posterior.draws.shape[1]
    found = in_parts(compute, data, rows, doses, begins, posterior.draws)
    return Judged(*found)


def _padded(doses: Doses, width: int) -> Doses:
    """Add doses that are never given."""
    fillers = {"time": np.inf, "event": 1}
    fields: dict[str, Any] = {
        name: np.pad(
            np.asarray(value),
            ((0, 0), (0, width - np.asarray(value).shape[1])),
            constant_values=fillers.get(name, 0),
        )
        for name, value in doses._asdict().items()
        if value is not None
    }
    return Doses(**fields)


@functools.partial(kept, static=1, makers=MAKERS)
def _counted(
    static: _Static,
    values: Values,
    data: Data,
    doses: Doses,
    start: Float[Array, " subject"],
    draws: Float[Array, "subject draw effect"],
    relative: _Relative,
    shares: Float[Array, " share"],
) -> tuple[Array, Array, Array, Array, Array]:
    """Judge candidates one after another, each for all draws of all subjects."""
    question = static.question

    def one(asked: tuple[Doses, _Relative]) -> tuple[Array, ...]:
        mine, looks = asked
        when = start[:, None] + looks.time[None, :]
        rank = jnp.broadcast_to(looks.rank[None, :], when.shape)
        given = data._replace(doses=mine)
        found = paths(static.ahead, values, draws, given, Times(when, rank))
        found = {name: value[:, :, looks.back] for name, value in found.items()}
        numbers = {
            f"measure {place}": measured(measure, block, found)
            for place, (measure, block) in enumerate(
                zip(question.measures, question.blocks, strict=True)
            )
        }
        return _judged(question, numbers, shares)

    first = jax.tree.map(lambda leaf: jnp.moveaxis(jnp.asarray(leaf), 1, 0), doses)
    found = lax.map(one, (first, relative))
    met, bands, target, harm, lost = (jnp.moveaxis(part, 0, 1) for part in found)
    return met, bands, target, harm, lost


def _judged(
    question: Question, numbers: dict[str, Array], shares: Float[Array, " share"]
) -> tuple[Array, ...]:
    """Return probabilities and bands of every condition, of all goals, of any harm."""
    met, bands, sound = [], [], []
    offsets = _renumbered(question)
    for goal, names in zip(question.every, offsets, strict=True):
        own = {f"measure {i}": numbers[name] for i, name in enumerate(names)}
        value = evaluate(goal.value, own)
        met.append(holds(goal, value))
        sound.append(jnp.isfinite(value))
        bands.append(jnp.nanquantile(value, shares, axis=1).T)
    good = jnp.stack(sound).all(axis=0)
    count = jnp.maximum(jnp.sum(good.astype(float), axis=1), 1.0)

    def share(mask: Array) -> Array:
        return jnp.sum((mask & good).astype(float), axis=-1) / count

    every = jnp.stack(met)
    wanted, harms = len(question.goals), len(question.harms)
    target = every[:wanted].all(axis=0)
    harm = every[wanted : wanted + harms].any(axis=0)
    each = jnp.stack([share(mask) for mask in met], axis=1)
    lost = 1.0 - jnp.mean(good.astype(float), axis=1)
    return each, jnp.stack(bands, axis=1), share(target), share(harm), lost


def _renumbered(question: Question) -> list[list[str]]:
    """Name, for each condition, its measures among those of all."""
    place = {measure: number for number, measure in enumerate(question.measures)}
    return [[f"measure {place[m]}" for m in goal.measures] for goal in question.every]


def _table(
    posterior: Posterior,
    question: Question,
    candidates: Sequence[Candidate],
    judged: Judged,
    weight: float,
) -> pd.DataFrame:
    """Lay candidates out in their order, subject by subject."""
    count, many = judged.target.shape
    utility = judged.target - weight * judged.harm
    limits = list(enumerate(question.limits, len(question.goals) + len(question.harms)))
    allowed = np.ones((count, many), bool)
    for place, limit in limits:
        chance = judged.met[:, :, place]
        allowed &= ~(chance > limit.most) & ~(chance < limit.least)
    daily = np.broadcast_to([one.daily for one in candidates], (count, many))
    order = np.lexsort((daily, -np.round(utility, 9), ~allowed), axis=1)

    def laid(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, order, axis=1).ravel()

    words = np.broadcast_to(
        np.array([one.words for one in candidates], object), (count, many)
    )
    rows: dict[str, np.ndarray] = {"ID": np.repeat(posterior.identity, many)}
    rows |= {"DOSE": laid(words), "target": laid(judged.target)}
    rows |= {"harm": laid(judged.harm), "utility": laid(utility)}
    for place, limit in limits:
        rows[f"P({limit.written.strip()[2:].rpartition(')')[0]})"] = laid(
            judged.met[:, :, place]
        )
    rows["allowed"] = laid(allowed)
    shown = {
        goal.label: place for place, goal in reversed(list(enumerate(question.every)))
    }
    for label, place in reversed(shown.items()):
        for number, end in enumerate(("", " low", " high")):
            rows[f"{label}{end}"] = laid(judged.bands[:, :, place, number])
    return pd.DataFrame(rows)

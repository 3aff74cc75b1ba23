"""Moments: when the rules of an arm are decided and done, known before anything runs.

Between two moments a subject is solved without a question. At a moment those rules are
decided that its visit has; where one of them may delay what is planned, the visit is
held again at the end of the delay, by those who were delayed. What a rule does some
time after its decision has a moment of its own.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vtrial.dosing.doses import AFTER_DOSE
from vtrial.keys import purpose_number
from vtrial.observe.observation_times import ObservationTimes
from vtrial.protocol.conditions import may_hold
from vtrial.protocol.rules import MOST_DELAYS, Rule

HOURS_PER_DAY = 24.0
TRIFLE = 1e-9  # of a cycle, within which it begins
SLACK = 1e-6  # [h] by which a window of time is taken too wide


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of an arm's rules, in the order of the plan.

    Fields
    ------
    place
        Which of the measured times each is (its visit's, or that of the decision).
    again
        The how-manieth time the visit is held again, 0 for the visit itself.
    decides
        (moment, rule) Which rules are decided.
    does
        (moment, rule) Which rules are done that were decided at an earlier moment.
    slot
        (moment, rule) Where it is noted when what is decided is to be done, if that is
        later; the same for the decision and for what is done. -1: nowhere.
    token
        A number that names the moment, whatever other moments there are.
    column
        Behind the measured times, where what is measured again is kept.
    """

    place: Int[np.ndarray, " moment"]
    again: Int[np.ndarray, " moment"]
    decides: Bool[np.ndarray, "moment rule"]
    does: Bool[np.ndarray, "moment rule"]
    slot: Int[np.ndarray, "moment rule"]
    token: UInt[np.ndarray, " moment"]
    column: Int[np.ndarray, " moment"]

    @property
    def count(self) -> int:
        """How many there are."""
        return self.place.size

    @property
    def slots(self) -> int:
        """How much may be put off at once."""
        return int(self.does.sum())

    @property
    def more(self) -> int:
        """How often something may be measured again."""
        return int((self.again > 0).sum())


def moments_of(rules: Sequence[Rule], plan: ObservationTimes, cycle: float) -> Moments:
    """Lay out the moments of some rules, in cycles of so many hours (0: none).

    Measured times of several visits that fall together are one moment, unless they are
    moved each for itself. Where the plan says that no rule can hold, there is none.
    """
    rows: list[tuple[float, int, int, list[bool], list[bool]]] = []
    late: list[tuple[float, int, int, list[bool], list[bool]]] = []
    nothing = [False] * len(rules)
    for places in _together(rules, plan):
        names = {plan.visits[place] for place in places}
        first, time = places[0], float(plan.planned[places[0]])
        number, day, _ = cycle_at(
            time, cycle, after=bool(plan.rank[first] == AFTER_DOSE)
        )
        known = {"cycle": number, "day_of_cycle": day}
        decides = [
            bool(names & set(rule.at)) and may_hold(rule.when, known) for rule in rules
        ]
        if not any(decides):
            continue
        turns = _turns(
            rule for rule, is_here in zip(rules, decides, strict=True) if is_here
        )
        for again in range(turns + 1):
            mine = [
                is_here and not (rule.delay and again == turns)
                for rule, is_here in zip(rules, decides, strict=True)
            ]
            rows.append((time, first, again, mine, nothing))
        for place, rule in enumerate(rules):
            if decides[place] and rule.after:
                does = [one == place for one in range(len(rules))]
                late.append((time + rule.after, first, 0, nothing, does))
    rows = sorted([*rows, *late], key=lambda row: (row[0], row[2]))
    again = np.array([row[2] for row in rows], int)
    held = np.cumsum(again > 0) - 1
    does = np.array([row[4] for row in rows], bool).reshape(-1, len(rules))
    slot = np.full(does.shape, -1)
    for number, (moment, rule) in enumerate(zip(*np.nonzero(does), strict=True)):
        slot[moment, rule] = number
        place = [row[1] == rows[moment][1] and row[3][rule] for row in rows]
        slot[np.flatnonzero(place), rule] = number
    return Moments(
        place=np.array([row[1] for row in rows], int),
        again=again,
        decides=np.array([row[3] for row in rows], bool).reshape(-1, len(rules)),
        does=does,
        slot=slot,
        token=np.array([_token(plan, row[1], row[2]) for row in rows], np.uint32),
        column=plan.planned.size + np.where(again > 0, held, 0),
    )


def cycle_at(time: float, length: float, *, after: bool) -> tuple[float, float, float]:
    """Return cycle, day of the cycle and begin of the cycle [h], by plan.

    Before a dose the old cycle is not over yet.

    Examples
    --------
    >>> cycle_at(504.0, 504.0, after=False), cycle_at(504.0, 504.0, after=True)
    ((1.0, 21.0, 0.0), (2.0, 0.0, 504.0))
    """
    if not length:
        return 1.0, time / HOURS_PER_DAY, 0.0
    turns = time / length
    whole = math.floor(turns + TRIFLE) + 1 if after else math.ceil(turns - TRIFLE)
    begin = (max(whole, 1) - 1) * length
    return float(max(whole, 1)), (time - begin) / HOURS_PER_DAY, begin


def longest(moments: Moments, rules: Sequence[Rule], plan: ObservationTimes) -> float:
    """Return how long it may be from one moment to the next [h], for any subject."""
    times = [*plan.planned[moments.place], *plan.planned, *plan.grid]
    first, last = min([0.0, *times]), max([0.0, *times])
    held = np.sort(plan.planned[moments.place])
    gaps = np.diff(np.concatenate([[first], held, [last]]))
    moved = 2.0 * float(plan.window.max(initial=0.0))
    delays = [rule.delay for rule in rules]
    return max([*gaps.tolist(), *delays]) + moved + SLACK


def most_within(times: Float[np.ndarray, " time"], length: float) -> int:
    """Count how many times lie in any span of so many hours, at most.

    Examples
    --------
    >>> most_within(np.array([0.0, 24.0, 48.0, 49.0]), 25.0)
    3
    """
    ordered = np.sort(times)
    last = np.searchsorted(ordered, ordered + length, side="right")
    return int((last - np.arange(ordered.size)).max(initial=0))


def _together(rules: Sequence[Rule], plan: ObservationTimes) -> list[list[int]]:
    """Put measured times that rules are decided at together, where they are one."""
    at = {name for rule in rules for name in rule.at}
    found: dict[tuple[float, bool, str], list[int]] = {}
    for place, name in enumerate(plan.visits):
        if name in at:
            after = plan.rank[place] == AFTER_DOSE
            own = name if plan.window[place] else ""
            time = float(plan.planned[place])
            found.setdefault((time, bool(after), own), []).append(place)
    return [found[key] for key in sorted(found)]


def _turns(rules: Iterable[Rule]) -> int:
    """Return how often a visit may be held again, for the rules decided at it."""
    delays = [rule.most or MOST_DELAYS for rule in rules if rule.delay]
    return max(delays, default=0)


def _token(plan: ObservationTimes, place: int, again: int) -> int:
    """Name a moment by its visit, the number of the time in it, and the turn."""
    name = plan.visits[place]
    number = plan.visits[:place].count(name)
    return purpose_number(f"{name} {number} {again}")

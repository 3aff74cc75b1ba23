"""Where true courses jump or bend by plan: doses, ends of infusions, occasions.

Equations that the clock switches bend them, too, as do lag times and infusions whose
rate or duration the model has; of these it is the typical subject's moments. Where a
subject has others, its courses bend between the times of the grid. What mg/kg at a
given rate take is not known here, and neither is what only the run decides.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.dosing.periods import INSTANT
from vtrial.dosing.regimen import MODEL_DURATION, MODEL_RATE, Step
from vtrial.model.model import Model
from vtrial.model.switch_times import switch_times
from vtrial.model.tree import Number
from vtrial.model.typical import Typical, typical_of
from vtrial.protocol.protocol import Arm, Visit
from vtrial.protocol.rules import MOST_DELAYS

ENTRY = ("lag", "rate", "duration")
MOST_SWITCHES = 200  # of an arm
MOST_RULED = 2000  # doses of an arm that its rules may move


class Knots(NamedTuple):
    """Moments at which courses are not smooth, ascending, of all arms together.

    Fields
    ------
    time
        [h] From the start of the trial.
    dose
        Whether one is given then: what is true just before it may not be just after.
    occasion
        Whether one begins then, other than the first.
    """

    time: Float[np.ndarray, " knot"]
    dose: Bool[np.ndarray, " knot"]
    occasion: Bool[np.ndarray, " knot"]


NO_KNOTS = Knots(np.zeros(0), np.zeros(0, bool), np.zeros(0, bool))


def knots_of(
    arms: Sequence[Arm],
    visits: Sequence[Visit],
    occasions: Sequence[float],
    model: Model,
    until: float,
) -> Knots:
    """Gather where the courses of a trial's arms are not smooth, up to some hour."""
    planned = [step.times() for arm in arms for step in _steps(arm)]
    ruled = [_ruled(arm, visits, until) for arm in arms if arm.rules]
    doses = _together([*planned, *ruled])
    begins = rounded(np.asarray(occasions[1:], float))
    bends = _together(_bends(model, arm, until) for arm in arms)
    time = np.unique(np.concatenate([doses, begins, bends]))
    return Knots(time, np.isin(time, doses), np.isin(time, begins))


def most_delay(arm: Arm) -> float:
    """Return by how many hours the rules of an arm may delay what is planned."""
    times = [rule.delay * (rule.most or MOST_DELAYS) for rule in arm.rules]
    return math.fsum(times)


def _ruled(
    arm: Arm, visits: Sequence[Visit], until: float
) -> Float[np.ndarray, " time"]:
    """Return when doses may be given under rules, beside when they are planned [h].

    Where a visit is moved in its window, they are given at other times, too.
    """
    turns = [
        np.arange((rule.most or MOST_DELAYS) + 1) * rule.delay
        for rule in arm.rules
        if rule.delay
    ]
    delays = np.unique(np.concatenate([np.zeros(1), *turns]))
    found = [(step.times()[:, None] + delays).ravel() for step in _steps(arm)]
    for rule in arm.rules:
        at = [np.asarray(v.times, float) for v in visits if v.name in rule.at]
        now = np.concatenate([np.zeros(0), *at]) + rule.after
        now = (now[:, None] + delays).ravel()
        for action in rule.do:
            if action.kind in ("give", "switch", "assign"):
                steps = action.regimen.steps if action.regimen else ()
                later = [np.zeros(1), *(step.times() for step in steps)]
                found.append((now[:, None] + np.concatenate(later)).ravel())
    times = np.unique(_together(found))
    return times[times <= until][:MOST_RULED]


def _steps(arm: Arm) -> Sequence[Step]:
    return arm.regimen.steps if arm.regimen else ()


@functools.lru_cache(maxsize=4096)
def _bends(model: Model, arm: Arm, until: float) -> Float[np.ndarray, " time"]:
    """Return ends of infusions, and what the model moves or switches, under an arm [h].

    The model does so with its typical values.
    """
    typical = Typical(model.typical())
    values = {name: typical.value(expression) for name, expression in arm.set}
    given = {name: value for name, value in values.items() if value is not None}
    known = {
        (one.statement.kind, one.statement.name): one.value
        for one in typical_of(model, given).properties
        if one.is_sound
    }
    doses = np.unique(_together(step.times() for step in _steps(arm))).tolist()
    switches = switch_times(model, given, doses, until=until, most=MOST_SWITCHES)
    time = np.concatenate([switches, *(_taken_up(step, known) for step in _steps(arm))])
    return time[np.isfinite(time)]


def _taken_up(
    step: Step, known: Mapping[tuple[str, str], float]
) -> Float[np.ndarray, " time"]:
    """Return when delayed doses begin and infusions end [h]; NaN where not known."""
    lag, rate, length = (known.get((k, step.into), 0.0) for k in ENTRY)
    whole = known.get(("F", step.into), 1.0)
    begin, lengths = step.times() + lag, whole * step.lengths()
    if step.rate == Number(MODEL_RATE) and rate:
        lengths = whole * step.amounts() / rate
    elif step.rate == Number(MODEL_DURATION) and length:
        lengths = np.full(step.count, length)
    ends = begin + lengths
    return np.concatenate([begin, ends]) if lag else ends


def rounded(time: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Round times [h] so that those that differ by arithmetic only are equal."""
    return np.round(time / INSTANT) * INSTANT


def _together(
    parts: Iterable[Float[np.ndarray, " _"]],
) -> Float[np.ndarray, " time"]:
    """Put times into one row, rounded."""
    return rounded(np.concatenate([np.zeros(0), *parts]))

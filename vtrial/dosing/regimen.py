"""Regimen: what is given, to whom how much, and when, before it is expanded."""

import functools
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vtrial.model.tree import Expression, Number, names_in

MODEL_RATE, MODEL_DURATION = -1.0, -2.0  # stand for a rate: the model has it

HOURS_PER_DAY = 24.0


@dataclass(frozen=True)
class Repeat:
    """Give what came before again: `count` times in all, `interval` [h] apart."""

    interval: float
    count: int


@dataclass(frozen=True)
class Level:
    """An amount that is given for a number of doses.

    `nominal` is the number that was written for it [the model's amount], before caps
    and rounding, and per what it is: `kg`, `m2` or nothing. It is None where nobody
    wrote one number for everybody.
    """

    amount: Expression
    doses: int
    nominal: tuple[float, str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Step:
    """Doses that follow one rule.

    Fields
    ------
    levels
        Amounts [the model's amount] in the order of the doses; the last one stays.
    at
        [h] Times of the first round, ascending.
    repeats
        From the inner to the outer: each repeats all that came before.
    compartment, into
        Position in the model's states, and the state's name.
    rate
        [amount/h] 0 bolus, above 0 infusion, -1 and -2 the model's rate and duration.
    duration
        [h] Of an infusion, instead of `rate`; None if it is not said.
    steady
        Whether the first dose finds the steady state of its interval.
    words
        The text that it was read from.
    """

    levels: tuple[Level, ...]
    at: tuple[float, ...] = (0.0,)
    repeats: tuple[Repeat, ...] = ()
    compartment: int = 0
    into: str = ""
    rate: Expression = Number(0.0)
    duration: Expression | None = None
    steady: bool = False
    words: str = ""

    @property
    def count(self) -> int:
        """Count the doses."""
        count = len(self.at)
        for repeat in self.repeats:
            count *= repeat.count
        return count

    @property
    def last_level(self) -> Level:
        """The level of the last dose, which may not be the last of an escalation."""
        left = self.count
        for level in self.levels:
            left -= level.doses
            if left <= 0:
                return level
        return self.levels[-1]

    @property
    def interval(self) -> float:
        """[h] From one round to the next, the outermost one; 0 if there is none."""
        return self.repeats[-1].interval if self.repeats else 0.0

    @property
    def inner_interval(self) -> float:
        """[h] From one dose to the next, the innermost one; 0 if there is none."""
        return self.repeats[0].interval if self.repeats else 0.0

    @property
    def end(self) -> float:
        """[h] When the next dose would be: last dose or round plus its interval."""
        if not self.repeats:
            return self.at[-1]
        outer = self.repeats[-1]
        return self.at[0] + outer.count * outer.interval

    def times(self) -> np.ndarray:
        """Return the times of the doses [h], in the order in which they are said."""
        times = np.asarray(self.at, float)
        for repeat in self.repeats:
            starts = np.arange(repeat.count) * repeat.interval
            times = (starts[:, None] + times[None, :]).ravel()
        return times

    def levels_of_doses(self) -> np.ndarray:
        """Return the place among the levels of each dose's amount."""
        ends = np.cumsum([level.doses for level in self.levels])
        place = np.searchsorted(ends, np.arange(self.count), side="right")
        return np.minimum(place, len(ends) - 1)

    def amounts(self) -> np.ndarray:
        """Return each dose's amount; NaN where it depends on the subject."""
        levels = [_number(level.amount) for level in self.levels]
        return np.array(levels)[self.levels_of_doses()]

    def lengths(self) -> np.ndarray:
        """Return how long each dose takes [h]; NaN where it depends on the subject.

        That is before bioavailability, which shortens infusions at a given rate.
        """
        if self.duration is not None:
            return np.full(self.count, _number(self.duration))
        rate = _number(self.rate)
        return self.amounts() / rate if rate > 0 else np.full(self.count, np.nan)


class Nominal(NamedTuple):
    """What a regimen is called by: one administration, once it has come to its dose.

    Fields
    ------
    amount, unit
        In the model's amount, or that per kg or m2: `mg`, `mg/kg`.
    interval
        [h] To the next administration; 0 if there is none, or not one alone.
    into
        The names of the states that it is given into.
    changed
        Whether other amounts came before it.
    """

    amount: float
    unit: str
    interval: float
    into: tuple[str, ...]
    changed: bool


@dataclass(frozen=True)
class Regimen:
    """What an arm is given: steps that run side by side or one after another.

    `unit` is the model's unit of amount.
    """

    steps: tuple[Step, ...]
    unit: str = "mg"

    @functools.cached_property
    def needs(self) -> tuple[str, ...]:
        """The covariates that amounts, rates and durations ask for."""
        names = {
            name.name
            for step in self.steps
            for expression in _expressions(step)
            for name in names_in(expression)
        }
        return tuple(sorted(names))

    @property
    def end(self) -> float:
        """[h] When everything is over: the last dose and its interval."""
        return max(step.end for step in self.steps)

    @property
    def interval(self) -> float:
        """[h] The length of a cycle: the first step's interval that there is; or 0."""
        return next((s.interval for s in self.steps if s.interval), 0.0)

    @property
    def count(self) -> int:
        """Count the doses."""
        return sum(step.count for step in self.steps)

    def nominal(self) -> Nominal | None:
        """Return the maintenance dose; None if it is not a single number.

        Of escalations and tapers it is the last amount, and behind a loading dose that
        of maintenance. What is given at the same times counts together; what is given
        at other times until the end (basal and bolus insulin) is no one dose.
        """
        last = max(float(step.times().max()) for step in self.steps)
        kept = [step for step in self.steps if step.times().max() == last]
        before = [step for step in self.steps if step.times().max() < last]
        alike = all(step.times().tolist() == kept[0].times().tolist() for step in kept)
        named = [step.last_level.nominal for step in kept]
        amounts = [one[0] for one in named if one is not None]
        pers = {one[1] for one in named if one is not None}
        over = all(step.end <= last for step in before)
        if not (alike and over) or len(amounts) < len(kept) or len(pers) > 1:
            return None
        per = pers.pop()
        single = len(kept[0].at) > 1 or kept[0].count == 1
        return Nominal(
            sum(amounts),
            f"{self.unit}/{per}" if per else self.unit,
            0.0 if single else kept[0].inner_interval,
            tuple(sorted({step.into for step in kept})),
            bool(before) or any(len(step.levels) > 1 for step in kept),
        )

    @property
    def words(self) -> str:
        """Regimen in a sentence: dose, compartment, interval and times."""
        return "; ".join(_sentence(step) for step in self.steps)


def _number(expression: Expression) -> float:
    return expression.value if isinstance(expression, Number) else math.nan


def _expressions(step: Step) -> list[Expression]:
    """List everything of a step that is computed."""
    amounts = [level.amount for level in step.levels]
    return [*amounts, step.rate, *([step.duration] if step.duration else [])]


def _sentence(step: Step) -> str:
    into = "" if f"into {step.into}" in step.words else f" into {step.into}"
    times = step.times()
    first, last = _moment(times.min()), _moment(times.max())
    if step.count == 1:
        return f"{step.words}{into} (one dose, at {first})"
    return f"{step.words}{into} ({step.count} doses, from {first} to {last})"


def _moment(time: float) -> str:
    """Write a time as days if it is whole days, else as hours."""
    days = time / HOURS_PER_DAY
    return f"day {days:.0f}" if days == round(days) else f"{time:g} h"

"""Regimen: what is given, to whom how much, and when, before it is expanded."""

import functools
from dataclasses import dataclass

import numpy as np

from vtrial.model.tree import Expression, Number, names_in

HOURS_PER_DAY = 24.0


@dataclass(frozen=True)
class Repeat:
    """Give what came before again: `count` times in all, `interval` [h] apart."""

    interval: float
    count: int


@dataclass(frozen=True)
class Level:
    """An amount that is given for a number of doses."""

    amount: Expression
    doses: int


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

    @property
    def words(self) -> str:
        """Say it in a sentence: what was written, into what, how often, and when."""
        return "; ".join(_sentence(step) for step in self.steps)


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

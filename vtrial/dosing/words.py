"""Dosing words: `60 mg/m2 over 1 h every 21 d x 6`, read against a model.

What may be written stands in `vtrial.dosing.grammar`; here it gets its meaning, and
everything that cannot be given is refused, all faults at once.
"""

import math
from collections.abc import Collection, Sequence

from vtrial.dosing.grammar import Clause, Part, parse_leniently
from vtrial.dosing.measure import Measures
from vtrial.dosing.regimen import (
    MODEL_DURATION,
    MODEL_RATE,
    Level,
    Regimen,
    Repeat,
    Step,
)
from vtrial.errors import DosingError, Fault
from vtrial.model.model import Model
from vtrial.model.tree import Expression, Number
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest

MAX_DOSES = 100_000
MAX_HOURS = 1e7
MAX_ENTRIES = 200
SUCH = "dosing words, such as `100 mg every 24 h x 7`"
_INFUSION = ("over", "rate", "model_rate", "model_duration")
_START = ("at", "from_", "after")
_SAID = {
    "from_": "from",
    "model_rate": "at model rate",
    "model_duration": "over model duration",
    "steady": "at steady state",
    "rate": "at ... mg/h",
    "count": "x",
    "lasting": "for",
}


def parse_regimen(
    entry: str | Sequence[str] | object,
    *,
    model: Model,
    known: Collection[str] = (),
) -> Regimen:
    """Read dosing words; the texts of a list run side by side.

    `entry` is a text, a list of texts, or whatever else a sheet holds there, which is
    refused. `known` names covariates that amounts may use beside those of the model.

    Raises
    ------
    DosingError
        With every fault, each with its column in the text.
    """
    texts = _texts(entry)
    names = {*known, *(covariate.name for covariate in model.covariates)}
    steps: list[Step] = []
    faults: list[Fault] = []
    if not model.states:
        found = "a dose, though the model has no states"
        allowed = "left out; `set: {...}` gives the model other values"
        faults.append(Fault("dose", found, allowed, ""))
    for number, text in enumerate(texts, start=1):
        at = "dose" if len(texts) == 1 else f"dose {number}"
        read = parse_leniently(text, at=at)
        faults += read.faults
        if model.states:
            reader = _Reader(model, names, at)
            steps += reader.read(read.parts)
            faults += [
                fault._replace(column=read.column(fault.column))
                for fault in reader.faults
            ]
    total = sum(step.count for step in steps)
    if not faults and total > MAX_DOSES:
        faults.append(Fault("dose", f"{total} doses", f"at most {MAX_DOSES} doses", ""))
    raise_faults(DosingError, faults)
    return Regimen(tuple(steps), model.amount)


def _texts(entry: object) -> list[str]:
    """Take a text or a list of texts, and nothing else."""
    texts = [entry] if isinstance(entry, str) else entry
    if not isinstance(texts, list | tuple) or not texts:
        found = f"`{str(entry)[:40]}`" if entry else "empty"
        raise DosingError("dose", found, f"{SUCH}, or a list of them", "")
    if len(texts) > MAX_ENTRIES:
        found = f"a list of {len(texts)}"
        raise DosingError("dose", found, f"at most {MAX_ENTRIES} texts", "")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str) or not text.strip():
            found = f"`{str(text)[:40]}`" if str(text).strip() else "empty"
            at = "dose" if len(texts) == 1 else f"dose {number}"
            raise DosingError(at, found, SUCH, "")
    return list(texts)


class _Reader(Measures):
    """Read the parts of one text; faults are gathered, not raised."""

    def read(self, parts: Sequence[Part]) -> list[Step]:
        """Read parts into steps, each placed after the one that it follows."""
        steps: list[Step] = []
        previous: Step | None = None
        for part in parts:
            previous = self.step(part, previous if part.follows else None)
            if previous is None:
                # What follows cannot be placed; its own faults are still told.
                previous = Step((Level(Number(1.0), 1),), repeats=(Repeat(24.0, 1),))
            else:
                steps.append(previous)
        return steps

    def step(self, part: Part, previous: Step | None) -> Step | None:
        """Read one part; None if anything in it is wrong."""
        before = len(self.faults)
        clauses = [self.told_apart(clause) for clause in part.clauses]
        self.once(clauses)
        said = {clause.kind: clause for clause in clauses}
        levels = self.levels(part, [c for c in clauses if c.kind in _ADJUST])
        repeats = self.repeats(clauses, steady="steady" in said)
        compartment, into = self.compartment(said.get("into"))
        at = self.placed(part, said, repeats, previous)
        rate, duration = self.infusion(said, into)
        steady = "steady" in said
        if steady and (len(at) > 1 or not repeats):
            column = said["steady"].column
            found = "`at steady state` without an interval to be steady in"
            if len(at) > 1:
                found = "`at steady state` of several times"
            self.fault(found, "said of one interval, as `every 12 h`", "", column)
        if len(self.faults) > before:
            return None
        step = Step(
            levels, at, repeats, compartment, into, rate, duration, steady, part.words
        )
        self.bounded(step, part, previous)
        return step if len(self.faults) == before else None

    def told_apart(self, clause: Clause) -> Clause:
        """Return `at 10 mg/h` as a rate clause; leave `at 12 h`, a time, as it is."""
        if clause.kind == "at" and isinstance(clause.value, tuple):
            first = clause.value[0]
            if len(clause.value) == 1 and self.looks_like_rate(first):
                return Clause("rate", first, clause.column)
        return clause

    def once(self, clauses: Sequence[Clause]) -> None:
        """Refuse what is said twice, or in two ways."""
        for group in (_INFUSION, _START, ("into",), ("steady",)):
            mine = [clause for clause in clauses if clause.kind in group]
            for clause in mine[1:]:
                found = f"`{_words(clause)}` after `{_words(mine[0])}`"
                self.fault(found, "one of the two", "", clause.column)

    def repeats(self, clauses: Sequence[Clause], *, steady: bool) -> tuple[Repeat, ...]:
        """Read `every 24 h x 7`, and `every` around it."""
        repeats: list[Repeat] = []
        open_ = 0
        for clause in clauses:
            if clause.kind == "every":
                if open_:
                    self.uncounted(clause.column)
                interval = self.hours(clause.value, "an interval")
                repeats.append(Repeat(interval, 1))
                open_ = clause.column
            elif clause.kind in ("count", "lasting"):
                word = _words(clause)
                if not open_:
                    found = f"`{word}` without an `every` before it"
                    allowed = "behind an interval, as in `every 24 h x 7`"
                    self.fault(found, allowed, "", clause.column)
                    continue
                interval = repeats[-1].interval
                repeats[-1] = Repeat(interval, self.count(clause, interval))
                open_ = 0
        if open_ and not (steady and len(repeats) == 1):
            self.uncounted(open_)
        return tuple(repeats)

    def uncounted(self, column: int) -> None:
        """Refuse an interval without an end."""
        found = "`every` without saying how often"
        self.fault(found, "followed by `x 7` or `for 7 d`", "", column)

    def count(self, clause: Clause, interval: float) -> int:
        """Read how often: `x 7`, or `for 7 d`, which counts the starts inside it."""
        if clause.kind == "lasting":
            lasting = self.hours(clause.value, "a span of time")
            number = lasting / interval if interval else 1.0
            number = float(math.ceil(number - 1e-9)) if number < 1e9 else number
        else:
            number = float(str(clause.value))
        if not (number == round(number) if math.isfinite(number) else False):
            found = f"`x {clause.value}`"
            self.fault(found, "a whole number of doses", "", clause.column)
            return 1
        if not 1 <= number <= MAX_DOSES:
            found = f"{number:g} doses"
            self.fault(found, f"1 to {MAX_DOSES} doses", "", clause.column)
            return 1
        return int(number)

    def compartment(self, clause: Clause | None) -> tuple[int, str]:
        """Find the state that a dose goes to; the first if nothing is said."""
        states = self.model.states
        if clause is None:
            return 0, states[0]
        name = str(clause.value)
        if name not in states:
            near, old = nearest(name, states), f"into {name}"
            found = f"`{old}`, which is no state of the model"
            allowed = f"into {listed(states, like=name)}"
            write = f"into {near}" if near else ""
            self.fault(found, allowed, write, clause.column, old)
            return 0, states[0]
        return states.index(name), name

    def infusion(
        self, said: dict[str, Clause], into: str
    ) -> tuple[Expression, Expression | None]:
        """Read how fast: a rate and, instead of it, a duration."""
        for kind, code in (("rate", MODEL_RATE), ("duration", MODEL_DURATION)):
            clause = said.get(f"model_{kind}")
            if clause is None:
                continue
            stated = {(s.kind, s.name) for s in self.model.structure.properties}
            if (kind, into) not in stated:
                found = f"`{_words(clause)}`, though the model has no `{kind}({into})`"
                allowed = "said of a state with that property"
                self.fault(found, allowed, "", clause.column)
            return Number(code), None
        if "rate" in said:
            return self.rate(said["rate"].value), None
        if "over" in said:
            return Number(0.0), self.span(said["over"].value)
        return Number(0.0), None

    def placed(
        self,
        part: Part,
        said: dict[str, Clause],
        repeats: tuple[Repeat, ...],
        previous: Step | None,
    ) -> tuple[float, ...]:
        """Find the times of a step's first round [h]."""
        if "at" in said:
            values = said["at"].value
            times = [self.moment(value) for value in values]  # type: ignore
            if sorted(set(times)) != times:
                found = "times out of order" if len(set(times)) == len(times) else ""
                found = found or "the same time twice"
                column = said["at"].column
                self.fault(found, "ascending times", "", column)
            return tuple(times)
        if "from_" in said:
            return (self.moment(said["from_"].value),)
        if "after" in said:
            gap = self.hours(said["after"].value, "a span of time")
            if previous is None:
                found = "`after` without a `then` before it"
                allowed = f"behind `then`, or `from {gap:g} h`"
                self.fault(found, allowed, "", said["after"].column)
                return (0.0,)
            return (float(previous.times().max()) + gap,)
        if previous is None:
            return (0.0,)
        if previous.repeats:
            return (previous.end,)
        if repeats:
            return (previous.at[-1] + repeats[0].interval,)
        found = "`then` without an interval on either side"
        allowed = "placed in time, as in `then 100 mg after 12 h`"
        self.fault(found, allowed, "", part.column)
        return (0.0,)

    def bounded(self, step: Step, part: Part, previous: Step | None) -> None:
        """Refuse rounds that overlap, steps that run backwards, and absurd counts."""
        if step.count > MAX_DOSES:
            found = f"{step.count} doses"
            self.fault(found, f"at most {MAX_DOSES} doses", "", part.column)
            return
        last = step.at[-1] - step.at[0]
        for repeat in step.repeats:
            if repeat.count > 1 and repeat.interval <= last:
                found = f"`every {repeat.interval:g} h` around doses {last:g} h long"
                self.fault(found, "a longer interval", "", part.column)
            last += (repeat.count - 1) * repeat.interval
        if step.at[0] + last > MAX_HOURS:
            found = f"a last dose at {step.at[0] + last:g} h"
            self.fault(found, f"at most at {MAX_HOURS:g} h", "", part.column)
        if previous is not None and step.at[0] < previous.at[0]:
            found = f"`then` from {step.at[0]:g} h, before what it follows"
            allowed = f"later than what it follows, `from {previous.end:g} h`"
            self.fault(found, allowed, "", part.column)


_ADJUST = ("least", "most", "round_near", "round_up", "round_down")


def _words(clause: Clause) -> str:
    """Write the keyword of a clause."""
    return _SAID.get(clause.kind, clause.kind)

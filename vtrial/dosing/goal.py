"""What is wanted of a dose, in words: `AUC24 in 400 to 600 at 48 h`.

A goal says of a value where it is to be; a limit, how probable a condition may be:

    AUC24 in 400 to 600                    the area over the 24 h that end at its time
    trough(conc) in 10 to 20 at 48 h       just before the last dose up to then
    mean24(conc > 4) >= 50 %               the share of the last 24 h
    P(nadir(anc) < 0.5) <= 0.5             how probable that may be

Values are written in the equation language, on outputs and measures of their courses;
they are parsed and computed, never evaluated as anything else.
"""

import math
import re
from dataclasses import dataclass, replace

from vtrial.errors import DataError, Fault, ModelError, UnitError
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.model import Model
from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.sheets.span import span_of
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

WINDOWED = ("AUC", "mean")
PLAIN = ("peak", "trough", "nadir")
SUCH = "AUC24 in 400 to 600"
MOST_LETTERS = 500
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LIMIT = re.compile(rf"\s*P\s*\((.*)\)\s*(<=|>=|<|>)\s*({_NUMBER})\s*(%?)\s*", re.S)
_AT = re.compile(r"(.*)\s+at\s+([^()<>]+)", re.S)
_RANGE = re.compile(rf"(.*)\s+in\s+({_NUMBER})\s+to\s+({_NUMBER})\s*([^()<>]*)", re.S)
_COMPARED = re.compile(rf"(.*?)(<=|>=|<|>)\s*({_NUMBER})\s*([^()<>]*)", re.S)
_MEASURE = re.compile(r"(AUC|mean)(\d{0,4})|(peak|trough|nadir)")
_WORDS = re.compile(r"\b(?:(?:AUC|mean)\d{0,4}|peak|trough|nadir)\b")


@dataclass(frozen=True)
class Measure:
    """A number of a course under new doses.

    Fields
    ------
    kind
        `AUC`, `mean`, `peak`, `trough`, `nadir`, or `value`.
    of
        What it is of: an expression of outputs.
    window
        [h] Of an area or a mean, up to `at`; 0: from the first new dose.
    at
        [h] When it is known, after the first new dose.
    """

    kind: str
    of: Expression
    window: float
    at: float


@dataclass(frozen=True)
class Goal:
    """A condition on measures of a course.

    Fields
    ------
    written
        As it was written.
    label
        The value's part of it.
    measures, value
        What is computed, and what is made of it: names `measure 0` and so on.
    low, high
        Between which the value is to be; infinite on a side without an end.
    strict
        Whether the ends do not count.
    least, most
        How probable that is to be, of a limit; NaN for a goal.
    """

    written: str
    label: str
    measures: tuple[Measure, ...]
    value: Expression
    low: float
    high: float
    strict: bool = False
    least: float = math.nan
    most: float = math.nan

    @property
    def is_limit(self) -> bool:
        """Whether it bounds a probability."""
        return not (math.isnan(self.least) and math.isnan(self.most))

    @property
    def words(self) -> str:
        """What is looked at, in a sentence."""
        return "; ".join(_said(one) for one in self.measures)


def parse_goal(text: str, model: Model, *, until: float) -> Goal:
    """Read a goal or a limit; `until` [h] is when it is looked at unless it says so.

    Raises
    ------
    DataError
        With every fault of it.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> model = load_model("theophylline")
    >>> goal = parse_goal("AUC24 in 400 to 600", model, until=48.0)
    >>> goal.low, goal.high, goal.words.partition(" from ")[0]
    (400.0, 600.0, 'AUC24 is the area under conc')
    """
    at = f"the goal `{text[:60]}`"
    if len(text) > MOST_LETTERS:
        raise DataError(
            at, f"{len(text)} letters long", f"at most {MOST_LETTERS}", SUCH
        )
    limit = _LIMIT.fullmatch(text)
    inner = limit[1] if limit else text
    when = _AT.fullmatch(inner)
    if when:
        inner, until = when[1], span_of(when[2], at=at)
    ranged, compared = _RANGE.fullmatch(inner), _parted(inner)
    if not ranged and not compared:
        allowed = f"a range or a comparison, such as `{SUCH}` or `trough(conc) > 10`"
        if limit:
            allowed = "a condition in P(...), such as `P(nadir(anc) < 0.5) <= 0.5`"
        raise DataError(at, "without one" if inner.strip() else "empty", allowed, "")
    if ranged:
        body, first, second, unit = ranged.groups()
        low, high, strict = float(first), float(second), False
        if low >= high:
            raise DataError(at, f"from {first} to {second}", "from low to high", "")
    else:
        assert compared is not None  # one of the two is there
        body, sign, first, unit = compared
        low, high = (
            (-math.inf, float(first)) if "<" in sign else (float(first), math.inf)
        )
        strict = "=" not in sign
    measures, value = _value(body, model, until, at)
    scale = _scale(unit.strip(), measures, value, model, at)
    least = most = math.nan
    if limit:
        share = float(limit[3]) / (100.0 if limit[4] else 1.0)
        if not 0 <= share <= 1:
            found = f"a probability of {limit[3]}{limit[4]}"
            raise DataError(at, found, "from 0 to 1, or from 0 % to 100 %", "0.5")
        least, most = (share, math.nan) if ">" in limit[2] else (math.nan, share)
    label = write_expression(_shown(value, measures))
    return Goal(
        text, label, measures, value, low * scale, high * scale, strict, least, most
    )


def above(goal: Goal) -> Goal:
    """Return the harm of being above a goal's range."""
    text = f"{goal.label} > {goal.high:g}"
    return replace(goal, written=text, low=goal.high, high=math.inf, strict=True)


def _parted(text: str) -> tuple[str, str, str, str] | None:
    """Part a comparison at its last sign outside of brackets."""
    depth, place = 0, -1
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter in "<>" and depth == 0:
            place = index
    if place < 0:
        return None
    found = _COMPARED.fullmatch("x" + text[place:])
    return (text[:place], found[2], found[3], found[4]) if found else None


def _value(
    text: str, model: Model, until: float, at: str
) -> tuple[tuple[Measure, ...], Expression]:
    """Read what a goal is of."""
    words = {*_WORDS.findall(text), *WINDOWED, *PLAIN}
    try:
        tree = parse_expression(text, more=dict.fromkeys(words, (1, 1)))
    except ModelError as error:
        raise DataError.of(
            Fault(at, fault.found, fault.allowed, fault.write) for fault in error.faults
        ) from None
    reader = _Reader(model, until, at)
    value = reader.read(tree)
    if not reader.measures and not reader.faults:
        found = "of nothing that a dose moves"
        allowed = f"of an output: {listed(o.name for o in model.outputs)}"
        reader.faults.append(Fault(at, found, allowed, ""))
    if reader.faults:
        raise DataError.of(dict.fromkeys(reader.faults))
    return tuple(reader.measures), value


class _Reader:
    """Put names in the place of measures, and note what is none."""

    def __init__(self, model: Model, until: float, at: str) -> None:
        self.until, self.at = until, at
        self.outputs = [output.name for output in model.outputs]
        noisy = [output.name for output in model.outputs if output.error.varies]
        known = noisy or self.outputs
        self.usual = known[0] if len(known) == 1 else ""
        self.measures: list[Measure] = []
        self.faults: list[Fault] = []

    def read(self, tree: Expression) -> Expression:
        """Return the tree with names for measures."""
        if isinstance(tree, Number):
            return tree
        if isinstance(tree, Name):
            if tree.name in self.outputs:
                return self.measured("value", 0.0, tree)
            word = _MEASURE.fullmatch(tree.name)
            if word and self.usual:
                return self.called(tree.name, Name(self.usual))
            if word:
                found = f"`{tree.name}` without saying of what"
                allowed = f"of an output: {listed(self.outputs)}"
                self.fault(found, allowed, f"{tree.name}({self.outputs[0]})")
            else:
                self.unknown(tree.name)
            return Number(0.0)
        if _MEASURE.fullmatch(tree.function):
            return self.called(tree.function, tree.arguments[0])
        return Call(tree.function, tuple(self.read(one) for one in tree.arguments))

    def called(self, word: str, of: Expression) -> Expression:
        """Note a measure by its word."""
        found = _MEASURE.fullmatch(word)
        assert found is not None  # it was looked at before
        window = float(found[2] or 0) if found[1] else 0.0
        if window > self.until:
            said = f"`{word}` at {self.until:g} h"
            allowed = f"at {window:g} h after the first new dose, or later"
            self.fault(said, allowed, f"at {window:g} h")
        for name in names_in(of):
            if name.name not in self.outputs:
                self.unknown(name.name)
        return self.measured(found[1] or found[3], window, of)

    def measured(self, kind: str, window: float, of: Expression) -> Name:
        """Note a measure; the same one once."""
        one = Measure(kind, _bare(of), window, self.until)
        if one not in self.measures:
            self.measures.append(one)
        return Name(f"measure {self.measures.index(one)}")

    def unknown(self, name: str) -> None:
        """Note a name that is no output."""
        words = [
            *self.outputs,
            "AUC24(...)",
            "mean24(...)",
            *(f"{w}(...)" for w in PLAIN),
        ]
        self.fault(
            f"of `{name}`", f"of {listed(words, 30)}", nearest(name, self.outputs)
        )

    def fault(self, found: str, allowed: str, write: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(self.at, found, allowed, write))


def _bare(tree: Expression) -> Expression:
    """Leave out where an expression stood, which is no part of a program."""
    if isinstance(tree, Name):
        return Name(tree.name)
    if isinstance(tree, Call):
        return Call(tree.function, tuple(_bare(one) for one in tree.arguments))
    return tree


def _scale(
    unit: str, measures: tuple[Measure, ...], value: Expression, model: Model, at: str
) -> float:
    """Return what a limit's number is multiplied by, where it has a unit."""
    if not unit:
        return 1.0
    if unit == "%":
        return 0.01
    units = {output.name: output.unit for output in model.outputs}
    alone = isinstance(value, Name) and isinstance(measures[0].of, Name)
    if not alone:
        raise DataError(
            at, f"in {unit}", "a bare number, for what it is of has none", ""
        )
    want = units[measures[0].of.name]  # pyright: ignore[reportAttributeAccessIssue]
    want = f"{want}.h" if measures[0].kind == "AUC" else want
    try:
        return factor(unit.replace("*", "."), want, molar_mass=model.molar_mass)
    except UnitError:
        raise DataError(
            at, f"in {unit}", f"in {want}, or what converts", want
        ) from None


def _shown(tree: Expression, measures: tuple[Measure, ...]) -> Expression:
    """Put measures back in the place of their names, to be written."""
    if isinstance(tree, Name):
        one = measures[int(tree.name.split()[1])]
        if one.kind == "value":
            return one.of
        return Call(_word(one), (one.of,))
    if isinstance(tree, Call):
        return Call(
            tree.function, tuple(_shown(part, measures) for part in tree.arguments)
        )
    return tree


def _word(measure: Measure) -> str:
    return f"{measure.kind}{measure.window:g}" if measure.window else measure.kind


def _said(measure: Measure) -> str:
    """Say what a measure is."""
    of, end = write_expression(measure.of), f"{measure.at:g} h"
    begin = f"{measure.at - measure.window:g} h" if measure.window else "0 h"
    behind = "after the first new dose"
    span = f"{end} {behind}"
    return {
        "AUC": f"{_word(measure)} is the area under {of} from {begin} to {span}",
        "mean": f"{_word(measure)} is the mean of {of} from {begin} to {span}",
        "peak": f"peak is the highest {of} up to {end} {behind}",
        "nadir": f"nadir is the lowest {of} up to {end} {behind}",
        "trough": f"trough is {of} just before the last dose up to {end} {behind}",
        "value": f"{of} is looked at {end} {behind}",
    }[measure.kind]

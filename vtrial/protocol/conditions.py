"""Conditions of rules: equations of what was measured of a subject and is known.

They are written in the equation language, with functions of its own that look back.
"""

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast, get_args

from vtrial.errors import Fault, ModelError
from vtrial.model.chance import EVENT_WORDS
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.plain import call
from vtrial.model.tree import FUNCTIONS as ORDINARY
from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.protocol.rules import Condition, Forecast, History, Since, Word, name_of
from vtrial.sheets.synonyms import meant
from vtrial.sheets.words import listed, nearest

HOURS_PER_DAY = 24.0
OWN = ("t", "day", "cycle", "day_of_cycle", "dose", "level", "changes")
SINCE = ("start", "change", "cycle")
_LIMITED = ("days_below", "days_above")
_PLAIN = ("last", "previous", "baseline")
FUNCTIONS = {
    word: (2, 3) if word in _LIMITED else (1, 1) if word in _PLAIN else (1, 2)
    for word in get_args(Word)
} | {"ago": (2, 2), "chance": (2, 2)}
_TOLD = re.compile(rf"({'|'.join(EVENT_WORDS)})\((\w+)\)")
_SPOKEN = re.compile(r"\bdays\s+(below|above)\s*\(")
_SPAN = re.compile(r"(?<=,)(\s*)(\d+(?:\.\d+)?)\s*([A-Za-z]*)(\s*\))")
_HOURS = {
    **dict.fromkeys(("h", "hour", "hours"), 1.0),
    **dict.fromkeys(("d", "day", "days"), 24.0),
    **dict.fromkeys(("wk", "week", "weeks"), 168.0),
}
_UNKNOWN = ", an unknown function"


@dataclass(frozen=True)
class Names:
    """What the equations of a rule may name: what is measured, and what else.

    `unmeasured` is what the model has and no visit measures, so that nobody knows it;
    `events` have a hazard, so that a chance may be asked of them.
    """

    measured: Collection[str]
    others: Collection[str]
    unmeasured: Collection[str] = ()
    events: Collection[str] = ()

    @functools.cached_property
    def all(self) -> list[str]:
        """Every name, measured ones first."""
        return list(dict.fromkeys([*self.measured, *self.others, *OWN]))


def read_condition(text: str, names: Names) -> Condition:
    """Read a condition.

    Raises
    ------
    ModelError
        With every fault: it is no equation, or names what a rule cannot know.
    """
    plain, wrong = _plain(text)
    try:
        tree = parse_expression(plain, more=FUNCTIONS)
    except ModelError as error:
        raise ModelError.of([*wrong, *map(_told, error.faults)]) from None
    reader = _Reader(names)
    lifted = reader.lifted(tree)
    if wrong or reader.faults:
        raise ModelError.of([*wrong, *reader.faults])
    return Condition(lifted, tuple(reader.histories), tuple(reader.forecasts))


def _plain(text: str) -> tuple[str, list[Fault]]:
    """Write `days below(` as a name, and `21 d` at the end of a function in hours.

    The text stays as long as it was, so that columns stay. What is no span of time in
    its place is told.
    """
    wrong = []
    text = _SPOKEN.sub(r"days_\1(", text)

    def in_hours(found: re.Match[str]) -> str:
        word, place = _around(text, found.start())
        most = FUNCTIONS.get(word, (0, 1 if word in ORDINARY else place + 1))[1]
        if place + 1 != (2 if word in _PLAIN else most):
            return found[0]
        number, unit = float(found[2]), found[3]
        if not unit and word not in FUNCTIONS:
            return found[0]
        if unit not in _HOURS:
            said = found[0][: -len(found[4])].strip()
            known = "" if unit else ", without a unit"
            allowed = "a span of time with h, d or wk, such as `21 d`"
            at = _place(text, found.start(2))
            wrong.append(Fault("equations", f"`{said}`{known}", allowed, "", "", *at))
        hours = f"{found[1]}{number * _HOURS.get(unit, 1.0) or 1.0:g}{found[4]}"
        return hours.ljust(len(found[0]))

    return _SPAN.sub(in_hours, text), wrong


def _around(text: str, end: int) -> tuple[str, int]:
    """Name the function whose argument ends a text there, and count those before it."""
    depth = place = 0
    for at in range(end - 1, -1, -1):
        letter = text[at]
        if letter == "(" and not depth:
            named = re.search(r"\w+$", text[:at].rstrip())
            return (named[0] if named else ""), place
        depth += {")": 1, "(": -1}.get(letter, 0)
        place += letter == "," and not depth
    return "", place


def _place(text: str, at: int) -> tuple[int, int]:
    """Return line and column of a place in a text, from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - before.rfind("\n")


def _told(fault: Fault) -> Fault:
    """Tell what is wrong with a function as one that looks back."""
    if fault.found.endswith(_UNKNOWN):
        allowed = f"one of {listed(FUNCTIONS)} (docs/protocol.md), or a function of "
        allowed += "equations, such as `max(a, b)`"
        write = fault.write or meant("history", fault.old)
        return fault._replace(allowed=allowed, write=write)
    for word, ours in (("max", "peak"), ("min", "nadir")):
        if fault.found.startswith(f"`{word}` with 1 "):
            allowed = f"`{ours}(...)` of one output over time, or {fault.allowed}"
            return fault._replace(allowed=allowed)
    return fault


@dataclass
class _Reader:
    """Take the functions that look back out of an equation."""

    names: Names

    def __post_init__(self) -> None:
        self.histories: list[History] = []
        self.forecasts: list[Forecast] = []
        self.faults: list[Fault] = []

    def lifted(self, node: Expression) -> Expression:
        """Return an equation with names in the place of such functions."""
        told = _TOLD.fullmatch(node.name) if isinstance(node, Name) else None
        if isinstance(node, Name) and told:  # the language takes it for an event's
            inner = Name(told[2], node.column, node.line)
            node = Call(told[1], (inner,), node.column, node.line)
        if isinstance(node, Name):
            self._check(node, self.names.all, "name")
            return node
        if isinstance(node, Number):
            return node
        if node.function == "chance":
            return self._forecast(node)
        if node.function in FUNCTIONS:
            return self._history(node)
        return replace(node, arguments=tuple(map(self.lifted, node.arguments)))

    def _forecast(self, node: Call) -> Expression:
        """Note a chance that is asked for, and return the name that stands for it."""
        event, span = node.arguments
        if not isinstance(event, Name):
            found = f"`{write_expression(event)}` as what may come"
            self._fault(node, found, f"an event: {listed(self.names.events)}")
        else:
            self._check(event, self.names.events, "event with a hazard")
        if not (isinstance(span, Number) and span.value > 0):
            found = f"`{write_expression(span)}` as the time in which it may come"
            self._fault(node, found, "a span above 0, such as `14 d`")
        if not (isinstance(event, Name) and isinstance(span, Number)):
            return node
        forecast = Forecast(event.name, span.value)
        if forecast not in self.forecasts:
            self.forecasts.append(forecast)
        return Name(forecast.name, node.column, node.line)

    def _history(self, node: Call) -> Expression:
        """Note a function that looks back, and return the name that stands for it."""
        word, arguments = cast("Word", node.function), list(node.arguments)
        since: Since = "start" if word in (*_PLAIN, *_LIMITED) else "change"
        if len(arguments) == FUNCTIONS[word][1] and word not in _PLAIN:
            since = self._since(arguments.pop(), node)
        if word == "ago" and not isinstance(since, float):
            self._fault(node, "`ago` of no span", "a span, as in `ago(x, 3 d)`")
        limit = arguments.pop() if word in _LIMITED else None
        inner = arguments[0]
        found = list(names_in(inner))
        for name in found:
            self._check(name, self.names.measured, "measured output")
        if not found:
            self._fault(node, f"`{word}` of no output", "an output that is measured")
        if limit is not None:
            for name in names_in(limit):
                others = [n for n in self.names.all if n not in self.names.measured]
                self._check(name, others, "covariate")
        history = History(word, inner, limit, since)
        if history not in self.histories:
            self.histories.append(history)
        return Name(name_of(self.histories.index(history)))

    def _since(self, node: Expression, whole: Call) -> Since:
        """Read from when on values count."""
        if isinstance(node, Number) and node.value > 0:
            return node.value
        if isinstance(node, Name) and node.name in SINCE:
            return cast("Since", node.name)
        said = write_expression(node)
        allowed = "`start`, `change` (of the dose), `cycle`, or a span such as `21 d`"
        self._fault(
            whole, f"`{said}` as the second part of `{whole.function}`", allowed
        )
        return "start"

    def _check(self, name: Name, known: Collection[str], kind: str) -> None:
        """Find names that nothing bears."""
        if name.name in known:
            return
        if name.name in self.names.unmeasured:
            listing = listed(self.names.measured, like=name.name) or "none"
            allowed = f"an output that is measured: {listing}; `measure` of a visit "
            allowed += "says what is"
            self._fault(name, f"`{name.name}`, which no visit measures", allowed)
            return
        allowed = f"a {kind}: {listed(known, like=name.name)}"
        if not known:
            allowed = f"left out, for there is no {kind}"
        write = nearest(name.name, known)
        found = f"`{name.name}`, an unknown {kind}"
        self._fault(name, found, allowed, write, name.name)

    def _fault(
        self, at: Name | Call, found: str, allowed: str, write: str = "", old: str = ""
    ) -> None:
        fault = Fault(
            "equations",
            found,
            allowed,
            write,
            line=at.line or 1,
            column=at.column,
            old=old,
        )
        if fault not in self.faults:
            self.faults.append(fault)


def outputs_of(condition: Condition | None, measured: Collection[str]) -> list[str]:
    """Name the outputs that a condition looks at."""
    if condition is None:
        return []
    trees = [condition.expression, *(one.of for one in condition.histories)]
    found = [name.name for tree in trees for name in names_in(tree)]
    return [name for name in dict.fromkeys(found) if name in measured]


def may_hold(condition: Condition | None, known: Mapping[str, float]) -> bool:
    """Return whether a condition may hold where some of its names are known already.

    Examples
    --------
    >>> names = Names(["anc"], [])
    >>> late = read_condition("day_of_cycle == 21 and anc < 1", names)
    >>> may_hold(late, {"day_of_cycle": 7.0}), may_hold(late, {"day_of_cycle": 21.0})
    (False, True)
    """
    return condition is None or _partly(condition.expression, known) != 0


def _partly(node: Expression, known: Mapping[str, float]) -> float | None:
    """Compute an equation as far as names are known; None where it depends."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return known.get(node.name)
    parts = [_partly(one, known) for one in node.arguments]
    if node.function == "and" and 0 in parts:
        return 0.0
    if node.function == "or" and any(part for part in parts):
        return 1.0
    if None in parts:
        return None
    return call(node.function, [part for part in parts if part is not None])

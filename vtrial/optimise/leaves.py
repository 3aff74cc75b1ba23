"""The numbers of an arm, apart from what it is made of.

Two candidates are alike if they differ in numbers alone. Those that stand in equations
(amounts, durations, values that are set, thresholds of rules) are data of what is
compiled; so are the times of doses. All others decide its shape.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

from vtrial.dosing.regimen import Repeat, Step
from vtrial.model.tree import Name, Number
from vtrial.protocol.protocol import Arm
from vtrial.protocol.rules import Action

WORDS = ("words", "title", "name")
VARIED = "varied {}"  # no name of a sheet has a space


class Parted(NamedTuple):
    """What an arm is made of, and its numbers in a fixed order.

    Fields
    ------
    frame
        Regimen, settings and rules, every number a zero; alike if equal.
    numbers, kinds
        Each number, and what it is: `equation`, `time` or `shape`.
    """

    frame: tuple[Any, ...]
    numbers: tuple[float, ...]
    kinds: tuple[str, ...]


def parted(arm: Arm) -> Parted:
    """Take the numbers out of an arm.

    Examples
    --------
    >>> from vtrial.model.tree import Number
    >>> parted(Arm("", set=(("CL", Number(2.0)),))).numbers
    (2.0,)
    """
    numbers: list[float] = []
    kinds: list[str] = []

    def taken(leaf: Number | float, kind: str) -> Number | float:
        numbers.append(leaf.value if isinstance(leaf, Number) else leaf)
        kinds.append(kind)
        return Number(0.0) if isinstance(leaf, Number) else 0.0

    parts = (arm.regimen, arm.set, arm.rules, arm.adherence)
    frame = tuple(_walk(part, taken, "shape") for part in parts)
    return Parted(frame, tuple(numbers), tuple(kinds))


def named(arm: Arm, varied: dict[int, int]) -> Arm:
    """Put names in the place of some numbers of equations, by number in the order.

    `varied` says which name: the place of the number among those that vary.
    """
    place = -1

    def taken(leaf: Number | float, kind: str) -> Any:
        nonlocal place
        place += 1
        if kind == "equation" and place in varied:
            return Name(VARIED.format(varied[place]))
        return leaf

    regimen = _walk(arm.regimen, taken, "shape", bare=False)
    sets = _walk(arm.set, taken, "shape", bare=False)
    rules = _walk(arm.rules, taken, "shape", bare=False)
    return replace(arm, regimen=regimen, set=sets, rules=rules)


def _walk(
    thing: Any, taken: Callable[[Any, str], Any], kind: str, *, bare: bool = True
) -> Any:
    """Walk over a tree in a fixed order; put what is returned in place of numbers.

    `bare`: words are left out, which decide nothing.
    """
    if isinstance(thing, Number):
        return taken(thing, "shape" if kind == "fixed" else "equation")
    if isinstance(thing, float):
        return taken(thing, "time" if kind == "time" else "shape")
    if isinstance(thing, tuple):
        return tuple(_walk(one, taken, kind, bare=bare) for one in thing)
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    if isinstance(thing, Step | Repeat):
        kind = "time"
    elif isinstance(thing, Action) and thing.kind == "delay":
        kind = "fixed"  # a delay decides when visits may be held again
    changes: dict[str, Any] = {}
    for part in fields(thing):
        value = getattr(thing, part.name)
        if (
            part.name in WORDS
            and isinstance(value, str)
            and not isinstance(thing, Name)
        ):
            changes |= {part.name: ""} if bare else {}
        elif part.compare:
            changes[part.name] = _walk(value, taken, kind, bare=bare)
    return replace(thing, **changes)

"""Factors whose levels make the arms: every combination of them is one."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vtrial.errors import Fault
from vtrial.protocol.faults import Faults
from vtrial.protocol.shape import ProtocolShape
from vtrial.sheets.sheet import Path_, Sheet

FACTORS, ARMS = "factors", "arms"
INTERACTION, NONE = " x ", "no interaction"
MOST_ARMS = 64
_KEYS = ("title", "dose", "set")
Levels = dict[str, dict[str, dict[str, Any]]]
Weights = tuple[tuple[str, float], ...]


def with_arms(sheet: Sheet) -> Sheet:
    """Put arms into a sheet's data: the combinations of its factors' levels.

    What is no factor, or not in order, is left for whoever holds it to its shape.
    """
    factors = factors_of(sheet.data)
    if not factors:
        return sheet
    arms = {
        name_of(levels): _together([factors[f][one] for f, one in levels])
        for levels in _combinations(factors)
    }
    given = sheet.data.get(ARMS)
    if isinstance(given, Mapping) and set(given) != set(arms):
        return sheet  # both are given: told by `check_factors`
    return replace(sheet, data={**sheet.data, ARMS: arms})


def factors_of(data: Mapping[str, object]) -> Levels:
    """Return the levels of each factor; none where the sheet has no sound factors."""
    given = data.get(FACTORS)
    if not isinstance(given, Mapping) or not given:
        return {}
    found: Levels = {}
    for name, levels in given.items():
        if not isinstance(levels, Mapping) or not levels:
            return {}
        parts = {str(key): entry or {} for key, entry in levels.items()}
        if not all(isinstance(entry, Mapping) for entry in parts.values()):
            return {}
        found[str(name)] = {key: dict(entry) for key, entry in parts.items()}
    counts = [len(levels) for levels in found.values()]
    many = 1
    for count in counts:
        many *= count
    return found if many <= MOST_ARMS else {}


def name_of(levels: Iterable[tuple[str, str]]) -> str:
    """Name the arm of a combination."""
    return " and ".join(level for _, level in levels)


def check_factors(faults: Faults) -> None:
    """Refuse factors that make no arms, or whose levels cannot be told apart."""
    data = faults.sheet.data
    given = data.get(FACTORS)
    if not isinstance(given, Mapping) or not given:
        return
    factors = factors_of(data)
    many = 1
    for levels in given.values():
        many *= len(levels) if isinstance(levels, Mapping) else 1
    if many > MOST_ARMS:
        faults.add(
            (FACTORS,), found=f"{many} combinations", allowed=f"at most {MOST_ARMS}"
        )
    if len(given) < 2:
        faults.add(
            (FACTORS,),
            found="of one factor",
            allowed="two factors or more; levels of one are `arms`",
        )
    if factors and set(data.get(ARMS, ())) != _names(factors):  # type: ignore[call-overload]
        faults.add(
            (ARMS,),
            found="given beside `factors`",
            allowed="one or the other: combinations of levels are the arms",
            write="",
        )
    names = [level for levels in factors.values() for level in levels]
    for factor, levels in factors.items():
        if len(levels) < 2:
            faults.add(
                (FACTORS, factor), found="of one level", allowed="two levels or more"
            )
        for level in levels:
            if names.count(level) > 1 or level in (*factors, NONE):
                faults.add(
                    (FACTORS, factor, level),
                    found=f"`{level}`, as another level or factor is called",
                    allowed="a name of its own",
                )
    _check_sets(factors, faults)


def check_looks(shape: ProtocolShape, places: Sequence[int], faults: Faults) -> None:
    """Refuse looks at comparisons of factors, and crossovers of their arms."""
    given = shape.design.model_fields_set
    looked = {"accrual", "looks", "adapt", "planned", "trials"} & given
    for place, one in zip(places, shape.analysis, strict=True):
        if compared(one.compare, faults.sheet.data) is None:
            continue
        for key in sorted(looked | ({"crossover"} & given)):
            faults.add(
                ("analysis", place, "compare"),
                found=f"`{one.compare}`, of a factor, in a design with `{key}`",
                allowed="of two arms there",
            )


def relabelled(sheet: Sheet, faults: Sequence[Fault]) -> list[Fault]:
    """Tell what is wrong with an arm where it stands: at a level of a factor."""
    factors = factors_of(sheet.data)
    told: dict[Fault, None] = {}
    for fault in faults:
        path = fault.path
        if factors and len(path) > 1 and path[0] == ARMS:
            for levels in _combinations(factors):
                if name_of(levels) == path[1]:
                    place = _place(factors, levels, path[2:])
                    line, column = sheet.place(place)
                    at = ".".join(map(str, place))
                    fault = fault._replace(at=at, path=place, line=line, column=column)
        told[fault] = None
    return list(told)


def compared(
    words: str, data: Mapping[str, object]
) -> tuple[tuple[str, str], Weights] | None:
    """Return what a comparison of factors is of, and by what it weighs each arm.

    `fed with fasted` is the main effect of a factor, averaged over the others evenly;
    `drug x food` the interaction of two factors of two levels each. None: it is
    neither.
    """
    factors = factors_of(data)
    arms = {name_of(levels): dict(levels) for levels in _combinations(factors)}
    first, found, second = words.partition(" with ")
    for factor, levels in factors.items():
        if found and first != second and {first, second} <= set(levels):
            others = len(arms) / len(levels)
            sign = {first: 1.0, second: -1.0}
            weights = tuple(
                (name, sign[made[factor]] / others)
                for name, made in arms.items()
                if made[factor] in sign
            )
            return (first, second), weights
    first, found, second = words.partition(INTERACTION)
    two = first in factors and second in factors and first != second
    if not (found and two and len(factors[first]) == len(factors[second]) == 2):
        return None
    high = {factor: list(factors[factor])[-1] for factor in (first, second)}
    others = len(arms) / 4
    weights = tuple(
        (
            name,
            (
                1.0
                if (made[first] == high[first]) == (made[second] == high[second])
                else -1.0
            )
            / others,
        )
        for name, made in arms.items()
    )
    return (words, NONE), weights


def _combinations(factors: Levels) -> list[tuple[tuple[str, str], ...]]:
    """List the combinations of levels, each a level of every factor."""
    if not factors:
        return []
    parts = [[(f, level) for level in levels] for f, levels in factors.items()]
    return list(itertools.product(*parts))


def _names(factors: Levels) -> set[str]:
    return {name_of(levels) for levels in _combinations(factors)}


def _together(levels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join what is done at several levels into an arm."""
    arm: dict[str, Any] = {}
    doses: list[Any] = []
    for level in levels:
        dose = level.get("dose")
        doses += dose if isinstance(dose, list) else [dose] if dose else []
        if isinstance(sets := level.get("set"), Mapping):
            arm["set"] = {**arm.get("set", {}), **sets}
        elif sets is not None:
            arm["set"] = sets
    if doses:
        arm["dose"] = doses
    titles = [str(level["title"]) for level in levels if level.get("title")]
    if len(titles) == len(levels):
        arm["title"] = " and ".join(titles)
    return arm


def _place(factors: Levels, levels: Sequence[tuple[str, str]], inside: Path_) -> Path_:
    """Return where in the factors an entry of an arm stands."""
    for factor, level in levels:
        entry: object = factors[factor][level]
        for key in inside[:2]:
            entry = entry.get(str(key)) if isinstance(entry, Mapping) else None
        if inside and entry is not None:
            return (FACTORS, factor, level, *inside)
    for factor, level in levels:
        if inside and inside[0] in factors[factor][level]:
            return (FACTORS, factor, level, inside[0])
    return (FACTORS,)


def _check_sets(factors: Levels, faults: Faults) -> None:
    """Refuse two factors that set the same."""
    by: dict[str, str] = {}
    for factor, levels in factors.items():
        for level, entry in levels.items():
            sets = entry.get("set")
            for target in sets if isinstance(sets, Mapping) else ():
                if by.setdefault(str(target), factor) != factor:
                    faults.add(
                        (FACTORS, factor, level, "set", target),
                        found=f"`{target}`, which factor `{by[str(target)]}` sets, too",
                        allowed="set by one factor",
                    )

"""Arms and their allocation."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vtrial.dosing.expansion import written
from vtrial.dosing.grammar import parse_leniently
from vtrial.dosing.regimen import Regimen
from vtrial.dosing.words import parse_regimen
from vtrial.errors import DosingError, ModelError, UnitError
from vtrial.model.grammar import parse_expression
from vtrial.model.model import Model
from vtrial.model.tree import Expression, Number, names_in
from vtrial.protocol.adherence import read_adherence
from vtrial.protocol.design import Allocation
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm
from vtrial.protocol.randomisation import read_randomisation
from vtrial.protocol.rota import rotas_of, settings
from vtrial.protocol.rules import MOST_RULES, Rule
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import ArmShape, DesignShape
from vtrial.sheets.sheet import Path_
from vtrial.units import factor, quantity

_NAME = re.compile(r"[^\s/\\.][^/\\\x00-\x1f]{0,99}(?<!\s)")


def read_arms(
    shapes: dict[str, ArmShape], known: Known, faults: Faults
) -> tuple[Arm, ...]:
    """Read the arms, in the order of the sheet."""
    arms = [_arm(name, shape, known, faults) for name, shape in shapes.items()]
    return tuple(arms)


def with_rules(
    arms: tuple[Arm, ...],
    shapes: dict[str, ArmShape],
    rules: Mapping[str, Rule],
    names: Sequence[str],
    faults: Faults,
) -> tuple[Arm, ...]:
    """Give each arm its rules; `names` are all that the sheet has, faulty ones too."""
    found = []
    for arm in arms:
        asked = shapes[arm.name].rules
        for place, name in enumerate(asked or ()):
            if name not in names:
                path: Path_ = ("arms", arm.name, "rules")
                many = isinstance(faults.sheet.value(path), list)
                faults.unknown((*path, place) if many else path, name, names, "rule")
        mine = tuple(r for n, r in rules.items() if asked is None or n in asked)
        if len(mine) > MOST_RULES:
            path = ("arms", arm.name) if asked is None else ("arms", arm.name, "rules")
            faults.add(
                path,
                found=f"under {len(mine)} rules",
                allowed=f"at most {MOST_RULES} for an arm: `rules` of an arm names its "
                "own; `or` in a condition, and a list in `do`, make one of several",
            )
        found.append(replace(arm, rules=mine))
    return tuple(found)


def find_cycle(arms: tuple[Arm, ...], shapes: dict[str, ArmShape]) -> float:
    """Return the length [h] of the arms' common cycle.

    It is 0 if they have none, and NaN if one of them is dosed, but faultily.
    """
    if any(shapes[arm.name].dose and arm.regimen is None for arm in arms):
        return math.nan
    regimens = [arm.regimen for arm in arms if arm.regimen is not None]
    lengths = {regimen.interval for regimen in regimens}
    return lengths.pop() if len(lengths) == 1 else 0.0


def read_allocation(
    shape: DesignShape,
    subjects: int | dict[str, int],
    arms: tuple[str, ...],
    known: Known,
    faults: Faults,
) -> Allocation:
    """Read weights and method, and hold the method against the weights."""
    if isinstance(subjects, dict):
        return _counts(shape, subjects, arms, faults)
    before = len(faults.entries)
    weights = _weights(shape, arms, faults)
    sure = len(faults.entries) == before
    return read_randomisation(
        shape.randomisation, weights if sure else (), arms, known=known, faults=faults
    )


def _counts(
    shape: DesignShape, subjects: dict[str, int], arms: tuple[str, ...], faults: Faults
) -> Allocation:
    """Read how many subjects each arm has; no other word on it may stand beside."""
    for name in subjects:
        if name not in arms:
            faults.unknown(("subjects", name), name, arms, "arm")
    lacking = [name for name in arms if name not in subjects]
    if lacking:
        faults.add(
            ("subjects",),
            found=f"silent on {', '.join(lacking)}",
            allowed="a number for every arm",
            write="",
        )
    for key in ("allocation", "randomisation"):
        if key in shape.model_fields_set:
            faults.add(
                ("design", key),
                found="given beside numbers by arm",
                allowed="one or the other: `subjects` gives each arm its own number",
                write="",
            )
    numbers = tuple(subjects.get(name, 1) for name in arms)
    return Allocation(numbers, "counts", sum(numbers))


def _weights(
    shape: DesignShape, arms: tuple[str, ...], faults: Faults
) -> tuple[int, ...]:
    """Return the weights in the order of the arms."""
    path = ("design", "allocation")
    given = shape.allocation
    if given is None:
        return (1,) * len(arms)
    for name in given:
        if name not in arms:
            faults.unknown((*path, name), name, arms, "arm")
    missing = [name for name in arms if name not in given]
    if missing:
        entries = (f"{name}: {given.get(name, 1)}" for name in arms)
        faults.add(
            path,
            found=f"silent on {', '.join(missing)}",
            allowed="a weight for every arm, such as `{" + ", ".join(entries) + "}`",
        )
    return tuple(given.get(name, 1) for name in arms)


def _arm(name: str, shape: ArmShape, known: Known, faults: Faults) -> Arm:
    """Read one arm."""
    path = ("arms", name)
    if not _NAME.fullmatch(name):
        faults.add(
            path,
            found=f"`{name}`",
            allowed="a name without slashes that starts with no dot",
            write=re.sub(r"[/\\\x00-\x1f]+", "-", name).strip(" .-")[:100],
            old=name,
        )
    regimen = None
    if shape.dose is not None and known.model is not None:
        regimen = _regimen(path, shape.dose, known.model, known, faults)
    elif shape.dose is not None:
        _check_words((*path, "dose"), shape.dose, faults)
    sets = []
    for written_, target, value in settings(
        (*path, "set"), shape.set, known.model, faults
    ):
        expression = _setting((*path, "set", written_), target, value, known, faults)
        if expression is not None:
            sets.append((target, expression))
    times = np.unique(written(regimen).time) if regimen else np.zeros(0)
    gap = float(np.diff(times).min(initial=np.inf)) if times.size > 1 else 0.0
    adherence = read_adherence((*path, "adherence"), shape.adherence, gap, faults)
    if shape.dose is None and adherence and adherence.doses:
        faults.add(
            (*path, "adherence"),
            found="given for doses, of which there are none",
            allowed="left out, or `visits` alone: the share of the visits held",
        )
    return Arm(name, shape.title, regimen, tuple(sets), adherence=adherence)


def _regimen(
    path: Path_, words: list[str], model: Model, known: Known, faults: Faults
) -> Regimen | None:
    """Read dosing words; each fault gets the line of its entry."""
    path = (*path, "dose")
    if not model.states:
        faults.add(
            path,
            found="a dose, though the model has no compartments",
            allowed="left out; `set: {NAME: value}` gives the model other values",
        )
        return None
    entry = words[0] if len(words) == 1 else words
    names = known.covariates | {c.name for c in model.covariates}
    try:
        return parse_regimen(entry, model=model, known=sorted(names))
    except DosingError as error:
        faults.relay(path, error)
        return None


def _with_unit(
    path: Path_, target: str, value: str, known: Known, faults: Faults
) -> bool:
    """Refuse a value with a unit, if it is one: what is set is in the model's own."""
    try:
        number, unit = quantity(value)
    except UnitError:
        return False
    units = {}
    if known.model is not None:
        entries = (*known.model.parameters, *known.model.covariates)
        units = {entry.name: entry.unit for entry in entries}
    own = units.get(target, "1") or "1"
    try:
        write = f"{number * factor(unit, own):.12g}"
    except UnitError:
        write = ""
    faults.add(
        path,
        found=f"`{number:g} {unit}`, with a unit",
        allowed="a number or an equation, in the unit of the model"
        + (f", {own}" if own != "1" else ""),
        write=write,
    )
    return True


def _check_words(path: Path_, texts: list[str], faults: Faults) -> None:
    """Find what is no dosing words, whatever the model is."""
    for number, text in enumerate(texts, start=1):
        at = "dose" if len(texts) == 1 else f"dose {number}"
        told = parse_leniently(text, at=at).faults
        if told:
            faults.relay(path, DosingError.of(told))


def _setting(
    path: Path_, target: str, value: float | str, known: Known, faults: Faults
) -> Expression | None:
    """Read one value or equation that an arm sets."""
    inputs = known.model.inputs if known.model else ()
    if known.model and target not in inputs:
        several = {
            name: key for key, names in rotas_of(known.model).items() for name in names
        }
        shown = dict.fromkeys(several.get(name, name) for name in inputs)
        faults.unknown(path, target, shown, "input of the model")
    if isinstance(value, int | float):
        return Number(float(value))
    try:
        expression = parse_expression(value)
    except ModelError as error:
        if not _with_unit(path, target, value, known, faults):
            faults.relay(path, error)
        return None
    if known.model:
        names = {*inputs, *known.covariates}
        for name in names_in(expression):
            if name.name not in names:
                faults.unknown(path, name.name, sorted(names), "name")
    return expression

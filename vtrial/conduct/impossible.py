"""Values and doses that are impossible for the typical subject under an arm."""

import math
from collections.abc import Iterator

from vtrial.dosing.regimen import Step
from vtrial.errors import Fault
from vtrial.model.grammar import write_expression
from vtrial.model.model import Model
from vtrial.model.sheet import placed
from vtrial.model.tree import Number
from vtrial.model.typical import (
    Property,
    Typical,
    far_properties,
    more_than_whole,
    property_faults,
    said,
    typical_of,
)
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sheets.sheet import Sheet, parse_sheet
from vtrial.sheets.words import listed

ASKED = {"rate": -1.0, "duration": -2.0}  # by which rate of a dose


def model_faults(sheet: Sheet, typical: Typical) -> list[Fault]:
    """List what a model's own typical values make impossible, by lines of its sheet."""
    return [placed(sheet, f) for f in (*typical.faults, *property_faults(typical))]


def model_warnings(sheet: Sheet, model: Model) -> list[Fault]:
    """List doses with a bioavailability above 1, or that some subjects cannot have.

    Conditions of the clock that are searched for are told, too.
    """
    found = [*more_than_whole(typical_of(model)), *far_properties(model)]
    found += _searched(model)
    return [placed(sheet, fault) for fault in found]


def _searched(model: Model) -> Iterator[Fault]:
    """Yield what the clock switches at times that no formula gives."""
    for switch in model.structure.switches:
        if not switch.is_exact:
            yield Fault(
                "a condition of time",
                f"`{write_expression(switch.value)}`, whose moments no formula gives: "
                "they are searched for",
                "true or false for longer than 1/500 of the time between two doses or "
                "visits, or the change may be passed over",
                "",
                line=getattr(switch.value, "line", 0),
            )


def arm_faults(protocol: Protocol, sheet: Sheet) -> Iterator[Fault]:
    """Yield doses the typical subject cannot have, and values that are not numbers."""
    under: dict[Fault, list[str]] = {}
    for arm in protocol.arms:
        own, given = Typical(typical_of(protocol.model).known), {}
        for name, expression in arm.set:
            value = own.value(expression)
            given[name] = math.nan if value is None else value
        for found, allowed in {fault[1:3] for fault in own.faults}:
            path = ("arms", arm.name, "set")
            yield sheet.fault(path, found=found, allowed=allowed, write="")
        typical = typical_of(protocol.model, given)
        for fault in typical.faults:
            under.setdefault(fault, []).append(arm.name)
        yield from _dosing(protocol, sheet, arm, typical)
    for fault, arms in under.items():
        where = "" if len(arms) == len(protocol.arms) else f" under {listed(arms)}"
        yield sheet.fault(
            ("model",),
            found=f"with {fault.found}{where}{_line(protocol, fault.line)}",
            allowed=f"one with {fault.allowed}",
            write="",
        )


def _dosing(
    protocol: Protocol, sheet: Sheet, arm: Arm, typical: Typical
) -> Iterator[Fault]:
    """Yield what is impossible of an arm's doses."""
    steps = arm.regimen.steps if arm.regimen else ()
    for one in typical.properties:
        asks = any(_asks(step, one) for step in steps)
        if asks and not one.is_sound:
            where = _line(protocol, one.statement.line)
            yield sheet.fault(
                ("arms", arm.name, "dose"),
                found=f"into `{one.statement.name}`, whose {said(one)} is "
                f"{one.value:g} for the typical subject{where}",
                allowed="one that can be given",
                write="",
            )
    for step in steps:
        for level in step.levels:
            amount = typical.value(level.amount)
            if amount is not None and not amount >= 0:
                yield sheet.fault(
                    ("arms", arm.name, "dose"),
                    found=f"{amount:g} for the typical subject",
                    allowed="0 or more",
                    write="",
                )


def _asks(step: Step, one: Property) -> bool:
    """Return whether a step's doses use a dose property."""
    kind, state = one.statement.kind, one.statement.name
    if step.into != state:
        return False
    return kind not in ASKED or step.rate == Number(ASKED[kind])


def _line(protocol: Protocol, line: int) -> str:
    """Return an equation's line in the model's sheet, in words."""
    text = protocol.model.text
    if not text:
        return ""
    fault = Fault("equations", "", "", "", line=line)
    found = placed(parse_sheet(text, source=protocol.model.name), fault)
    return f" (line {found.line} of the model's sheet)"

"""A protocol's arms with some parameters of the model at other values."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vtrial.errors import Fault, ProtocolError
from vtrial.model.tree import Call, Expression, Name, Number
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest

if TYPE_CHECKING:
    from vtrial.protocol.protocol import Arm, Protocol


def set_in_arms(protocol: "Protocol", values: Mapping[str, float]) -> "tuple[Arm, ...]":
    """Set parameters in every arm; what an arm sets by them takes their new values.

    Raises
    ------
    ProtocolError
        With everything that cannot be.
    """
    known = [parameter.name for parameter in protocol.model.parameters]
    faults = []
    for name, value in values.items():
        if name not in known:
            said = f"a parameter of {protocol.model.name}: {listed(known, 30)}"
            faults.append(
                Fault(f"parameters.{name}", "unknown", said, nearest(name, known))
            )
        elif isinstance(value, str) or not math.isfinite(value):
            at = f"parameters.{name}"
            faults.append(Fault(at, f"`{value}`", "a finite number", f"{name}=1.0"))
    if values and protocol.keep.individual:
        kept = listed(protocol.keep.individual).replace(" or ", " and ")
        allowed = "empty: they are found before any arm sets a value"
        faults.append(Fault("keep.individual", kept, allowed, "individual: []"))
    if values and protocol.eligible is not None:
        found = "decided before any arm sets a value"
        faults.append(Fault("eligible", found, "left out of the protocol", ""))
    raise_faults(ProtocolError, faults)
    numbers = {name: Number(float(value)) for name, value in values.items()}
    return tuple(_with(arm, numbers) for arm in protocol.arms)


def _with(arm: "Arm", numbers: Mapping[str, Number]) -> "Arm":
    """Set numbers in an arm, unless it sets the same parameter itself."""
    own = {name: _substituted(value, numbers) for name, value in arm.set}
    return replace(arm, set=tuple({**numbers, **own}.items()))


def _substituted(expression: Expression, numbers: Mapping[str, Number]) -> Expression:
    """Put numbers in the place of names."""
    if isinstance(expression, Name):
        return numbers.get(expression.name, expression)
    if isinstance(expression, Call):
        inner = tuple(_substituted(part, numbers) for part in expression.arguments)
        return replace(expression, arguments=inner)
    return expression

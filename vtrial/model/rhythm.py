"""Periods of the equations' periodic functions of time."""

import math
from collections.abc import Mapping, Sequence

from vtrial.model.calculus import differentiate, over, simplify
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Call,
    Expression,
    Name,
    Number,
    Statement,
    names_in,
)

TURNS = {"sin": 2 * math.pi, "cos": 2 * math.pi, "tan": math.pi}


def find_rhythms(
    dynamic: Sequence[Statement], derivatives: Sequence[Statement]
) -> tuple[Expression, ...]:
    """Return the periods [h] of all periodic functions of the clock.

    They are found in `mod(t, P)`, in waves of a straight line of time, and in `mod` of
    whole parts of one, as of days of the week; what looks at the time otherwise has
    none.
    """
    assigned = {s.name: s.expression for s in dynamic}
    found: dict[Expression, None] = {}
    stack = [row.expression for row in derivatives]
    seen: set[str] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, Name) and node.name in assigned and node.name not in seen:
            seen.add(node.name)
            stack.append(assigned[node.name])
        if not isinstance(node, Call):
            continue
        period = _period(node, assigned)
        if period is None:
            stack.extend(node.arguments)
        else:
            found[period] = None
    return tuple(found)


def _period(call: Call, assigned: Mapping[str, Expression]) -> Expression | None:
    """Return the period of one periodic function of the clock."""
    first = call.arguments[0]
    if call.function in TURNS:
        turn: Expression = Number(TURNS[call.function])
    elif call.function == "mod":
        turn = call.arguments[1]
        if isinstance(first, Call) and first.function in ("floor", "ceil"):
            first = first.arguments[0]
    else:
        return None
    speed = _speed(first, assigned)
    if speed is None or _moves(turn, assigned):
        return None
    return simplify(Call("abs", (over(turn, speed),)))


def _speed(
    expression: Expression, assigned: Mapping[str, Expression]
) -> Expression | None:
    """Return the slope by time of what is a straight line of it; else None."""
    names = {name.name for name in names_in(expression)}
    if TIME not in names or names & {TIME_AFTER_DOSE, *assigned}:
        return None
    slope = differentiate(expression, TIME)
    return None if _moves(slope, assigned) else slope


def _moves(expression: Expression, assigned: Mapping[str, Expression]) -> bool:
    moving = {TIME, TIME_AFTER_DOSE, *assigned}
    return any(name.name in moving for name in names_in(expression))

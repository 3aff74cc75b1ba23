"""Delays: what equations read of a state's past, `lag(x, tau)`.

Each such call stands for a value that only the solution knows. In the structure it is a
name of its own, which no sheet can hold; the solver gives its value at every moment.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from vtrial.errors import Fault
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
from vtrial.sheets.words import listed

LAG = "lag"
CALLS = {LAG: (2, 2)}  # and how many arguments it takes, from and to


@dataclass(frozen=True)
class Delay:
    """What is read of a state's past: its value `by` hours ago.

    `name` stands for it in the structure's equations; `by` needs individual parameters
    only.
    """

    name: str
    state: str
    by: Expression


def part_delays(
    statements: Sequence[Statement],
) -> tuple[tuple[Statement, ...], tuple[Delay, ...]]:
    """Put a name in the place of each delay, and list what the names stand for."""
    if not any(True for s in statements for _ in calls_in(s.expression)):
        return tuple(statements), ()
    found: dict[Call, Delay] = {}

    def parted(node: Expression) -> Expression:
        if not isinstance(node, Call):
            return node
        if node.function == LAG:
            if node not in found:
                state, by = node.arguments
                assert isinstance(state, Name)  # or the sheet was refused
                found[node] = Delay(f"|lag {len(found) + 1}", state.name, by)
            return Name(found[node].name)
        arguments = tuple(map(parted, node.arguments))
        return Call(node.function, arguments, node.column, node.line)

    rest = tuple(
        Statement(s.kind, s.name, parted(s.expression), s.line) for s in statements
    )
    return rest, tuple(found.values())


def in_clock(expression: Expression, size: float) -> Expression:
    """Return an expression whose delays, of a clock of `size` hours, are in hours."""
    if not isinstance(expression, Call):
        return expression
    arguments = tuple(in_clock(part, size) for part in expression.arguments)
    if expression.function == LAG:
        state, by = arguments
        arguments = (state, Call("*", (by, Number(size))))
    return Call(expression.function, arguments, expression.column, expression.line)


def calls_in(expression: Expression) -> Iterator[Call]:
    """Yield the delays of an expression, from left to right, if they are whole."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Call):
            if node.function == LAG and len(node.arguments) == CALLS[LAG][0]:
                yield node
            stack.extend(reversed(node.arguments))


def delay_faults(
    statements: Sequence[Statement], known: Set[str], sure: bool = True
) -> list[Fault]:
    """Find delays of what is no state, and delays that move or are not above 0.

    Names that are not `known` are told of as such, elsewhere. A model that is not
    `sure` leaves something to chance, as noise does.
    """
    sure = sure and not any(s.kind == "noise" for s in statements)
    states = [s.name for s in statements if s.kind == "derivative"]
    moving = {TIME, TIME_AFTER_DOSE, *states}
    faults: list[Fault] = []
    for statement in statements:
        if statement.kind != "assign":
            continue
        reads = {n.name for n in names_in(statement.expression)}
        if reads & moving or any(calls_in(statement.expression)):
            moving.add(statement.name)
    for statement in statements:
        for call in calls_in(statement.expression):
            line = call.line or statement.line
            state, by = call.arguments
            if not sure:
                faults.append(_by_chance(call, line))
            if not isinstance(state, Name) or state.name in known - {*states}:
                faults.append(_of_no_state(call, line, states))
            faults += _moving_faults(call, by, line, moving)
    return faults


def _by_chance(call: Call, line: int) -> Fault:
    """Describe a delay where a solution stops and goes on as it is drawn."""
    found = "`lag(`, a state's past, where something is left to chance"
    allowed = "in a model without ticks, events and noise; a chain of states, each fed "
    allowed += "by the one before, delays there"
    return Fault("equations", found, allowed, "", line=line, column=call.column)


def _of_no_state(call: Call, line: int, states: Sequence[str]) -> Fault:
    """Describe a delay of something that is not followed in time."""
    first = call.arguments[0]
    of = f"`{first.name}`, no state" if isinstance(first, Name) else "an expression"
    there = listed(states, like=first.name if isinstance(first, Name) else "")
    allowed = f"of a state by its name ({there or 'there is none'}); what is computed"
    allowed += " of states is computed of their past: `lag(central, TAU)/V`"
    found = f"`lag(` of {of}"
    return Fault("equations", found, allowed, "", line=line, column=call.column)


def _moving_faults(
    call: Call, by: Expression, line: int, moving: set[str]
) -> list[Fault]:
    """Find a delay that is no constant of a subject, or a number not above 0."""
    allowed = "constant in time for a subject, and above 0: made of parameters, "
    allowed += "covariates and random effects"
    moves = next((n.name for n in names_in(by) if n.name in moving), "")
    number, found = _number(by), ""
    if any(calls_in(by)):
        found = "`lag(` within a delay"
    elif moves:
        found = f"`lag(` by a time of `{moves}`, which moves"
    elif number is not None and not number > 0:
        found = f"`lag(` by a time of {number:g}"
    if not found:
        return []
    return [Fault("equations", found, allowed, "", line=line, column=call.column)]


def _number(by: Expression) -> float | None:
    if isinstance(by, Number):
        return by.value
    if isinstance(by, Call) and by.function == "negative":
        inner = _number(by.arguments[0])
        return None if inner is None else -inner
    return None

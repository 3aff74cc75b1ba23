"""What depends on what in a model: worked out from the tree, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Expression,
    Statement,
    names_in,
)

PROPERTIES = ("F", "lag", "rate", "duration")


@dataclass(frozen=True)
class Structure:
    """The statements sorted by what they need, and the shape of the dynamics.

    `static` needs neither time nor states (individual parameters); `dynamic` is what
    the derivatives need beyond that, `observed` what the outputs need, each in an
    order in which they can be computed.
    """

    states: tuple[str, ...]
    static: tuple[Statement, ...]
    dynamic: tuple[Statement, ...]
    observed: tuple[Statement, ...]
    derivatives: tuple[Statement, ...]
    initial: tuple[Statement, ...]
    properties: tuple[Statement, ...]
    uses_time: bool
    uses_after_dose: bool


def analyse(statements: Sequence[Statement], outputs: Sequence[str]) -> Structure:
    """Sort a model's statements by dependency.

    Assignments are kept in the order in which they are written; a name may be
    assigned once.
    """
    derivatives = tuple(s for s in statements if s.kind == "derivative")
    states = tuple(s.name for s in derivatives)
    assigns = [s for s in statements if s.kind == "assign"]
    moving = {TIME, TIME_AFTER_DOSE, *states}
    static, moved = [], []
    for statement in assigns:
        if any(n.name in moving for n in names_in(statement.expression)):
            moving.add(statement.name)
            moved.append(statement)
        else:
            static.append(statement)
    dynamic = _needed(moved, [s.expression for s in derivatives], ())
    observed = _needed(moved, [], outputs)
    seen = {n.name for s in (*dynamic, *derivatives) for n in names_in(s.expression)}
    watched = {n.name for s in observed for n in names_in(s.expression)}
    return Structure(
        states=states,
        static=tuple(static),
        dynamic=dynamic,
        observed=observed,
        derivatives=derivatives,
        initial=tuple(s for s in statements if s.kind == "initial"),
        properties=tuple(s for s in statements if s.kind in PROPERTIES),
        uses_time=TIME in seen,
        uses_after_dose=TIME_AFTER_DOSE in seen | watched | set(outputs),
    )


def _needed(
    moved: Sequence[Statement], roots: Sequence[Expression], names: Sequence[str]
) -> tuple[Statement, ...]:
    """Keep the assignments that expressions or names need, in order."""
    wanted = set(names) | {n.name for root in roots for n in names_in(root)}
    kept = []
    for statement in reversed(moved):
        if statement.name in wanted:
            kept.append(statement)
            wanted |= {n.name for n in names_in(statement.expression)}
    return tuple(reversed(kept))

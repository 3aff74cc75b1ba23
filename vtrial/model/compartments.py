"""Recognise linear compartment models that have closed forms: one to three."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.model.polynomial import (
    Polynomial,
    added,
    contract,
    expand,
    scaled,
)
from vtrial.model.tree import Expression, Statement

Matrix = list[list[Polynomial]]


@dataclass(frozen=True)
class Compartments:
    """A central compartment, its elimination, and what hangs on it.

    All rates are in 1/h and need the individual parameters only. `absorption` is the
    rate from `depot` (empty: none) into `central`; `outward[k]` and `inward[k]` are
    the rates between `central` and `peripherals[k]`.
    """

    central: str
    elimination: Expression
    depot: str = ""
    absorption: Expression | None = None
    peripherals: tuple[str, ...] = ()
    outward: tuple[Expression, ...] = ()
    inward: tuple[Expression, ...] = ()

    @property
    def states(self) -> tuple[str, ...]:
        """Every state of the shape, the depot first."""
        depot = (self.depot,) if self.depot else ()
        return (*depot, self.central, *self.peripherals)

    @property
    def words(self) -> str:
        """Number of compartments and kind of absorption, in words."""
        number = ("one", "two", "three")[len(self.peripherals)]
        plural = "s" if self.peripherals else ""
        entry = ", first-order absorption" if self.depot else ""
        return f"{number} compartment{plural}{entry}"


def recognise(
    states: Sequence[str],
    entries: Sequence[Sequence[Expression | None]],
    constants: Sequence[Expression | None],
    statements: Sequence[Statement],
) -> Compartments | None:
    """Find a known shape in a linear block, or None.

    Rates are compared as sums of products, so that it does not matter how the
    equations are written.
    """
    if not 1 <= len(states) <= 4 or any(c is not None for c in constants):
        return None
    known: dict[str, Polynomial] = {}
    for statement in statements:
        known[statement.name] = expand(statement.expression, known.get)
    matrix = [
        [{} if e is None else expand(e, known.get) for e in row] for row in entries
    ]
    found = (_around(centre, states, matrix) for centre in range(len(states)))
    return next((shape for shape in found if shape is not None), None)


def _around(centre: int, states: Sequence[str], matrix: Matrix) -> Compartments | None:
    """Hold the block against the shape with a given central compartment."""
    others = [i for i in range(len(states)) if i != centre]
    depots = [i for i in others if not matrix[i][centre]]
    rims = [i for i in others if matrix[i][centre]]
    if len(depots) > 1 or len(rims) > 2:
        return None
    for i in others:
        strangers = [j for j in others if j != i]
        if any(matrix[i][j] for j in strangers):
            return None
        if not matrix[centre][i] or added(matrix[centre][i], matrix[i][i]):
            return None
    leaving = matrix[centre][centre]
    for i in rims:
        leaving = added(leaving, matrix[i][centre])
    return Compartments(
        central=states[centre],
        elimination=contract(scaled(leaving, -1.0)),
        depot=states[depots[0]] if depots else "",
        absorption=contract(matrix[centre][depots[0]]) if depots else None,
        peripherals=tuple(states[i] for i in rims),
        outward=tuple(contract(matrix[i][centre]) for i in rims),
        inward=tuple(contract(matrix[centre][i]) for i in rims),
    )

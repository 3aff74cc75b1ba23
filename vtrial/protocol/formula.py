"""Of what an endpoint is: an output of the model, or an equation of outputs."""

from typing import NamedTuple

from vtrial.dims import DOSE
from vtrial.errors import ModelError
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.model import Output
from vtrial.model.tree import Expression, Name, names_in
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import EndpointShape
from vtrial.sheets.sheet import Path_
from vtrial.units import is_unit, no_unit


class Of(NamedTuple):
    """What an endpoint is of, as if it were an output, and the outputs that it reads.

    Without a formula it is an output itself.
    """

    output: Output
    reads: tuple[str, ...]
    formula: Expression | None = None

    def fields(self) -> dict[str, object]:
        """Return what an endpoint knows of it."""
        if self.formula is None:
            return {"of": self.output.name}
        return {
            "of": self.output.name,
            "formula": self.formula,
            "outputs": self.reads,
            "of_unit": self.output.unit,
        }


def read_of(
    path: Path_, shape: EndpointShape, known: Known, faults: Faults
) -> Of | None:
    """Read of what an endpoint is; None if it is missing, or nothing of the model's."""
    if shape.of is None or known.model is None:
        return None
    outputs = [output.name for output in known.model.outputs]
    output = known.output(shape.of)
    if output is not None:
        return Of(output, (output.name,))
    told = known.ledger(shape.of)
    if told is not None:
        return Of(told, ())
    every = [*outputs, DOSE, *known.rules]
    at = (*path, "of")
    try:
        formula = parse_expression(shape.of)
    except ModelError as error:
        if shape.of.isidentifier() or not any(name in shape.of for name in outputs):
            faults.unknown(at, shape.of, every, "output")
        else:
            faults.relay(at, error)
        return None
    if isinstance(formula, Name):
        faults.unknown(at, shape.of, every, "output")
        return None
    before = len(faults.entries)
    there = {*outputs, *known.covariates}
    for name in names_in(formula):
        if name.name not in there:
            faults.unknown(at, name.name, sorted(there), "output or covariate")
    unit = shape.unit or "1"
    if not is_unit(unit):
        allowed, write = no_unit(unit)
        at_unit = (*path, "unit")
        faults.add(at_unit, found=f"`{unit}`", allowed=allowed, write=write)
    named = dict.fromkeys(name.name for name in names_in(formula))
    reads = tuple(name for name in named if name in outputs)
    if not reads and len(faults.entries) == before:
        faults.add(
            at,
            found=f"`{shape.of}`, without an output",
            allowed=f"an equation of outputs ({', '.join(outputs)}) and covariates",
        )
    if len(faults.entries) > before:
        return None
    words = write_expression(formula)
    return Of(Output(words, words, unit=unit), reads, formula)

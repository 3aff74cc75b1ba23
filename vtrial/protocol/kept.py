"""What a record keeps: as the sheet says, and as what is asked of it needs."""

import dataclasses
from typing import get_args

from vtrial.protocol.analysis import Comparison
from vtrial.protocol.evidence import Correct, Observed
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm, Keep
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import KeepShape, ProtocolShape
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed


def read_keep(shape: KeepShape, known: Known, faults: Faults) -> Keep:
    """Read what is kept; `first 20` becomes 20."""
    if known.model:
        names = list(known.model.inputs)
        names += [s.name for s in known.model.structure.static]
        for index, name in enumerate(shape.individual):
            if name not in names:
                path = ("keep", "individual", index)
                faults.unknown(path, name, names, "individual parameter")
    words = shape.trajectories
    kept = int(words.split()[1]) if words.startswith("first") else words
    return Keep(
        kept,  # type: ignore[arg-type] # one of three words, or a number
        shape.measurements,
        shape.predictions,
        shape.covariates,
        tuple(shape.individual),
    )


def asked_for(
    keep: Keep, analysis: tuple[Comparison, ...], observed: tuple[Observed, ...]
) -> Keep:
    """Keep, too, what comparisons and predictive checks ask for."""
    kinds = get_args(Correct)
    predictions = max(
        [keep.predictions, *(o.correct for o in observed)], key=kinds.index
    )
    mixed = any(one.measure.of == "visits" for one in analysis)
    measurements = (
        keep.measurements or mixed or bool(observed) or predictions != kinds[0]
    )
    return dataclasses.replace(keep, measurements=measurements, predictions=predictions)


def check_predictions(
    shape: ProtocolShape, keep: Keep, arms: tuple[Arm, ...], faults: Faults
) -> None:
    """Refuse predictions of the population where doses follow what was measured.

    They are of a subject by its design alone: with doses as they are planned.
    """
    kept = [arm.name for arm in arms if arm.kept]
    if keep.predictions == "nothing" or not kept:
        return
    path: Path_ = ("keep", "predictions")
    if shape.keep.predictions == "nothing":
        path = ("observed",)
    faults.add(
        path,
        found=f"with predictions of the population, while rules or adherence change "
        f"doses under {listed(kept)}",
        allowed="left out, or asked for without rules and adherence: a prediction has "
        "the doses that are planned",
    )

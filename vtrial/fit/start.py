"""Where a search begins: at the numbers of a sheet, or at the estimates of a fit."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from vtrial.errors import Fault, FitError
from vtrial.fit.parameters import Layout
from vtrial.fit.values import values_of
from vtrial.model.model import Model
from vtrial.model.sheet import load_model

SHEET = "model.yaml"


def start_of(
    folder: Path, model: Model, layout: Layout
) -> Float[np.ndarray, " estimate"]:
    """Return the estimates in a fit's folder as a vector of a layout.

    Parameters, effects and errors must be those of the model; its equations need not.

    Raises
    ------
    FitError
        If there is no fit, or it is of another model.
    """
    path = folder / SHEET
    if not path.is_file():
        found = f"`{folder}`, without {SHEET}"
        raise FitError("start", found, "a folder that `vtrial fit` wrote", "")
    other = load_model(path)
    pairs = {
        "parameters": [[p.name for p in one.parameters] for one in (model, other)],
        "random": [[block.names for block in one.random] for one in (model, other)],
        "errors": [sorted(_sizes(one)) for one in (model, other)],
    }
    faults = [
        Fault(f"{path}: {what}", _said(theirs), f"the model's: {_said(mine)}", "")
        for what, (mine, theirs) in pairs.items()
        if mine != theirs
    ]
    if faults:
        raise FitError.of(faults)
    values = values_of(other)
    for group in layout.groups:
        index = np.ix_(group.places, group.places)
        if (
            np.linalg.eigvalsh(np.asarray(values.covariances[group.block])[index])[0]
            <= 0
        ):
            at = f"{path}: random effects {', '.join(model.random[group.block].names)}"
            raise FitError(at, "of which one is 0", "positive where estimated", "")
    return layout.vector(values)


def _sizes(model: Model) -> list[str]:
    sizes = values_of(model).sizes
    return [f"{output}.{word}" for output, held in sizes.items() for word in held]


def _said(names: list[object]) -> str:
    flat = [", ".join(n) if isinstance(n, tuple) else str(n) for n in names]
    return "; ".join(flat) or "none"

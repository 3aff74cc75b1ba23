"""Predictions for an event table in NONMEM's format."""

from pathlib import Path

import pandas as pd

from vtrial.dosing.periods import Convention
from vtrial.dosing.table import read_events, read_parameters
from vtrial.model.sheet import load_model
from vtrial.solver.prediction import predict
from vtrial.types import Numerics


def simulate_table(
    model: str | Path,
    data: str | Path,
    *,
    parameters: str | Path | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    covariates: Convention = "backward",
) -> pd.DataFrame:
    """Return every output at the observation records of an event table.

    Random effects are zero unless the parameter table gives them (`eta.CL`).
    Covariates of a record hold on the interval that ends at it (`backward`), as in
    NONMEM, or until the next (`forward`), or go in straight lines (`linear`).

    Raises
    ------
    DataError
        With every wrong row of the tables.
    """
    loaded = load_model(model)
    events = read_events(
        data,
        states=loaded.states,
        covariates=tuple(c.name for c in loaded.covariates),
        time=loaded.time,
        convention=covariates,
    )
    given = None
    if parameters is not None:
        names = tuple(p.name for p in loaded.parameters) + loaded.etas
        given = read_parameters(parameters, names=names, identities=events.identity)
    numerics = Numerics(rtol=rtol, atol=atol)
    return predict(loaded, events, parameters=given, numerics=numerics)

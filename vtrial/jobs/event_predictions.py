"""Predictions for an event table in NONMEM's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vtrial.dosing.columns import OCCASION
from vtrial.dosing.periods import Convention
from vtrial.dosing.table import read_events, read_parameters
from vtrial.jobs.individuals import drawn_effects, estimated_effects
from vtrial.model.sheet import load_model
from vtrial.sheets.csv_table import Rows
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
    random: bool = False,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return every output at the observation records of an event table.

    Random effects are zero unless the parameter table gives them (`eta.CL`), or they
    are drawn (`random`), keyed by `seed` and ID. The table may be a .phi file of
    NONMEM, of which `columns` say what is which: `{"eta.CL": "ETA1"}`. It may give
    covariates, too, which the events then do not have. Where that table has a column
    OCC, so have the events, and its rows hold for the occasion. Covariates of a record
    hold on the interval that ends at it (`backward`), as in NONMEM, or until the next
    (`forward`), or go in straight lines (`linear`).

    Raises
    ------
    DataError
        With every wrong row of the tables.
    """
    loaded = load_model(model)
    estimated = Path(parameters or "").suffix.lower() == ".phi"
    table = None if estimated else parameters
    held = () if table is None else Rows(table).names
    anew = random and any(block.level == "occasion" for block in loaded.random)
    by_occasion = OCCASION in held or (anew and OCCASION in Rows(data).names)
    told = [c.name for c in loaded.covariates if c.name in held]
    _refuse_twice(data, told)
    events = read_events(
        data,
        states=loaded.states,
        covariates=[c for c in loaded.covariates if c.name not in told],
        time=loaded.time,
        amount=loaded.amount,
        convention=covariates,
        occasions=by_occasion,
    )
    given: dict[str, np.ndarray] = {}
    if random:
        given |= drawn_effects(loaded, events, seed)
    if estimated:
        path, named = str(parameters), columns or {}
        given |= estimated_effects(path, named, loaded, events.identity)
    elif table is not None:
        blocks = [block for block in loaded.random if block.level == "subject"]
        given |= read_parameters(
            table,
            names=(*(p.name for p in loaded.parameters), *told, *loaded.etas),
            identities=events.identity,
            occasions=events.occasions,
            lasting=[f"eta.{name}" for block in blocks for name in block.names],
        )
    numerics = Numerics(rtol=rtol, atol=atol)
    return predict(loaded, events, parameters=given, numerics=numerics)


def _refuse_twice(data: str | Path, told: Sequence[str]) -> None:
    """Refuse covariates that both the parameters and the events give."""
    rows = Rows(data) if told else None
    for name in told:
        if rows is not None and name in rows.names:
            found = "there, and in the table of parameters"
            rows.fault(f"column {name}", found, "in one of the two", "")
    if rows is not None:
        rows.refuse()

"""Predictions at the observation records of an event table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import ArrayLike

from vtrial.dosing.columns import COLUMNS, DATES, carried
from vtrial.dosing.table import Events
from vtrial.errors import Fault, SolverError
from vtrial.model.model import Model
from vtrial.sheets.csv_table import is_alike
from vtrial.sheets.words import listed, nearest
from vtrial.solver.host import simulate_from
from vtrial.solver.interpolation import interpolate
from vtrial.types import Numerics, Status

if TYPE_CHECKING:
    import pandas as pd

STATUS = "STATUS"
GIVEN = "_data"  # ends the name of a column that is called as an output


def predict(
    model: Model,
    events: Events,
    *,
    parameters: Mapping[str, ArrayLike] | None = None,
    numerics: Numerics = Numerics(),  # noqa: B008 (frozen)
) -> "pd.DataFrame":
    """Return every output at every observation record, in the order of the file.

    The columns are ID and TIME as in the file, then the outputs, then the columns of
    the file that nothing reads, as they stand (`conc_data`, if one is called as an
    output). Parameters are the model's unless
    given: one number, or one a subject, or one a subject and period, by name; random
    effects are zero unless given (`eta.CL`). The initial values hold at a subject's
    first record.
    Where a solution fails, predictions are missing from there on, and a column STATUS
    says, for every row, how its subject's solution ended, or that an output of it is
    not finite.

    Raises
    ------
    SolverError
        If a parameter is given that the model does not have, a covariate is not, or
        the events have a column that looks as if it set a parameter.
    """
    import pandas as pd

    given = dict(parameters or {})
    _refuse_unknown(model, given, events)
    subjects = len(events.identity)
    inputs = model.typical() | {k: np.asarray(v, float) for k, v in given.items()}
    follower, covariates = interpolate(model, events)
    inputs |= covariates
    solved = simulate_from(
        follower,
        inputs,
        events.doses,
        events.times,
        begin=np.full(subjects, np.inf),
        periods=events.periods,
        numerics=numerics,
        start=None,
        until=None,
        keep_states=False,
    )
    place = np.nonzero(events.row >= 0)
    order = np.argsort(events.row[place], kind="stable")
    rows = events.row[place][order]
    subject = place[0][order]
    table = {"ID": events.identity[subject]}
    table["TIME"] = events.data["TIME"].array[rows]
    for output in model.outputs:
        table[output.name] = np.asarray(solved.outputs[output.name])[place][order]
    for name in carried(events.data.columns, events.covariates):
        free = f"{name}{GIVEN}" if name in {*table, STATUS} else name
        table[free] = events.data[name].array[rows]
    status = np.asarray(solved.status)
    values = [table[output.name] for output in model.outputs]
    status = _judged(status, subject, np.stack(values, axis=1))
    if (status != Status.SOLVED).any():
        words = np.array([Status(code).words for code in status])
        table[STATUS] = words[subject]
    return pd.DataFrame(table)


def _judged(status: np.ndarray, subject: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the statuses, OUTPUT_NOT_FINITE where only a row's output is at fault."""
    odd = subject[~np.isfinite(values).all(axis=1)]
    odd = odd[status[odd] == Status.SOLVED]
    status = status.copy()
    status[odd] = Status.OUTPUT_NOT_FINITE
    return status


def _refuse_unknown(
    model: Model, given: Mapping[str, ArrayLike], events: Events
) -> None:
    """Refuse parameters that nothing would read, in the request or the event table."""
    known = [name for name in model.inputs if name not in events.covariates]
    faults = [
        Fault(
            at="parameters",
            found=f"`{name}`, which {model.name} does not have",
            allowed=f"one of {listed(known, 30)}",
            write=nearest(name, known) or known[0] if known else "",
        )
        for name in given
        if name not in known
    ]
    unread = {c.name for c in model.covariates} & {*known} - {*given}
    faults += [_unread(model, name) for name in sorted(unread)]
    absent = [name for name in known if name not in {*given, *unread}]
    for column in events.data.columns:
        meant = [name for name in absent if name == column or is_alike(column, name)]
        if meant and column not in (*COLUMNS, *DATES, *events.covariates, *unread):
            faults.append(_stray(model, column, meant[0]))
    if faults:
        raise SolverError.of(faults)


def _unread(model: Model, name: str) -> Fault:
    """Return the fault for a covariate given by neither events nor parameters."""
    return Fault(
        at=f"covariate {name} of {model.name}",
        found="read from no column of the events and given by no parameter",
        allowed="known for every subject",
        write=f"read_events(..., covariates=({name!r},))",
    )


def _stray(model: Model, column: str, meant: str) -> Fault:
    """Return the fault for a column of the events named like a model parameter."""
    nearly = "" if column == meant else "nearly "
    return Fault(
        at=f"column `{column}` of the events",
        found=f"{nearly}a parameter of {model.name}, which events do not set",
        allowed=f"in the table of parameters (`{meant}`), or called something else",
        write=f"ID,{meant}",
    )

"""A study's table in NONMEM's format: events, and what was measured, checked.

A row is an observation unless it is a dose or another event, or has MDV 1. Which output
it is of, the column DVID says; whether it is below a limit, BLQ or CENS (1: below) and
LLOQ, or else the output's own limit. A missing DV is not observed.

References
----------
Beal SL (2001) J Pharmacokinet Pharmacodyn 28:481-504 (methods M1 and M3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.periods import Convention
from vtrial.dosing.table import Events, read_events
from vtrial.errors import DataError, Fault
from vtrial.fit.observed_column import Observed, read_observed
from vtrial.model.model import Model
from vtrial.sheets.csv_table import Rows
from vtrial.solver.interpolation import interpolate

Below = Literal["M1", "M3"]


class Data(NamedTuple):
    """What a likelihood reads of a study; the first axis is subjects.

    Fields
    ------
    doses, times
        As in `Events`; times are those of observations only, padded with infinity.
    begin
        [h] The subject's first record, where the initial values hold.
    periods, covariates
        [h] When each column of the covariates begins to hold; (subject, period).
    occasion
        Which occasion each period is of, counted from 0 by subject.
    values
        [the output's unit] What was measured; a limit where `below`; 1 in padding.
    output
        Position of the output among the model's outputs.
    below
        Whether all that is known is that it is below the value.
    real
        Whether there is an observation, and no padding.
    """

    doses: Doses
    times: Times
    begin: Float[np.ndarray, " subject"]
    periods: Float[np.ndarray, "subject period"]
    covariates: dict[str, Float[np.ndarray, "subject period"]]
    occasion: Int[np.ndarray, "subject period"]
    values: Float[np.ndarray, "subject observation"]
    output: Int[np.ndarray, "subject observation"]
    below: Bool[np.ndarray, "subject observation"]
    real: Bool[np.ndarray, "subject observation"]


@dataclass(frozen=True)
class Study:
    """What was given to subjects and measured of them.

    Fields
    ------
    identity
        The IDs as they stand in the file.
    data
        The arrays.
    row
        Row of each observation in the table, from 0; -1 in padding.
    line
        Line of each row of the table in its file.
    occasions
        How many occasions a subject has at most; 1 if the model asks for none.
    model
        The model that follows covariates which move; else the model itself.
    source
        The file.
    dropped
        How many observations are left out: DV missing, or below a limit under M1.
    """

    identity: Shaped[np.ndarray, " subject"]
    data: Data
    row: Int[np.ndarray, "subject observation"]
    line: Int[np.ndarray, " row"]
    occasions: int
    model: Model
    source: str = ""
    dropped: int = 0

    @property
    def subjects(self) -> int:
        """How many subjects there are."""
        return len(self.identity)

    @property
    def observations(self) -> int:
        """How many observations there are, those below a limit included."""
        return int(self.data.real.sum())


def read_study(
    model: Model,
    path: str | Path | Rows,
    *,
    outputs: Mapping[str, str] | None = None,
    column: str = "DVID",
    below: Below = "M3",
    convention: Convention = "backward",
    unobserved: bool = False,
) -> Study:
    """Read a study's table, and check it against the model it is to inform.

    Parameters
    ----------
    model
        What it asks for (covariates, occasions, outputs) must be in the table.
    path
        The table; the unit of TIME is that of the sheet's time, that of AMT its
        `amount`.
    outputs
        Which output each text of `column` means, such as `{"1": "conc"}`; else it is an
        output's name or, from 1, its place among those with a residual error.
    column
        The column that tells outputs apart, such as DVID or CMT.
    below
        What is done with values below a limit: `M1` leaves them out, `M3` counts the
        probability to be below.
    convention
        How covariates hold between records; see `read_events`.
    unobserved
        Whether subjects without observations may be there.

    Raises
    ------
    DataError
        With every fault of the table, by line; nothing has been compiled then.
    """
    turns = any(block.level == "occasion" for block in model.random)
    faults: list[Fault] = []
    events = observed = None
    try:
        events = read_events(
            path,
            states=model.states,
            covariates=model.covariates,
            time=model.time,
            amount=model.amount,
            convention=convention,
            occasions=turns,
        )
    except DataError as error:
        faults += error.faults
    try:
        observed = read_observed(
            model,
            path,
            outputs=outputs,
            column=column,
            m1=below == "M1",
            unobserved=unobserved,
        )
    except DataError as error:
        faults += error.faults
    if faults or events is None or observed is None:
        raise DataError.of(dict.fromkeys(faults))
    source = path.source if isinstance(path, Rows) else str(path)
    return _laid_out(model, events, observed, source, has_turns=turns)


def _laid_out(
    model: Model, events: Events, seen: Observed, source: str, *, has_turns: bool
) -> Study:
    """Keep the records at which something was observed, and lay them out anew."""
    follower, covariates = interpolate(model, events)
    kept = (events.row >= 0) & seen.real[np.maximum(events.row, 0)]
    kept = _wide(kept, 1, 0)  # a table may hold doses alone
    width = roomy(int(kept.sum(axis=1).max(initial=0)))
    order = np.argsort(~kept, axis=1, kind="stable")
    order = _wide(order, width, 0)[:, :width]
    real = np.take_along_axis(kept, order, axis=1)
    real[:, events.row.shape[1] :] = False

    def take(values: np.ndarray, filler: float | int) -> np.ndarray:
        found = np.take_along_axis(_wide(values, 1, 0), order, axis=1)
        return np.where(real, found, filler)

    row = take(events.row, -1)
    laid: dict[str, Any] = {
        name: take(np.asarray(part), np.inf if name == "time" else 0)
        for name, part in events.times._asdict().items()
    }
    every = [np.asarray(part) for part in (events.times.time, events.doses.time)]
    begin = np.hstack([np.full((len(events.identity), 1), np.inf), *every]).min(axis=1)
    turn = _turns(events) if has_turns else np.zeros(events.periods.shape, int)
    periods = roomy(events.periods.shape[1])
    data = Data(
        doses=_wide_doses(events.doses),
        times=Times(**laid),
        begin=begin,
        periods=_wide(events.periods, periods, np.inf),
        covariates={name: _edged(v, periods) for name, v in covariates.items()},
        occasion=_edged(turn, periods),
        values=np.where(real, seen.value[row], 1.0),
        output=np.where(real, seen.output[row], int(seen.output.max(initial=0))),
        below=real & seen.below[row],
        real=real,
    )
    count = int(turn.max(initial=0)) + 1
    return Study(
        events.identity, data, row, seen.line, count, follower, source, seen.dropped
    )


def _turns(events: Events) -> Int[np.ndarray, "subject period"]:
    """Count the occasions of each subject from 0, as they come first."""
    assert events.occasions is not None  # they were asked for
    _, codes = np.unique(events.occasions, return_inverse=True)
    codes = codes.reshape(len(events.identity), -1)
    first = np.argmax(codes[:, :, None] == codes[:, None, :], axis=1)
    fresh = first == np.arange(first.shape[1])
    ranks = np.cumsum(fresh, axis=1) - 1
    return np.take_along_axis(ranks, first, axis=1)


def roomy(count: int) -> int:
    """Return the next number of a coarse ladder: few widths are ever compiled.

    Examples
    --------
    >>> [roomy(n) for n in (1, 5, 9, 13, 33)]
    [1, 6, 12, 16, 48]
    """
    if count <= 2:
        return max(count, 1)
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if count <= power * 3 // 4 else power


def _wide(values: np.ndarray, width: int, filler: float | int) -> np.ndarray:
    """Add columns of a filler."""
    more = max(width - values.shape[1], 0)
    return np.pad(values, ((0, 0), (0, more)), constant_values=filler)


def _edged(values: np.ndarray, width: int) -> np.ndarray:
    """Add columns that repeat the last."""
    more = max(width - values.shape[1], 0)
    return np.pad(np.asarray(values), ((0, 0), (0, more)), mode="edge")


def _wide_doses(doses: Doses) -> Doses:
    """Add doses that are never given."""
    width = np.asarray(doses.time).shape[1]
    if width == 0:
        return doses
    fillers = {"time": np.inf, "event": 1}
    wide: dict[str, Any] = {
        name: _wide(np.asarray(part), roomy(width), fillers.get(name, 0))
        for name, part in doses._asdict().items()
        if part is not None
    }
    return Doses(**wide)

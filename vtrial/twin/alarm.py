"""The monitor: how probable an event is within a time to come, and alarms by that.

At each measurement the particles of a person go on for as long as is looked ahead; the
probability is the share of those to whom the event comes, weighted without and with the
measurement, so that it is told which one moved it. Doses of the record are known ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vtrial.errors import DataError, Fault, ModelError
from vtrial.fit.study import Study
from vtrial.model.grammar import parse_expression
from vtrial.model.model import Model
from vtrial.model.tree import Expression, evaluate, names_in
from vtrial.sheets.words import listed, nearest
from vtrial.solver.by_chance import ticks_of
from vtrial.twin.cloud import Method
from vtrial.twin.particle import PARTICLES, cloud_of, follow
from vtrial.units import factor

HOURS_PER_DAY = 24.0


@dataclass(frozen=True)
class Alarms:
    """What a monitor has told.

    Fields
    ------
    table
        A row a subject and measurement: ID, TIME, the measured value under its output's
        name, `before` and `after` (the probability without and with it), `alarm`.
    summary
        Of all subjects: `events` (times at which a measurement first shows the event),
        `caught` (those with an alarm within the horizon before), `lead_time` (the
        median from the first of these alarms to the event, [h]), `alarms` (how often
        one began), and `false_alarms_per_day`: those behind which no measurement within
        the horizon shows it, a day that was observed.
    """

    table: pd.DataFrame
    summary: Mapping[str, float]


def monitor(
    model: Model,
    study: Study,
    *,
    event: str,
    within: float,
    threshold: float,
    method: Method = "particles",
    particles: int = PARTICLES,
    moves: int = 0,
    seed: int = 0,
) -> Alarms:
    """Watch every subject of a study for an event, as it would have been watched.

    Parameters
    ----------
    event
        A condition on outputs, such as `glucose < 4`.
    within
        [h] How far is looked ahead.
    threshold
        The probability from which on there is an alarm.
    method, moves
        As in `filtered`.

    Raises
    ------
    DataError
        If the event is no condition on outputs, or a number is out of its range.
    FitError
        If the model leaves nothing to chance, or the method does not fit.
    """
    watched = _read(model, event, within, threshold)
    cloud = cloud_of(model, study, particles, moves, method=method)
    ahead = ticks_of(model, 0.0, within) + 1
    cloud = replace(cloud, watched=watched, ahead=ahead)
    seen = follow(cloud, model, study, seed, within)
    data, place = study.data, np.nonzero(study.data.real)
    after = np.where(data.real, seen.chances[:, :, 1], 0.0)
    rows = {"ID": study.identity[place[0]]}
    rows["TIME"] = np.asarray(data.times.time)[place] * factor("h", model.time)
    for number, output in enumerate(model.outputs):
        mine = data.output[place] == number
        if mine.any():
            rows[output.name] = np.where(mine, data.values[place], np.nan)
    rows |= {"before": seen.chances[:, :, 0][place], "after": after[place]}
    rows["alarm"] = after[place] >= threshold
    shown = _shown(model, study, watched)
    return Alarms(
        pd.DataFrame(rows), _summary(study, shown, after >= threshold, within)
    )


def _read(model: Model, event: str, within: float, threshold: float) -> Expression:
    """Parse the event, and refuse what cannot be watched."""
    faults = []
    outputs = [output.name for output in model.outputs]
    tree = None
    try:
        tree = parse_expression(event)
    except ModelError as error:
        faults += [fault._replace(at="event", line=0) for fault in error.faults]
    for name in names_in(tree) if tree is not None else ():
        if name.name not in outputs:
            near = nearest(name.name, outputs)
            faults.append(Fault("event", f"of `{name.name}`", listed(outputs), near))
    if not within > 0:
        faults.append(Fault("within", f"{within:g} h", "above 0 h", "2"))
    if not 0 < threshold <= 1:
        faults.append(Fault("threshold", f"{threshold:g}", "above 0, 1 at most", "0.5"))
    if faults or tree is None:
        raise DataError.of(faults)
    return tree


def _shown(model: Model, study: Study, watched: Expression) -> np.ndarray:
    """Say of each measurement whether it shows the event by itself."""
    data, values = study.data, {}
    for number, output in enumerate(model.outputs):
        mine = data.real & (data.output == number)
        values[output.name] = np.where(mine, data.values, np.nan)
    found = np.asarray(evaluate(watched, values)) != 0
    known = np.ones(data.real.shape, bool)
    for name in names_in(watched):
        known &= np.isfinite(values[name.name])
    return found & known & data.real


def _summary(
    study: Study, shown: np.ndarray, alarm: np.ndarray, within: float
) -> dict[str, float]:
    """Count events and alarms, and how long these come before those."""
    time = np.where(study.data.real, np.asarray(study.data.times.time), np.inf)

    def begins(flag: np.ndarray) -> np.ndarray:
        return flag & ~np.pad(flag, ((0, 0), (1, 0)))[:, :-1]

    onset, start = begins(shown), begins(alarm)
    with np.errstate(invalid="ignore"):
        wait = time[:, None, :] - time[:, :, None]  # from the second axis to the third
    near = (wait > 0) & (wait <= within)
    heard = near & alarm[:, :, None] & onset[:, None, :]
    lead = np.where(heard, wait, -np.inf).max(axis=1)
    caught = np.isfinite(lead) & onset
    right = ((near | (wait == 0)) & shown[:, None, :]).any(axis=2)
    false = start & ~right
    last = np.max(np.where(np.isfinite(time), time, -np.inf), axis=1)
    days = np.sum(np.maximum(last - np.min(time, axis=1), 0.0)) / HOURS_PER_DAY
    return {
        "events": float(onset.sum()),
        "caught": float(caught.sum()),
        "lead_time": float(np.median(lead[caught])) if caught.any() else np.nan,
        "alarms": float(start.sum()),
        "false_alarms_per_day": float(false.sum() / days) if days > 0 else np.nan,
    }

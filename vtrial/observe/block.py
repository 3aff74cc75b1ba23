"""One block: some subjects under the arms they could get, from identity to arrays."""

import numpy as np

from vtrial.cohort.subjects import Subjects
from vtrial.dims import (
    ARM,
    ARMS,
    BASELINE,
    CAUSE,
    COUNT,
    EVENT,
    FALLBACK,
    LEFT,
    MEASURED,
    MEASUREMENTS,
    NUMBER,
    OUTCOME,
    OUTCOMES,
    REASON,
    REPLICATE,
    SCREENED,
    SKETCH,
    STATUS,
    STOP_CAUSE,
    STOPPED,
    SUBJECTS,
    TAKEN,
    TRAJECTORIES,
    VALUE,
)
from vtrial.observe.block_program import Seen, Trial
from vtrial.observe.bringing import Identity
from vtrial.observe.frame import frame_of
from vtrial.observe.ledger import ledger_rows
from vtrial.observe.population_prediction import TypicalPredictions, typical_of
from vtrial.observe.predicted import predictions
from vtrial.protocol.intercurrent import asks_of_stop
from vtrial.protocol.protocol import Arm
from vtrial.sketch import BINS
from vtrial.types import Status

ABSENT = -1


def simulate_block(
    trial: Trial, block: int, allocated: np.ndarray
) -> dict[str, np.ndarray]:
    """Return one block's rows of every array of the record, by the array's path.

    `allocated` is the place of each subject's arm. What a subject draws depends on who
    it is and on nothing else, so any process may do any block. Under an arm that a
    subject could not get, its status is -1 and its numbers are NaN.
    """
    who = trial.identity(block)
    people = trial.people(who)
    arrays = _subjects(trial, who, people, allocated)
    for index, arm in enumerate(trial.protocol.arms):
        everybody = trial.protocol.potential == "all"
        chosen = np.flatnonzero(everybody | (allocated == index))
        seen = trial.observe(arm, people, chosen) if chosen.size else None
        rows = _arm(trial, block, arm, chosen, seen)
        if arm.kept:
            frame, size = frame_of(trial.scheme, arm), trial.protocol.size(block)
            rows |= ledger_rows(frame, size, chosen, seen)
        if predictions(trial.protocol):
            found = typical_of(trial, arm, people, chosen) if chosen.size else None
            rows |= _predicted(trial, block, chosen, found)
        arrays |= {f"{ARMS}/{arm.name}/{path}": rows[path] for path in rows}
    return arrays


def failures(arrays: dict[str, np.ndarray]) -> int:
    """Count a block's subjects that could not be solved under some arm."""
    ends = [rows for path, rows in arrays.items() if path.endswith(f"/{STATUS}")]
    return int(np.any([rows > Status.SOLVED for rows in ends], axis=0).sum())


def _subjects(
    trial: Trial, who: Identity, people: Subjects, allocated: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the subject columns of a block: number, arm, covariates, parameters."""
    size, keep = who.number.size, trial.protocol.keep
    rows = {
        REPLICATE: who.replicate,
        NUMBER: who.number,
        ARM: allocated,
        SCREENED: np.asarray(people.screened)[:size],
    }
    if keep.covariates:
        rows |= {
            name: np.asarray(people.covariates[name])[:size]
            for name in trial.cohort.names
        }
    if keep.individual:
        found = trial.individual(people)
        rows |= {name: np.asarray(found[name])[:size] for name in keep.individual}
    return {f"{SUBJECTS}/{name}": values for name, values in rows.items()}


def _arm(
    trial: Trial, block: int, arm: Arm, chosen: np.ndarray, seen: Seen | None
) -> dict[str, np.ndarray]:
    """Put what was seen under one arm into the block's rows."""
    protocol, size = trial.protocol, trial.protocol.size(block)
    points, outputs = len(protocol.endpoints), len(protocol.model.outputs)
    visits, times = len(trial.schedule.visits), trial.schedule.kept.size

    def spread(name: str, *tail: int) -> np.ndarray:
        rows = np.full((size, *tail), np.nan)
        if seen is not None:
            rows[chosen] = np.asarray(getattr(seen, name))[: chosen.size]
        return rows

    rows: dict[str, np.ndarray] = {}
    for name in (STATUS, FALLBACK):
        rows[name] = np.full(size, ABSENT, "int8")
        if seen is not None:
            rows[name][chosen] = np.asarray(getattr(seen, name))[: chosen.size]
    if protocol.design.dropout.reasons(arm.rules):
        rows |= {LEFT: spread(LEFT), CAUSE: np.full(size, ABSENT, "int8")}
        if seen is not None:
            rows[CAUSE][chosen] = np.asarray(seen.cause)[: chosen.size]
    if asks_of_stop(protocol):
        rows |= {STOPPED: spread(STOPPED), STOP_CAUSE: np.full(size, ABSENT, "int8")}
        if seen is not None:
            rows[STOP_CAUSE][chosen] = np.asarray(seen.stop_cause)[: chosen.size]
    for name in (OUTCOME, BASELINE, EVENT):
        rows[f"{OUTCOMES}/{name}"] = spread(name, points)
    reason = np.zeros((size, points), "int8")
    if seen is not None:
        reason[chosen] = np.asarray(seen.reason)[: chosen.size]
    rows[f"{OUTCOMES}/{REASON}"] = reason
    if protocol.keep.measurements:
        rows[f"{MEASUREMENTS}/{MEASURED}"] = spread("measured", visits, outputs)
        rows[f"{MEASUREMENTS}/{TAKEN}"] = spread("taken", visits)
    kept = protocol.keep.trajectories
    if kept == "quantiles":
        rows |= _sketched(trial, seen)
    elif kept != "nothing":
        first = trial.protocol.total if kept == "all" else kept
        within = block * protocol.block + np.arange(size) < first
        rows[f"{TRAJECTORIES}/{VALUE}"] = np.full((size, outputs, times), np.nan)
        if within.any():
            values = spread("values", outputs, times)
            values[~within] = np.nan
            rows[f"{TRAJECTORIES}/{VALUE}"] = values
    return rows


def _predicted(
    trial: Trial, block: int, chosen: np.ndarray, found: TypicalPredictions | None
) -> dict[str, np.ndarray]:
    """Put what the population predicts under one arm into the block's rows."""
    outputs, visits = len(trial.protocol.model.outputs), len(trial.schedule.visits)
    rows = {}
    for name in predictions(trial.protocol):
        rows[f"{MEASUREMENTS}/{name}"] = np.full(
            (trial.protocol.size(block), visits, outputs), np.nan
        )
        if found is not None:
            rows[f"{MEASUREMENTS}/{name}"][chosen] = getattr(found, name)
    return rows


def _sketched(trial: Trial, seen: Seen | None) -> dict[str, np.ndarray]:
    """Return the block's one row of quantiles, and how many subjects they are of."""
    outputs, times = len(trial.protocol.model.outputs), trial.schedule.kept.size
    if seen is None or seen.sketch is None or seen.counted is None:
        sketch = np.full((outputs, times, BINS), np.nan)
        count = np.zeros((outputs, times), int)
    else:
        sketch, count = np.asarray(seen.sketch), np.asarray(seen.counted)
    return {
        f"{TRAJECTORIES}/{SKETCH}": sketch[None],
        f"{TRAJECTORIES}/{COUNT}": count[None],
    }

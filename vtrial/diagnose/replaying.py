"""Replay: realised doses solved once more, as fixed ones, beside their course.

A course is a chain of stages, each of which goes on where the last one ended. Were
anything lost or done twice between them, one solution under the doses that the ledger
holds would say so. Two solutions by steps of other sizes differ by the solver's own
error, too, which a deep nadir makes many times its tolerance: where a difference is
large, that error is measured.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from vtrial.conduct.allocated import arms_of
from vtrial.conduct.plan import plan
from vtrial.conduct.provenance import protocol_of
from vtrial.dims import AMOUNT, ARMS, DOSES, INTO, RATE, REASON, TIME
from vtrial.dosing.doses import DOSE, Doses, Times
from vtrial.dosing.expansion import RANK
from vtrial.errors import StoreError
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import padded
from vtrial.protocol.protocol import Arm
from vtrial.solver.host import simulate
from vtrial.store.record import Record, open_record
from vtrial.types import TAKEN, Numerics, Status

MOST = 10.0  # tolerances, or the solver's own errors, by which two may differ
CLOSER = 1e-2  # of the tolerance: what the solver's own error is measured by
FLOOR = 1e-3  # of a subject's largest value; below it, differences are held against it


def replay(folder: str | Path, *, subjects: int = 20) -> pd.DataFrame:
    """Solve the realised doses of a record's first subjects again, as fixed ones.

    Returns
    -------
    A row an arm with a ledger and output: `arm`, `output`, `subjects`, `doses` and the
    `largest` difference of its course, in tolerances (`numerics.rtol`), relative to the
    value or to 0.1 % of the subject's largest. Beyond 10 tolerances the doses are
    solved a third time, at a hundredth of the tolerance: `error` is by how much their
    second solution differs from it, and NaN elsewhere. Where rules assign to states
    or inputs, something is left to chance, or a regimen begins at steady state, no
    doses can say the same: `largest` is NaN, and only the ledger is made again.

    Raises
    ------
    StoreError
        If the ledger that is made again is not the record's, or a course differs by
        more than 10 tolerances and 10 times `error`; or if the record has no ledger.
    """
    record = open_record(folder)
    tree = record.tree()
    planned = plan(protocol_of(record))
    trial = Trial(planned.protocol, planned.cohort)
    rows: list[dict[str, Any]] = []
    for place, arm in enumerate(trial.protocol.arms):
        if arm.kept:
            rows += _replayed(trial, record, tree, place, arm, subjects)
    if not rows:
        raise StoreError(
            at=str(record.path.parent),
            found="without a ledger of doses",
            allowed="a record of arms with `rules` or `adherence`",
            write="",
        )
    return pd.DataFrame(rows)


def _replayed(
    trial: Trial, record: Record, tree: Any, place: int, arm: Arm, subjects: int
) -> list[dict[str, Any]]:
    """Return the rows of one arm."""
    who = trial.identity(0)
    mine = trial.protocol.potential == "all" or arms_of(trial, who) == place
    chosen = np.flatnonzero(np.broadcast_to(mine, who.number.shape))[:subjects]
    if not chosen.size:
        return []
    course = trial.course(arm, trial.people(who), chosen)
    held = {
        name: np.asarray(tree[f"{ARMS}/{arm.name}/{DOSES}/{name}"][chosen])
        for name in (TIME, AMOUNT, RATE, INTO, REASON)
    }
    assert course.given is not None, "the arm has a ledger"
    made = np.asarray(course.given.time)[: chosen.size]
    made = np.where(np.isfinite(made), made, np.nan)
    if not np.array_equal(made, held[TIME], equal_nan=True):
        raise _differs(record, arm, "times of doses that are made again")
    status = np.asarray(course.path.status)[: chosen.size] == Status.SOLVED
    found = None
    if _is_told_by_doses(arm) and trial.protocol.model.chance is None:
        found = _Fixed(trial, arm, chosen, held, np.asarray(course.path.time), status)
    rows = []
    for output in trial.protocol.model.outputs:
        largest = error = np.nan
        if found is not None:
            value = np.asarray(course.path.outputs[output.name])[: chosen.size]
            largest = found.apart(output.name, value)
        if found is not None and largest > MOST:
            error = found.error(output.name)
            if largest > MOST * max(1.0, error):
                words = f"{output.name}, by {largest:.3g} tolerances, of which the"
                own = f"solver's own error is {error:.3g}"
                raise _differs(record, arm, f"{words} {own}")
        rows.append(
            {
                "arm": arm.name,
                "output": output.name,
                "subjects": chosen.size,
                "doses": int(np.isin(held[REASON], TAKEN).sum()),
                "largest": largest,
                "error": error,
            }
        )
    return rows


@dataclass(frozen=True)
class _Fixed:
    """Realised doses of an arm, to be solved as fixed ones."""

    trial: Trial
    arm: Arm
    chosen: np.ndarray
    held: dict[str, np.ndarray]
    time: np.ndarray
    solved: np.ndarray  # whose course is to be compared

    def apart(self, output: str, value: np.ndarray) -> float:
        """Return the largest difference of an output from this, in tolerances."""
        mine = np.asarray(self._outputs[output])
        return self._tolerances(value, mine)

    def error(self, output: str) -> float:
        """Return the largest difference from the same doses, solved more closely."""
        mine, near = (np.asarray(o[output]) for o in (self._outputs, self._closer))
        return self._tolerances(mine, near)

    def _tolerances(self, one: np.ndarray, other: np.ndarray) -> float:
        away = _apart(one[self.solved], other[self.solved])
        return away / self.trial.protocol.numerics.rtol

    @functools.cached_property
    def _outputs(self) -> dict[str, Any]:
        return self._under(self.trial.protocol.numerics)

    @functools.cached_property
    def _closer(self) -> dict[str, Any]:
        asked = self.trial.protocol.numerics
        own = tuple((name, CLOSER * least) for name, least in asked.atol_by_state)
        closer = replace(
            asked,
            rtol=CLOSER * asked.rtol,
            atol=CLOSER * asked.atol,
            atol_by_state=own,
        )
        return self._under(closer)

    def _under(self, numerics: Numerics) -> dict[str, Any]:
        """Solve the doses of a ledger as they stand there."""
        trial, held, chosen = self.trial, self.held, self.chosen
        given = np.isin(held[REASON], TAKEN)
        when = np.where(given, held[TIME], np.inf)
        order = np.argsort(when, axis=1, kind="stable")
        rows = {
            name: np.take_along_axis(np.where(given, held[name], 0), order, axis=1)
            for name in (AMOUNT, RATE, INTO)
        }
        whole = np.zeros(order.shape, int)
        fields: dict[str, Any] = {
            "time": np.take_along_axis(when, order, axis=1),
            "amount": rows[AMOUNT].astype(float),
            "compartment": rows[INTO].astype(int),
            "rate": rows[RATE].astype(float),
            "interval": np.zeros(order.shape),
            "steady": whole,
            "event": whole + DOSE,
            "rank": whole + RANK,
        }
        doses = Doses(**fields)
        who = trial.identity(0)
        ready = trial.ready(self.arm, trial.people(who), padded(chosen, chosen.size))
        inputs = {
            name: np.asarray(value)[: chosen.size] if value.ndim else value
            for name, value in ready.inputs.items()
        }
        seen = jnp.asarray(self.time[: chosen.size])
        rank = jnp.broadcast_to(jnp.asarray(trial.schedule.rank), seen.shape)
        times = Times(seen, rank, trial.schedule.occasion(seen))
        columns = any(np.ndim(value) == 2 for value in inputs.values())
        starts = np.array([-np.inf, *trial.protocol.occasions[1:]])[None, :]
        return simulate(
            trial.protocol.model,
            inputs,
            doses,
            times,
            periods=starts if columns else None,
            numerics=numerics,
        ).outputs


def _is_told_by_doses(arm: Arm) -> bool:
    """Return whether a course is that of its doses, and of nothing else."""
    assigns = any(a.kind == "assign" for rule in arm.rules for a in rule.do)
    steady = any(step.steady for step in arm.regimen.steps) if arm.regimen else False
    return not assigns and not steady


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest relative difference of two courses; 0 of nobody."""
    there = np.isfinite(one) & np.isfinite(other)
    size = np.where(there, np.abs(other), 0.0)
    scale = np.maximum(size, FLOOR * size.max(axis=1, keepdims=True, initial=0.0))
    away = np.where(there, np.abs(one - other), 0.0)
    return float(np.max(away / np.where(scale > 0, scale, 1.0), initial=0.0))


def _differs(record: Record, arm: Arm, what: str) -> StoreError:
    return StoreError(
        at=f"{record.path.parent}, arm {arm.name}",
        found=f"another course when it is solved again: {what}",
        allowed=f"the same doses, and courses within {MOST:g} tolerances or {MOST:g} "
        "times the solver's own error",
        write=record.again,
    )

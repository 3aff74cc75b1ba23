"""Run a protocol into a record; the same command continues a run that was stopped."""

import contextlib
import dataclasses
import functools
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vtrial.conduct.ahead import ahead
from vtrial.conduct.allocated import arms_of
from vtrial.conduct.executor import AbstractExecutor, Done, blocks_failed, executor
from vtrial.conduct.extent import much_words, size_words
from vtrial.conduct.folder import SHEETS, locked, write_sheets
from vtrial.conduct.layout import coordinates, variables
from vtrial.conduct.plan import Plan, plan
from vtrial.conduct.progress import progress, tell
from vtrial.conduct.provenance import about, now, sheet_files
from vtrial.conduct.task import conduct_block, spec_of
from vtrial.dims import (
    GRID_ERROR,
    OBSERVED,
    POINT,
    PRECISION_ERROR,
    PREDICTED,
    SPREAD,
    TRIAL,
)
from vtrial.errors import StoreError
from vtrial.observe.between import courses_asked, grid_error, grid_error_ready
from vtrial.observe.block_program import Trial
from vtrial.observe.population_prediction import predict_points
from vtrial.observe.precision import precision_error
from vtrial.protocol.evidence import name_points
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.stored import write_protocol
from vtrial.store.check import torn_blocks
from vtrial.store.layout import NAME, Layout
from vtrial.store.ledger import LEDGER, Ledger
from vtrial.store.mend import mend_record
from vtrial.store.place import clear, stands
from vtrial.store.record import Record, create_record, open_record

MOST_FAILED = 3


def run(
    protocol: Protocol,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    restart: bool = False,
) -> Record:
    """Simulate a trial into a record, and return the record.

    What a record of the same digest holds already is not simulated again: a stopped
    run continues, a finished one is returned as it is, and more replicates are added.

    Parameters
    ----------
    protocol
        What is simulated.
    out
        Folder of the record; by default `results/<protocol>-<digest>`.
    workers
        Processes on this machine; 0: none but this one. By default one a core, or
        none where there are fewer than four blocks for each.
    scheduler
        Address of a Dask scheduler whose workers do the blocks; they must see `out`.
    restart
        Throw away what is done.

    Raises
    ------
    VtrialError
        If the protocol cannot be run (before anything is written), if the folder
        holds another trial's record or another run is at work in it, or if a block
        could not be done (all others are, and stay).
    """
    planned = plan(protocol)
    folder = Path(out) if out is not None else planned.folder
    _refuse_foreign(planned, folder, restart=restart)
    with locked(folder), _nothing_half_made(folder):
        if restart:
            _clear(folder)
        record = _opened(planned, folder)
        planned = _at_least(planned, int(str(record.attributes["replicates"])))
        trial = Trial(planned.protocol, planned.cohort)
        todo = _undone(planned, record, folder)
        if todo:
            _tell_of_size(planned, folder)
            with (
                _stoppable(),
                executor(
                    workers=workers, scheduler=scheduler, blocks=len(todo)
                ) as place,
            ):
                _conduct(planned, trial, record, todo, place)
        _finish(planned, trial, record, folder, fresh=bool(todo))
    return record


def _tell_of_size(planned: Plan, folder: Path) -> None:
    """Say if a block takes much memory, or if the record may not find its place."""
    if words := much_words(planned.protocol, planned.cohort):
        tell(words)
    free = float(shutil.disk_usage(folder).free)
    if planned.bytes > free:
        tell(
            f"{folder}: the record is about {size_words(planned.bytes)} before "
            f"compression, and {size_words(free)} are free there."
        )


@contextlib.contextmanager
def _nothing_half_made(folder: Path) -> Iterator[None]:
    """Take a record away again that is made here but that no block has reached."""
    there = stands(folder / NAME)
    try:
        yield
    except BaseException:
        if not there and not Ledger(folder / LEDGER).read():
            _clear(folder)
        raise


def _refuse_foreign(planned: Plan, folder: Path, *, restart: bool) -> None:
    """Refuse a folder that holds another trial's record."""
    if restart or not stands(folder / NAME):
        return
    found = open_record(folder).digest
    if found != planned.digest:
        other = f"the record of another trial, or of another engine ({found[:8]})"
        raise StoreError(
            at=str(folder),
            found=other if found else "a record that is torn so that it is nobody's",
            allowed=f"empty, or of digest {planned.digest[:8]}",
            write="--out for another folder, or --restart to throw that record away",
        )


def _clear(folder: Path) -> None:
    """Throw away a record and its ledger; the ledger first, for it vouches."""
    for name in (LEDGER, NAME, SHEETS):
        clear(folder / name)


def _opened(planned: Plan, folder: Path) -> Record:
    """Open the record, make one, or make room in it for more replicates.

    What is torn of what the coordinator laid out is laid out again.
    """
    protocol = planned.protocol
    if not stands(folder / NAME):
        clear(folder / LEDGER)
        write_sheets(folder, sheet_files(planned))
        return create_record(folder, _layout(planned), attributes=about(planned))
    record = open_record(folder)
    record.ledger.clear_way()
    held = _replicates(record, protocol)
    larger = _at_least(planned, held)
    known = record.sealed
    torn = mend_record(record, _layout(larger), attributes=about(larger))
    for one in torn:
        tell(f"{folder}: {one}; it is laid out again.")
    if not (folder / SHEETS).is_dir():
        clear(folder / SHEETS)
        write_sheets(folder, sheet_files(planned))
    if any(one.path.startswith(f"{OBSERVED}/") for one in torn):
        record.note(**{OBSERVED: ""})
    if known and held < protocol.replicates:
        record.note(**about(planned))
    elif held > protocol.replicates:
        tell(
            f"{folder} holds {held} replicates, more than the {protocol.replicates} "
            "asked for; all are kept. For fewer use --out or --restart."
        )
    return record


def _layout(planned: Plan) -> Layout:
    """Say how a record is laid out."""
    protocol = planned.protocol
    arrays = variables(protocol, planned.cohort)
    return Layout(arrays, coordinates(protocol), planned.subjects, protocol.block)


def _replicates(record: Record, protocol: Protocol) -> int:
    """Return how many replicates a record holds; by the ledger if it does not say."""
    said = record.sealed
    if said is not None:
        return int(str(said["replicates"]))
    return sum(e.subjects for e in record.ledger.read().values()) // protocol.subjects


def _at_least(planned: Plan, replicates: int) -> Plan:
    """Return the plan of what the record holds: never fewer replicates than it has."""
    if replicates <= planned.protocol.replicates:
        return planned
    protocol = dataclasses.replace(planned.protocol, replicates=replicates)
    return dataclasses.replace(planned, protocol=protocol)


def _undone(planned: Plan, record: Record, folder: Path) -> list[int]:
    """List the blocks that are missing, torn, or shorter than they should be."""
    entries = record.ledger.read()
    if entries and not record.complete:
        tell(f"{folder}: {len(entries):,} blocks are done; reading them back.")
    torn = {one.block for one in torn_blocks(record.path, record.laid, entries)}
    again = [block for block in torn if block in entries]
    if again:
        tell(f"{folder}: {len(again):,} blocks are torn; they are done again.")
    return [
        block
        for block in range(planned.blocks)
        if block in torn or entries[block].subjects != planned.size(block)
    ]


def _conduct(
    planned: Plan, trial: Trial, record: Record, todo: list[int], at: AbstractExecutor
) -> None:
    """Have blocks done; note each in the ledger as it comes back."""
    if at.dashboard:
        tell(f"Dask dashboard: {at.dashboard}")
    record.note(complete=False)
    ledger = record.ledger
    spec = spec_of(planned.digest, planned.protocol, planned.cohort)
    if GRID_ERROR not in record.attributes:
        ahead(functools.partial(grid_error_ready, trial))
    place = record.path.parent.resolve() / record.path.name  # which may be a link
    work = functools.partial(conduct_block, spec, str(place))
    done = planned.subjects - sum(planned.size(block) for block in todo)
    failed: list[Done] = []
    name = planned.protocol.name
    with (
        progress(planned.subjects, done=done, words=name) as advance,
        _told_when_stopped(record),
    ):
        for back in at.conduct(work, todo):
            if back.entry is not None:
                ledger.append(back.entry)
                advance(back.entry.subjects)
                continue
            failed.append(back)
            if len(failed) == MOST_FAILED:
                break
    if failed:
        raise blocks_failed(failed, at=name)


def _finish(
    planned: Plan, trial: Trial, record: Record, folder: Path, *, fresh: bool
) -> None:
    """Measure what precision and grid cost, unless it is known; mark it complete.

    Before that observed points are predicted, where they are to be corrected.
    """
    _predict(trial, record)
    if planned.compared and PRECISION_ERROR not in record.attributes:
        record.note(**{PRECISION_ERROR: precision_error(trial, planned.compared)})
    if GRID_ERROR not in record.attributes and courses_asked(planned.protocol):
        allocated = arms_of(trial, trial.identity(0))
        record.note(**{GRID_ERROR: grid_error(trial, allocated)})
    if record.complete and not fresh:
        return
    entries = Ledger(folder / LEDGER).read()
    record.note(
        complete=True,
        finished=now(),
        failures=sum(entries[block].failed for block in range(planned.blocks)),
        seconds=round(sum(entries[b].seconds for b in range(planned.blocks)), 1),
    )


def _predict(trial: Trial, record: Record) -> None:
    """Keep the predictions of observed points that are corrected; once for each set."""
    protocol, group = trial.protocol, f"{OBSERVED}/{PREDICTED}"
    name = name_points(protocol.evidence.observed)
    if not name or record.attributes.get(OBSERVED) == name:
        return
    asked = [o for o in protocol.evidence.observed if o.correct != "nothing"]
    found = [predict_points(trial, observed) for observed in asked]
    predicted = np.concatenate([one.predicted.reshape(-1) for one in found])
    record.put(group, predicted, dims=(POINT,))
    spread = [
        np.full(one.predicted.size, np.nan)
        if one.spread is None
        else one.spread.reshape(-1)
        for one in found
    ]
    record.put(f"{OBSERVED}/{SPREAD}", np.concatenate(spread), dims=(POINT,))
    record.note(**{OBSERVED: name, TRIAL: write_protocol(protocol)})


@contextlib.contextmanager
def _told_when_stopped(record: Record) -> Iterator[None]:
    """Say, when somebody stops the run, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"{record.path.parent}: stopped; the same command goes on from here.")
        raise


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does: the record stays good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

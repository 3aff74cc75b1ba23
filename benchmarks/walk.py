"""Time each step of the walk, and see what a second worker brings.

`python -m benchmarks.walk` prints one table. Subjects per second are of simulated
blocks without what is compiled first; wall times are of this machine, and are only to
be compared with each other.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from vtrial.analysis.evaluate import evaluate
from vtrial.conduct.allocated import arms_of
from vtrial.conduct.plan import plan
from vtrial.conduct.remembered import remember_compiled
from vtrial.conduct.run import run
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial
from vtrial.protocol.load import load_protocol
from vtrial.protocol.protocol import Protocol
from vtrial.report.page import render
from vtrial.store.ledger import Ledger
from vtrial.store.record import Record

TRIALS = {  # replicates and block, so that there are some blocks
    "theophylline-single-dose": {"replicates": 500, "block": 500},
    "docetaxel-dose": {"replicates": 16, "block": 1000},
}
Result = TypeVar("Result")


class Clock:
    """Seconds by step, in the order of the walk."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, step: str, work: Callable[[], Result]) -> Result:
        """Do something and note how long it took."""
        begun = time.perf_counter()
        result = work()
        self.seconds[step] = time.perf_counter() - begun
        return result


def walk(name: str, changes: dict[str, int], folder: Path) -> dict[str, float]:
    """Walk a trial once and return the seconds of each step, and rates."""
    clock = Clock()
    protocol = clock.time("load", lambda: load_protocol(name, changes=changes))
    planned = clock.time("plan", lambda: plan(protocol))
    trial = Trial(planned.protocol, planned.cohort)
    clock.time("first block, compiling", lambda: rows_of(trial, 0))
    _steps(clock, trial)
    records = {}
    for workers in (1, 2):
        with contextlib.redirect_stderr(io.StringIO()):
            records[workers] = _run(clock, protocol, folder, workers)
    tree = records[1].tree()
    estimates = clock.time("evaluate", lambda: evaluate(tree, protocol))
    clock.time(
        "report",
        lambda: render(estimates, protocol, folder, attributes=tree.attrs),
    )
    rates = {n: _rate(records[n]) for n in records}
    clock.seconds["subjects/s, 1 worker"] = rates[1]
    clock.seconds["subjects/s, 2 workers"] = rates[2]
    clock.seconds["2 workers : 1 worker"] = rates[2] / rates[1]
    return clock.seconds


def _steps(clock: Clock, trial: Trial) -> None:
    """Time the steps of a block that is compiled already."""
    block = min(1, trial.protocol.blocks - 1)
    who = trial.identity(block)
    people = clock.time("block: draw people", lambda: trial.people(who))
    arms = clock.time("block: allocate", lambda: arms_of(trial, who))
    own = (arms == 0).nonzero()[0]
    arm = trial.protocol.arms[0]

    def observe() -> None:
        trial.observe(arm, people, own).status.block_until_ready()

    clock.time("block: simulate one arm", observe)
    clock.time("block: all", lambda: rows_of(trial, block))


def _run(clock: Clock, protocol: Protocol, folder: Path, workers: int) -> Record:
    """Run with some workers."""
    out = folder / f"{protocol.name}-{workers}"
    return clock.time(
        f"run, {workers} worker{'s'[: workers > 1]}",
        lambda: run(protocol, out=out, workers=workers),
    )


def _rate(record: Record) -> float:
    """Return subjects per second of blocks after each worker's first, all workers."""
    entries = Ledger(record.path.parent / "ledger.jsonl").read().values()
    total = 0.0
    for worker in {entry.worker for entry in entries}:
        own = [entry for entry in entries if entry.worker == worker]
        later = own[1:] or own
        total += sum(e.subjects for e in later) / sum(e.seconds for e in later)
    return total


def _lines(columns: dict[str, dict[str, float]]) -> Iterator[str]:
    """Lay the table out."""
    steps = list(next(iter(columns.values())))
    width = max(map(len, steps))
    yield "  ".join([f"{'step [s]':<{width}}", *(f"{name:>26}" for name in columns)])
    for step in steps:
        cells = [f"{seconds[step]:>26.3g}" for seconds in columns.values()]
        yield "  ".join([f"{step:<{width}}", *cells])


def main() -> None:
    """Walk both trials and print the table."""
    remember_compiled()
    columns = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, changes in TRIALS.items():
            columns[name] = walk(name, changes, Path(folder))
    for line in _lines(columns):
        print(line)


if __name__ == "__main__":
    main()

"""How long a run takes, and how much memory: a small block is tried, and multiplied."""

import dataclasses
import sys
import time
from typing import NamedTuple

from vtrial.conduct.engine import cores
from vtrial.conduct.executor import FEW
from vtrial.conduct.extent import bytes_held, size_words
from vtrial.conduct.plan import Plan
from vtrial.conduct.task import prepared, rows_of, spec_of

MOST = 500  # subjects who are tried
LEAST_TIME = 0.5  # [s] of measuring: shorter blocks are done again


class Foretold(NamedTuple):
    """What one small block took, and what the run will.

    Fields
    ------
    subjects
        How many were tried, under all arms they could get.
    ready
        [s] Until the first block was done, beyond what it takes later: compiling, or
        reading what was compiled before.
    each
        [s] For a subject, from then on.
    seconds
        [s] For the whole run in one process.
    workers
        How many processes a run has here if it is not told.
    held
        [bytes] Memory of each process, at most; 0 where the system does not say.
    """

    subjects: int
    ready: float
    each: float
    seconds: float
    workers: int
    held: float

    def words(self) -> str:
        """Say it in two lines, and what it is from."""
        shared = ""
        if self.workers > 1:
            least = self.ready + (self.seconds - self.ready) / self.workers
            shared = f"; with {self.workers} processes not less than {_span(least)}"
        tried = f"{self.subjects:,} subject{'s'[: self.subjects != 1]} tried here"
        lines = [
            f"time    about {_span(self.seconds)} in one process{shared} (from "
            f"{tried}: {_span(self.ready)} to get ready, then "
            f"{_span(1000 * self.each)} for 1,000 subjects)"
        ]
        if self.held:
            size = size_words(self.held)
            lines.append(f"memory  about {size} in each process (from the same)")
        return "\n".join(lines)


def measure_run(planned: Plan) -> Foretold:
    """Try the first subjects of a plan with the run's own programs; nothing is kept.

    Time grows with the number of subjects, memory with what a block holds.
    """
    protocol = planned.protocol
    count = min(MOST, protocol.subjects)
    small = dataclasses.replace(protocol, subjects=count, replicates=1, block=count)
    spec = spec_of(f"{planned.digest} tried", small, planned.cohort)
    begun = time.perf_counter()
    trial = prepared(spec)
    rows_of(trial, 0)
    first = time.perf_counter() - begun
    times, begun = 0, time.perf_counter()
    while times == 0 or time.perf_counter() - begun < LEAST_TIME:
        rows_of(trial, 0)
        times += 1
    block = (time.perf_counter() - begun) / times
    ready = max(first - block, 0.0)
    each = block / count
    more = planned.held - bytes_held(small, planned.cohort)
    peak = _peak()
    workers = cores() if planned.blocks >= FEW * cores() else 1
    return Foretold(
        count,
        ready,
        each,
        ready + each * planned.subjects,
        workers,
        peak + max(more, 0.0) if peak else 0.0,
    )


def _peak() -> float:
    """Return the most memory that this process has had [bytes]; 0 if unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _span(seconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> _span(0.034), _span(75.0), _span(9000.0)
    ('0.03 s', '75 s', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.2g} min"
    return f"{seconds / 3600:.3g} h"

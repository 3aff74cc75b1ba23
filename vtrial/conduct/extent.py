"""How much memory and disk a trial takes, and what is refused for taking too much."""

from collections.abc import Iterator

import numpy as np

from vtrial.cohort.cohort import Cohort
from vtrial.conduct.layout import variables
from vtrial.dims import VALUE
from vtrial.errors import Fault
from vtrial.observe.observation_times import observation_times
from vtrial.protocol.protocol import Protocol
from vtrial.sheets.sheet import Sheet

MOST = 16e9  # bytes that a block may take
MUCH = 2e9  # bytes of which a run tells
COPIES = 4  # of true values, while they are solved, measured and ordered


def bytes_for(
    protocol: Protocol, cohort: Cohort, *, subjects: int, blocks: int
) -> float:
    """Estimate the size of a record [bytes] before compression."""
    size = 0.0
    for variable in variables(protocol, cohort):
        rows = blocks if variable.per_block else subjects
        if variable.path.endswith(f"/{VALUE}") and isinstance(
            protocol.keep.trajectories, int
        ):
            rows = min(rows, protocol.keep.trajectories)
        each = np.dtype(variable.dtype).itemsize
        size += float(rows * np.prod(variable.tail, initial=1.0) * each)
    return size


def bytes_held(protocol: Protocol, cohort: Cohort) -> float:
    """Estimate the memory that a process needs for one block [bytes].

    That is the true values of all its subjects at all times, some copies of them, and
    the block's part of the record; what is compiled comes on top.
    """
    size = protocol.height
    each = _times(protocol) * len(protocol.model.outputs)
    rows = bytes_for(protocol, cohort, subjects=size, blocks=1)
    return COPIES * size * each * protocol.numerics.precision / 8 + rows


def faults_of_size(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield a block that needs more memory than a process may take."""
    held = bytes_held(protocol, cohort)
    if held > MOST:
        yield sheet.fault(
            ("block",),
            found=f"{_extent_words(protocol)}, which is about {size_words(held)} at "
            "once in each process",
            allowed=f"at most {size_words(MOST)}",
            write=remedy(protocol, cohort, MOST),
        )


def much_words(protocol: Protocol, cohort: Cohort) -> str:
    """Return a warning of a run's memory, with a remedy; empty if it takes little."""
    held = bytes_held(protocol, cohort)
    if held <= MUCH:
        return ""
    return (
        f"{protocol.name}: {_extent_words(protocol)}: about {size_words(held)} of "
        f"memory in each process. `{remedy(protocol, cohort, MUCH)}` takes less."
    )


def remedy(protocol: Protocol, cohort: Cohort, most: float) -> str:
    """Return what to write so that a block takes at most so many bytes."""
    held, size = bytes_held(protocol, cohort), protocol.height
    whole = bytes_for(protocol, cohort, subjects=0, blocks=1)
    fewer = int((most - whole) / (held - whole) * size)
    if fewer >= 1:
        return f"block: {fewer}"
    return "keep: {trajectories: nothing}"


def size_words(size: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> size_words(2.5e6)
    '2.5 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _extent_words(protocol: Protocol) -> str:
    """Return a block's dimensions in words: subjects, times, outputs, arms."""
    arms, outputs = len(protocol.arms), len(protocol.model.outputs)
    counts = {"subject": protocol.height, "time": _times(protocol)}
    counts |= {"output": outputs, "arm": arms}
    return " x ".join(f"{n:,} {name}{'s'[: n != 1]}" for name, n in counts.items())


def _times(protocol: Protocol) -> int:
    """Count a subject's observation times: visits, then the grid."""
    plan = observation_times(protocol)
    return plan.planned.size + plan.grid.size

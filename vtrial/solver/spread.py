"""All cores: parts of the subjects in threads, each solved as if it were alone.

XLA walks through a loop on one core. Several programs may run at once, so a batch is
cut into one part for each core; answers do not depend on how it is cut.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import numpy as np

SWITCH = "VTRIAL_THREADS"
Part = TypeVar("Part")

_compiled: set[Any] = set()


def threads() -> int:
    """Say how many threads may solve at once.

    In a process's main thread as many as there are cores, or as `VTRIAL_THREADS` says;
    in other threads one, for those are a cluster's, which gives each core a worker.
    """
    if threading.current_thread() is not threading.main_thread():
        return 1
    asked = os.environ.get(SWITCH, "")
    if asked.isdigit() and int(asked):
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def cut(count: int, parts: int, grain: int) -> list[tuple[int, int]]:
    """Cut subjects into about equal parts, each a multiple of the grain but the last.

    Examples
    --------
    >>> cut(200, 2, 64), cut(60, 2, 64)
    ([(0, 128), (128, 200)], [(0, 60)])
    """
    chunks = -(-count // grain)
    length = -(-chunks // max(1, min(parts, chunks))) * grain
    return [(low, min(low + length, count)) for low in range(0, count, length)]


def solve_parts(
    solve: Callable[[Part], Any],
    parts: Sequence[Part],
    rows: Sequence[tuple[int, int]],
    program: Any,
) -> Any:
    """Solve parts side by side and put their rows together.

    `program` names what is compiled for them: the first time one of them goes first, so
    that it is compiled once.
    """
    count = rows[-1][1]
    first = None
    if program not in _compiled:
        first = jax.block_until_ready(solve(parts[0]))
        _compiled.add(program)
    like = jax.eval_shape(solve, parts[0])
    whole = jax.tree.map(
        lambda leaf: np.empty((count, *leaf.shape[1:]), leaf.dtype), like
    )

    def work(place: int) -> None:
        given = first if place == 0 and first is not None else solve(parts[place])
        low, high = rows[place]

        def copy(target: np.ndarray, value: Any) -> None:
            target[low:high] = np.asarray(value)

        jax.tree.map(copy, whole, given)

    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, range(len(parts))))
    return jax.tree.map(lambda leaf: jax.device_put(leaf, may_alias=True), whole)

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
    """Return how many threads may solve at once.

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
    first = None
    if program not in _compiled:
        first = jax.block_until_ready(solve(parts[0]))
        _compiled.add(program)
    whole = _Whole(rows[-1][1])

    def work(place: int) -> None:
        given = first if place == 0 and first is not None else solve(parts[place])
        whole.fill(rows[place], given)

    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, range(len(parts))))
    return whole.taken()


class _Whole:
    """Arrays of all rows, made when the first part shows what they are like."""

    def __init__(self, count: int) -> None:
        self._count, self._lock = count, threading.Lock()
        self._arrays: list[np.ndarray] = []
        self._tree: Any = None

    def fill(self, rows: tuple[int, int], part: Any) -> None:
        """Copy a part to its rows."""
        leaves, tree = jax.tree.flatten(part)
        leaves = [np.asarray(leaf) for leaf in leaves]
        with self._lock:
            if self._tree is None:
                self._tree = tree
                shapes = [(self._count, *leaf.shape[1:]) for leaf in leaves]
                kinds = [leaf.dtype for leaf in leaves]
                self._arrays = list(map(np.empty, shapes, kinds))
        for whole, leaf in zip(self._arrays, leaves, strict=True):
            whole[slice(*rows)] = leaf

    def taken(self) -> Any:
        """Return the arrays as JAX's, without a copy."""
        arrays = [jax.device_put(array, may_alias=True) for array in self._arrays]
        return jax.tree.unflatten(self._tree, arrays)

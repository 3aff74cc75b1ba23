"""Measure one solver on one workload, in a process of its own on given cores.

`python -m benchmarks.measure REQUEST` is what `benchmarks.peers` starts; a request and
its answer are JSON. CPU time is that of the whole process, so that no thread hides.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

ONE_THREAD = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"),
    *("NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)
REPEATS = 5
LIMIT = 900.0  # [s] for one measurement, compilation included


@dataclasses.dataclass(frozen=True)
class Request:
    """What to measure.

    `pilot` subjects tell the speed; then as many are solved as take about `seconds`,
    but at most `subjects`. `task` is "rate", "first" (only what the first call costs),
    or "error" (only of the pilot). The process keeps to `cores`.
    """

    solver: str
    workload: str
    subjects: int
    pilot: int = 24
    seconds: float = 3.0
    rtol: float = 1e-6
    atol: float = 1e-8
    bits: int = 64
    method: str = "Tsit5"
    chunk: int = 64
    task: str = "rate"
    cores: tuple[int, ...] = (0,)


def measure(request: Request) -> dict[str, Any]:
    """Measure in this process."""
    import vtrial  # noqa: F401 (before JAX starts)
    from benchmarks.problem import Tolerance
    from benchmarks.solvers import MODULES, SOLVERS
    from benchmarks.workloads import crowd, worst_errors

    tolerance = Tolerance(
        request.rtol, request.atol, request.bits, request.method, request.chunk
    )

    def prepared(group: Any) -> Callable[[], Any]:
        return SOLVERS[request.solver](request.workload, group, tolerance)

    def begun() -> tuple[Callable[[], Any], Any]:
        solve = prepared(group)
        return solve, solve()

    pilot = min(request.pilot, request.subjects)
    group = crowd(request.workload, pilot)
    importlib.import_module(MODULES[request.solver])  # which is not compilation
    (solve, outputs), cold = timed(begun)
    answer = {"errors": worst_errors(request.workload, group, outputs)}
    if request.task == "error":
        return answer
    _, warm = timed(solve)
    answer |= {f"first_{k}": max(0.0, cold[k] - warm[k]) for k in cold}
    if request.task == "first":
        return answer
    size = pilot * request.seconds / max(warm["cpu"], 1e-9)
    size = max(pilot, int(min(request.subjects, size)))
    if size > pilot:
        group = crowd(request.workload, size)
        solve = prepared(group)
    outputs = solve()
    best = _best(solve, request.seconds)
    return answer | {
        "errors": worst_errors(request.workload, group, outputs),
        "failed": _failed(outputs),
        "subjects": size,
        "rate": size / best["cpu"],
        "wall_rate": size / best["wall"],
    }


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Do something; return what it gives, and its seconds."""
    begun, used = time.perf_counter(), time.process_time()
    result = work()
    spent = {
        "wall": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
    }
    return result, spent


def _best(work: Callable[[], Any], seconds: float) -> dict[str, float]:
    """Return the shortest times of several repeats; fewer where they are long."""
    spent, begun = [], time.perf_counter()
    while len(spent) < REPEATS and time.perf_counter() - begun < 3 * seconds + 1:
        spent.append(timed(work)[1])
    return {key: min(one[key] for one in spent) for key in spent[0]}


def _failed(outputs: dict[str, Any]) -> int:
    """Count the subjects whose solution holds what is no number."""
    import numpy as np

    bad = [~np.isfinite(np.asarray(o)).all(axis=1) for o in outputs.values()]
    return int(np.any(bad, axis=0).sum())


def measured_apart(request: Request, cache: str = "") -> dict[str, Any]:
    """Measure in a new process, with a folder for compiled code or without any."""
    with _process(request, cache) as process:
        try:
            said, complaint = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return {"failure": f"not done in {LIMIT:g} s"}
    return _answer(said, complaint)


@contextlib.contextmanager
def _process(request: Request, cache: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that measures; end it whatever happens."""
    settings = dict.fromkeys(ONE_THREAD, "1") if len(request.cores) == 1 else {}
    settings["JAX_ENABLE_COMPILATION_CACHE"] = str(bool(cache)).lower()
    if cache:
        settings["JAX_COMPILATION_CACHE_DIR"] = cache
        settings["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.measure"),
            json.dumps(dataclasses.asdict(request)),
        ],
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _answer(said: str, complaint: str) -> dict[str, Any]:
    """Read the last line that a process said."""
    try:
        return json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        lines = complaint.strip().splitlines() or ["it said nothing"]
        return {"failure": lines[-1][:300]}


def compile_times(request: Request) -> dict[str, float]:
    """Return the CPU seconds that compiling takes, and with a cache on disk."""
    first = dataclasses.replace(request, task="first")
    with tempfile.TemporaryDirectory() as cache:
        answers = [measured_apart(first, cache) for _ in range(2)]
    names = ("compile", "compile_cached")
    return {
        name: answer.get("first_cpu", float("nan"))
        for name, answer in zip(names, answers, strict=True)
    }


if __name__ == "__main__":
    asked = Request(**json.loads(sys.argv[1]))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, asked.cores)
    print(json.dumps(measure(asked)))

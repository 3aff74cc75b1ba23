"""Measure how memory grows with the number of subjects.

`python -m benchmarks.memory [--largest N]` solves W2 of `benchmarks.workloads` for
10^4, 10^5 and 10^6 subjects, in blocks, each number in a process of its own, and prints
the most memory that the process ever held. Of each subject the lowest count is kept.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.workloads import WORKLOADS, Crowd, crowd, model_of, schedule_of
from vtrial.solver.host import simulate

WORKLOAD, BLOCK, FIRST = "W2", 10_000, 10_000


def solve(subjects: int) -> tuple[float, float]:
    """Solve blocks; return subjects per second, and the peak memory [MB]."""
    model = model_of(WORKLOAD)
    random = np.random.default_rng(0)
    drawn = crowd(WORKLOAD, BLOCK)
    lowest = np.empty(subjects)
    begun = time.perf_counter()
    for first in range(0, subjects, BLOCK):
        values = {k: random.permutation(v) for k, v in drawn.values.items()}
        group = Crowd(values, drawn.doses, drawn.observations)
        doses, times = schedule_of(WORKLOAD, group)
        seen = simulate(model, values, doses, times).outputs["CIRC"]
        lowest[first : first + BLOCK] = np.asarray(seen).min(axis=1)
    rate = subjects / (time.perf_counter() - begun)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="How memory grows.")
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--alone", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.alone:
        print(*solve(asked.alone))
        return
    print(f"{WORKLOAD}, {len(WORKLOADS[WORKLOAD].observations)} observations,")
    print(f"in blocks of {BLOCK:,} subjects\n")
    print(f"{'subjects':>12} {'subjects/s':>12} {'peak, MB':>10}")
    subjects = FIRST
    while subjects <= asked.largest:
        command = [sys.executable, "-m", "benchmarks.memory", "--alone", f"{subjects}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ
        )
        rate, peak = map(float, done.stdout.split())
        print(f"{subjects:>12,} {rate:>12,.0f} {peak:>10,.0f}", flush=True)
        subjects *= 10


if __name__ == "__main__":
    main()

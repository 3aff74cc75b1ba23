"""What it takes to enact ten thousand adaptive trials from one record.

`python -m benchmarks.enactment [--trials 10000] [--quick]` prints one table. The trial
is response-adaptive, with 600 subjects, four arms and three looks. Its subjects are
simulated once; then trials are enacted, with their looks, allocation and tests. Peers
make outcomes by a law instead of a model, so that none is in the same run: the time
stands beside that of drawing as many outcomes and arms with NumPy, which any such
program does at least.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import vtrial as vt

SHEET = """
protocol: adaptive-of-four
model: one-compartment-oral
cohort: adults
subjects: 600
replicates: 10
seed: 4
potential: all
arms:
  a: {dose: 100 mg}
  b: {dose: 102 mg}
  c: {dose: 104 mg}
  d: {dose: 106 mg}
visits: {late: {at: "2 h, 8 h", measure: [conc]}}
endpoints: {exposure: {of: conc, take: maximum}}
analysis:
  - {name: b, compare: b with a, on: exposure, by: difference of means}
  - {name: c, compare: c with a, on: exposure, by: difference of means}
  - {name: d, compare: d with a, on: exposure, by: difference of means}
design:
  accrual: 30 / month
  arrivals: poisson
  known after: 7 d
  looks: {first: 33 %, second: 67 %, final: 100 %}
  adapt:
    stop: {by: posterior probability, success: 99.5 %, futility: 1 %}
    lean: {by: response adaptive, on: exposure, floor: 10 %, looks: [first, second]}
keep: {trajectories: nothing}
"""


def main() -> None:
    """Print the seconds, the rate, the memory and the ratio to drawing alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    asked = parser.parse_args()
    trials = asked.trials // 10 if asked.quick else asked.trials
    protocol = vt.load_protocol(SHEET)
    with tempfile.TemporaryDirectory() as folder:
        record = vt.run(protocol, out=Path(folder) / "run", workers=0)
        vt.enact(record, protocol, trials=protocol.replicates + 1)  # compiles
        start = time.perf_counter()
        made = vt.enact(record, protocol, trials=trials)
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    rng = np.random.default_rng(1)
    for _ in range(0, trials, 500):
        _ = rng.normal(size=(500, 600)) + rng.integers(0, 4, size=(500, 600))
    least = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("| trials | seconds | trials/s | to drawing alone | peak memory [GiB] |")
    print("|---|---|---|---|---|")
    print(
        f"| {trials:,} | {seconds:.1f} | {trials / seconds:,.0f} | "
        f"{seconds / least:.0f} | {peak:.2f} |"
    )
    print(f"\nmean size {made.size.mean():.1f}, shown {made.success.mean(axis=0)}")


if __name__ == "__main__":
    main()

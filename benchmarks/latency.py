"""How long a person waits: seconds of each step, cold, warm, and with another seed.

`python -m benchmarks.latency` starts a process for each run, as a shell does, and
prints one table. Beside the seconds stands how many programs took time to compile.
Totals are given as multiples of what `import jax, xarray, zarr, distributed` takes on
the same machine, too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers import machine

TRIALS = {
    "theophylline-single-dose": {"replicates": 50},
    "docetaxel-dose": {"replicates": 5},
    "t1d-basal-bolus": {"replicates": 1},
}
RUNS = {"cold": None, "warm": None, "another seed": 7}
STEPS = ("import", "load", "plan", "run", "evaluate", "report")
_BASE = "import jax, xarray, zarr, distributed"
_CHILD = """
import json, sys, time
begun = time.perf_counter()
name, folder, changes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
import vtrial as vt
seconds, missed = {}, []
def lap(step):
    seconds[step] = time.perf_counter() - begun - sum(seconds.values())
vt.run, vt.render, vt.evaluate
lap("import")
import jax
jax.monitoring.register_event_listener(
    lambda event, **_: missed.append(1) if event.endswith("cache_misses") else None
)
protocol = vt.load_protocol(name, changes=changes)
lap("load")
vt.plan(protocol)
lap("plan")
record = vt.run(protocol, out=folder)
lap("run")
tree = record.tree()
estimates = vt.evaluate(tree, protocol)
lap("evaluate")
vt.render(estimates, protocol, folder, attributes=tree.attrs)
lap("report")
print(json.dumps({"seconds": seconds, "compiled": len(missed)}))
"""


def timed(name: str, changes: dict[str, int], cache: Path) -> dict[str, float]:
    """Walk a trial in a process of its own; return seconds by step, and programs."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, name, folder, json.dumps(changes)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        whole = time.perf_counter() - begun
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"] | {"all": whole, "compiled": said["compiled"]}


def base() -> float:
    """Time the imports that a run cannot do without, the second time [s]."""
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", _BASE], check=True)
        seconds.append(time.perf_counter() - begun)
    return seconds[-1]


def main() -> None:
    """Walk the trials and print the table."""
    parser = argparse.ArgumentParser(description="Time the walk.")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=TRIALS)
    asked = parser.parse_args()
    unit = base()
    head = [*STEPS, "all", "compiled"]
    print(f"`{_BASE}` takes {unit:.2f} s here.\n")
    print("| trial | " + " | ".join([*head, "times that"]) + " |")
    print("|---" * (len(head) + 2) + "|")
    rows = {}
    for name in asked.trials:
        with tempfile.TemporaryDirectory() as cache:
            for run, seed in RUNS.items():
                changes = TRIALS[name] | ({"seed": seed} if seed else {})
                row = rows[f"{name}, {run}"] = timed(name, changes, Path(cache))
                cells = [f"{row[step]:.1f}" for step in (*STEPS, "all")]
                cells += [f"{row['compiled']:.0f}", f"{row['all'] / unit:.1f}"]
                print(f"| {name}, {run} | " + " | ".join(cells) + " |", flush=True)
    if asked.out:
        found = {"machine": machine(["vtrial"]), "base [s]": unit, "rows": rows}
        asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

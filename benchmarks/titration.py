"""What rules cost: a titration beside the fixed schedule with the same visits.

`python -m benchmarks.titration` prints one table: seconds of both arms, without what is
compiled first, and their ratio in the same run. Wall times are of this machine, and are
only to be compared with each other.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from vtrial.conduct.plan import plan
from vtrial.observe.block_program import Trial
from vtrial.protocol.load import load_protocol
from vtrial.protocol.protocol import Protocol

DOSE = "100 mg every 24 h x 168"
STRENGTHS = "25, 50, 75, 100, 150, 200 mg"
MODELS = {  # by what it is solved, and the dose and the levels that are aimed at
    "one-compartment-oral": (DOSE, "conc > 1.5", "conc < 0.5"),
    "docetaxel-neutropenia": ("60 mg over 1 h every 7 d x 24", "anc < 1", "anc > 4"),
}


def protocol_of(model: str, subjects: int) -> Protocol:
    """Return a trial of 24 weekly visits: one arm fixed, one titrated at each visit."""
    dose, high, low = MODELS[model]
    output = high.split()[0]
    arms = {"fixed": {"dose": dose, "rules": []}, "titrated": {"dose": dose}}
    rules = {
        "down": {"when": high, "do": "reduce one step", "ladder": STRENGTHS},
        "up": {"when": low, "do": "increase one step", "ladder": STRENGTHS},
    }
    visits = {"at": "day 7", "repeat": "every 7 d x 24", "measure": [output]}
    cohort = {"one-compartment-oral": "adults"}.get(model, "breast-cancer-second-line")
    return load_protocol(
        {
            "protocol": "titration",
            "model": model,
            "cohort": cohort,
            "subjects": subjects,
            "block": subjects,
            "potential": "all",
            "arms": arms,
            "rules": rules,
            "visits": {"weekly": visits},
            "endpoints": {"last": {"of": output, "take": "value"}},
            "grid": {"every": "7 d"},
        }
    )


def seconds_of(trial: Trial, arm: str, repeats: int) -> float:
    """Return the median time of simulating everybody under an arm, compiled before."""
    people = trial.people(trial.identity(0))
    chosen = np.arange(trial.protocol.height)
    found = []
    for turn in range(repeats + 1):
        begun = time.perf_counter()
        path = trial.course(trial.protocol.arm(arm), people, chosen).path
        jax.block_until_ready(path.outputs)
        if turn:
            found.append(time.perf_counter() - begun)
    return statistics.median(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    print(f"{'model':<24}{'fixed [s]':>12}{'titrated [s]':>14}{'ratio':>8}")
    for model in MODELS:
        planned = plan(protocol_of(model, asked.subjects))
        trial = Trial(planned.protocol, planned.cohort)
        fixed, ruled = (
            seconds_of(trial, arm, asked.repeats) for arm in ("fixed", "titrated")
        )
        print(f"{model:<24}{fixed:>12.2f}{ruled:>14.2f}{ruled / fixed:>8.2f}")


if __name__ == "__main__":
    main()

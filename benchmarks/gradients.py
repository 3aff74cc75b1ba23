"""How right are slopes through the population: against central differences.

`python -m benchmarks.gradients` prints one table: for each variable of a regimen and
each parameter of the model the slope of the mean of an endpoint over people, taken
forwards through the solver, beside a central difference of order 4 on the same people,
and the relative error. `--model docetaxel` takes a model that is solved in steps. A
rule's threshold has no slope: `vtrial optimise` looks for it without one.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import vtrial as vt
from vtrial.optimise.crowd import People
from vtrial.optimise.problem import Problem
from vtrial.optimise.surrogate import Surrogate

VARY = {
    "amount": {"from": "50 mg", "to": "200 mg", "start": "100 mg"},
    "length": {"from": "0.5 h", "to": "4 h", "start": "2 h"},
    "time": {"from": "10 h", "to": "30 h", "start": "21.3 h"},
}
DOSES = ["{amount} over {length} at 0 h", "60 mg over 1 h at {time}"]
SHEETS = {
    "one compartment": {
        "model": "one-compartment-iv",
        "cohort": "adults",
        "endpoints": {
            "late": {"of": "conc", "take": "value", "at": "48 h", "values": True},
            "low": {"of": "conc", "take": "value", "at": "24 h", "values": True}
            | {"below": 1.0},
        },
    },
    "docetaxel": {
        "model": "docetaxel-neutropenia",
        "cohort": "breast-cancer-second-line",
        "endpoints": {
            "late": {"of": "anc", "take": "value", "at": "day 8", "values": True},
            "low": {"of": "anc", "take": "value", "at": "day 7", "values": True}
            | {"below": 1.0},
        },
    },
}
STEP, WIDTH = 2e-3, 0.5


class Row(NamedTuple):
    """One slope of a mean, by derivative and by differences."""

    endpoint: str
    by: str
    slope: float
    difference: float
    error: float


def surrogate_of(name: str, subjects: int) -> tuple[Surrogate, People]:
    """Return the surrogate of a sheet, and its people."""
    sheet = SHEETS[name] | {
        "protocol": "slopes",
        "subjects": subjects,
        "seed": 4,
        "arms": {"dose": {"dose": DOSES}},
        "grid": {"every": "24 h", "until": "day 9"},
        "optimise": {
            "vary": VARY,
            "maximise": "late",
            "subject to": [{"on": "low", "at most": 0.5}],
            "search": {"subjects": subjects},
        },
    }
    protocol = vt.load_protocol(sheet)
    problem = Problem(protocol, vt.plan(protocol).cohort)
    assert problem.lines is not None, problem.why_not
    crowd = replace(problem.asked.search, replicates=1)
    return Surrogate(problem, problem.lines), People(problem, crowd)


def slopes(name: str, subjects: int) -> Iterator[Row]:
    """Yield a row for each endpoint and everything that it depends on."""
    surrogate, people = surrogate_of(name, subjects)
    who, seed = people.subjects, jnp.asarray(np.int64(people.crowd.seed))
    parameters = list(who.parameters)
    variables = [one.name for one in surrogate.problem.variables]
    widths = jnp.full(2, WIDTH)

    def means(values: jax.Array) -> jax.Array:
        at, rest = values[: len(variables)], values[len(variables) :]
        told = {
            key: jnp.broadcast_to(rest[place], who.subject.shape)
            for place, key in enumerate(parameters)
        }
        smooth, _ = surrogate._seen(at, widths, who._replace(parameters=told), seed)
        return jnp.mean(smooth, axis=0)

    known = [float(who.parameters[key][0]) for key in parameters]
    at = np.array([*surrogate.problem.start, *known])
    plain = jax.jit(means)
    pushed = jax.jit(lambda values, along: jax.jvp(means, (values,), (along,))[1])
    names = surrogate.problem.needed
    for place, by in enumerate([*variables, *parameters]):
        along = np.eye(at.size)[place]
        found = np.asarray(pushed(at, along))
        wanted = central(plain, at, place)
        for endpoint, slope, difference in zip(names, found, wanted, strict=True):
            size = max(abs(difference), 1e-6 * abs(float(plain(at)[0]) / at[place]))
            error = abs(slope - difference) / size
            yield Row(endpoint, by, float(slope), float(difference), float(error))


def central(
    plain: Callable[[np.ndarray], jax.Array], at: np.ndarray, place: int
) -> np.ndarray:
    """Return the central difference of order 4."""
    step = STEP * (abs(at[place]) or 1.0)

    def shifted(by: float) -> np.ndarray:
        moved = at.copy()
        moved[place] += by
        return np.asarray(plain(moved))

    near = shifted(step) - shifted(-step)
    far = shifted(2 * step) - shifted(-2 * step)
    return (8 * near - far) / (12 * step)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(SHEETS), default="one compartment")
    parser.add_argument("--subjects", type=int, default=64)
    asked = parser.parse_args()
    rows = list(slopes(asked.model, asked.subjects))
    print("| mean of | by | slope | difference | relative error |")
    print("|---|---|---|---|---|")
    for row in rows:
        numbers = f"{row.slope:.6g} | {row.difference:.6g} | {row.error:.1e}"
        print(f"| {row.endpoint} | {row.by} | {numbers} |")
    worst = max(rows, key=lambda row: row.error)
    print(
        f"\nLargest relative error: {worst.error:.1e}, {worst.endpoint} by {worst.by}."
    )


if __name__ == "__main__":
    main()

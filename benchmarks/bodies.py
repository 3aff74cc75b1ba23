"""Ask how far from the truth random bodies are, and whether any is lost.

`python -m benchmarks.bodies` prints one table: a row for each family of equations and
method. `--quick` takes a few bodies of each; `--family NAME --body N` shows one body,
its sheet, numbers, doses and both solutions, and how near SciPy's own methods come at
the same tolerance; `--doubt` compares two of SciPy's methods. Families are in
`benchmarks.families`, `jumps` and `corners`; the truth is SciPy's at 1e-10 or better,
which `benchmarks.oracle` keeps in `results/`.

An error is counted in tolerances: |y - truth| / (rtol * (size + floor)), where `size`
is the highest |truth| of that state so far, and `floor` is 1/1000 of its highest at
any time. `far` are solutions that call themselves solved and are off by more than
100 of these, or are no number; `silent` those of them that are off by three times more
than the worst of SciPy's methods at the same tolerance (where equations are chaotic, or
hang on what has all but gone, the tolerance of a step is no bound of the error).
`failed` are those with another status.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

import vtrial as vt
from benchmarks import corners, families, jumps
from benchmarks.family import Family
from benchmarks.oracle import (
    FOLDER,
    SEED,
    Body,
    How,
    draw_body,
    solutions,
    solve_again,
    solve_body,
)
from vtrial.dosing.doses import Doses, times
from vtrial.model.model import Model
from vtrial.solver.choice import choose
from vtrial.types import Numerics, Status

POOLS = (families.FAMILIES, jumps.FAMILIES, corners.FAMILIES)
FAMILIES = {family.name: family for pool in POOLS for family in pool}
FLOOR = 1e-3  # of a state's highest value
FAR = 100.0  # tolerances
WORSE = 3.0  # times the worst of SciPy's methods
PEERS = ("RK45", "DOP853", "LSODA", "Radau")
SHARE_DENSE = 4  # one body of so many is looked at often


class Outcome(NamedTuple):
    """What became of some bodies: their statuses, and worst errors in tolerances.

    `peers` is the worst error of SciPy's methods, where a body is far off.
    """

    status: np.ndarray
    error: np.ndarray
    steps: np.ndarray
    peers: np.ndarray


def sheet_of(family: Family) -> str:
    """Write the family's sheet, with numbers in the middle of their ranges."""
    lines = [f"model: {''.join(c if c.isalnum() else '-' for c in family.name)}"]
    lines += ["time: h", "parameters:"]
    for name, (low, high, *how) in family.ranges.items():
        middle = 0.5 * (low + high) if how else float(np.sqrt(low * high))
        lines.append(f"  {name}: {{value: {middle:.6g}}}")
    lines += ["equations: |"]
    lines += ["  " + line for line in family.text.strip().splitlines()]
    lines += ["outputs:"] + [f"  {state}: {{}}" for state in family.states]
    return "\n".join(lines) + "\n"


def load(family: Family) -> Model:
    """Load the family's sheet as a user's is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.yaml"
        path.write_text(sheet_of(family))
        return vt.load_model(path)


def solve(
    family: Family, model: Model, bodies: Sequence[Body], numerics: Numerics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve bodies by vtrial; return states (body, time, state), statuses and steps."""
    inputs = {
        name: np.array([body.numbers[name] for body in bodies])
        for name in family.ranges
    }
    found = vt.simulate(
        model,
        inputs,
        doses_of(bodies),
        times(np.stack([body.looks for body in bodies])),
        numerics=numerics,
        keep_states=True,
    )
    order = [model.states.index(name) for name in family.states]
    states = np.asarray(found.states, float)[:, :, order]
    return states, np.asarray(found.status), np.asarray(found.steps)


def doses_of(bodies: Sequence[Body]) -> Doses:
    """Lay the bodies' doses out as vtrial takes them."""
    real = {
        k: jnp.asarray(np.stack([getattr(b, k) for b in bodies]))
        for k in Body._fields[1:5]
    }
    whole = jnp.zeros(real["time"].shape, int)
    return Doses(
        time=real["time"],
        amount=real["amount"],
        compartment=real["place"],
        rate=real["rate"],
        interval=0.0 * real["amount"],
        steady=whole,
        event=whole + 1,
        rank=whole + 1,
    )


def errors_of(states: np.ndarray, truth: np.ndarray, rtol: float) -> np.ndarray:
    """Return each body's worst error in tolerances; infinite where there is none."""
    truth, size = truth[:, 0], truth[:, 1]
    allowed = rtol * (size + FLOOR * size[:, -1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(states - truth) / allowed
    error = np.where((states == truth) | (allowed == 0), 0.0, error)
    return np.nan_to_num(error, nan=np.inf).max(axis=(1, 2))


def measure(
    family: Family,
    count: int,
    numerics: Numerics,
    *,
    dense: bool,
    folder: Path = FOLDER,
) -> Outcome:
    """Solve a family's first bodies and compare them with the truth."""
    bodies, truth = solutions(family, count, dense=dense, folder=folder)
    states, status, steps = solve(family, load(family), bodies, numerics)
    known = np.isfinite(truth).all(axis=(1, 2, 3))
    error = errors_of(states, np.where(np.isfinite(truth), truth, 0.0), numerics.rtol)
    peers = np.full(error.shape, np.nan)
    for row in np.flatnonzero(known & (status == Status.SOLVED) & (error > FAR)):
        peers[row] = max(peers_of(family, bodies[row], truth[row], numerics).values())
    return Outcome(status, np.where(known, error, np.nan), steps, peers)


def peers_of(
    family: Family, body: Body, truth: np.ndarray, numerics: Numerics
) -> dict[str, float]:
    """Return the error of SciPy's methods at the same tolerance, in tolerances."""
    found = {}
    for peer in PEERS:
        how = How(peer, numerics.rtol, numerics.atol * family.scale)
        states = solve_body(family, body, how)[:1]
        found[peer] = float(errors_of(states, truth[None], numerics.rtol)[0])
    return found


HEAD = (
    f"{'family':32s} {'method':16s} {'rtol':>5s} {'bodies':>6s} {'failed':>6s}"
    f" {'far':>4s} {'silent':>6s} {'median':>7s} {'99 %':>7s} {'worst':>8s}"
    f" {'body':>9s} {'steps':>6s} {'s':>5s}"
)


def row_of(
    name: str, method: str, rtol: float, parts: dict[str, Outcome], seconds: float
) -> str:
    """Write a row; the body is the worst one's number, or a failed one's."""
    status, error, steps, peers = (
        np.concatenate([getattr(part, k) for part in parts.values()])
        for k in Outcome._fields
    )
    labels = [
        f"{i}{'d' if kind == 'dense' else ''}"
        for kind, part in parts.items()
        for i in range(part.status.size)
    ]
    known = np.isfinite(error) | np.isposinf(error)
    failed = (status != Status.SOLVED) & known
    good = known & ~failed
    far = good & (error > FAR)
    silent = far & ~(error <= WORSE * peers)
    seen = error[good] if good.any() else np.array([np.nan])
    worst = int(np.argmax(np.where(good, error, -1.0)))
    line = (
        f"{name:32s} {method:16s} {rtol:5.0e} {known.sum():6d} {failed.sum():6d}"
        f" {far.sum():4d} {silent.sum():6d} {np.median(seen):7.2g}"
        f" {np.quantile(seen, 0.99):7.2g} {seen.max():8.3g} {labels[worst]:>9s}"
        f" {np.median(steps):6.0f} {seconds:5.1f}"
    )
    return line + _failures(status, failed, labels)


def _failures(status: np.ndarray, failed: np.ndarray, labels: list[str]) -> str:
    """Say how bodies failed, and which was the first."""
    said = []
    for code in np.unique(status[failed]):
        who = np.flatnonzero(failed & (status == code))
        said.append(f"{len(who)} {Status(code).words} (body {labels[who[0]]})")
    return "".join(f"  {part}" for part in said)


def survey(
    families: Sequence[Family],
    methods: Sequence[str],
    *,
    count: int,
    rtol: float,
    folder: Path,
) -> None:
    """Print the table, row by row."""
    print(HEAD, flush=True)
    for family in families:
        auto = choose(load(family), Numerics(rtol=rtol)).method
        for method in methods or ("auto", *family.others):
            if method == auto:
                continue  # is the default's own row
            numerics = Numerics(method=method, rtol=rtol)  # type: ignore[arg-type]
            begun = time.perf_counter()
            parts = {
                name: measure(family, size, numerics, dense=dense, folder=folder)
                for name, dense, size in _sizes(count)
            }
            label = f"auto: {auto}" if method == "auto" else method
            label = label.replace("explicit", "expl.")
            spent = time.perf_counter() - begun
            print(row_of(family.name, label, rtol, parts, spent), flush=True)


def _sizes(count: int) -> list[tuple[str, bool, int]]:
    """Say how many bodies are looked at now and then, and how many often."""
    often = max(1, count // SHARE_DENSE)
    return [("sparse", False, max(1, count - often)), ("dense", True, often)]


def doubt(families: Sequence[Family], count: int, rtol: float) -> None:
    """Print how far two of SciPy's methods are apart, in tolerances."""
    for family in families:
        drawn = [draw_body(family, i, dense=False) for i in range(count)]
        truth = np.stack([solve_body(family, body) for body in drawn])
        again = np.stack([solve_again(family, body) for body in drawn])
        error = errors_of(again[:, 0], truth, rtol)
        worst = int(np.argmax(error))
        print(f"{family.name:32s} {error[worst]:8.2g} body {worst}", flush=True)


def show(family: Family, which: str, method: str, rtol: float) -> None:
    """Print one body, as the table numbers it (`17`, or `17d` of the dense ones)."""
    body = draw_body(family, int(which.rstrip("d")), dense=which.endswith("d"))
    truth, model = solve_body(family, body), load(family)
    print(sheet_of(family))
    print(f"seed {SEED}, body {which}")
    print("inputs =", body.numbers)
    for time_, place, amount, rate in zip(*body[1:5], strict=True):
        if np.isfinite(time_):
            how = f" at {rate!r}/h" if rate else ""
            print(f"dose {amount!r} into {family.states[place]} at {time_!r} h{how}")
    numerics = Numerics(method=method, rtol=rtol)  # type: ignore[arg-type]
    states, status, steps = solve(family, model, [body], numerics)
    error = errors_of(states, truth[None], rtol)
    print(
        f"{choose(model, numerics).words}\n{Status(int(status[0])).words},"
        f" {int(steps[0])} steps, worst error {error[0]:.3g} tolerances"
    )
    for peer, off in peers_of(family, body, truth, numerics).items():
        print(f"SciPy's {peer}: {off:.3g}")
    for when, ours, theirs in zip(body.looks, states[0], truth[0], strict=True):
        pairs = "  ".join(
            f"{name} {a:.10g} ({b:.10g})"
            for name, a, b in zip(family.states, ours, theirs, strict=True)
        )
        print(f"{when:12.6f} h  {pairs}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--quick", action="store_true", help="64 bodies a family")
    parser.add_argument("--bodies", type=int, default=0, help="bodies a family")
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    parser.add_argument("--body", help="show this one: 17, or 17d")
    parser.add_argument("--method", action="append", help="instead of the family's")
    parser.add_argument("--doubt", action="store_true", help="check the truth alone")
    parser.add_argument("--rtol", type=float, default=1e-6)
    parser.add_argument("--cache", type=Path, default=FOLDER, help="kept solutions")
    asked = parser.parse_args()
    chosen = [FAMILIES[name] for name in asked.family or FAMILIES]
    if asked.body:
        show(chosen[0], asked.body, (asked.method or ["auto"])[0], asked.rtol)
        return
    count = asked.bodies or (64 if asked.quick else 500)
    if asked.doubt:
        doubt(chosen, count, asked.rtol)
        return
    survey(
        chosen,
        asked.method or (),
        count=count,
        rtol=asked.rtol,
        folder=asked.cache,
    )


if __name__ == "__main__":
    main()

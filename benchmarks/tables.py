"""Ask how far from the truth predictions of random event tables are.

`python -m benchmarks.tables` prints one table: a row for each structure of compartments
and method. `--structure NAME --table N` shows one table and both its predictions. The
truth of linear compartments is a sum of exponentials, that of saturable elimination
SciPy's at 1e-12, with ages of doses before each steady state (`benchmarks.records`).

An error is counted in tolerances: |conc - truth| / (rtol * (size + floor)), where
`size` is the highest truth of the subject so far and `floor` 1/1000 of its highest at
any time; a method without steps is held to 1e-10. `silent` and `failed` are as in
`benchmarks.bodies`.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import vtrial as vt
from benchmarks.bodies import FLOOR, HEAD, Outcome, row_of
from benchmarks.records import (
    COLUMNS,
    PROPERTIES,
    Structure,
    Table,
    draw_table,
    is_observed,
    predict_linear,
    predict_saturable,
)
from vtrial.dosing.table import read_events
from vtrial.model.model import Model
from vtrial.solver.choice import choose
from vtrial.solver.prediction import predict
from vtrial.types import Numerics, Status

SEED = 411
EXACT = ("closed form", "matrix exponential")
STRUCTURES = {
    one.name: one
    for one in (
        *(
            Structure(
                f"{rims + 1} compartment{'s'[: rims > 0]}{', oral' * oral}", rims, oral
            )
            for rims in range(3)
            for oral in (False, True)
        ),
        Structure("saturable", 0, oral=False, saturable=True),
        Structure("saturable, 2 compartments, oral", 1, oral=True, saturable=True),
    )
}


def load(structure: Structure) -> Model:
    """Load the structure's sheet as a user's is loaded."""
    given = [f"{x}{i}" for i in range(structure.dosed) for x in PROPERTIES]
    lines = ["model: table", "time: h", "covariates:"]
    lines += [f"  {name}: {{typical: {int(name[0] != 'L')}}}" for name in given]
    lines += ["parameters:"]
    for name, (low, high) in structure.ranges.items():
        lines.append(f"  {name}: {{value: {np.sqrt(low * high):.6g}}}")
    lines += ["equations: |", *("  " + x for x in structure.text.splitlines())]
    lines += ["outputs:", "  conc: {}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.yaml"
        path.write_text("\n".join(lines) + "\n")
        return vt.load_model(path)


def draw(structure: Structure, numbers: Sequence[int]) -> list[Table]:
    """Draw tables by number; each is the same whoever else is drawn."""
    place = list(STRUCTURES).index(structure.name)
    return [draw_table(structure, [SEED, place, number]) for number in numbers]


def frame_of(structure: Structure, tables: Sequence[Table]) -> pd.DataFrame:
    """Lay tables out as one file, a subject each."""
    given = [f"{x}{i}" for i in range(structure.dosed) for x in PROPERTIES]
    rows = [
        {"ID": i} | {k: row[k] for k in COLUMNS} | {k: t.numbers[k] for k in given}
        for i, t in enumerate(tables)
        for row in t.rows
    ]
    whole = dict.fromkeys(("EVID", "CMT", "ADDL", "SS"), int)
    return pd.DataFrame(rows).astype(whole)


def predicted(
    structure: Structure, tables: Sequence[Table], numerics: Numerics
) -> tuple[list[np.ndarray], np.ndarray]:
    """Predict by vtrial; return concentrations by table, and its status in words."""
    model, frame = load(structure), frame_of(structure, tables)
    covariates = [c.name for c in model.covariates]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        frame.to_csv(path, index=False, float_format="%.17g")
        events = read_events(path, states=model.states, covariates=covariates)
    values = {
        name: np.array([t.numbers[name] for t in tables]) for name in structure.ranges
    }
    found = predict(model, events, parameters=values, numerics=numerics)
    words = found.get("STATUS", pd.Series("solved", found.index))
    who = found.ID.astype(int).to_numpy()
    conc = [found.conc.to_numpy()[who == i] for i in range(len(tables))]
    first = [
        words[who == i].iloc[0] if (who == i).any() else "solved"
        for i in range(len(tables))
    ]
    return conc, np.array(first)


def truth_of(structure: Structure, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the right concentrations and their sizes."""
    answer = predict_saturable if structure.saturable else predict_linear
    return answer(structure, table)


def error_of(
    found: np.ndarray, truth: np.ndarray, size: np.ndarray, rtol: float
) -> float:
    """Return the worst error of a table in tolerances."""
    if not truth.size:
        return 0.0
    allowed = rtol * (size + FLOOR * size[-1])
    error = np.abs(found - truth) / np.where(allowed > 0, allowed, np.inf)
    return float(np.nan_to_num(error, nan=np.inf).max())


def measure(
    structure: Structure,
    tables: Sequence[Table],
    truth: Sequence[tuple[np.ndarray, np.ndarray]],
    numerics: Numerics,
    rtol: float,
) -> Outcome:
    """Predict tables and compare them with the truth."""
    found, words = predicted(structure, tables, numerics)
    codes = {status.words: int(status) for status in Status}
    error = [
        error_of(one, *right, rtol) for one, right in zip(found, truth, strict=True)
    ]
    status, unknown = np.array([codes[w] for w in words]), np.full(len(error), np.nan)
    return Outcome(status, np.array(error), np.zeros(1), unknown)


def known(
    structure: Structure, drawn: Sequence[Table]
) -> tuple[list[Table], list[tuple[np.ndarray, np.ndarray]]]:
    """Return tables with their right answers; those of which none is found are told.

    They have a steady state that repetition does not come to within 5,000 intervals.
    """
    tables, truth, lost = [], [], []
    for number, table in enumerate(drawn):
        try:
            truth.append(truth_of(structure, table))
            tables.append(table)
        except ArithmeticError:
            lost.append(number)
    if lost:
        words = predicted(structure, [drawn[i] for i in lost], Numerics())[1]
        said = ", ".join(f"{i} ({w})" for i, w in zip(lost, words, strict=True))
        print(f"{structure.name}: without a known steady state: {said}", flush=True)
    return tables, truth


def survey(
    structures: Sequence[Structure], methods: Sequence[str], count: int, rtol: float
) -> None:
    """Print the table, row by row."""
    print(HEAD, flush=True)
    for structure in structures:
        tables, truth = known(structure, draw(structure, range(count)))
        auto = choose(load(structure), Numerics()).method
        linear = () if structure.saturable else ("matrix exponential",)
        for method in methods or ("auto", *linear, "explicit", "stiff"):
            if method == auto:
                continue
            begun = time.perf_counter()
            exact = (auto if method == "auto" else method) in EXACT
            held = 1e-10 if exact else rtol
            numerics = Numerics(method=method, rtol=rtol)  # type: ignore[arg-type]
            found = measure(structure, tables, truth, numerics, held)
            label = f"auto: {auto}" if method == "auto" else method
            spent = time.perf_counter() - begun
            print(row_of(structure.name, label, held, {"": found}, spent), flush=True)


def show(structure: Structure, number: int, method: str, rtol: float) -> None:
    """Print one table and its predictions."""
    (table,) = tables = draw(structure, [number])
    print(structure.text)
    print({k: v for k, v in table.numbers.items() if k in structure.ranges})
    print(frame_of(structure, tables).to_csv(index=False))
    numerics = Numerics(method=method, rtol=rtol)  # type: ignore[arg-type]
    found, words = predicted(structure, tables, numerics)
    truth, size = truth_of(structure, table)
    error = error_of(found[0], truth, size, rtol)
    print(f"{words[0]}, worst error {error:.3g} tolerances")
    seen = [row["TIME"] for row in table.rows if is_observed(row)]
    for when, ours, theirs in zip(seen, found[0], truth, strict=True):
        print(f"{when:10.4f} h  conc {ours:.12g} ({theirs:.12g})")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--quick", action="store_true", help="24 tables a structure")
    parser.add_argument("--tables", type=int, default=0, help="tables a structure")
    parser.add_argument("--structure", action="append", choices=list(STRUCTURES))
    parser.add_argument("--table", type=int, help="show this one")
    parser.add_argument("--method", action="append", help="instead of all that can")
    parser.add_argument("--rtol", type=float, default=1e-6)
    asked = parser.parse_args()
    chosen = [STRUCTURES[name] for name in asked.structure or STRUCTURES]
    if asked.table is not None:
        show(chosen[0], asked.table, (asked.method or ["auto"])[0], asked.rtol)
        return
    count = asked.tables or (24 if asked.quick else 125)
    survey(chosen, asked.method or (), count, asked.rtol)


if __name__ == "__main__":
    main()

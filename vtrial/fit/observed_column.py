"""What was measured: DV, of which output, and below which limit; checked by row."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.dosing.columns import in_capitals
from vtrial.dosing.records import is_observation
from vtrial.model.model import Model, Output
from vtrial.sheets.csv_number import is_missing
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.words import listed, nearest

FLAGS = ("BLQ", "CENS")
LIMIT = "LLOQ"


class Observed(NamedTuple):
    """What each row of a table measured; where it did not, `real` is false.

    Fields
    ------
    value
        [the output's unit] DV; the limit where `below`.
    output
        Position among the model's outputs.
    below
        Whether it is known to be below `value`, and no more.
    dropped
        How many observations are left out: missing, or below a limit under M1.
    line
        Where in the file each row stands.
    """

    real: Bool[np.ndarray, " row"]
    value: Float[np.ndarray, " row"]
    output: Int[np.ndarray, " row"]
    below: Bool[np.ndarray, " row"]
    dropped: int
    line: Int[np.ndarray, " row"]


def read_observed(
    model: Model,
    path: str | Path | Rows,
    *,
    outputs: Mapping[str, str] | None,
    column: str,
    m1: bool,
    unobserved: bool,
) -> Observed:
    """Read DV and what says what it is.

    Raises
    ------
    DataError
        With every fault, by line.
    """
    rows = in_capitals(Rows.of(path), [c.name for c in model.covariates])
    if "DV" not in rows.names:
        known = ("DV",)
        rows.misspelt(known)
        rows.fault("DV", "missing", "a column, for there is nothing to fit without")
        rows.refuse()
    asked = is_observation(rows)
    gaps = rows.gaps("DV")
    told = np.zeros(len(rows), bool)
    if "MDV" in rows.names:
        told = ~rows.gaps("MDV") & (rows.numbers("MDV") == 0)
    flag = _flag(rows)
    lost = asked & gaps & told & (flag != 1)
    allowed = "a number where MDV is 0; a value that is missing has MDV 1"
    rows.wrong(lost, "DV", "missing", allowed)
    value = rows.numbers("DV", default=np.nan, aside=~asked)
    place = _places(rows, model, asked & ~(gaps & (flag != 1)), outputs or {}, column)
    limit = _limits(rows, model, place, flag, value)
    low = (limit > 0) & (value < limit)
    below = asked & np.where(np.isnan(flag), low, flag == 1)
    unknown = below & ~(limit > 0)
    allowed = "with its limit in LLOQ, or in the model as the output's `lloq`"
    name = next((f for f in FLAGS if f in rows.names), "DV")
    rows.wrong(unknown, name, "`{}` without a limit", allowed)
    real = asked & (below | ~gaps)
    judged = real & (~below | ((value < 0) & (flag != 1)))
    _check_values(rows, model, judged, place, value)
    value = np.where(below, limit, value)
    dropped = int((asked & ~real).sum())
    if m1:
        dropped, real = dropped + int((real & below).sum()), real & ~below
    if not unobserved and "ID" in rows.names:
        _check_subjects(rows, real)
    rows.refuse()
    value = np.where(real, value, np.nan)
    return Observed(real, value, place, real & below, dropped, np.asarray(rows.lines))


def _flag(rows: Rows) -> Float[np.ndarray, " row"]:
    """Read BLQ or CENS: 1 below, 0 not; NaN where nothing says it."""
    there = [name for name in FLAGS if name in rows.names]
    if len(there) > 1:
        rows.fault("column CENS", "there, and so is BLQ", "one of the two")
    if not there:
        return np.full(len(rows), np.nan)
    flag = rows.numbers(there[0], default=np.nan)
    wrong = ~np.isnan(flag) & ~np.isin(flag, (0, 1))
    allowed = "1 (below a limit) or 0; nothing can be above a limit"
    rows.wrong(wrong, there[0], "`{}`", allowed)
    return flag


def _limits(
    rows: Rows,
    model: Model,
    place: Int[np.ndarray, " row"],
    flag: Float[np.ndarray, " row"],
    value: Float[np.ndarray, " row"],
) -> Float[np.ndarray, " row"]:
    """Return below which value each row could not be measured; 0 where there is none.

    LLOQ says it; else DV where CENS is 1, as Monolix has it; else the output.
    """
    own = np.array([output.lloq for output in model.outputs] or [0.0])[place]
    if LIMIT in rows.names:
        limit = rows.numbers(LIMIT)
        rows.wrong(limit < 0, LIMIT, "`{}`", "above 0, or missing where there is none")
        return np.where(limit > 0, limit, own)
    if "CENS" in rows.names:
        return np.where((flag == 1) & (value > 0), value, own)
    return own


def _places(
    rows: Rows,
    model: Model,
    asked: Bool[np.ndarray, " row"],
    outputs: Mapping[str, str],
    column: str,
) -> Int[np.ndarray, " row"]:
    """Read which output each row is of."""
    names = [output.name for output in model.outputs]
    noisy = [output.name for output in model.outputs if output.error.varies]
    if not noisy:
        rows.fault("DV", "of no output with an error", "measured: `error: ...`")
        return np.zeros(len(rows), int)
    strange = {text: name for text, name in outputs.items() if name not in noisy}
    for text, name in strange.items():
        found = f"{text} = `{name}`"
        allowed = f"an output with a residual error: {listed(noisy)}"
        rows.fault(column, found, allowed, nearest(name, noisy))
    if column not in rows.names:
        if len(noisy) > 1:
            rows.misspelt((column,))
            allowed = f"a column that tells {listed(noisy)} apart"
            rows.fault(column, "missing", allowed)
        return np.full(len(rows), names.index(noisy[0]))
    known = dict(outputs) or _numbered(noisy)

    def find(text: str) -> int:
        name = known.get(text, known.get(text.removesuffix(".0"), ""))
        return names.index(name) if name in names else -1

    place = rows.each(column, find).astype(int)
    gaps = rows.each(column, is_missing).astype(bool)
    wrong = asked & (place < 0)
    said = listed([f"{text} ({name})" for text, name in known.items() if text != name])
    allowed = f"an output: {said or listed(noisy)}"
    rows.wrong(wrong & gaps, column, "missing", allowed)
    near = lambda text: nearest(text, noisy)  # noqa: E731
    rows.wrong(wrong & ~gaps, column, "`{}`", allowed, near)
    return np.maximum(place, 0)


def _numbered(noisy: list[str]) -> dict[str, str]:
    """Return by which texts outputs go: their number from 1, and their name."""
    numbers = {str(number): name for number, name in enumerate(noisy, start=1)}
    return numbers | {name: name for name in noisy}


def _check_values(
    rows: Rows,
    model: Model,
    real: Bool[np.ndarray, " row"],
    place: Int[np.ndarray, " row"],
    value: Float[np.ndarray, " row"],
) -> None:
    """Refuse what an output's error says can never be measured."""
    for number, output in enumerate(model.outputs):
        wrong, allowed = _impossible(output, value)
        mine = real & (place == number) & wrong
        rows.wrong(mine, "DV", f"`{{}}` of {output.name}", allowed)


def _impossible(
    output: Output, value: Float[np.ndarray, " row"]
) -> tuple[Bool[np.ndarray, " row"], str]:
    """Return which values have no density, and what has one."""
    error = output.error
    if error.law == "log":
        allowed = "above 0, for the error is of the logarithm; below a limit, BLQ 1"
        return value <= 0, allowed
    if error.law in ("logit", "beta"):
        between = f"between {error.low:g} and {error.high:g}"
        return (value <= error.low) | (value >= error.high), between
    if error.proportional and not error.additive and not error.spread:
        return value < 0, "0 or more, for the error is proportional"
    return np.zeros(value.shape, bool), ""


def _check_subjects(rows: Rows, real: Bool[np.ndarray, " row"]) -> None:
    """Refuse subjects of whom nothing was measured."""
    identity = rows.cells["ID"].to_numpy(str)
    _, first, code = np.unique(identity, return_index=True, return_inverse=True)
    seen = np.bincount(code, weights=real, minlength=len(first)) > 0
    alone = np.zeros(len(rows), bool)
    alone[first[~seen]] = True
    allowed = "of a subject with an observation; leave its rows out"
    rows.wrong(alone, "ID", "`{}`, without an observation", allowed)

"""A fit as a model sheet: new values, and how sure they are, drawn by every replicate.

The sheet is the one that was fitted, with everything else as it stood.
"""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from vtrial.errors import FitError
from vtrial.fit.parameters import Layout
from vtrial.fit.values import Values
from vtrial.model.model import Model, RandomBlock
from vtrial.sheets.given import given_sheet

DIGITS = 9


def data_of(model: Model, use: str) -> dict[str, Any]:
    """Return the sheet of a model as data that may be changed; `use` says what for.

    Raises
    ------
    FitError
        If the model was not made of a sheet.
    """
    sheet = given_sheet(model.text) if model.text.strip() else None
    if sheet is None or "equations" not in sheet.data:
        raise FitError(
            at=model.name,
            found="no sheet, but made in Python",
            allowed=f"a model sheet, {use}",
            write="",
        )
    return copy.deepcopy(dict(sheet.data))


def fitted_sheet(
    model: Model,
    values: Values,
    layout: Layout,
    covariance: Float[np.ndarray, "estimate estimate"],
    deviations: Mapping[str, float],
    *,
    head: str,
    note: str,
) -> str:
    """Write the sheet of a model at its estimates.

    `covariance` is that of the layout's vector; NaN writes no uncertainty. Parameters
    come with their joint covariance. A block of random effects comes with the degrees
    of freedom of an inverse Wishart distribution whose variances are as uncertain as
    the surest of its own, whose relative standard errors are in `deviations`, by name.
    `head` is a comment, and `note` a sentence among the sources.

    Raises
    ------
    FitError
        If the model was not made of a sheet.
    """
    data = data_of(model, "which can be written again with its estimates")
    _sources(data, note)
    _typical(data, values, layout)
    _random(data, model, values, layout, deviations)
    _errors(data, model, values)
    _uncertainty(data, layout, covariance)
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return comment + _mapping(data, "") + "\n"


def rounded(value: float) -> float:
    """Round to the digits that are written."""
    return float(f"{float(value):.{DIGITS}g}")


def _sources(data: dict[str, Any], note: str) -> None:
    given = data.get("source") or []
    every = given if isinstance(given, list) else [given]
    data["source"] = [*every, {"note": note}]


def _typical(data: dict[str, Any], values: Values, layout: Layout) -> None:
    """Set the estimated parameters; what was known of them before does not count."""
    by_log = dict(layout.typical)
    for name, entry in (data.get("parameters") or {}).items():
        if name not in by_log:
            continue
        entry["value"] = rounded(float(values.typical[name]))
        for key in ("rse", "se", "scale"):
            entry.pop(key, None)
        if not by_log[name] and entry["value"] > 0:
            entry["scale"] = "identity"


def _random(
    data: dict[str, Any],
    model: Model,
    values: Values,
    layout: Layout,
    deviations: Mapping[str, float],
) -> None:
    """Set the covariances of the blocks that were estimated, and how sure they are."""
    estimated = {group.block for group in layout.groups}
    rows = [row for row in data.get("random") or [] if "of" in row]
    for number, (row, block) in enumerate(zip(rows, model.random, strict=True)):
        if number not in estimated:
            continue
        for key in ("variance", "sd", "cv", "convention", "correlation", "df"):
            row.pop(key, None)
        row.pop("covariance", None)
        found = np.asarray(values.covariances[number])
        if len(block.names) == 1:
            row["variance"] = rounded(found[0, 0])
        else:
            size = range(len(block.names))
            row["covariance"] = [
                [rounded(found[i, j]) for j in range(i + 1)] for i in size
            ]
        if freedom := _freedom(block, deviations):
            row["df"] = freedom


def _freedom(block: RandomBlock, deviations: Mapping[str, float]) -> float:
    """Return degrees of freedom with which variances have their relative errors."""
    errors = [deviations.get(f"omega({name})", math.nan) for name in block.names]
    known = [error for error in errors if math.isfinite(error) and error > 0]
    if not known:
        return 0.0
    return round(2.0 / min(known) ** 2 + len(block.names) + 3.0, 1)


def _errors(data: dict[str, Any], model: Model, values: Values) -> None:
    """Set the magnitudes of residual errors, under the words of the sheet."""
    for output in model.outputs:
        held = values.sizes.get(output.name, {})
        entry = (data["outputs"][output.name] or {}).get("error") or {}
        law = output.error.law
        for word, value in held.items():
            key = law if law in ("logit", "beta") else word
            if key in entry:
                entry[key] = rounded(float(value))


def _uncertainty(
    data: dict[str, Any],
    layout: Layout,
    covariance: Float[np.ndarray, "estimate estimate"],
) -> None:
    """Give the joint covariance of the parameters; what was there before goes."""
    names = {name for name, _ in layout.typical}
    kept = [
        row
        for row in data.pop("uncertainty", None) or []
        if not names & {*(row["of"] if isinstance(row["of"], list) else [row["of"]])}
    ]
    part = covariance[: len(names), : len(names)]
    if names and np.isfinite(part).all():
        kept.append(
            {
                "of": [name for name, _ in layout.typical],
                "scale": ["log" if log else "identity" for _, log in layout.typical],
                "covariance": [
                    [rounded(part[i, j]) for j in range(i + 1)]
                    for i in range(len(part))
                ],
            }
        )
    if kept:
        data["uncertainty"] = kept


def _mapping(data: Mapping[str, Any], indent: str) -> str:
    """Write a map as YAML: blocks for what is long, JSON for what is short."""
    return "\n".join(_entry(f"{indent}{k}:", v, indent) for k, v in data.items())


def _entry(lead: str, value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, str) and "\n" in value:
        body = "\n".join(deeper + line if line else "" for line in value.splitlines())
        return f"{lead} |\n{body}"
    short = json.dumps(value, ensure_ascii=False)
    if len(lead) + len(short) < 88 and not (indent == "" and _is_nested(value)):
        return f"{lead} {short}"
    if isinstance(value, Mapping):
        return f"{lead}\n{_mapping(value, deeper)}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join([lead, *(_entry(f"{deeper}-", one, deeper) for one in value)])
    return f"{lead} {short}"


def _is_nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(one, dict | list) for one in value.values())
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)

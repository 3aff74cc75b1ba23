"""A fit on disk: a folder that is written whole or not at all."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from vtrial.errors import FitError
from vtrial.fit.doubts import doubts_of
from vtrial.fit.estimated import Estimated
from vtrial.fit.fitted_sheet import fitted_sheet, rounded
from vtrial.fit.mode import Outcome
from vtrial.fit.people import SHEET, people_of, sheet_of_people
from vtrial.fit.study import Study
from vtrial.units import factor

if TYPE_CHECKING:
    import pandas as pd

    from vtrial.fit.calibration import Fit

WORTH = "worth"  # a row a draw, a column a subject: log p(y_i | theta_s)
HEAD = "Written by `vtrial fit`: the model at its estimates, and how sure they are."


def refuse_folder(into: Path) -> None:
    """Refuse a folder that is there: a fit is never mixed with another.

    Raises
    ------
    FitError
        If there is something.
    """
    if into.exists():
        found, allowed = "there already", "new; remove it, or choose another"
        raise FitError(str(into), found, allowed, f"--into {into.name}-2")


def beside(into: Path) -> Path:
    """Return where what is needed to go on is kept until a fit is whole."""
    return into.with_name(f".{into.name}.unfinished")


def write_fit(fit: "Fit", into: Path) -> Path:
    """Write a fit into a new folder, and return that.

    `estimates.csv` and `estimates.json`, `individuals.csv`, `predictions.csv`,
    `course.csv`, `model.yaml`, `people.csv` with their `cohort.yaml`, and of some
    methods `traces.csv`, `draws.csv` and `worth.csv`.

    Raises
    ------
    FitError
        If the folder is there, or the model has no sheet to write again.
    """
    study = fit.study
    note = (
        f"{Path(study.source).name}: {study.subjects} subjects, "
        f"{study.observations} observations"
    )
    sheets = {
        "model.yaml": sheet_of(fit, note),
        SHEET: sheet_of_people(fit.model, into.name),
    }
    return put_folder(into, tables_of(fit), summary_of(fit), sheets)


def put_folder(
    into: Path,
    tables: "Mapping[str, pd.DataFrame]",
    summary: Mapping[str, Any],
    sheets: Mapping[str, str],
) -> Path:
    """Write a new folder of tables, numbers and sheets, whole or not at all.

    Raises
    ------
    FitError
        If the folder is there.
    """
    refuse_folder(into)
    into.parent.mkdir(parents=True, exist_ok=True)
    draft = into.with_name(f".{into.name}.{os.getpid()}")
    draft.mkdir()
    try:
        for name, table in tables.items():
            path = draft / f"{name}.csv"
            table.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (draft / "estimates.json").write_text(text + "\n", encoding="utf-8")
        for name, sheet in sheets.items():
            (draft / name).write_text(sheet, encoding="utf-8")
        draft.rename(into)
        shutil.rmtree(beside(into), ignore_errors=True)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return into


def put_table(table: "pd.DataFrame", path: Path) -> None:
    """Write a table into a fit's folder, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_csv(draft, index=False, lineterminator="\n", float_format="%.9g")
    draft.replace(path)


def sheet_of(fit: Estimated, data: str) -> str:
    """Return the fitted model's sheet, as `model.yaml` holds it, from such `data`."""
    relative = np.abs(fit.errors / fit.estimates)
    known = math.isfinite(fit.objective)
    told = f", objective {fit.objective:.3f}" if known else ""
    note = f"Estimated by {fit.method.upper()} from {data}{told}"
    return fitted_sheet(
        fit.model,
        fit.values,
        fit.layout,
        fit.covariance,
        dict(zip(fit.layout.names, relative.tolist(), strict=True)),
        head=HEAD,
        note=note,
    )


def tables_of(fit: "Fit") -> "dict[str, pd.DataFrame]":
    """Return the tables of a fit, by the name of their file."""
    import pandas as pd

    tables = {
        "estimates": pd.DataFrame(estimates_of(fit)),
        "individuals": pd.DataFrame(_individuals(fit)),
        "people": people_of(fit),
        "predictions": pd.DataFrame(_predictions(fit)),
        "course": course_of(fit),
    }
    if fit.traces:
        name = "traces" if fit.draws is None else "draws"
        tables[name] = pd.DataFrame(dict(fit.traces))
    if fit.worth is not None:
        names = [str(one) for one in fit.study.identity]
        tables[WORTH] = pd.DataFrame(fit.worth, columns=names)
    return tables


def course_of(fit: Estimated) -> "pd.DataFrame":
    """Return the objective after each step."""
    import pandas as pd

    steps = np.arange(len(fit.course))
    return pd.DataFrame({"step": steps, "objective": fit.course})


def estimates_of(fit: Estimated) -> list[dict[str, Any]]:
    """Return a row an estimate: value, unit, standard error, interval, shrinkage."""
    units = {p.name: p.unit for p in fit.model.parameters}
    units |= {f"{o.name}.additive": o.unit for o in fit.model.outputs}
    rows = []
    for place, name in enumerate(fit.layout.names):
        value, error = float(fit.estimates[place]), float(fit.errors[place])
        effect = f"eta.{name.removeprefix('omega(').removesuffix(')')}"
        rows.append(
            {
                "parameter": name,
                "estimate": value,
                "unit": units.get(name, "1"),
                "se": error,
                "rse": abs(error / value) if value else math.nan,
                "low": float(fit.low[place]),
                "high": float(fit.high[place]),
                "shrinkage": _of_effect(fit, effect),
            }
        )
    return rows


def _of_effect(fit: Estimated, effect: str) -> float:
    """Return an effect's shrinkage; the mean over its occasions."""
    turns = (effect, f"{effect}[")
    mine = [v for k, v in fit.shrinkage.items() if k == turns[0] or turns[1] in k]
    return float(np.mean(mine)) if mine else math.nan


def _individuals(fit: "Fit") -> dict[str, np.ndarray]:
    """Return a row a subject: modes, their deviations, its part of the objective."""
    deviations = np.sqrt(np.diagonal(fit.modes.covariance, axis1=1, axis2=2))
    table = {"ID": fit.study.identity}
    table |= {name: fit.modes.eta[:, i] for i, name in enumerate(fit.effects)}
    table |= {f"sd.{name}": deviations[:, i] for i, name in enumerate(fit.effects)}
    table["objective"] = fit.parts
    words = np.array([outcome.words for outcome in Outcome])
    return table | {"outcome": words[fit.modes.outcome]}


def order_of(study: Study) -> Int[np.ndarray, " observation"]:
    """Return the order in which observations, taken by `real`, stand in the file."""
    return np.argsort(study.row[study.data.real], kind="stable")


def digest_of(fit: "Fit") -> str:
    """Return a digest of what was observed when, and given: the same for any model."""
    study, data = fit.study, fit.study.data
    names = np.array([output.name for output in fit.model.outputs])
    order, real = order_of(study), data.real
    given = np.broadcast_to(data.doses.time, (study.subjects, data.doses.time.shape[1]))
    amount = np.broadcast_to(data.doses.amount, given.shape)
    parts = [
        np.asarray(study.identity, str),
        np.asarray(study.row)[real][order],
        np.asarray(data.times.time, float)[real][order],
        np.asarray(data.values, float)[real][order],
        data.below[real][order],
        names[data.output[real]][order].astype(str),
        given[np.isfinite(given)].astype(float),
        amount[np.isfinite(given)].astype(float),
    ]
    said = repr([part.tolist() for part in parts])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _predictions(fit: "Fit") -> dict[str, np.ndarray]:
    """Return a row an observation, in the order of the file."""
    study, real = fit.study, fit.study.data.real
    order = order_of(study)
    subject = np.nonzero(real)[0]
    names = np.array([output.name for output in fit.model.outputs])
    left = study.data.values - np.asarray(fit.goodness.typical)
    columns = {
        "ID": study.identity[subject],
        "TIME": np.asarray(study.data.times.time)[real] / factor(fit.model.time, "h"),
        "output": names[study.data.output[real]],
        "DV": study.data.values[real],
        "below": study.data.below[real].astype(int),
        "PRED": np.asarray(fit.goodness.typical)[real],
        "IPRED": np.asarray(fit.goodness.individual)[real],
        "RES": np.where(study.data.below, np.nan, left)[real],
        "WRES": np.asarray(fit.goodness.marginal)[real],
        "IWRES": np.asarray(fit.goodness.weighted)[real],
        "CWRES": np.asarray(fit.goodness.conditional)[real],
    }
    return {name: column[order] for name, column in columns.items()}


def summary_of(fit: "Fit") -> dict[str, Any]:
    """Return a fit's numbers as plain data; null for what there is none of."""
    study = fit.study
    data = {
        "data": Path(study.source).name,
        "data_digest": digest_of(fit),
        "subjects": study.subjects,
        "observations": study.observations,
        "below": int(study.data.below.sum()),
        "left_out": study.dropped,
    }
    return numbers_of(fit, data, doubts_of(fit), fit.told)


def numbers_of(
    fit: Estimated,
    data: Mapping[str, Any],
    doubts: list[str],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is known of any fit, beside what its data, doubts and method say."""
    count = len(fit.layout)
    found = {
        "model": fit.model.name,
        "title": fit.model.title,
        "method": fit.method,
        **data,
        "time": fit.model.time,
        "units": {o.name: o.unit for o in fit.model.outputs},
        "titles": {p.name: p.title for p in fit.model.parameters if p.title},
        "covariates": {c.name: c.title or c.name for c in fit.model.covariates},
        "objective": fit.objective,
        "objective_error": fit.error,
        "likelihood": fit.likelihood,
        "aic": fit.objective + 2 * count,
        "bic": fit.objective + math.log(data["observations"]) * count,
        "converged": fit.converged,
        "steps": max(len(fit.course) - 1, 0),
        "condition": fit.condition,
        "covariance_by": fit.covariance_by,
        "doubts": doubts,
        "seconds": round(fit.seconds, 3),
        "estimates": estimates_of(fit),
        "shrinkage": fit.shrinkage,
        "names": list(fit.layout.names),
        "scales": [
            "log" if kind == "size" or dict(fit.layout.typical).get(name) else kind
            for name, kind in zip(fit.layout.names, fit.layout.kinds, strict=True)
        ],
        "covariance": fit.covariance.tolist(),
        "method_says": dict(told),
    }
    return _plain(found)


def _plain(value: Any) -> Any:
    """Return data that JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else None
    return value

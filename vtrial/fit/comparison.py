r"""Fits of one study beside each other: objective, criteria, estimates, nested tests.

With O the objective, p the number of estimates and n that of observations, AIC is
O + 2 p and BIC O + p log n. Of a fit whose estimates are all among another's, the
likelihood ratio is the difference of objectives, $\chi^2$ with as many degrees of
freedom as there are more estimates. Fits that drew from a posterior distribution are
also held to subjects that are left out (`vtrial.fit.left_out`); a difference's standard
error is that of the subjects' own differences.

References
----------
Wilks SS (1938) Ann Math Stat 9:60-62.
Self SG, Liang KY (1987) JASA 82:605-610 (variances, whose 0 is a boundary: p is then
too large).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.special import chdtrc

from vtrial.errors import Fault, FitError
from vtrial.fit.folder import WORTH
from vtrial.fit.left_out import FEWEST, TRUSTED, left_out

if TYPE_CHECKING:
    import pandas as pd

FILE = "estimates.json"


def compare_fits(folders: Sequence[str | Path]) -> "dict[str, pd.DataFrame]":
    """Compare two or more fits of the same study, given by their folders.

    Returns `fits`, a row a fit, the first of least AIC at 0; `estimates`, a row an
    estimate and a column a fit, with errors; `nested`, a row a pair of which one holds
    all estimates of the other; and of two or more fits that drew from their posterior
    distribution, `loo`, a row a fit, the best first, `subjects`, a row a subject of a
    fit, and `unsure`, those of them whose k is too large. `elpd` is the sum over
    subjects of log p(y_i | y_-i), `effective` by how much less that is than of subjects
    that were seen: how many parameters a fit is worth.

    Raises
    ------
    FitError
        If a folder holds no fit, the studies are not the same, or draws were not kept
        with what they are worth.
    """
    import pandas as pd

    places = {_label(path, folders): _folder(Path(path)) for path in folders}
    read = {label: _read(place) for label, place in places.items()}
    _refuse(read)
    least = min(one["aic"] for one in read.values())
    rows = [
        {
            "fit": label,
            "model": one["model"],
            "method": one["method"],
            "estimates": len(one["names"]),
            "objective": one["objective"],
            "aic": one["aic"],
            "aic more": one["aic"] - least,
            "bic": one["bic"],
            "condition": one["condition"],
            "converged": one["converged"],
            "doubts": len(one["doubts"]),
        }
        for label, one in read.items()
    ]
    return {
        "fits": pd.DataFrame(rows),
        "estimates": pd.DataFrame(_beside(read)),
        "nested": pd.DataFrame(_nested(read), columns=list(_NESTED)),
        **_unseen(places),
    }


_NESTED = ("fit", "within", "fall", "df", "p", "more")


def _label(path: str | Path, folders: Sequence[str | Path]) -> str:
    """Call a fit as its folder is, or by the whole path where names meet."""
    name = Path(path).resolve().name
    same = [one for one in folders if Path(one).resolve().name == name]
    return name if len(same) == 1 else str(path)


def _folder(path: Path) -> Path:
    return path.parent if path.name == FILE else path


def _read(folder: Path) -> dict[str, Any]:
    """Read the numbers of a fit."""
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        allowed = "the folder of a fit, which holds estimates.json"
        raise FitError(str(folder), "without a fit", allowed, "") from error
    except ValueError as error:
        allowed = "as `vtrial fit` wrote it"
        raise FitError(str(path), "no JSON", allowed, "") from error
    if not isinstance(found, dict) or "data_digest" not in found:
        allowed = "written by a version that says which data were fitted; fit it again"
        raise FitError(str(path), "without a digest of its data", allowed, "")
    return found


def _refuse(read: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse fewer than two fits, and fits of different data."""
    if len(read) < 2:
        raise FitError("fits", f"{len(read)}", "two or more", "")
    first, *others = read
    faults = [
        Fault(
            f"fit {label}",
            f"of other data ({read[label]['data']}, "
            f"{read[label]['observations']} observations)",
            f"of what {first} was fitted to ({read[first]['data']}, "
            f"{read[first]['observations']} observations): objectives of different "
            "data say nothing about models",
            "",
        )
        for label in others
        if read[label]["data_digest"] != read[first]["data_digest"]
    ]
    if faults:
        raise FitError.of(faults)


def _beside(read: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lay estimates side by side, in the order in which they come first."""
    held = {
        label: {row["parameter"]: row for row in one["estimates"]}
        for label, one in read.items()
    }
    names = dict.fromkeys(name for rows in held.values() for name in rows)
    table = []
    for name in names:
        unit = next(rows[name]["unit"] for rows in held.values() if name in rows)
        row: dict[str, Any] = {"parameter": name, "unit": unit}
        for label, rows in held.items():
            mine = rows.get(name, {})
            row[label] = _number(mine.get("estimate"))
            row[f"{label} rse"] = _number(mine.get("rse"))
        table.append(row)
    return table


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _unseen(places: Mapping[str, Path]) -> "dict[str, pd.DataFrame]":
    """Say how well fits predict subjects that are left out, where two or more drew."""
    import pandas as pd

    drew = {k: path for k, path in places.items() if (path / "draws.csv").is_file()}
    if len(drew) < 2:
        return {}
    worth = {label: _worth(path) for label, path in drew.items()}
    found = {label: left_out(one.to_numpy(float)) for label, one in worth.items()}
    best = max(found, key=lambda label: found[label].elpd.sum())
    rows, subjects = [], []
    for label, one in found.items():
        less = one.elpd - found[best].elpd
        rows.append(
            {
                "fit": label,
                "elpd": float(one.elpd.sum()),
                "se": _error(one.elpd),
                "elpd less": float(less.sum()),
                "se less": _error(less),
                "effective": float((one.within - one.elpd).sum()),
                "draws": len(worth[label]),
                "chance": float(np.sqrt(one.variance.sum())),
                f"k > {TRUSTED}": int((one.k > TRUSTED).sum()),
            }
        )
        names = {"fit": label, "ID": list(worth[label].columns)}
        subjects.append(pd.DataFrame({**names, "elpd": one.elpd, "k": one.k}))
    table = pd.DataFrame(rows).sort_values("elpd", ascending=False, kind="stable")
    every = pd.concat(subjects, ignore_index=True)
    return {
        "loo": table.reset_index(drop=True),
        "subjects": every,
        "unsure": every[every["k"] > TRUSTED],
    }


def _worth(folder: Path) -> "pd.DataFrame":
    """Read what subjects' data are worth at a fit's draws."""
    import pandas as pd

    path = folder / f"{WORTH}.csv"
    if not path.is_file():
        found = f"`{folder}`, with draws and without {path.name}"
        allowed = "written by a version that keeps what data are worth at draws; fit "
        allowed += "it again"
        raise FitError("fits", found, allowed, "")
    table = pd.read_csv(path)
    if len(table) < FEWEST:
        found = f"{len(table)} draws"
        allowed = f"{FEWEST} or more, of which a tail can be told; fit it again"
        raise FitError(str(path), found, allowed, f"--draws {10 * FEWEST}")
    return table


def _error(each: Float[np.ndarray, " subject"]) -> float:
    """Return the standard error of a sum over subjects; NaN of one."""
    count = len(each)
    return float(np.sqrt(count) * each.std(ddof=1)) if count > 1 else float("nan")


def _nested(read: Mapping[str, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Test each pair of which one has all estimates of the other, and more.

    That their names are the same is all that is known of models that are different
    sheets.
    """
    found = []
    for small, one in read.items():
        for large, other in read.items():
            more = set(other["names"]) - set(one["names"])
            inside = set(one["names"]) < set(other["names"])
            if not inside or one["method"] != other["method"]:
                continue
            fall = one["objective"] - other["objective"]
            p = float(chdtrc(len(more), max(fall, 0.0)))
            found.append((small, large, fall, len(more), p, ", ".join(sorted(more))))
    return found

"""People of a cohort as a table, and as the cohort sheet that takes them up again."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from vtrial.cohort.check import check_cohort
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.draw import sample
from vtrial.cohort.people import people_sheet
from vtrial.cohort.sheet import load_cohort
from vtrial.errors import CohortError
from vtrial.jobs.population import ID, TITLES, UNITS
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.sheets.validate import raise_faults

EFFECTS = "effects"  # among `attrs`: random effects that people take along
_HEAD = "# Written by `vtrial cohort`: people who were drawn, each taken as they are."
_PLAIN = re.compile(r"\w[\w.-]*")


def draw_people(
    cohort: str | Path | Cohort,
    *,
    subjects: int,
    seed: int = 0,
    model: str | Path | Model | None = None,
) -> pd.DataFrame:
    """Return the first subjects of replicate 0, a row each, with ID from 1.

    With a model there are the covariates that it asks for, in its units, and the random
    effects (`eta.CL`): a table of parameters for an event table. Without, all that the
    cohort gives. `attrs` hold `units` and `titles`.

    Raises
    ------
    VtrialError
        If the cohort cannot answer what the model asks.

    Examples
    --------
    >>> table = draw_people("adults", subjects=2)
    >>> table.columns.tolist()[:3], table.attrs["units"]["WT"]
    (['ID', 'FEMALE', 'AGE'], 'kg')
    """
    loaded = cohort if isinstance(cohort, Cohort) else load_cohort(cohort)
    asked = load_model(model) if isinstance(model, str | Path) else model
    if asked is not None:
        raise_faults(CohortError, check_cohort(loaded, asked))
    number = np.arange(subjects)
    drawn = sample(
        loaded,
        asked,
        seed=seed,
        replicate=np.zeros_like(number),
        subject=number,
        uncertainty=False,
    )
    columns = {ID: number + 1}
    known = {name: loaded.unit(name) for name in loaded.names}
    names = loaded.names
    if asked is not None:
        names = tuple(covariate.name for covariate in asked.covariates)
        known = {covariate.name: covariate.unit for covariate in asked.covariates}
    columns |= {name: np.asarray(drawn.covariates[name]) for name in names}
    columns |= {name: np.asarray(value) for name, value in drawn.effects.items()}
    table = pd.DataFrame(columns)
    table.attrs[UNITS] = {name: known[name] for name in names}
    table.attrs[TITLES] = {name: loaded.label(name) for name in names}
    return table


def write_people(table: pd.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """Write people as CSV, and a cohort sheet beside it with their units; return that.

    The sheet takes them in their order: subject 0 of any replicate is the first row.
    Random effects that `attrs` name under `effects` are taken along.

    Raises
    ------
    CohortError
        If no sheet can name the file, or if another sheet stands where it would.
    """
    path = Path(path)
    sheet = path.with_suffix(".yaml")
    if not _PLAIN.fullmatch(path.name) or path.suffix.lower() in ("", ".yaml", ".yml"):
        allowed = "a plain name that ends in .csv"
        raise CohortError("the file", f"`{path.name}`", allowed, "people.csv")
    if sheet.exists() and not sheet.read_text("utf-8", "replace").startswith(_HEAD):
        allowed = "absent, or written by this command: it holds the units"
        raise CohortError(str(sheet), "another sheet", allowed, "--out people.csv")
    units, titles = table.attrs[UNITS], table.attrs[TITLES]
    columns = {
        name: {"unit": unit} | ({"title": titles[name]} if titles.get(name) else {})
        for name, unit in units.items()
    }
    written = people_sheet(
        columns,
        head=_HEAD,
        name=path.stem,
        file=path.name,
        title=title,
        effects=table.attrs.get(EFFECTS, ()),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = table.to_csv(index=False, lineterminator="\n")
    for place, content in ((path, text), (sheet, written)):
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        draft.write_text(content, encoding="utf-8", newline="\n")
        draft.replace(place)
    return sheet

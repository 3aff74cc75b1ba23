"""The people of a study as a cohort: who they were when the study began."""

import re
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from vtrial.cohort.people import people_sheet
from vtrial.fit.study import Study
from vtrial.model.model import Model

if TYPE_CHECKING:
    import pandas as pd

    from vtrial.fit.calibration import Fit

PLACE = "STUDY_PLACE"  # of every study: a cohort has a covariate, a model may have none
PEOPLE, SHEET = "people.csv", "cohort.yaml"
HEAD = "# Written by `vtrial fit`: the people of the study, each taken whole."


def people_of(fit: "Fit") -> "pd.DataFrame":
    """Return a row a subject: ID, place in the study, and covariates at the start.

    Covariates are those of the model, in its units, as the subject's first record has
    them.
    """
    import pandas as pd

    study = fit.study
    columns = {"ID": study.identity, PLACE: np.arange(study.subjects) + 1}
    columns |= {c.name: _first(study, c.name) for c in fit.model.covariates}
    return pd.DataFrame(columns)


def sheet_of_people(model: Model, name: str) -> str:
    """Return the cohort sheet that draws the people of a fit's folder, `name`."""
    columns = {PLACE: {"unit": "1", "title": "place among the subjects of the study"}}
    for one in model.covariates:
        title = {"title": one.title} if one.title else {}
        columns[one.name] = {"unit": one.unit, **title}
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-._") or "fit"
    title = f"People of the study to which {model.name} was fitted"
    return people_sheet(
        columns,
        head=HEAD,
        name=plain,
        file=PEOPLE,
        title=title,
        draw="with replacement",
    )


def _first(study: Study, name: str) -> Float[np.ndarray, " subject"]:
    """Return a covariate at the first record, whether or not it moves from there."""
    given = study.data.covariates
    return np.asarray(given[name] if name in given else given[f"{name}|before"])[:, 0]

"""Relations of covariates: words, forms, and the sheet that they make."""

import numpy as np
import pytest

from tests.fit.conftest import written
from vtrial.errors import FitError
from vtrial.fit.covariate_search import search
from vtrial.fit.covariate_sheet import (
    pairs_in,
    relations_of,
    with_covariates,
    with_relations,
)
from vtrial.fit.study import read_study


@pytest.fixture(scope="module")
def weighed(model, study_file, tmp_path_factory):
    """The study with weights and a sex, and the model that has their names."""
    head, *lines = study_file.read_text().splitlines()
    ids = [int(line.split(",")[0]) for line in lines]
    rows = [
        f"{line},{50 + 3 * i},{int(i > 7)}" for line, i in zip(lines, ids, strict=True)
    ]
    path = written(tmp_path_factory.mktemp("weighed"), rows, f"{head},WT,SEX")
    return with_covariates(model, ["WT", "SEX"]), path


def test_relations_multiply_a_line(weighed):
    model, path = weighed
    study = read_study(model, path)
    pairs = pairs_in("CL~WT, V~SEX")
    power, category = relations_of(model, study, pairs)
    assert (power.form, power.centre, power.names) == ("power", 69.5, ("CL_WT",))
    assert (category.form, category.codes) == ("category", (1.0,))
    wide = with_relations(model, [power, category])
    assert "CL = (tvCL * exp(eta.CL)) * (WT/69.5)^CL_WT" in wide.text
    assert {p.name for p in wide.parameters} >= {"CL_WT", "V_SEX_1"}
    assert power.along(139.0) == {"CL_WT": pytest.approx(np.log(2.0))}


def test_relations_that_cannot_be(weighed):
    model, path = weighed
    with pytest.raises(FitError, match=r"parameter~covariate"):
        pairs_in("CL-WT")
    study = read_study(model, path)
    (one,) = relations_of(model, study, [("CLX", "WT")])
    with pytest.raises(FitError, match="no equation"):
        with_relations(model, [one])


@pytest.mark.slow
def test_a_search_takes_nothing_where_nothing_is(weighed, tmp_path):
    """Weights are by number: nothing in the data goes by them."""
    model, path = weighed
    found = search(model, path, "CL~WT", into=tmp_path / "FIT", forward=1e-4)
    assert found.relations == ()
    assert found.steps.tried.tolist() == ["no relation", "CL~WT"]
    assert (tmp_path / "FIT" / "steps.csv").exists()

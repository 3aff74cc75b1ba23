"""A fit is a cohort: its people, its model, and what the study left open."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from tests.fit.conftest import altered, written
from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import load_cohort
from vtrial.errors import ProtocolError
from vtrial.fit.people import PLACE, people_of, sheet_of_people
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model

TRIAL = """
protocol: next
cohort: FIT
subjects: 2
replicates: 60
seed: 3
random effects: off
arms: {once: {dose: 320 mg}}
visits: {late: {at: 240 h, measure: [conc]}}
endpoints: {area: {of: conc, take: area, within: 0 h to 240 h, values: true}}
"""


def trial(fit, tmp_path, text=TRIAL):
    shutil.copytree(fit[1], tmp_path / "FIT")
    (tmp_path / "next.yaml").write_text(text)
    return tmp_path / "next.yaml"


def test_what_the_study_left_open_reaches_the_next_trial(fit, tmp_path):
    """An area is dose / CL: the spread of its logarithm is that of the estimate."""
    protocol = vt.load_protocol(trial(fit, tmp_path))
    assert protocol.model.digest == load_model(tmp_path / "FIT/model.yaml").digest
    record = vt.run(protocol, out=tmp_path / "out", workers=0)
    areas = np.asarray(record.tree()["arms/once/outcomes/outcome"]).reshape(60, 2)
    np.testing.assert_allclose(areas[:, 0], areas[:, 1], rtol=1e-12)
    found, _ = fit
    place = found.layout.names.index("tvCL")
    wanted = np.sqrt(found.covariance[place, place])
    spread = np.log(areas[:, 0]).std(ddof=1)
    # A standard deviation of 60 draws errs by 9 %: four times that is 1 in 16,000.
    assert spread == pytest.approx(wanted, rel=4 / np.sqrt(2 * 59))
    middle = np.log(320 / areas[:, 0]).mean()
    assert abs(middle - found.vector[place]) < 4 * wanted / np.sqrt(60)


def test_people_are_drawn_whole_by_the_seed(fit):
    found, into = fit
    cohort = load_cohort(into)
    assert cohort.names == (PLACE,)
    who = np.arange(600)
    drawn = sample(cohort, None, seed=1, replicate=who * 0, subject=who)
    places = np.asarray(drawn.covariates[PLACE])
    assert set(places) == set(range(1, found.study.subjects + 1))


def test_people_have_what_they_had_at_the_start(tmp_path):
    sheet = altered(covariates={"WT": {"unit": "kg", "title": "body weight"}})
    sheet["equations"] = sheet["equations"].replace("tvCL *", "tvCL * WT/70 *")
    model = load_model(sheet)
    rows = ["a,0,320,1,.,70", "a,2,.,0,9,75", "b,0,320,1,.,50", "b,2,.,0,8,52"]
    path = written(tmp_path, rows, header="ID,TIME,AMT,EVID,DV,WT")
    for how in ("backward", "linear"):
        study = read_study(model, path, convention=how)
        table = people_of(SimpleNamespace(study=study, model=model))
        assert table["WT"].tolist() == [70.0, 50.0]
    table.to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "cohort.yaml").write_text(sheet_of_people(model, "A fit!"))
    cohort = load_cohort(tmp_path / "cohort.yaml")
    assert (cohort.name, cohort.unit("WT")) == ("A-fit", "kg")
    assert pd.read_csv(tmp_path / "people.csv").ID.tolist() == ["a", "b"]


def test_another_model_is_refused(fit, tmp_path):
    path = trial(fit, tmp_path, TRIAL.replace("cohort", "model: theophylline\ncohort"))
    with pytest.raises(ProtocolError, match="another model than the one of the fit"):
        vt.load_protocol(path)
    text = TRIAL.replace("cohort: FIT", "model: FIT/model.yaml\ncohort: FIT")
    path.write_text(text)
    assert vt.load_protocol(path).model.name == "oral"
    path.write_text(TRIAL.replace("cohort: FIT", "cohort: FIT/cohort.yaml"))
    with pytest.raises(ProtocolError, match="model is missing"):
        vt.load_protocol(path)
    (tmp_path / "FIT/cohort.yaml").unlink()
    path.write_text(TRIAL)
    with pytest.raises(ProtocolError, match="holds a model and no people"):
        vt.load_protocol(path)

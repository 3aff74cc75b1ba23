"""Reading a study's table: what is taken, and every fault of it at once."""

import numpy as np
import pytest

from tests.fit.conftest import altered, written
from vtrial.errors import DataError, ModelError
from vtrial.fit.study import read_study
from vtrial.fit.values import effects_of
from vtrial.model.sheet import load_model

HEAD = "ID,TIME,AMT,EVID,DV"
TWO = altered(
    outputs={
        "conc": {"unit": "mg/L", "error": {"proportional": 0.1}, "lloq": 0.5},
        "amount": {"equals": "central", "unit": "mg", "error": {"log": 0.2}},
    }
)


def test_observations_are_laid_out_by_subject(model, study_file):
    study = read_study(model, study_file)
    assert (study.subjects, study.observations, study.dropped) == (12, 84, 0)
    assert study.data.values.shape == (12, 8)
    assert study.data.real[:, :7].all()
    assert not study.data.real[:, 7].any()
    np.testing.assert_array_equal(study.data.times.time[0, :3], [0.5, 1.0, 2.0])
    assert study.row[1, 0] == 9


def test_what_is_missing_or_below_a_limit(tmp_path):
    model = load_model(TWO)
    rows = [
        *("1,0,100,1,.,.,.,.", "1,1,.,0,3,1,0,.", "1,2,.,0,.,1,0,."),
        *("1,3,.,0,0.4,conc,.,.", "1,4,.,0,.,conc,1,0.7", "1,5,.,0,9,2,0,."),
    ]
    path = written(tmp_path, rows, f"{HEAD},DVID,BLQ,LLOQ")
    study = read_study(model, path)
    real = study.data.real[0]
    assert study.dropped == 1
    np.testing.assert_array_equal(study.data.values[0][real], [3, 0.5, 0.7, 9])
    np.testing.assert_array_equal(study.data.below[0][real], [0, 1, 1, 0])
    np.testing.assert_array_equal(study.data.output[0][real], [0, 0, 0, 1])
    assert read_study(model, path, below="M1").observations == 2


def test_monolix_says_limits_in_dv(model, tmp_path):
    rows = ["1,0,100,1,.,0", "1,1,.,0,3,0", "1,9,.,0,0.25,1"]
    study = read_study(model, written(tmp_path, rows, f"{HEAD},CENS"))
    assert study.data.values[0, 1] == 0.25
    assert study.data.below[0].tolist() == [False, True]


def test_every_fault_is_told_by_line(tmp_path):
    model = load_model(TWO | {"covariates": {"WT": {"unit": "kg"}}})
    rows = [
        *("1,.,100,1,.,.,70", "1,1,.,0,-3,1,nan", "1,2,.,0,4,9,70"),
        *("1,3,.,0,high,2,70", "1,4,.,0,0,2,70", "2,0,100,1,.,.,80"),
    ]
    path = written(tmp_path, rows, f"{HEAD},DVID,WT")
    with pytest.raises(DataError) as told:
        read_study(model, path)
    said = [(fault.line, fault.at.split()[0]) for fault in told.value.faults]
    wanted = [(2, "TIME"), (3, "WT"), (3, "DV"), (4, "DVID"), (5, "DV"), (6, "DV")]
    assert said == [*wanted, (7, "ID")]
    assert all(fault.source == str(path) for fault in told.value.faults)
    text = str(told.value)
    assert "0 or more, for the error is proportional" in text
    assert "an output: 1 (conc) or 2 (amount)" in text
    assert "without an observation" in text


@pytest.mark.parametrize(
    ("head", "rows", "words"),
    [
        ("ID,TIME,AMT,EVID", ["1,0,1,1"], "DV is missing"),
        (HEAD, ["1,0,1,1,.", "1,1,.,0,2"], "DVID is missing"),
        (f"{HEAD},DVID,MDV", ["1,1,.,0,.,1,0"], "a value that is missing has MDV 1"),
        (f"{HEAD},DVID,BLQ", ["1,1,.,0,.,2,1"], "without a limit"),
        (f"{HEAD},DVID,CENS", ["1,1,.,0,3,2,-1"], "nothing can be above a limit"),
    ],
)
def test_headers_and_flags_that_do_not_go(tmp_path, head, rows, words):
    with pytest.raises(DataError, match=words):
        read_study(load_model(TWO), written(tmp_path, rows, head))


def test_occasions_are_counted_by_subject(tmp_path):
    sheet = altered(random=[{"of": ["KA"], "variance": 0.4, "level": "occasion"}])
    sheet["equations"] = sheet["equations"].replace("eta.CL", "0").replace("eta.V", "0")
    model = load_model(sheet)
    rows = ["1,0,9,1,.,3", "1,1,.,0,3,3", "1,2,9,1,.,5", "1,3,.,0,3,5"]
    rows += ["2,0,9,1,.,5", "2,1,.,0,3,5"]
    study = read_study(model, written(tmp_path, rows, f"{HEAD},OCC"))
    assert study.occasions == 2
    assert study.data.occasion[0].max() == 1
    assert study.data.occasion[1].max() == 0
    effects = effects_of(model, study.occasions)
    assert effects.labels == ("eta.KA[1]", "eta.KA[2]")


def test_models_without_a_likelihood_are_refused(model):
    sheet = altered(random=[{"of": "KA", "variance": 0.4, "student": 4}])
    sheet["equations"] = sheet["equations"].replace("eta.CL", "0").replace("eta.V", "0")
    with pytest.raises(ModelError, match=r"Student's t"):
        effects_of(load_model(sheet))
    bare = altered(outputs={"conc": {"unit": "mg/L"}})
    with pytest.raises(ModelError, match="missing in every output"):
        effects_of(load_model(bare))

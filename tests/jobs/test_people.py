"""People of a cohort in a file, and what takes them up again."""

import numpy as np
import pandas as pd
import pytest

import vtrial as vt

EVENTS = "ID,TIME,AMT\n1,0,100\n1,2,.\n2,0,100\n2,2,.\n"


def test_people_are_those_of_a_run_and_a_cohort_of_their_own(tmp_path):
    people = vt.jobs.draw_people("adults", subjects=5, seed=3)
    sheet = vt.jobs.write_people(people, tmp_path / "people.csv", title="five")
    again = vt.load_cohort(sheet)
    assert again.unit("WT") == "kg"
    assert again.label("AGE") == "age"
    taken = vt.jobs.draw_people(again, subjects=5, seed=99)
    pd.testing.assert_frame_equal(taken, people)
    drawn = vt.jobs.simulate_population(
        "one-compartment-oral",
        "100 mg",
        times="1 h",
        cohort="adults",
        subjects=5,
        seed=3,
        keep=["WT"],
    )
    assert drawn["WT"].tolist() == people["WT"].tolist()


def test_people_of_a_model_are_a_table_of_parameters(tmp_path):
    model, path = "one-compartment-oral", tmp_path / "people.csv"
    people = vt.jobs.draw_people("adults", subjects=2, seed=1, model=model)
    assert people.columns.tolist() == ["ID", "WT", "eta.KA", "eta.CL", "eta.V"]
    vt.jobs.write_people(people, path)
    events = tmp_path / "events.csv"
    events.write_text(EVENTS)
    found = vt.jobs.simulate_table(model, events, parameters=path)
    drawn = vt.jobs.simulate_population(
        model, "100 mg", times="2 h", cohort="adults", subjects=2, seed=1
    )
    assert found["conc"].to_numpy() == pytest.approx(drawn["conc"], rel=1e-6)
    events.write_text(EVENTS.replace("AMT\n", "AMT,WT\n").replace("\n1,0", "\n1,0"))
    wide = EVENTS.replace("AMT", "AMT,WT").replace("100\n", "100,70\n")
    events.write_text(wide.replace(".\n", ".,70\n"))
    with pytest.raises(vt.VtrialError, match="in the table of parameters"):
        vt.jobs.simulate_table(model, events, parameters=path)


@pytest.mark.parametrize("name", ["people", "people.yaml", "two words.csv"])
def test_a_file_that_no_sheet_can_name_is_refused(name, tmp_path):
    people = vt.jobs.draw_people("adults", subjects=2)
    with pytest.raises(vt.VtrialError, match=r"people\.csv"):
        vt.jobs.write_people(people, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_sheet_of_anybody_else_is_written_over(tmp_path):
    people = vt.jobs.draw_people("adults", subjects=2)
    (tmp_path / "people.yaml").write_text("cohort: mine\n")
    with pytest.raises(vt.VtrialError, match="another sheet"):
        vt.jobs.write_people(people, tmp_path / "people.csv")
    assert (tmp_path / "people.yaml").read_text() == "cohort: mine\n"
    assert np.size([*tmp_path.iterdir()]) == 1


def test_a_cohort_that_lacks_what_a_model_asks_is_refused():
    with pytest.raises(vt.VtrialError, match="AAG"):
        vt.jobs.draw_people("adults", subjects=2, model="docetaxel-neutropenia")

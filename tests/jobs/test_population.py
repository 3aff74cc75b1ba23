"""Predictions of a population: whose they are, what they hold, what is refused."""

import dataclasses

import numpy as np
import pytest

import vtrial as vt
from vtrial.protocol.load import build_protocol
from vtrial.protocol.moments import sample_times
from vtrial.sheets.sheet import parse_sheet

MODEL = "one-compartment-oral"
RUN = """
protocol: alike
model: one-compartment-oral
cohort: adults
subjects: 6
replicates: 2
seed: 5
arms: {one: {dose: "100 mg every 24 h x 2"}}
visits:
  samples: {at: "0 h, 1 h, 5 h, 24 h, 30 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum, within: "0 h to 48 h"}
keep: {measurements: true, individual: [CL]}
"""


def predicted(**how):
    given = {"times": "0 h, 1 h, 5 h, 24 h, 30 h", "cohort": "adults", "subjects": 6}
    return vt.jobs.simulate_population(MODEL, "100 mg every 24 h x 2", **(given | how))


def test_people_and_measured_values_are_those_of_a_run(tmp_path):
    protocol = build_protocol(parse_sheet(RUN))
    record = vt.run(protocol, out=tmp_path, workers=0)
    tree = record.tree()
    table = predicted(replicates=2, seed=5, residual=True, keep=["WT", "CL"])
    first = table[table["TIME"] == 0]
    for name in ("WT", "CL"):
        assert first[name].tolist() == tree["subjects"][name].values.tolist()
    held = tree["arms/one/measurements"]["measured"].values[:, :, 0]
    assert table["conc_measured"].to_numpy().reshape(12, 5) == pytest.approx(held)
    assert table["REP"].tolist() == [1] * 30 + [2] * 30
    assert table["ID"].tolist() == np.repeat([*range(1, 7)] * 2, 5).tolist()


def test_residual_error_and_what_is_kept_change_no_true_value():
    plain, full = predicted(), predicted(residual=True, keep=["WT"])
    assert plain["conc"].tolist() == full["conc"].tolist()
    assert plain.columns.tolist() == ["ID", "TIME", "conc"]
    assert full.attrs["units"] == {
        "TIME": "h",
        "conc": "mg/L",
        "conc_measured": "mg/L",
        "WT": "kg",
    }
    again = predicted(subjects=4)
    assert again["conc"].tolist() == plain["conc"][:20].tolist()


def test_the_typical_person_has_the_closed_form():
    table = predicted(cohort=None, subjects=None, typical=True)
    time = np.array([0.0, 1.0, 5.0, 24.0])
    ke, ka = 5.0 / 50.0, 1.0
    wanted = 100 / 50 * ka / (ka - ke) * (np.exp(-ke * time) - np.exp(-ka * time))
    assert table["conc"][:4].to_numpy() == pytest.approx(wanted, rel=1e-12)
    several = predicted(typical=True)
    assert several.groupby("TIME")["conc"].nunique().max() == 6, "weights differ"


def test_parameters_are_drawn_only_if_that_is_asked():
    model = vt.load_model(MODEL)
    known = [dataclasses.replace(p, error=0.1 * p.value) for p in model.parameters]
    model = dataclasses.replace(model, parameters=tuple(known))
    where = {"times": "1 h", "subjects": 2, "replicates": 3, "keep": ["tvCL"]}
    fixed = vt.jobs.simulate_population(model, "100 mg", **where)
    drawn = vt.jobs.simulate_population(model, "100 mg", uncertainty=True, **where)
    assert fixed["tvCL"].nunique() == 1
    assert drawn.groupby("REP")["tvCL"].nunique().tolist() == [1, 1, 1]
    assert drawn["tvCL"].nunique() == 3


def test_at_the_time_of_a_dose_it_is_looked_before_it_or_after():
    how = {"times": "0 h, 24 h", "typical": True}
    iv = "one-compartment-iv"
    before = vt.jobs.simulate_population(iv, "10 mg every 24 h x 2", **how)
    after = vt.jobs.simulate_population(
        iv, "10 mg every 24 h x 2", after_dose=True, **how
    )
    rise = after.iloc[:, 2] - before.iloc[:, 2]
    assert before.iloc[0, 2] == 0
    assert rise[0] == pytest.approx(rise[1])


def test_exposure_is_of_each_subject():
    table = predicted(cohort=None, subjects=None, typical=True)
    found = vt.jobs.exposure(table).set_index("what")
    values, times = table["conc"].to_numpy(), table["TIME"].to_numpy()
    assert found.loc["Cmax", "median"] == values.max()
    assert found.loc["Tmax", "median"] == times[values.argmax()]
    assert found.loc["AUC", "p95"] == pytest.approx(np.trapezoid(values, times))
    assert found["unit"].tolist() == ["mg/L", "h", "mg/L*h"]
    with pytest.raises(vt.VtrialError, match="not one of"):
        vt.jobs.exposure(table.drop(columns="conc").iloc[:3])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"times": "0 h to 10 h"}, "every 1 h"),
        ({"times": "1 hx, 3"}, "without a unit"),
        ({"times": "0 h to 9999 d every 1 min"}, "at most 20,000 times"),
        ({"cohort": "adult"}, "adults"),
        ({"keep": ["WTT"]}, "WT"),
        ({"keep": ["conc"]}, "no column of its own"),
        ({"subjects": 0}, "1 or more"),
        ({"subjects": 10**8}, "at most 50,000,000 rows"),
        ({"cohort": None, "typical": True}, "the typical one"),
    ],
)
def test_what_cannot_be_is_refused_in_words(how, said):
    with pytest.raises(vt.VtrialError, match=said):
        predicted(**how)


def test_a_dose_by_what_nobody_has_is_refused():
    with pytest.raises(vt.VtrialError, match="BSA"):
        vt.jobs.simulate_population(MODEL, "10 mg/m2", times="1 h")


def test_ranges_of_times_hold_both_ends():
    assert sample_times("0 h to 1 h every 15 min")[-1] == 1.0
    assert sample_times("day 1, 0 h to 3 h every 2 h") == (0.0, 2.0, 24.0)
    assert sample_times("cycle 2 to cycle 2 every 12 h", cycle=24.0) == (24, 36, 48)

"""Random effects of an event table's subjects: drawn, or those of a NONMEM run."""

import numpy as np
import pytest

import vtrial as vt
from tests.jobs.test_event_predictions import OCCASIONS
from vtrial.errors import DataError

MODEL = """
model: shown
parameters: {CL: {value: 5, unit: L/h}}
random:
  - {of: [CL, V], covariance: [[0.09], [0.03, 0.0625]]}
equations: |
  cl = CL * exp(eta.CL)
  v = 40 * exp(eta.V)
  d/dt(central) = -cl/v*central
  conc = central/v
  one = eta.CL
  two = eta.V
outputs:
  conc: {unit: mg/L}
  one: {unit: 1}
  two: {unit: 1}
"""
EVENTS = "ID,TIME,AMT\n3,0,100\n3,2,.\n1,0,100\n1,2,.\nabc,0,100\nabc,2,.\n"
PHI = """TABLE NO.     1: First Order Conditional: Goal Function=MINIMUM
 SUBJECT_NO   ID           ETA(1)       ETA(2)       ETC(1,1)     OBJ
            1            1  9.00000E-01  9.00000E-01  0.00000E+00  1.00000E+00
            2            3  9.00000E-01  9.00000E-01  0.00000E+00  1.00000E+00
TABLE NO.     2: First Order Conditional: Goal Function=MINIMUM
 SUBJECT_NO   ID           ETA(1)       ETA(2)       ETC(1,1)     OBJ
            1  1.00000E+00 -2.50000E-01  1.25000E-01  1.00000E-02  3.00000E+00
            2  3.00000E+00  5.00000E-01 -1.00000E-01  1.00000E-02  2.00000E+00
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shown.yaml").write_text(MODEL)
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "run.phi").write_text(PHI)
    return tmp_path


def simulate(folder, **how):
    model, events = folder / "shown.yaml", folder / "events.csv"
    table = vt.jobs.simulate_table(model, events, **how)
    return table.assign(ID=table["ID"].astype(str)).set_index("ID")


def test_subjects_are_drawn_by_their_id_and_as_in_a_population(folder):
    found = simulate(folder, random=True, seed=5)
    number = np.arange(3)
    people = vt.cohort.sample(
        vt.load_cohort("adults"),
        vt.load_model(folder / "shown.yaml"),
        seed=5,
        replicate=np.zeros_like(number),
        subject=number,
    )
    for name, effect in (("one", "eta.CL"), ("two", "eta.V")):
        wanted = np.asarray(people.effects[effect])[[2, 0]]
        np.testing.assert_allclose(found.loc[["3", "1"], name], wanted, rtol=1e-12)
    assert found["one"].nunique() == 3
    other = (folder / "events.csv").read_text().split("\n1,0", 1)[0]
    (folder / "events.csv").write_text(other + "\n")
    alone = simulate(folder, random=True, seed=5)
    assert alone.loc["3", "one"] == found.loc["3", "one"]
    assert (
        simulate(folder, random=True, seed=6).loc["3", "one"] != alone.loc["3", "one"]
    )
    assert not simulate(folder)["one"].any()


@pytest.mark.slow
def test_effects_that_change_between_occasions_are_drawn_for_each(folder):
    (folder / "shown.yaml").write_text(OCCASIONS)
    rows = "".join(
        f"{who},{t},{100 if t == 0 else '.'},{1 + (t > 5)}\n"
        for who in (1, 2)
        for t in (0, 1, 6, 7)
    )  # noqa: E501
    (folder / "events.csv").write_text("ID,TIME,AMT,OCC\n" + rows)
    drawn, typical = simulate(folder, random=True), simulate(folder)
    assert (drawn["conc"] != typical["conc"]).all()
    slopes = [np.log(drawn.loc[who, "conc"].to_numpy()) for who in drawn.index.unique()]
    rates = np.array([[one[0] - 0, one[2] - one[1]] for one in slopes])
    assert len(np.unique(rates.round(9))) == rates.size


def test_effects_of_a_phi_file_are_those_of_its_last_table(folder):
    told = {"eta.CL": "ETA1", "eta.V": "ETA(2)"}
    text = EVENTS.split("abc", 1)[0]
    (folder / "events.csv").write_text(text)
    found = simulate(folder, parameters=folder / "run.phi", columns=told)
    assert found.loc[["3", "1"], "one"].tolist() == [0.5, -0.25]
    assert found.loc[["3", "1"], "two"].tolist() == [-0.1, 0.125]
    cl, v = 5 * np.exp(0.5), 40 * np.exp(-0.1)
    wanted = 100 / v * np.exp(-cl / v * 2)
    assert found.loc["3", "conc"] == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize(
    ("columns", "change", "told"),
    [
        ({}, ("", ""), "eta.CL=ETA1, eta.V=ETA2"),
        ({"eta.KA": "ETA1"}, ("", ""), "eta.CL or eta.V"),
        ({"eta.CL": "ETA7"}, ("", ""), "ETA1 or ETA2"),
        ({"eta.CL": "ETA1"}, ("", ""), "without a row of abc"),
        ({"eta.CL": "ETA1"}, ("ETA(", "PHI("), "MU and ETA together"),
        ({"eta.CL": "ETA1"}, ("SUBJECT_NO ", "NUMBER "), "NONMEM's .phi file"),
        ({"eta.CL": "ETA1"}, (" 3.00000E+00  5", " 1.00000E+00  5"), "a row an ID"),
    ],
)
def test_what_a_phi_file_lacks_is_told(folder, columns, change, told):
    (folder / "run.phi").write_text(PHI.replace(*change))
    with pytest.raises(DataError) as caught:
        simulate(folder, parameters=folder / "run.phi", columns=columns)
    said = " ".join(f"{f.found} {f.allowed}" for f in caught.value.faults)
    assert told in said

"""Sheets given as text or as a dict, and doses in words."""

import pytest

import vtrial as vt

COHORT = {"cohort": "few", "covariates": {"WT": {"unit": "kg", "constant": 80}}}
MODEL = """
model: plain
covariates: {WT: {unit: kg, typical: 70}}
parameters: {CL: {value: 5, unit: L/h}}
equations: |
  d/dt(central) = -CL/50 * central
  conc = central / 50
outputs:
  conc: {unit: mg/L}
"""


def test_sheets_are_taken_as_text_or_as_a_dict():
    model = vt.load_model(MODEL)
    assert model.states == ("central",)
    cohort = vt.load_cohort(COHORT)
    assert cohort.names == ("WT",)
    table = vt.jobs.simulate_population(
        model, "1 mg/kg", times="1 h", cohort=cohort, subjects=2
    )
    assert table["conc"].gt(1.4).all()
    trial = vt.load_protocol(
        {
            "protocol": "given",
            "model": "one-compartment-oral",
            "cohort": "adults",
            "subjects": 4,
            "arms": {"one": {"dose": "1 mg"}},
        },
        changes={"seed": 4},
    )
    assert (trial.seed, trial.path) == (4, "")
    again = vt.load_protocol(trial.text, changes={"seed": 4})
    assert again.digest == trial.digest


@pytest.mark.parametrize(
    ("load", "given", "said"),
    [
        (vt.load_cohort, {"cohort": "x"}, "covariates"),
        (vt.load_cohort, MODEL, "a model"),
        (
            vt.load_model,
            {"model": "x", "parameters": {"A": object()}},
            "finite numbers",
        ),
        (vt.load_protocol, "protocol: x\nmodell: y\n", "model"),
    ],
)
def test_their_faults_are_told_as_those_of_files(load, given, said):
    with pytest.raises(vt.VtrialError, match=said):
        load(given)


def test_doses_in_words_are_written_out():
    model = vt.load_model("one-compartment-oral")
    given = vt.doses("100 mg every 24 h x 7", model)
    assert given.time.shape == (1, 7)
    assert vt.doses("1 mg/kg", model, WT=[60.0, 80.0]).amount.tolist() == [[60], [80]]
    assert vt.doses("10 mg/m2", model, BSA=1.8).amount.tolist() == [[18]]
    with pytest.raises(vt.VtrialError, match="BSA"):
        vt.doses("10 mg/m2", model)
    path = vt.simulate(model, model.typical(), given, vt.dosing.times([1.0]))
    assert float(path.outputs["conc"][0, 0]) > 0

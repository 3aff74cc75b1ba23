"""A trial at many points, and the same trial with other parameters."""

import pytest

import vtrial as vt
from tests.test_traces import compiled  # noqa: F401 (a fixture)

SHEET = """
protocol: swept
model: one-compartment-oral
cohort: adults
subjects: 40
replicates: 2
seed: 3
arms:
  low: {dose: "50 mg every 24 h x 2"}
  high: {dose: "100 mg every 24 h x 2"}
visits:
  profile: {at: "24 h, 26 h, 48 h", measure: [conc]}
endpoints:
  trough: {of: conc, take: minimum, within: "24 h to 48 h"}
analysis:
  - {compare: high with low, on: trough, by: difference of means}
"""


@pytest.mark.slow
def test_a_second_point_compiles_nothing(compiled):  # noqa: F811
    """Whatever differs: seed, dose, parameters. Only the first point compiles."""
    trial = vt.load_protocol(SHEET)
    first = {"seed": [1], "arms.high.dose": ["100 mg every 24 h x 2"]}
    vt.sweep(trial, first | {"parameters.tvCL": [5.0]})
    assert compiled, "the count counts"
    compiled.clear()
    found = vt.sweep(
        trial,
        {
            "seed": [2],
            "arms.high.dose": ["80 mg every 24 h x 2", "90 mg every 24 h x 2"],
            "parameters.tvCL": [4.0],
        },
    )
    assert compiled == []
    means = found[(found["statistic"] == "mean") & (found["arm"] == "high")]
    low, high = means.sort_values("arms.high.dose")["estimate"]
    assert high == pytest.approx(low * 90 / 80, rel=0.2)


@pytest.mark.slow
def test_points_are_all_combinations_and_are_kept_if_asked(tmp_path):
    trial = vt.load_protocol(SHEET)
    changes = {"seed": [1, 2], "parameters.tvCL": [4.0, 8.0]}
    found = vt.sweep(trial, changes, of="contrasts", out=tmp_path)
    assert found[["seed", "parameters.tvCL"]].to_numpy().tolist() == [
        [1, 4.0],
        [1, 8.0],
        [2, 4.0],
        [2, 8.0],
    ]
    assert (found["estimate"] > 0).all()
    assert len(list(tmp_path.glob("*/record.zarr"))) == 4
    again = vt.sweep(trial, changes, of="contrasts", out=tmp_path)
    assert again["estimate"].tolist() == found["estimate"].tolist()


def test_parameters_are_those_of_another_model():
    trial = vt.load_protocol(SHEET)
    other = trial.with_parameters(tvCL=10.0)
    plain = vt.load_model("one-compartment-oral")
    assert other.model == plain
    assert dict(other.arms[0].set)["tvCL"].value == 10.0
    assert other.digest != trial.digest
    with pytest.raises(vt.VtrialError, match="tvCL"):
        trial.with_parameters(CL=1.0)
    with pytest.raises(vt.VtrialError, match="finite"):
        trial.with_parameters(tvCL=float("nan"))


def test_what_an_arm_sets_by_a_parameter_takes_its_new_value():
    text = SHEET.replace('low: {dose: "50 mg every 24 h x 2"}', "low: {set: {tvCL: 2}}")
    text = text.replace('x 2"}\nvis', 'x 2", set: {tvV: 2*tvCL}}\nvis')
    trial = vt.load_protocol(text).with_parameters(tvCL=7.0)
    low, high = (dict(arm.set) for arm in trial.arms)
    assert low["tvCL"].value == 2.0
    assert high["tvV"].arguments[1].value == 7.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [1]}, "seed"),
        ({"arms.hig.dose": ["1 mg"]}, "high"),
        (
            {"arms.high.dose": ["1 mgg"]},
            r"arms\.high\.dose \(at arms\.high\.dose=1 mgg",
        ),
        ({"seed": []}, "without a value"),
        ({"parameters.CL": [1.0]}, "tvCL"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_run(changes, said, tmp_path):
    with pytest.raises(vt.VtrialError, match=said):
        vt.sweep(vt.load_protocol(SHEET), changes, out=tmp_path)
    assert not list(tmp_path.iterdir())

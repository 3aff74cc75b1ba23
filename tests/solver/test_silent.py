"""Inputs on which other software fails in silence: refused with a remedy, or right.

Through the doors that people use: `vtrial simulate`, `predict`, `simulate`, `run`.
"""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import vtrial as vt
from vtrial.cli.app import DONE, app
from vtrial.dosing.doses import times
from vtrial.dosing.table import read_events
from vtrial.errors import DataError, SolverError
from vtrial.solver.prediction import predict
from vtrial.types import Numerics, Status

GOOD = "ID,TIME,AMT,EVID,CMT,II,ADDL,WT\n4,0,100,1,1,0,0,70\n4,2,0,0,2,0,0,70\n"
ORAL = "one-compartment-oral"


@pytest.fixture
def door(tmp_path):
    """Put a table through `vtrial simulate`; return predictions and exit code."""

    def use(table, *, model=ORAL, parameters=None, **options):
        (tmp_path / "events.csv").write_text(table)
        out = tmp_path / "out.csv"
        out.unlink(missing_ok=True)
        words = ["simulate", model, "--data", tmp_path / "events.csv", "--out", out]
        if parameters is not None:
            (tmp_path / "parameters.csv").write_text(parameters)
            words += ["--parameters", tmp_path / "parameters.csv"]
        words += [part for k, v in options.items() for part in (f"--{k}", v)]
        result = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(result.exception, vt.VtrialError):
            assert not out.exists(), "nothing is written where something was refused"
            raise result.exception
        assert result.exit_code == DONE, result.output
        return pd.read_csv(out), result.output

    return use


def said(caught, *words):
    """Check that a refusal says where, what and what else, and these words."""
    assert all(f.at and f.found and f.allowed for f in caught.value.faults)
    text = str(caught.value)
    assert all(word in text for word in words), text


@pytest.mark.parametrize("name", ["CLL", "tvcl", "tvCLL", "CL"])
def test_a_misspelt_column_of_parameters(door, name):
    with pytest.raises(DataError) as caught:
        door(GOOD, parameters=f"ID,{name}\n4,8\n")
    said(caught, f"a column is `{name}`", "tvCL")
    right, _ = door(GOOD, parameters="ID,tvCL\n4,8\n")
    usual, _ = door(GOOD)
    assert (right.conc < usual.conc).all()


@pytest.mark.parametrize("name", ["tvCL", "tvcl", "tvCLL", "TVCL"])
def test_a_parameter_among_the_events(door, name):
    """Here it would be ignored, so it is refused; a table of parameters takes it."""
    table = GOOD.replace("WT\n", f"WT,{name}\n").replace(",70\n", ",70,8\n")
    with pytest.raises(SolverError) as caught:
        door(table)
    said(caught, f"column `{name}` of the events", "Write `ID,tvCL`")
    found, _ = door(table, parameters="tvCL\n8\n")
    assert len(found) == 1


@pytest.mark.parametrize("name", ["cl", "CLL", "Cl"])
def test_a_misspelt_parameter_in_python(made, tmp_path, name):
    model = made.models["oral"]
    (tmp_path / "events.csv").write_text(GOOD)
    events = read_events(tmp_path / "events.csv", states=model.states)
    with pytest.raises(SolverError) as caught:
        predict(model, events, parameters={name: 8.0})
    said(caught, f"`{name}`, which made-up does not have", "Write `CL`")
    with pytest.raises(SolverError) as caught:
        vt.simulate(
            model, model.typical() | {name: 8.0}, made.doses([0.0], [9.0]), times([1.0])
        )
    said(caught, f"inputs['{name}']", "Write `CL`")


def test_a_covariate_that_was_not_read(tmp_path):
    """The typical weight is nobody's: it is read, or given."""
    (tmp_path / "events.csv").write_text(GOOD)
    model = vt.load_model(ORAL)
    events = read_events(tmp_path / "events.csv", states=model.states)
    with pytest.raises(SolverError) as caught:
        predict(model, events)
    said(caught, "covariate WT of one-compartment-oral", "covariates=('WT',)")
    given = predict(model, events, parameters={"WT": 70.0})
    read = {"states": model.states, "covariates": ("WT",)}
    found = predict(model, read_events(tmp_path / "events.csv", **read))
    assert given.pop("WT").tolist() == [70.0], "what nobody reads is carried along"
    pd.testing.assert_frame_equal(given, found)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("4,1,.,1,1,0,0,70", ["AMT of subject 4 is missing", "given for a dose"]),
        ("4,1,NaN,1,1,0,0,70", ["AMT of subject 4 is missing"]),
        ("4,1,,1,1,0,0,70", ["AMT of subject 4 is missing"]),
        ("4,1,-50,1,1,0,0,70", ["AMT of subject 4 is `-50`", "0 or more."]),
        ("4,-1,0,0,2,0,0,70", ["TIME of subject 4 is `-1`", "from 0 to"]),
        (
            "4,1,50,7,1,0,0,70",
            ["EVID of subject 4 is `7`", "3 reset", "reset and dose."],
        ),
        ("4,1,50,9,1,0,0,70", ["EVID of subject 4 is `9`"]),
        ("4,1,50,0,1,0,0,70", ["AMT of subject 4 is `50` in a row that is no dose"]),
        ("4,1,50,1,9,0,0,70", ["CMT of subject 4 is `9`", "1 to 2", "depot"]),
        ("4,1,50,1,1,0,3,70", ["ADDL of subject 4 is `3` without an interval"]),
        ("4,1,0,0,2,0,0,.", ["WT of subject 4 is missing", "given in every row"]),
    ],
)
def test_a_wrong_row(door, row, words):
    rows = GOOD.splitlines()
    with pytest.raises(DataError) as caught:
        door("\n".join([*rows[:2], row, rows[2]]) + "\n")
    said(caught, "events.csv:3: ", *words)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("ADDL", "addll"), ("ADDL", "ADDLL"), ("ADDL", "Addl"), ("AMT", "Amt")),
        *(("TIME", "Time"), ("EVID", "evid"), ("CMT", "Cmt"), ("ID,", "Id,")),
        *(("II", "ii"), ("WT", "wt")),
    ],
)
def test_a_misspelt_column_of_events(door, old, new):
    with pytest.raises(DataError) as caught:
        door(GOOD.replace(old, new, 1))
    said(caught, "events.csv:1: ", f"`{new.strip(',')}`", f"Write `{old.strip(',')}`")


def test_a_missing_or_negative_dose_in_python(made):
    model = made.models["oral"]
    given = made.doses([[0.0], [0.0]], [[100.0], [np.nan]])
    found = vt.simulate(model, model.typical(), given, times([1.0]))
    assert found.status.tolist() == [Status.SOLVED, Status.BAD_DOSE]
    assert np.isnan(found.outputs["conc"][1]).all()
    given = made.doses([[0.0, 1.0], [0.0, 1.0]], [[5.0, 5.0], [5.0, -2.0]])
    with pytest.raises(SolverError) as caught:
        vt.simulate(model, model.typical(), given, times([1.0]))
    said(caught, "doses.amount[1, 1] is -2", "0 or more")


FAILING = """
model: growing
parameters:
  A: {value: 0.1, unit: 1/h}
  W: {value: 1.0, unit: 1/h}
equations: |
  d/dt(x) = A*x^2
  d/dt(y) = W*cos(W*t)
  init(x) = 1
outputs:
  x: {unit: 1}
  y: {unit: 1}
"""
LOOKS = "ID,TIME,EVID,AMT\n" + "".join(
    f"{who},{t},0,0\n" for who in (11, 12, 13, 14, 15) for t in (0, 1, 2, 4)
)


@pytest.mark.slow
def test_who_blows_up_or_takes_too_long_harms_nobody(door, tmp_path, made):
    """x' = A x^2 from 1 is infinite at 1/A, here before 2 h for one of five."""
    (tmp_path / "growing.yaml").write_text(FAILING)
    path = str(tmp_path / "growing.yaml")
    rates = "ID,A\n11,0.1\n12,0.7\n13,0.2\n14,0.15\n15,0.05\n"
    table, printed = door(LOOKS, model=path, parameters=rates)
    sound, _ = door(LOOKS, model=path, parameters=rates.replace("0.7", "0.1"))
    bad = table.ID == 12
    pd.testing.assert_frame_equal(table[~bad][sound.columns], sound[~bad])
    words = table[bad].STATUS.unique().tolist()
    assert words in (["step size underflow"], ["solution not finite"])
    assert table[bad].x.isna().tolist() == [False, False, True, True]
    assert (table[~bad].STATUS == "solved").all()
    assert f"subject 12: {words[0]}" in printed
    model, rate = vt.load_model(path), np.array([0.1, 0.7, 0.2, 0.15, 0.05])
    np.testing.assert_allclose(
        table[~bad].x.to_numpy().reshape(4, 4),
        1 / (1 - np.delete(rate, 1)[:, None] * np.array([0.0, 1, 2, 4])),
        rtol=1e-6,
    )
    events = read_events(tmp_path / "events.csv", states=model.states)
    busy = {"W": np.array([1.0, 1.0, 9e3, 1.0, 1.0])}
    numerics = Numerics(max_steps=500)
    table = predict(model, events, parameters=busy, numerics=numerics)
    slow = table.ID == 13
    assert (table[slow].STATUS == "step limit reached").all()
    assert table[slow].y.isna().any()
    calm = predict(model, events, numerics=numerics)
    pd.testing.assert_frame_equal(table[~slow][calm.columns], calm[~slow])


def test_absorption_as_fast_as_elimination(door):
    """Where KA is CL/V the curve is D/V k t exp(-k t)."""
    table, _ = door(GOOD, parameters="tvKA,tvCL,tvV\n0.1,5,50\n")
    np.testing.assert_allclose(table.conc, 2.0 * 0.1 * 2 * np.exp(-0.2), rtol=1e-12)


WASHED_OUT = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - VMAX*central/V/(KM + central/V)
conc = central/V
logged = log(conc)
"""


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_noise_below_zero_reaches_no_logarithm(made, method):
    """Where a model's states are `nonnegative`, far tails are zero or above."""
    model = made.model(
        WASHED_OUT,
        outputs=("conc", "logged"),
        nonnegative=("depot", "central"),
        **{"KA": 1.0, "VMAX": 40.0, "KM": 2.0, "V": 20.0},
    )
    found = vt.simulate(
        model,
        made.spread(model, 20),
        made.doses([0.0, 504.0, 1008.0], [222.8] * 3, rate=222.8),
        times(np.arange(0.0, 1513.0, 24.0)),
        numerics=Numerics(method=method),
    )
    assert (np.asarray(found.status) == Status.SOLVED).all()
    assert (np.asarray(found.outputs["conc"]) >= 0).all()
    assert not np.isnan(np.asarray(found.outputs["logged"])).any()


def test_a_dose_and_an_observation_at_the_same_time(door):
    """The order of the rows says which comes first."""
    table, _ = door(
        "ID,TIME,AMT,EVID,CMT,WT\n1,0,100,1,central,70\n1,5,0,0,2,70\n"
        "1,5,60,1,central,70\n1,5,0,0,2,70\n"
    )
    trough = 100 / 50 * np.exp(-0.5)
    np.testing.assert_allclose(table.conc, [trough, trough + 60 / 50], rtol=1e-12)


SHEETS = {
    "body": """
model: body
parameters:
  CL: {value: 2.0, unit: L/h}
  V: {value: 10.0, unit: L}
random:
  - {of: CL, cv: 30 %}
equations: |
  loss = CL*exp(eta.CL)/V
  d/dt(central) = -loss*central
  conc = central/V
outputs:
  conc: {unit: mg/L}
""",
    "folk": """
cohort: folk
covariates:
  WT: {unit: kg, lognormal: {median: 75, cv: 0.2}, within: [40, 150]}
""",
    "small": """
protocol: small
model: body
cohort: folk
subjects: 6
replicates: 1
seed: 11
block: 4
arms:
  low: {dose: "50 mg every 24 h x 2"}
visits:
  trough: {at: 24 h, measure: [conc]}
  peak: {at: 24 h, measure: [conc], after dose: true}
  start: {at: 0 h, measure: [conc], after dose: true}
endpoints:
  low: {of: conc, take: value, at: 24 h, visits: [trough]}
keep: {measurements: true}
""",
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Run the small trial, with so many subjects and workers; return who was seen."""
    folder = tmp_path_factory.mktemp("trial")
    for name, text in SHEETS.items():
        (folder / f"{name}.yaml").write_text(text)

    def run(subjects, workers):
        protocol = vt.load_protocol(
            folder / "small.yaml", changes={"subjects": subjects}
        )
        out = folder / f"{subjects}-{workers}"
        tree = vt.run(protocol, out=out, workers=workers).tree().load()
        measured = tree["arms/low/measurements"].measured.isel(output=0)
        return tree["subjects"].WT.to_numpy(), measured.to_numpy()

    return run


def test_a_visit_says_on_which_side_of_a_dose_it_is(trial):
    """Before it, unless the visit is `after dose`."""
    _, seen = trial(6, 0)
    trough, peak, start = seen.T
    np.testing.assert_allclose(start, 5.0, rtol=1e-12)
    np.testing.assert_allclose(peak, trough + 5.0, rtol=1e-12)
    assert (trough < 1.0).all()


def test_a_sixth_subject_changes_nothing_in_the_first_five(trial):
    weight, seen = trial(6, 0)
    fewer, looked = trial(5, 0)
    np.testing.assert_array_equal(weight[:5], fewer)
    np.testing.assert_array_equal(seen[:5], looked)


@pytest.mark.slow
def test_one_worker_and_two_draw_the_same_people(trial):
    alone, shared = trial(6, 1), trial(6, 2)
    for one, two in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_covariates_are_read_by_one_of_three_words(door):
    """With weights of 70 and 40 kg: one, the other, or a way between them."""
    table = GOOD.replace("4,2,0,0,2,0,0,70", "4,2,0,0,2,0,0,40")
    backward, _ = door(table)
    named, _ = door(table, covariates="backward")
    pd.testing.assert_frame_equal(backward, named)
    light, _ = door(GOOD.replace(",70", ",40"))
    pd.testing.assert_frame_equal(backward, light)
    forward, _ = door(table, covariates="forward")
    heavy, _ = door(GOOD)
    amount = heavy.conc * 50  # the volume is that of the weight where it is looked at
    np.testing.assert_allclose(forward.conc, amount / (50 * 40 / 70), rtol=1e-12)
    linear, _ = door(table, covariates="linear")
    assert light.conc[0] < linear.conc[0] < forward.conc[0]
    result = CliRunner().invoke(app, ["simulate", ORAL, "--covariates", "nearest"])
    assert result.exit_code == 2
    assert "'backward', 'forward', 'linear'" in " ".join(result.output.split())


def test_a_covariate_moves_by_the_clock_of_a_model_in_days(door, tmp_path):
    """The integral of a line is a trapezium: two days from 70 to 90, one at 90."""
    (tmp_path / "days.yaml").write_text(
        "model: days\ntime: d\ncovariates:\n  WT: {unit: kg, typical: 70}\n"
        "parameters:\n  ONE: {value: 1, unit: 1/d}\n"
        "equations: |\n  d/dt(x) = ONE*WT\noutputs:\n  x: {unit: 1}\n"
    )
    table = "ID,TIME,EVID,AMT,WT\n1,1,0,0,70\n1,3,0,0,90\n1,4,0,0,90\n"
    found, _ = door(table, model=tmp_path / "days.yaml", covariates="linear")
    np.testing.assert_allclose(found.x, [0.0, 160.0, 250.0], rtol=1e-9)


def test_the_shell_is_told_what_was_wrong(tmp_path):
    """Exit code 2, the reason on standard error, nothing written."""
    (tmp_path / "events.csv").write_text(GOOD.replace("100", "-100"))
    words = ["simulate", ORAL, "--data", "events.csv", "--out", "out.csv"]
    done = subprocess.run(
        [sys.executable, "-m", "vtrial.cli", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "events.csv:2: AMT of subject 4 is `-100`" in done.stderr
    assert "it must be 0 or more" in done.stderr
    assert not (tmp_path / "out.csv").exists()

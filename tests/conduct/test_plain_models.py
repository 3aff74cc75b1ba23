"""Models that lack something: each is simulated, alone and in a trial, or refused."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.check import check_sheet
from vtrial.errors import ModelError

EVENTS = (
    "ID,TIME,AMT,EVID,MDV\n1,0,10,1,1\n1,0,0,0,0\n1,2,0,0,0\n2,0,20,1,1\n2,2,0,0,0\n"
)
LOOKS = "ID,TIME,AMT,EVID,MDV\n1,0,0,0,0\n1,2,0,0,0\n2,0,0,0,0\n2,2,0,0,0\n"
K = "parameters: {K: {value: 0.5}}\n"
E1, E2 = np.exp(-1), np.exp(-2)


def written(folder, head, equations, output):
    lines = equations.replace("\n", "\n  ")
    (folder / "body.yaml").write_text(
        f"model: body\n{head}equations: |\n  {lines}\noutputs: {{{output}: {{}}}}\n"
    )
    return folder / "body.yaml"


CASES = {  # head, equations, output, after a dose of 10 or none, at 2 h from nothing
    "no parameters, linear": ("", "d/dt(x) = -0.5*x\ninit(x) = 1", "x", 11 * E1, E1),
    "no parameters, two states": (
        *("", "d/dt(x) = -0.5*x\nd/dt(z) = 0.5*x\ninit(x) = 1", "z"),
        *(11 * (1 - E1), 1 - E1),
    ),
    "no parameters, not linear": (
        *("", "d/dt(x) = 0.1*(0.5*exp(-x) - 1)\ninit(x) = 3", "x"),
        *(None, np.log(0.5 + (np.exp(3) - 0.5) * np.exp(-0.2))),
    ),
    "nothing moves": ("", "d/dt(x) = 0\ninit(x) = 3", "x", 13, 3),
    "a constant rate": ("", "d/dt(x) = 1", "x", 12, 2),
    "only time": ("", "y = 3*t", "y", None, 6),
    "only a number": ("", "y = 5", "y", None, 5),
    "only a parameter": (K, "y = K", "y", None, 0.5),
    "a parameter is seen": (K, "d/dt(x) = -K*x", "K", 0.5, 0.5),
    "an output called time": (K, "d/dt(x) = -K*x\ntime = x", "time", 10 * E1, 0),
    "nothing differs": (
        *("random: [{of: K, sd: 0}]\n", "d/dt(x) = -exp(eta.K)*x", "x"),
        *(10 * E2, 0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_model_that_lacks_something_is_simulated(name, tmp_path):
    head, equations, output, dosed, undosed = CASES[name]
    path = written(tmp_path, head, equations, output)
    assert check_sheet(path)[0] == "model"
    for events, last in ((EVENTS, dosed), (LOOKS, undosed)):
        if last is None:
            continue
        (tmp_path / "events.csv").write_text(events)
        table = vt.jobs.simulate_table(path, tmp_path / "events.csv")
        found = table[(table.ID == 1) & (table.TIME == 2)][output].to_numpy()
        np.testing.assert_allclose(found, [last], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["no parameters, linear", "no parameters, not linear", "only a number"]
)
def test_a_model_that_lacks_something_is_on_trial(name, tmp_path):
    head, equations, output, _, right = CASES[name]
    written(tmp_path, head, equations, output)
    (tmp_path / "folk.yaml").write_text("cohort: folk\ncovariates: {A: {constant: 1}}")
    (tmp_path / "trial.yaml").write_text(
        "protocol: trial\nmodel: body\ncohort: folk\nsubjects: 6\narms: {one: {}}\n"
        f'visits: {{v: {{at: "2 h", measure: [{output}]}}}}\n'
        f"endpoints: {{e: {{of: {output}, take: value, at: 2 h}}}}\n"
    )
    protocol = vt.load_protocol(tmp_path / "trial.yaml")
    tree = vt.run(protocol, out=tmp_path / "out", workers=0).tree()
    assert (np.asarray(tree["arms/one"]["status"]) == 0).all()
    outcome = np.asarray(tree["arms/one/outcomes"]["outcome"])
    np.testing.assert_allclose(outcome, np.full((6, 1), right), rtol=1e-5)


@pytest.mark.parametrize("name", ["ID", "TIME", "STATUS"])
def test_an_output_may_not_take_the_name_of_a_column(name, tmp_path):
    with pytest.raises(ModelError, match="a column that every table has"):
        check_sheet(written(tmp_path, "", f"{name} = 5", name))

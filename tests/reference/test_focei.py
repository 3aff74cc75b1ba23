"""FOCEI's objective function at NONMEM's own estimates, and the estimates themselves.

The runs are collected from nlmixr2/nlmixr2test (ACOP 2016: 120 simulated people) and
nlmixr2/nonmem2rx (warfarin: 32 people); the collection's README says which NONMEM made
which. Theophylline is of nlmixr2's FOCEI. None of the data is part of this repository:
`VTRIAL_REFERENCE` says where it lies.
"""

import numpy as np
import pandas as pd
import pytest

from vtrial.fit.focei import objective_of
from vtrial.fit.goodness import goodness_of
from vtrial.fit.likelihood import likelihood_of
from vtrial.fit.mode import Outcome, modes
from vtrial.fit.study import read_study
from vtrial.fit.values import values_of
from vtrial.model.sheet import load_model
from vtrial.testing import reference_folder

FOLDER = reference_folder("popfit")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no reference cases: set VTRIAL_REFERENCE to their folder"
)
NEAR = 0.1  # NONMEM's own solutions of one run differ by 0.07
DEPOT = "d/dt(depot) = -KA*depot"
ONE, TWO = "", " - Q/V*central + Q/V2*second"
SECOND = "d/dt(second) = Q/V*central - Q/V2*second"
LINEAR, SATURABLE = "CL/V*central", "VM*central/V/(KM + central/V)"


def equations(names, *, oral=False, rate=LINEAR, two=False):
    """Write a body whose parameters are exp(THETA + ETA)."""
    lines = [f"{name} = exp(th{i} + eta.e{i})" for i, name in enumerate(names, start=1)]
    lines += [DEPOT] if oral else []
    gain = "KA*depot" if oral else "0"
    lines.append(f"d/dt(central) = {gain} - {rate}{TWO if two else ONE}")
    lines += [SECOND] if two else []
    return "\n".join([*lines, "conc = central/V"])


BODIES = {
    "1cpt": (["CL", "V"], {}),
    "oral 1cpt": (["CL", "V", "KA"], {"oral": True}),
    "2cpt": (["CL", "V", "Q", "V2"], {"two": True}),
    "oral 2cpt": (["CL", "V", "Q", "V2", "KA"], {"oral": True, "two": True}),
    "1cptmm": (["VM", "KM", "V"], {"rate": SATURABLE}),
}
RUNS = {  # body, data, whether the single dose is fitted or the others
    "runN001": ("1cpt", "bolus_1cpt", True),
    "runN002": ("1cpt", "bolus_1cpt", False),
    "runN012": ("1cpt", "infusion_1cpt", True),
    "runN013": ("1cpt", "infusion_1cpt", False),
    "runN023": ("oral 1cpt", "oral_1cpt", True),
    "runN024": ("oral 1cpt", "oral_1cpt", False),
    "runN032": ("2cpt", "bolus_2cpt", True),
    "runN033": ("2cpt", "bolus_2cpt", False),
    "runN046": ("2cpt", "infusion_2cpt", True),
    "runN047": ("2cpt", "infusion_2cpt", False),
    "runN060": ("oral 2cpt", "oral_2cpt", True),
    "runN061": ("oral 2cpt", "oral_2cpt", False),
    "runODE009": ("1cptmm", "bolus_1cptmm", True),
    "runODE020": ("1cptmm", "infusion_1cptmm", True),
}
QUICK = ("runN046",)


def estimates(run, suite=None):
    """Read NONMEM's estimates: THETAs, variances."""
    table = pd.read_csv(FOLDER / "nonmem_estimates.csv")
    mine = table[(table.run == run) & (table.suite == suite if suite else True)]
    found = dict(zip(mine.parameter, mine.estimate, strict=True))
    thetas = [value for name, value in found.items() if name.startswith("THETA")]
    variances = [value for name, value in found.items() if name.startswith("OMEGA")]
    return thetas, [value for value in variances if value > 0]


def objective(run):
    table = pd.read_csv(FOLDER / "nonmem_runs.csv")
    return float(table[table.run == run].ofv.iloc[0])


def acop(run, folder):
    """Return the model of a run at NONMEM's estimates, and its study."""
    body, data, single = RUNS[run]
    thetas, variances = estimates(run)
    names, how = BODIES[body]
    sheet = {
        "model": "acop",
        "equations": equations(names, **how),
        "parameters": {
            f"th{i}": {"value": value, "scale": "identity"}
            for i, value in enumerate(thetas[:-1], start=1)
        },
        "random": [
            {"of": f"e{i}", "variance": value}
            for i, value in enumerate(variances, start=1)
        ],
        "outputs": {"conc": {"error": {"proportional": thetas[-1]}}},
    }
    table = pd.read_csv(FOLDER / "data" / f"acop_{data}.csv.gz")
    table = table[table.SD.eq(int(single))]
    # The predictions of these runs are those of the doses alone: SS was not read.
    kept = ["ID", "TIME", "DV", "MDV", "AMT", "RATE", "EVID", "CMT"]
    path = folder / f"{run}.csv"
    table[[name for name in kept if name in table]].to_csv(path, index=False)
    model = load_model(sheet)
    return model, read_study(model, path)


@pytest.mark.parametrize(
    "run",
    [pytest.param(r, marks=() if r in QUICK else pytest.mark.slow) for r in RUNS],
)
def test_objective_at_nonmem_s_estimates(run, tmp_path, note):
    model, study = acop(run, tmp_path)
    found = modes(model, study)
    assert (found.outcome == Outcome.CONVERGED).all()
    gap = objective_of(found).sum() - objective(run)
    note(f"OFV less NONMEM's, {run}", abs(gap))
    assert abs(gap) < NEAR


@pytest.mark.slow
def test_objective_of_warfarin(tmp_path, note):
    """Real people; a combined residual error."""
    (ka, cl, v, proportional, additive), variances = estimates("err/run000")
    sheet = {
        "model": "warfarin",
        "equations": equations(["KA", "CL", "V"], oral=True),
        "parameters": {
            f"th{i}": {"value": value, "scale": "identity"}
            for i, value in enumerate((ka, cl, v), start=1)
        },
        "random": [
            {"of": f"e{i}", "variance": value}
            for i, value in enumerate(variances, start=1)
        ],
        "outputs": {
            "conc": {"error": {"additive": additive, "proportional": proportional}}
        },
    }
    model = load_model(sheet)
    study = read_study(model, FOLDER / "data" / "warfarin_PKS.csv")
    gap = objective_of(modes(model, study)).sum() - objective("err/run000")
    note("OFV less NONMEM's, warfarin", abs(gap))
    assert abs(gap) < NEAR


def test_predictions_and_residuals_are_nonmem_s(tmp_path, note):
    """CWRESI of NONMEM, which is written with five digits."""
    model, study = acop("runN046", tmp_path)
    likelihood, values = likelihood_of(model, study), values_of(model)
    found = modes(model, study, likelihood=likelihood)
    mine = goodness_of(likelihood, study, values, found.eta)
    table = pd.read_csv(FOLDER / "acop_predictions" / "runN046.csv.gz")
    table = table[table.EVID == 0]
    real = study.data.real
    order = np.argsort(study.row[real], kind="stable")
    for part, name in (("typical", "PRED"), ("individual", "IPRED")):
        own = np.asarray(getattr(mine, part))[real][order]
        gap = np.abs(own / table[name].to_numpy() - 1.0).max()
        note(f"{name} against NONMEM's", gap)
        assert gap < 1e-4
    gap = np.abs(np.asarray(mine.conditional)[real][order] - table.CWRESI).max()
    note("CWRES against NONMEM's CWRESI", gap)
    assert gap < 1e-4

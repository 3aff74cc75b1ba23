"""Conditional modes, their variances and each subject's objective, as NONMEM has them.

The suites are those of `test_nonmem.py` (Le Louedec et al. 2021, runs with 24 sampled
subjects); the cases of MAP estimation, of posologyr's tests, were computed by Monolix
and NONMEM. `VTRIAL_REFERENCE` says where they lie.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.reference import test_nonmem as nonmem
from vtrial.fit.focei import objective_of
from vtrial.fit.mode import Outcome, modes
from vtrial.fit.study import read_study
from vtrial.model.calculus import substitute
from vtrial.model.model import RandomBlock, ResidualError
from vtrial.model.sheet import load_model
from vtrial.model.tree import Name
from vtrial.testing import reference_folder

CASES = reference_folder("popfit")
pytestmark = pytest.mark.skipif(
    CASES is None or nonmem.FOLDER is None,
    reason="no reference cases: set VTRIAL_REFERENCE to their folder",
)
NEAR = 1e-3
QUICK = ("mapbayr_001",)
# Who has a mode at a kink of the density, where the modelled duration ends at the time
# of an observation: there is no slope, and neither program comes to rest.
KINKS = {"mapbayr_004": 2}


def errors_of(suite, count):
    """Read a suite's residual errors, one for each of its outputs."""
    known = suite["model"]
    variances = np.diag(np.array(known["sigma"], float))
    if known["log_transformed"]:
        return [ResidualError(log=float(np.sqrt(variances.max())))] * count
    if "ERRADD" in known["residual"]:
        values = known["typical_values"]
        sizes = float(values["ERRADD"]), float(values["ERRPROP"])
        return [ResidualError(*sizes)] * count
    if "CMT=3" in known["residual"]:
        return [ResidualError(0.0, float(np.sqrt(v))) for v in variances]
    sizes = np.sqrt([variances[1] if len(variances) > 1 else 0.0, variances[0]])
    return [ResidualError(*map(float, sizes))] * count


def with_effects(suite, data):
    """Write a suite's model with its random effects and residual errors."""
    model, etas, seen = nonmem.build(suite, data.columns)
    names = {eta: Name(f"eta.{eta}") for eta in etas}
    size = len(etas)
    omega = np.array(suite["model"]["omega"], float)[:size, :size]
    errors = errors_of(suite, len(seen))
    model = replace(
        model,
        statements=tuple(
            replace(s, expression=substitute(s.expression, names))
            for s in model.statements
        ),
        parameters=tuple(p for p in model.parameters if p.name not in etas),
        random=(RandomBlock(tuple(etas), tuple(map(tuple, omega.tolist()))),),
        outputs=tuple(
            replace(output, error=error)
            for output, error in zip(model.outputs, errors, strict=True)
        ),
    )
    return model, etas, seen


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(s, marks=() if s in QUICK else pytest.mark.slow)
        for s in nonmem.by_kind(True)
    ],
)
def test_modes_are_nonmem_s(name, tmp_path, cell):
    suite = nonmem.SUITES[name]
    data, _ = nonmem.tables(name)
    model, etas, seen = with_effects(suite, data)
    logged = suite["model"]["log_transformed"]
    if logged:
        data["DV"] = np.where(data.MDV == 0, np.exp(data.DV), 0.0)
    path = tmp_path / "data.csv"
    data.to_csv(path, index=False)
    outputs = None if "" in seen else {place: f"seen{place}" for place in seen}
    study = read_study(model, path, column="CMT", outputs=outputs)
    found = modes(model, study)
    table = pd.read_csv(nonmem.FOLDER / name / "nonmem_ebe.csv").set_index("ID")
    table = table.loc[[int(one) for one in study.identity]]
    off = np.abs(found.eta - table[etas].to_numpy()).max(axis=1)
    real, values = study.data.real, study.data.values
    stretch = np.where(real & logged, 2 * np.log(np.where(real, values, 1.0)), 0.0)
    parts = objective_of(found) - stretch.sum(axis=1)
    gaps = np.abs(parts - table.OBJ.to_numpy())
    still = KINKS.get(name, 0)
    cell("modes, by suite", name, "share within 1e-3", float((off < NEAR).mean()))
    cell("modes, by suite", name, "worst effect", off.max())
    cell("modes, by suite", name, "worst objective", gaps.max())
    assert (off > NEAR).sum() <= still
    assert (found.outcome != Outcome.CONVERGED).sum() <= still
    assert np.sort(gaps)[: len(gaps) - still].max() < 1e-4


def case_sheet(case):
    """Write a case's sheet: micro constants as they are, sizes as an equation."""
    text = case["parameters"].replace("; ", "\n")
    text = re.sub(r"eta(\d)", r"eta.e\1", text).replace("^-1.09", "^(-1.09)")
    kinds = {
        "tobramycin_monolix": "ke*V, k12*V, k12*V/k21, V",
        "vancomycin_goti_monolix": "CL, Q, Vp, Vc",
        "run302_nonmem": "CL, 0, 1, Vc",
    }
    clearance, between, second, first = kinds[case["id"]].split(", ")
    slow = f"{between}/({second})"
    lines = [
        text,
        f"d/dt(a1) = -({clearance})/{first}*a1 - ({between})/{first}*a1 + {slow}*a2",
        f"d/dt(a2) = ({between})/{first}*a1 - {slow}*a2",
        f"conc = a1/{first}",
        *(["unused = 0*Ka"] if case["id"] == "run302_nonmem" else []),
    ]
    size = {"tobramycin_monolix": "0.198*conc", "run302_nonmem": "sqrt(0.05)*conc"}
    error = {"sd": size.get(case["id"], "3.4 + 0.227*conc")}
    names = case.get("covariates") or case["covariate_table"]
    omega = case["omega"]
    return {
        "model": "case",
        "equations": "\n".join(lines),
        "covariates": {name: {} for name in names if name != "TIME"},
        "random": [
            {"of": f"e{i}", "variance": omega[i - 1][i - 1]}
            for i in range(1, len(omega) + 1)
        ],
        "outputs": {"conc": {"error": error}},
    }


def case_table(case):
    """Write a case's events and covariates as a table."""
    rows = [(t, a, a / d, 1, ".") for t, a, d in case["doses"]]
    rows += [(t, 0, 0, 0, y) for t, y in case["obs"]]
    table = pd.DataFrame(rows, columns=["TIME", "AMT", "RATE", "EVID", "DV"])
    table = table.sort_values(["TIME", "EVID"], kind="stable").assign(ID=1)
    if "covariates" in case:
        return table.assign(**case["covariates"])
    return table.merge(pd.DataFrame(case["covariate_table"]), on="TIME", how="left")


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    json.loads((CASES / "map_estimation_cases.json").read_text())["cases"]
    if CASES
    else [],
    ids=lambda case: case["id"],
)
def test_cases_of_map_estimation(case, tmp_path, note):
    path = tmp_path / "case.csv"
    case_table(case).to_csv(path, index=False)
    model = load_model(case_sheet(case))
    study = read_study(model, path)
    found = modes(model, study)
    eta = found.eta[0]
    values = {f"eta.e{i}": eta[i - 1] for i in range(1, len(eta) + 1)}
    inputs = model.typical() | values
    for name in case.get("covariates", {}):
        inputs[name] = float(case["covariates"][name])
    own = model.individual(inputs)
    for name, wanted in case["expected"].items():
        place = ("eta_CL", "eta_Vc", "eta_Ka")
        got = eta[place.index(name)] if name in place else float(own[name])
        # Of the published digits; testthat's tolerances are relative.
        gap = abs(got - wanted) / (abs(wanted) or 1.0)
        assert gap <= case["tolerance"][name], (name, got)
        again = case.get("independent_check", {}).get(name)
        if again is not None:
            note(f"MAP {case['id']}, checked elsewhere", abs(got / again - 1))
            assert got == pytest.approx(again, rel=1e-5)

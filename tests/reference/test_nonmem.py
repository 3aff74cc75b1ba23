"""NONMEM's own output, event record by event record.

The cases are collected from mrgsolve/nmtests, nlmixr2/nmtests and the supplement of
Le Louedec et al. (2021), doi 10.1002/psp4.12689; the collection's manifest holds the
equations, parameters, NONMEM versions and tolerances. It is not part of this
repository: `VTRIAL_REFERENCE` says where it lies.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest

from vtrial.dosing.table import read_events
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model, Output, Parameter
from vtrial.solver.prediction import predict
from vtrial.testing import reference_folder
from vtrial.types import Numerics

FOLDER = reference_folder("nonmem")
SUITES = (
    {
        s["suite"]: s
        for s in json.loads((FOLDER / "manifest.json").read_text())["suites"]
    }
    if FOLDER
    else {}
)
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no reference cases: set VTRIAL_REFERENCE to their folder"
)
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
DOSING = ("nmtests_dosing", "nlmixr2_dosing", "nmtests_ode", "nmtests_101")
QUICK = ("mapbayr_005", "mapbayr_206", "mapbayr_401", "mapbayr_921", "mapbayr_962")
MODELLED = {"BIOAV": "F", "LAGT": "lag", "RAT2": "rate", "DUR2": "duration"}
KINDS = {"F": "F", "ALAG": "lag", "R": "rate", "D": "duration"}


def made(name, lines, parameters, covariates, outputs):
    return Model(
        name,
        parse_model("\n".join(lines)),
        parameters=tuple(Parameter(k, float(v)) for k, v in parameters.items()),
        covariates=tuple(Covariate(c) for c in covariates),
        outputs=tuple(Output(o, o) for o in outputs),
    )


def tables(suite):
    return (pd.read_csv(FOLDER / suite / f"{f}.csv") for f in ("data", "nonmem"))


def predicted(suite, model, *, parameters=None, **how):
    events = read_events(
        FOLDER / suite / "data.csv",
        states=model.states or ("none",),
        covariates=[c.name for c in model.covariates],
    )
    numerics = Numerics(**how)
    table = predict(model, events, parameters=parameters, numerics=numerics)
    assert "STATUS" not in table
    return table


def worst(found, wanted, floor):
    return float(np.max(np.abs(found - wanted) / (np.abs(wanted) + floor)))


@pytest.mark.parametrize("method", ["auto", "matrix exponential", "explicit", "stiff"])
@pytest.mark.parametrize("suite", DOSING)
def test_dosing_records(suite, method, note):
    """Every kind of dose record, to the last of NONMEM's five digits."""
    data, nonmem = tables(suite)
    given = [name for name in MODELLED if name in data]
    lines = [f"{MODELLED[name]}(central) = {name}" for name in given]
    lines += [
        "d/dt(depot) = -KA*depot",
        "d/dt(central) = KA*depot - CL/V*central",
        "cp = central/(V/1000)",
    ]
    values = SUITES[suite]["model"]["parameters"]
    model = made(suite, lines, values, given, ["cp"])
    table = predicted(suite, model, method=method, **TIGHT)
    seen = data.EVID.isin([0, 2]).to_numpy()
    plain = (data.EVID[seen] == 0).to_numpy()
    wanted = nonmem.NM_CP.to_numpy()[seen]
    errors = {}
    for subject in data.ID.unique():
        here = plain & (subject == table.ID).to_numpy()
        floor = 1e-4 * np.abs(wanted[here]).max()
        errors[subject] = worst(table.cp.to_numpy()[here], wanted[here], floor)
    note(f"{suite}, {method}", max(errors.values()))
    assert max(errors.values()) < 1e-4, errors


def test_weight_that_changes_with_every_record(note):
    """Values of a record hold on the interval that ends at it."""
    suite = "nmtests_tvcov_wt"
    data, nonmem = tables(suite)
    lines = [
        "CL = 1.1*(WT/70)^0.75",
        "d/dt(depot) = -KA*depot",
        "d/dt(central) = KA*depot - CL/V*central",
        "cp = central/(V/1000)",
    ]
    model = made(suite, lines, {"V": 20, "KA": 1.5}, ["WT"], ["CL", "cp"])
    table = predicted(suite, model)
    wanted = nonmem[data.EVID.isin([0, 2])]
    error = worst(table.cp.to_numpy(), wanted.NM_CP.to_numpy(), 1e-2)
    note(suite, error)
    assert error < 1e-4
    assert worst(table.CL.to_numpy(), wanted.NM_CL.to_numpy(), 0.0) < 1e-4


@pytest.mark.parametrize(("suite", "closed"), [("claret_c001", 0), ("claret_c002", 1)])
def test_tumour_growth_inhibition(suite, closed, note):
    """As an equation that looks at the clock, and as algebra only."""
    data, nonmem = tables(suite)
    lines = ["d/dt(y) = KG*y - KS0*exp(-GAMMA*t)*log(DOSE)*y", "init(y) = BASE"]
    if closed:
        lines = ["y = BASE*exp(KG*t - KS0*log(DOSE)/GAMMA*(1 - exp(-GAMMA*t)))"]
    values = SUITES[suite]["model"]["parameters"]
    model = made(suite, lines, values, ["DOSE"], ["y"])
    table = predicted(suite, model, **TIGHT)
    wanted = nonmem.NM_Y.to_numpy()[data.EVID.isin([0, 2])]
    error = worst(table.y.to_numpy(), wanted, 0.0)
    note(suite, error)
    assert error < 1e-4


def population(name):
    """Write the model of a suite in our language, from the manifest's equations."""
    model = SUITES[name]["model"]

    def ours(text):
        return re.sub(r"\bT\b", "t", str(text)).replace("**", "^")

    lines = [f"{k} = {ours(v)}" for k, v in model["individual_parameters"].items()]
    for key, value in model["dosing_parameters"].items():
        kind, place = re.fullmatch(r"([A-Z]+)(\d)", key).groups()
        lines.append(f"{KINDS[kind]}(A{place}) = {ours(value)}")
    lines += [f"d/dt({k}) = {ours(v)}" for k, v in model["odes"].items()]
    for place, value in model["prediction_by_CMT"].items():
        lines.append(f"y{place} = {ours(value)}")
    etas = sorted(set(re.findall(r"ETA\d+", "\n".join(lines))))
    values = model["typical_values"] | dict.fromkeys(etas, 0.0)
    outputs = [f"y{place}" for place in model["prediction_by_CMT"]]
    return made(name, lines, values, model["covariates"], outputs), etas


@pytest.mark.parametrize(
    "suite",
    [
        pytest.param(s, marks=() if s in QUICK else pytest.mark.slow)
        for s in SUITES
        if s.startswith("mapbayr")
    ],
)
def test_population_and_individual_predictions(suite, note):
    """Nine digits, with random effects at zero and as NONMEM estimated them."""
    model, etas = population(suite)
    data, nonmem = tables(suite)
    modes = pd.read_csv(FOLDER / suite / "nonmem_ebe.csv")
    modes = modes.set_index("ID").loc[data.ID.unique()]
    seen = data.EVID.isin([0, 2]).to_numpy()
    plain = (data.MDV[seen] == 0).to_numpy()
    place = data.CMT[seen].to_numpy()[plain]
    is_log = SUITES[suite]["model"]["log_transformed"]
    for column, given in (
        ("NM_PRED", None),
        ("NM_IPRED", {eta: modes[eta].to_numpy() for eta in etas}),
    ):
        table = predicted(suite, model, parameters=given, **TIGHT)[plain]
        found = np.empty(len(table))
        for output in model.outputs:
            here = place == int(output.name[1:])
            found[here] = table[output.name].to_numpy()[here]
        wanted = nonmem[column].to_numpy()[seen][plain]
        error = worst(found, np.exp(wanted) if is_log else wanted, 1e-9)
        note(f"{suite}, {column}", error)
        assert error < 1e-6

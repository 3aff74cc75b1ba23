"""NONMEM's own output, event record by event record.

The cases are collected from mrgsolve/nmtests, nlmixr2/nmtests and the supplement of
Le Louedec et al. (2021), doi 10.1002/psp4.12689; the collection's manifest holds the
equations, parameters, NONMEM versions and tolerances. It is not part of this
repository: `VTRIAL_REFERENCE` says where it lies. Every suite of the manifest is run
from what stands there: equations, or the ADVAN and TRANS that stand for them.
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
MANIFEST = (
    json.loads((FOLDER / "manifest.json").read_text())
    if FOLDER
    else {"suites": [], "cases": []}
)
SUITES = {suite["suite"]: suite for suite in MANIFEST["suites"]}
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no reference cases: set VTRIAL_REFERENCE to their folder"
)
POPULATION = "population_PRED_IPRED_EBE"
QUICK = ("mapbayr_005", "mapbayr_206", "mapbayr_401", "mapbayr_921", "mapbayr_962")
METHODS = ("auto", "matrix exponential", "explicit", "stiff")
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
KINDS = {"F": "F", "ALAG": "lag", "R": "rate", "D": "duration"}
BODIES = {  # PREDPP's compartments by their micro constants
    "ADVAN1": {"A1": "-K*A1"},
    "ADVAN2": {"A1": "-KA*A1", "A2": "KA*A1 - K*A2"},
    "ADVAN3": {"A1": "-(K + K12)*A1 + K21*A2", "A2": "K12*A1 - K21*A2"},
    "ADVAN4": {
        "A1": "-KA*A1",
        "A2": "KA*A1 - (K + K23)*A2 + K32*A3",
        "A3": "K23*A2 - K32*A3",
    },
    "ADVAN10": {"A1": "-VM*A1/(KM + A1)"},
    "ADVAN11": {
        "A1": "-(K + K12 + K13)*A1 + K21*A2 + K31*A3",
        "A2": "K12*A1 - K21*A2",
        "A3": "K13*A1 - K31*A3",
    },
    "ADVAN12": {
        "A1": "-KA*A1",
        "A2": "KA*A1 - (K + K23 + K24)*A2 + K32*A3 + K42*A4",
        "A3": "K23*A2 - K32*A3",
        "A4": "K24*A2 - K42*A4",
    },
}
TRANSLATED = {  # TRANS: micro constants from clearances and volumes
    "ADVAN1 TRANS2": "K = CL/V",
    "ADVAN2 TRANS2": "K = CL/V",
    "ADVAN3 TRANS4": "K = CL/V1; K12 = Q/V1; K21 = Q/V2",
    "ADVAN4 TRANS4": "K = CL/V2; K23 = Q/V2; K32 = Q/V3",
    "ADVAN11 TRANS4": "K = CL/V1; K12 = Q2/V1; K21 = Q2/V2; K13 = Q3/V1; K31 = Q3/V3",
    "ADVAN12 TRANS4": "K = CL/V2; K23 = Q3/V2; K32 = Q3/V3; K24 = Q4/V2; K42 = Q4/V4",
}


def ours(text):
    """Write an expression of the manifest in our language."""
    return re.sub(r"\b(T|TIME)\b", "t", str(text)).replace("**", "^")


def is_number(value):
    return not isinstance(value, str) or re.fullmatch(r"[-+.\deE]+", value) is not None


def dynamics(suite):
    """Return equations of states: as the manifest has them, or from ADVAN and TRANS."""
    known = suite["model"]
    if "closed_form" in known:
        return []
    if "odes" not in known:
        body, trans = suite["subroutines"].split()
        lines = TRANSLATED.get(f"{body} {trans}", "").split("; ")
        return [*filter(None, lines), *rates(BODIES[body])]
    return rates(known["odes"])


def rates(equations):
    """Write derivatives, and initial values where a key is such as `A1(0)`."""
    lines = []
    for key, value in equations.items():
        begins = re.fullmatch(r"(\w+)\(0\)", key)
        target = f"init({begins[1]})" if begins else f"d/dt({key})"
        lines.append(f"{target} = {ours(value)}")
    return lines


def properties(suite, columns):
    """Write F, lag, rate and duration, from a table or from words (`F2 = BIOAV`)."""
    said = suite["model"].get("dosing_parameters", {})
    if isinstance(said, str):
        said = dict(re.findall(r"\b([A-Z]+\d+) = (\w+)", said))
        said = {key: name for key, name in said.items() if name in columns}
    lines = []
    for key, value in said.items():
        kind, place = re.fullmatch(r"([A-Z]+)(\d+)", key).groups()
        lines.append(f"{KINDS[kind]}(A{place}) = {ours(value)}")
    return lines


def observed(suite, states):
    """Return what is predicted, by the CMT that reads it or "" for all records."""
    known = suite["model"]
    if "prediction_by_CMT" in known:
        return {place: ours(text) for place, text in known["prediction_by_CMT"].items()}
    if "output" in known:
        return {"": ours(known["output"].split("=", 1)[1].strip())}
    return {"": ours(known.get("closed_form", states[-1] if states else ""))}


def build(suite, columns, also=()):
    """Write a suite's model; return it, its random effects, what records read.

    `also` are NONMEM's columns: a parameter among them is observed, too.
    """
    known = suite["model"]
    values = known.get("typical_values", {}) | known.get("parameters", {})
    numbers = {k: v for k, v in values.items() if is_number(v)}
    given = {k: v for k, v in values.items() if k not in numbers}
    given |= known.get("individual_parameters", {})
    lines = [f"{name} = {ours(text)}" for name, text in given.items()]
    lines += [*properties(suite, columns), *dynamics(suite)]
    states = re.findall(r"d/dt\((\w+)\)", "\n".join(lines))
    seen = observed(suite, states)
    lines += [f"seen{place} = {text}" for place, text in seen.items()]
    text = "\n".join(lines)
    etas = sorted(set(re.findall(r"\bETA\d+\b", text)))
    told = [name for name in columns if re.search(rf"\b{re.escape(name)}\b", text)]
    told = [name for name in told if name not in (*numbers, *given, *etas)]
    outputs = [f"seen{place}" for place in seen]
    outputs += [name for name in given if f"NM_{name}" in also]
    model = Model(
        suite["suite"],
        parse_model(text),
        parameters=tuple(
            Parameter(k, float(v))
            for k, v in (numbers | dict.fromkeys(etas, 0.0)).items()
        ),
        covariates=tuple(Covariate(name) for name in told),
        outputs=tuple(Output(name, name) for name in outputs),
    )
    return model, etas, seen


def tolerance(suite):
    """Return the relative tolerance, and the floor as a share of a case's peak."""
    said = suite.get("suggested_tolerance", {})
    if "rtol" in said:
        return float(said["rtol"]), 1e-4 if "atol" in said else 1e-6
    if "PRED_IPRED_given_eta" in said:
        words = said["PRED_IPRED_given_eta"]
        for number, run in re.findall(r"([\d.e-]+) for (\d+)", words):
            if suite["suite"].endswith(run):
                return float(number), 0.0
        return float(re.search(r"rtol ([\d.e-]+)", words)[1]), 0.0
    return 10.0 ** (1 - suite["significant_digits"]), 1e-6


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


def compare(suite, found, wanted, subjects):
    """Return the worst error of each subject, relative with a floor."""
    _, share = tolerance(suite)
    worst = {}
    for subject in dict.fromkeys(subjects):
        here = subjects == subject
        floor = share * np.abs(wanted[here]).max() + (1e-9 if share == 0 else 0.0)
        error = np.abs(found[here] - wanted[here]) / (np.abs(wanted[here]) + floor)
        worst[subject] = float(error.max())
    return worst


def read_at(table, seen, place):
    """Take from each record the output that its CMT reads."""
    found = np.empty(len(table))
    for cmt in seen:
        here = np.full(len(table), True) if cmt == "" else place == int(cmt)
        found[here] = table[f"seen{cmt}"].to_numpy()[here]
    return found


def tell(cell, suite, column, method, worst):
    """Fill the tables: by suite, and by what the cases are about."""
    row = f"{suite['suite']} (NONMEM {suite['nonmem_version']}), {method}"
    cell("suite", row, "subjects", len(worst))
    cell("suite", row, column, max(worst.values()))
    for case in MANIFEST["cases"]:
        if case["suite"] == suite["suite"] and case["id"] in worst:
            for feature in case.get("features", ()):
                cell("feature", feature, column, worst[case["id"]])


def by_kind(population):
    return [
        name for name, s in SUITES.items() if (s["kind"] == POPULATION) == population
    ]


@pytest.mark.parametrize("subroutines", TRANSLATED)
def test_subroutines_stand_for_equations(subroutines):
    """A suite may name its ADVAN and TRANS only; F, lag and the like may be words."""
    sides = re.findall(r"= (\w+)/(\w+)", TRANSLATED[subroutines])
    values = dict.fromkeys(["KA", *(name for side in sides for name in side)], 1.0)
    words = {
        "parameters": values,
        "output": "NM_CP = A1",
        "dosing_parameters": "F1 = BIOAV column, ALAG1 = LAGT column, D1 = DUR1",
    }
    suite = {"suite": "made-up", "subroutines": subroutines, "model": words}
    model, etas, seen = build(suite, ["ID", "TIME", "BIOAV", "LAGT"])
    places = [int(name[1:]) for name in model.states]
    assert places == list(range(1, len(BODIES[subroutines.split()[0]]) + 1))
    assert model.structure.compartments is not None
    assert [c.name for c in model.covariates] == ["BIOAV", "LAGT"]
    assert {s.kind for s in model.structure.properties} == {"F", "lag"}
    assert (etas, seen) == ([], {"": "A1"})


ASKED = [  # every method of one suite, the chosen one of all
    pytest.param(
        name,
        method,
        marks=[] if method == "auto" or name == "nmtests_dosing" else pytest.mark.slow,
    )
    for name in by_kind(False)
    for method in METHODS
]


@pytest.mark.parametrize(("name", "method"), ASKED)
def test_predictions(name, method, cell):
    """To the last of NONMEM's digits; dosing records by every method of our own."""
    suite = SUITES[name]
    if method != "auto" and suite["kind"] != "dosing_events":
        pytest.skip("other methods are held to the dosing records")
    data, nonmem = tables(name)
    model, _, seen = build(suite, data.columns, nonmem.columns)
    table = predicted(name, model, method=method, **TIGHT)
    shown = data.EVID.isin([0, 2]).to_numpy()
    plain = (data.EVID[shown] == 0).to_numpy()
    place = data.CMT[shown].to_numpy() if "CMT" in data else None
    subjects = data.ID[shown].to_numpy()[plain]
    column = suite.get("output_column") or suite["model"]["output"].split()[0]
    columns = {"PRED": (column, read_at(table, seen, place))}
    for output in model.outputs[len(seen) :]:
        columns[output.name] = f"NM_{output.name}", table[output.name].to_numpy()
    for label, (column, found) in columns.items():
        wanted = nonmem[column].to_numpy()[shown][plain]
        worst = compare(suite, found[plain], wanted, subjects)
        tell(cell, suite, label, method, worst)
        assert max(worst.values()) < tolerance(suite)[0], worst


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(s, marks=() if s in QUICK else pytest.mark.slow)
        for s in by_kind(True)
    ],
)
def test_population_and_individual_predictions(name, cell):
    """Nine digits, with random effects at zero and as NONMEM estimated them."""
    suite = SUITES[name]
    data, nonmem = tables(name)
    model, etas, seen = build(suite, data.columns)
    modes = pd.read_csv(FOLDER / name / "nonmem_ebe.csv")
    modes = modes.set_index("ID").loc[data.ID.unique()]
    shown = data.EVID.isin([0, 2]).to_numpy()
    plain = (data.MDV[shown] == 0).to_numpy()
    place = data.CMT[shown].to_numpy()[plain]
    subjects = data.ID[shown].to_numpy()[plain]
    for column, given in (
        ("NM_PRED", None),
        ("NM_IPRED", {eta: modes[eta].to_numpy() for eta in etas}),
    ):
        table = predicted(name, model, parameters=given, **TIGHT)[plain]
        wanted = nonmem[column].to_numpy()[shown][plain]
        wanted = np.exp(wanted) if suite["model"]["log_transformed"] else wanted
        worst = compare(suite, read_at(table, seen, place), wanted, subjects)
        tell(cell, suite, column.replace("NM_", ""), "auto", worst)
        assert max(worst.values()) < tolerance(suite)[0], worst

"""Models in words: complete, and the same as data."""

import json

import pytest

from vtrial.model.description import describe, describe_data
from vtrial.model.sheet import library, load_model, read_model
from vtrial.sheets.sheet import parse_sheet

JOINT = """\
model: words
time: d
covariates:
  WT: {title: weight, unit: kg}
parameters:
  A: {value: 2, rse: 10 %, source: {cite: Somebody 2020, note: unsure}}
  B: {value: -1, se: 0.5}
  C: {value: 3}
  D: {value: 4}
uncertainty:
  - {of: [C, D], covariance: [[0.04], [0.01, 0.04]]}
random:
  - {of: [X, Y], covariance: [[0.04], [0.01, 0.04]], level: occasion}
equations: |
  r = A + B*t + C*tad + D*WT + eta.X + eta.Y + LOST0
  LOST = r
outputs:
  y: {equals: LOST, unit: mg, error: {additive: 1, proportional: 20 %}, lloq: 0.1}
"""


def test_everything_is_said():
    model = read_model(parse_sheet(JOINT.replace(" + LOST0", "")))
    said = describe(model)
    for words in (
        "time in h; the sheet's in d",
        "r = A + B*(t/24) + C*(tad/24) + D*WT + eta.X + eta.Y",
        "rse 10 %",
        "Somebody 2020 (unsure)",
        "se 0.5",
        "corr(D, C) = 0.25",
        "corr with X 0.25",
        "between occasions",
        "proportional error 20 % and additive error 1 mg",
        "quantified from 0.1 mg",
        "No states",
        "y is read from nothing; behind it are A, B, C, D, WT, eta.X, eta.Y, the time",
    ):
        assert words in said, said


def test_theophylline_is_described():
    said = describe(load_model("theophylline"))
    assert "Shape: one compartment, first-order absorption" in said
    assert "d/dt(central) = KA*depot - CL/V*central" in said
    assert "depot    c ." in said
    assert "central  c c" in said
    assert "rse 19.5 %" in said
    assert "CV 71.1 % if log-normal" in said


@pytest.mark.parametrize("name", library())
def test_data_is_json_and_agrees(name):
    model = load_model(name)
    data = json.loads(json.dumps(describe_data(model), allow_nan=False))
    assert data["analysis"]["states"] == list(model.states)
    assert [p["name"] for p in data["parameters"]] == [p.name for p in model.parameters]
    assert data["analysis"]["linear"] == list(model.structure.linear)
    assert data["sources"], "every library model has a source"
    assert all(line in describe(model) for line in data["equations"])

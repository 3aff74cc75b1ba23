"""A Python function gives the same Model as the equal sheet."""

import math

import numpy as np
import pytest

import vtrial as vt
from vtrial.errors import ModelError
from vtrial.model.definition import define
from vtrial.model.sheet import load_model, read_model
from vtrial.sheets.sheet import parse_sheet

SHEET = """\
model: mine
title: Everything once
source:
  - {cite: "Somebody 2020"}
time: d
covariates:
  WT: {unit: kg, typical: 70}
parameters:
  tvCL: {value: 5.0, unit: L/d, rse: 8 %}
  V: {value: 50, unit: L}
random:
  - {of: CL, cv: 30 %}
equations: |
  CL = tvCL * (WT/70)^0.75 * exp(eta.CL)
  big = if(WT > 90 and not (WT >= 150), -1*WT, max(WT, 3, 2))
  other = abs(-big) + mod(WT, 7) - (2 - WT)/2^WT + (WT == 1) + (WT != 3 or WT < 2)
  d/dt(depot) = -V*depot
  d/dt(central) = depot - CL/V*central + 0*tad*t
  init(central) = 1
  F(depot) = 0.5
  lag(depot) = 0.25
  rate(central) = 10
  duration(central) = +2
  conc = central/V + 0*other
outputs:
  conc: {unit: mg/L, error: {log: 0.2}}
nonnegative: [central]
"""


def test_same_model_as_the_sheet():
    @define(
        name="mine",
        title="Everything once",
        source=[{"cite": "Somebody 2020"}],
        time="d",
        covariates={"WT": {"unit": "kg", "typical": 70}},
        parameters={
            "tvCL": {"value": 5.0, "unit": "L/d", "rse": "8 %"},
            "V": {"value": np.float64(50), "unit": "L"},
        },
        random=[{"of": "CL", "cv": "30 %"}],
        outputs={"conc": {"unit": "mg/L", "error": {"log": 0.2}}},
        nonnegative=("central",),
    )
    def mine(m):
        m.CL = m.tvCL * (m.WT / 70) ** 0.75 * m.exp(m.eta.CL)
        m.big = m.if_(
            (m.WT > 90) & ~(m.WT >= 150), -1 * m.WT, m.max(m.WT, 3, np.int64(2))
        )
        m.other = (
            abs(-m.big)
            + m.WT % 7
            - (2 - m.WT) / 2**m.WT
            + (m.WT == 1)
            + ((m.WT != 3) | (m.WT < 2))
        )
        m.ddt.depot = -m.V * m.depot
        m.ddt.central = m.depot - m.CL / m.V * m.central + 0 * m.tad * m.t
        m.init.central = 1
        m.F.depot = 0.5
        m.lag.depot = 0.25
        m.rate.central = 10
        m.duration.central = +2
        m.conc = m.central / m.V + 0 * m.other

    sheet = read_model(parse_sheet(SHEET))
    assert mine.statements == sheet.statements
    assert mine == sheet
    assert mine.digest == sheet.digest
    assert read_model(parse_sheet(mine.text)) == sheet, "its text is its sheet"


def test_library_model_as_a_function():
    wanted = load_model("theophylline")

    @vt.model.define(
        name="theophylline",
        title=wanted.title,
        source=[{"cite": s.cite, "url": s.url, "note": s.note} for s in wanted.sources],
        parameters={
            p.name: {
                "value": p.value,
                "unit": p.unit,
                "rse": round(p.error / p.value, 6),
                "title": p.title,
            }
            for p in wanted.parameters
        },
        random=[
            {"of": "KA", "cv": "71.1 %"},
            {"of": "CL", "cv": "27.4 %"},
            {"of": "V", "cv": "13.1 %"},
        ],
        outputs={
            "conc": {
                "title": "plasma concentration",
                "unit": "mg/L",
                "error": {"additive": 0.696},
            }
        },
    )
    def theophylline(m):
        m.KA = m.tvKA * m.exp(m.eta.KA)
        m.CL = m.tvCL * m.exp(m.eta.CL)
        m.V = m.tvV * m.exp(m.eta.V)
        m.ddt.depot = -m.KA * m.depot
        m.ddt.central = m.KA * m.depot - m.CL / m.V * m.central
        m.conc = m.central / m.V

    assert theophylline.statements == wanted.statements
    assert theophylline.digest == wanted.digest


def defined(function, **more):
    sections = {"parameters": {"CL": {"value": 1.0}}, "outputs": {"x": {}}} | more
    with pytest.raises(ModelError) as caught:
        define(name="wrong", **sections)(function)
    return caught.value.faults


def test_faults_have_the_line_of_the_python_file():
    def wrong(m):
        m.ddt.x = -m.CLL * m.x
        m.exp = 1

    first, second = defined(wrong)
    line = wrong.__code__.co_firstlineno
    assert (first.line, second.line) == (line + 1, line + 2)
    assert first.source == second.source == __file__
    assert first.write == "CL"


def test_faults_of_the_other_sections_have_none():
    def right(m):
        m.ddt.x = -m.CL * m.x

    (fault,) = defined(right, parameters={"CL": {"value": "much"}})
    assert (fault.at, fault.line) == ("parameters.CL.value", 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (lambda m: math.exp(m.CL), "m.exp(...), not math.exp(...)"),
        (lambda m: m.CL if m.CL > 1 else 2, "m.if_(condition, a, b)"),
        (lambda m: 1 < m.CL < 2, "m.if_(condition, a, b)"),
        (lambda m: m.CL + "a", "a str (`a`)"),
        (lambda m: m.CL * float("nan"), "a float (`nan`)"),
        (lambda m: m.CL + True, "a bool"),
        (lambda m: m.exp(1, 2), "`exp` with 2 arguments"),
    ],
)
def test_what_is_no_equation_is_refused(line, words):
    def wrong(m):
        m.x = line(m)

    faults = defined(wrong)
    assert words in str(faults[0])
    assert faults[0].source == __file__

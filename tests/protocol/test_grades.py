"""Grades of laboratory values: which limits, in which unit, and what is refused."""

from pathlib import Path

import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol import build_protocol
from vtrial.protocol.ctcae import FIXED, GRADES, ULN
from vtrial.sheets.sheet import parse_sheet

SHEET = """
protocol: laboratory
model: made
cohort: adults
subjects: 10
arms: {all: {}}
visits: {blood: {at: day 0, measure: [lab]}}
endpoints: {worst: {of: lab, take: maximum, GIVEN}}
"""
MODEL = """
model: made
equations: y = 1
outputs: {{lab: {{equals: y, unit: {unit}, error: {{additive: 1}}}}}}
"""


def read(given, unit, folder):
    (folder / "made.yaml").write_text(MODEL.format(unit=unit))
    source = str(folder / "x.yaml")
    text = SHEET.replace("GIVEN", given)
    return build_protocol(parse_sheet(text, source=source)).endpoints[0].grades


def test_limits_go_one_way_and_repeat_only_where_a_grade_has_no_numbers():
    for name, known in GRADES.items():
        for limits in known.values():
            assert len(limits) in (3, 4)
            falling = sorted(limits, reverse=True) == list(limits)
            assert falling or sorted(limits) == list(limits)
            twice = len(set(limits)) < len(limits)
            assert twice == (name in ("hypokalaemia", "hypermagnesaemia"))
        if ULN in known:
            assert known[ULN][0] == 1.0


@pytest.mark.parametrize(
    ("given", "unit", "limits"),
    [
        ("grades: neutrophils", "1e9/L", (2.0, 1.5, 1.0, 0.5)),
        ("grades: neutrophils, lower limit: 1.8", "1e9/L", (1.8, 1.5, 1.0, 0.5)),
        ("grades: haemoglobin", "g/dL", (12.0, 10.0, 8.0)),
        ("grades: hypoglycaemia", "mg/dL", (70.0, 55.0, 40.0, 30.0)),
        ("grades: hypoglycaemia", "umol/L", (3900.0, 3000.0, 2200.0, 1700.0)),
        ("grades: hypercalcaemia", "mg/L", (105.0, 115.0, 125.0, 135.0)),
        ("grades: hyperkalaemia, upper limit: 5.1", "mmol/L", (5.1, 5.5, 6.0, 7.0)),
        ("grades: ALT, upper limit: 40 U/L", "U/L", (40.0, 120.0, 200.0, 800.0)),
        ("grades: ALP, upper limit: 0.1 U/mL", "U/L", (100.0, 250.0, 500.0, 2000.0)),
        ("grades: creatinine, upper limit: 1 mg/dL", "mg/L", (10.0, 15.0, 30.0, 60.0)),
        ("grades: bilirubin, upper limit: 1", "1", (1.0, 1.5, 3.0, 10.0)),
        ("grades: INR", "1", (1.2, 1.5, 2.5)),
    ],
)
def test_limits_are_in_the_unit_of_what_is_taken(given, unit, limits, tmp_path):
    assert read(given, unit, tmp_path) == pytest.approx(limits)


@pytest.mark.parametrize(
    ("given", "unit", "where", "write"),
    [
        ("grades: ALT", "U/L", "upper limit", ""),
        ("grades: ALT, lower limit: 5", "U/L", "lower limit", ""),
        ("grades: ALT, upper limit: 40 mg", "U/L", "upper limit", ""),
        ("grades: INR, upper limit: 1.2", "1", "upper limit", ""),
        ("upper limit: 40", "U/L", "upper limit", ""),
        ("grades: [1, 2], lower limit: 40", "U/L", "lower limit", ""),
        (
            "grades: hypokalaemia, lower limit: 2.9",
            *("mmol/L", "lower limit", ""),
        ),
        (
            "grades: hyperkalaemia, upper limit: 6",
            *("mmol/L", "upper limit", ""),
        ),
        ("grades: hyperkalaemia", "mg/L", "grades", ""),
        ("grades: hyperkalemia", "mmol/L", "grades", "hyperkalaemia"),
    ],
)
def test_what_cannot_be_graded_is_refused(given, unit, where, write, tmp_path):
    with pytest.raises(ProtocolError) as refused:
        read(given, unit, tmp_path)
    faults = {fault.at: fault for fault in refused.value.faults}
    assert faults[f"endpoints.worst.{where}"].write == write
    assert len(faults) == 1 + given.count("ALT, lower")


def test_the_page_names_every_laboratory_value():
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    for name in GRADES:
        assert f"`{name}`" in page
    assert set(FIXED) <= set(GRADES)

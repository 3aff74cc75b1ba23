"""Formulas give the numbers of the literature, whatever units a sheet is in."""

import pytest

from vtrial.cohort.formula import FORMULAS, expression_of, formula
from vtrial.errors import UnitError
from vtrial.model.tree import evaluate
from vtrial.units import is_unit


def compute(name, author="", *, units=None, **values):
    found = formula(name, author)
    assert found is not None
    return float(evaluate(expression_of(found, units or {}), values))


def test_body_size():
    assert compute("BMI", WT=70.0, HT=175.0) == pytest.approx(22.857, abs=1e-3)
    # Both formulas give 1.8 m2 for 70 kg and 170 cm (Mosteller 1987, worked by hand).
    assert compute("BSA", WT=70.0, HT=170.0) == pytest.approx(1.810, abs=1e-3)
    assert compute("BSA", "Mosteller", WT=70.0, HT=170.0) == pytest.approx(
        1.818, abs=1e-3
    )


def test_fat_free_mass_of_the_standard_man():
    """A man of 70 kg and 1.76 m has 56.1 kg (Holford NHG, Anderson BJ. 2017)."""
    man = compute("FFM", WT=70.0, HT=176.0, FEMALE=0.0)
    woman = compute("FFM", WT=70.0, HT=176.0, FEMALE=1.0)
    assert man == pytest.approx(56.1, abs=0.05)
    assert woman == pytest.approx(9270 * 70 / (8780 + 244 * 22.598), rel=1e-4)


def test_creatinine_clearance():
    """At 72 kg and 1 mg/dL it is 140 less the age; 15 % lower in women."""
    man = compute("CRCL", AGE=60.0, WT=72.0, SCR=1.0, FEMALE=0.0)
    woman = compute("CRCL", AGE=60.0, WT=72.0, SCR=1.0, FEMALE=1.0)
    assert (man, woman) == (pytest.approx(80.0), pytest.approx(68.0))


def test_units_of_the_sheet_are_converted():
    """1 mg/dL of creatinine is 88.4 umol/L."""
    clearance = compute(
        "CRCL",
        units={"SCR": "umol/L", "WT": "g"},
        AGE=60.0,
        WT=72_000.0,
        SCR=88.4,
        FEMALE=0.0,
    )
    assert clearance == pytest.approx(80.0, rel=1e-4)
    assert compute("BMI", units={"HT": "m"}, WT=70.0, HT=1.75) == pytest.approx(
        22.857, abs=1e-3
    )


def test_a_unit_that_does_not_convert_is_refused():
    with pytest.raises(UnitError, match="HT is in `kg`"):
        compute("BMI", units={"HT": "kg"}, WT=70.0, HT=175.0)


@pytest.mark.parametrize("entry", FORMULAS, ids=lambda f: f"{f.name} {f.author}")
def test_every_formula_has_units_and_a_source(entry):
    assert is_unit(entry.unit)
    assert all(is_unit(unit) for _, unit in entry.needs)
    assert entry.source.cite
    assert formula(entry.name, entry.author) is entry

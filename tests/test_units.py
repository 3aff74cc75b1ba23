"""Units of the clinic convert; what is no unit is refused at once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrial import units
from vtrial.errors import UnitError
from vtrial.units import (
    COMMON,
    Dimension,
    compatible,
    dimension,
    factor,
    hours,
    is_unit,
    quantity,
)


@pytest.mark.parametrize(
    ("unit", "to", "wanted"),
    [
        ("mg", "g", 1e-3),
        ("ug/mL", "mg/L", 1.0),
        ("mcg", "ug", 1.0),
        ("1e9/L", "1/uL", 1e3),
        ("10^9/L", "10*9/L", 1.0),
        ("x10^9/L", "1e9/L", 1.0),
        ("10*3/uL", "1e9/L", 1.0),
        ("cells/uL", "1/mL", 1e3),
        ("d", "h", 24.0),
        ("weeks", "d", 7.0),
        ("1/d", "1/h", 1 / 24),
        ("h^-1", "1/h", 1.0),
        ("L/h/kg", "mL/min/kg", 1000 / 60),
        ("mg*h/L", "h.mg/L", 1.0),
        ("mg·h/L", "mg*h/L", 1.0),
        ("mL/min/1.73m2", "mL/min", 1.0),
        ("mL/min/1.73 m^2", "L/h", 0.06),
        ("IU/L", "mIU/mL", 1.0),
        ("%", "1", 0.01),
        ("µmol/L", "umol/L", 1.0),
        ("kg/m^2", "g/cm2", 0.1),
        ("mg/m²", "mg/m2", 1.0),
        ("1/uM", "L/mol", 1e6),
        ("nM/h", "nmol/L/h", 1.0),
        ("cells", "1", 1.0),
        ("percent", "1", 0.01),
    ],
)
def test_factor(unit, to, wanted):
    assert factor(unit, to) == pytest.approx(wanted, rel=1e-12)


def test_moles_need_a_molar_mass():
    # docetaxel, 807.88 g/mol
    assert factor("mg/L", "umol/L", molar_mass=807.88) == pytest.approx(1000 / 807.88)
    assert factor("umol", "mg", molar_mass=807.88) == pytest.approx(0.80788)
    with pytest.raises(UnitError, match="umol"):
        factor("mg/L", "umol/L")
    with pytest.raises(UnitError):
        factor("mg", "umol/L", molar_mass=100.0)


@pytest.mark.parametrize("unit", COMMON)
def test_common_units_are_units(unit):
    assert is_unit(unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mgg",
        "3 mo",
        "9**9**9**9",
        "m**9**9**9",
        "100.mg",
        "mg mg",
        "1e999999999",
        "m9999/L",
        "a" * 99,
    ],
)
def test_what_is_no_unit_is_refused_at_once(text):
    assert not is_unit(text)


def test_a_month_is_the_mean_one_of_ucum():
    assert hours("3 months") == hours("3 mo") == 3 * 30.4375 * 24


def test_a_slip_is_no_other_unit_and_a_word_is_its_sign():
    with pytest.raises(UnitError, match="such as mg/L") as caught:
        factor("mgg/L", "mg/L")
    assert not caught.value.faults[0].write, "one letter makes another unit"
    with pytest.raises(UnitError, match="Write `mg/L`"):
        factor("milligrams per litre", "mg/L")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("21 d", 504.0),
        ("1.5h", 1.5),
        ("90 min", 1.5),
        ("30 min", 0.5),
        ("10 min", 1 / 6),
        ("1 s", 1 / 3600),
        ("2 weeks", 336.0),
        ("0 h", 0.0),
    ],
)
def test_hours_are_exact(text, wanted):
    assert hours(text) == wanted


@pytest.mark.parametrize("text", ["21", "mg", "3 mg", "", "d"])
def test_what_is_no_duration(text):
    with pytest.raises(UnitError):
        hours(text)


def test_quantity():
    assert quantity(" 60 mg/m2 ") == (60.0, "mg/m2")
    assert quantity("-1.5e-3") == (-1.5e-3, "1")


def test_dimensions_are_a_group():
    volume = dimension("L")
    assert dimension("L/h") == volume / dimension("d")
    assert volume**0.5 * volume**0.5 == volume
    assert volume / volume == Dimension()
    assert str(dimension("L/h")) == "[length]^3/[time]"
    assert compatible("mg/L", "g/mL")
    assert not compatible("mg", "mmol")


@given(st.text(max_size=40))
def test_no_text_does_anything_but_fail(text):
    try:
        value, unit = quantity(text)
    except UnitError:
        return
    assert isinstance(value, float)
    assert is_unit(unit)


@pytest.mark.slow
def test_the_table_says_what_the_registry_says():
    """All of it: it is made by `python -m tests.unit_table`."""
    table = json.loads(units.TABLE.read_text())
    assert len(table) > 1500
    assert {units.translated(unit) for unit in COMMON} <= set(table)
    for code, (size, exponents) in table.items():
        found, kind = units.computed(code)
        assert found == pytest.approx(size, rel=1e-14), code
        assert dict(kind.exponents) == exponents, code


@pytest.mark.parametrize("unit", ["foo/L", "mgg", "tablets", "mg/dl/x", "kgs"])
def test_what_is_no_unit_needs_no_registry(monkeypatch, unit):
    monkeypatch.setattr(units, "_registry", lambda: pytest.fail("made"))
    with pytest.raises(UnitError):
        dimension(unit)


def test_what_is_in_the_table_needs_no_registry(monkeypatch):
    monkeypatch.setattr(units, "_registry", lambda: pytest.fail("made"))
    units._read.cache_clear()
    assert factor("mg/kg/h", "ug/kg/min") == pytest.approx(1000 / 60)
    with pytest.raises(pytest.fail.Exception):
        is_unit("mg3/kg5")

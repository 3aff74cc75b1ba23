"""Numbers with units are brought to the unit where they are used."""

import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol.values import difference_in, number_in, share_in


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        (0.5, "1e9/L", 0.5),
        ("0.5", "1e9/L", 0.5),
        ("0.5 1e9/L", "1e9/L", 0.5),
        ("500 ug/L", "mg/L", 0.5),
        ("2 d", "h", 48),
        ("-30 %", "%", -30),
        ("-30", "%", -30),
        ("3", "1", 3),
    ],
)
def test_number_in(value, unit, number):
    assert number_in(value, unit) == pytest.approx(number)


def test_moles_and_grams_meet_over_the_molar_mass():
    assert number_in("808 ug/L", "umol/L", molar_mass=808.0) == pytest.approx(1)


@pytest.mark.parametrize("value", ["1 kg", "much", "", "1 mg/L/L", "1 2"])
def test_number_refused(value):
    with pytest.raises(ProtocolError) as caught:
        number_in(value, "mg/L")
    (fault,) = caught.value.faults
    assert "mg/L" in fault.allowed or "a number" in fault.allowed
    assert not fault.write, "no unit is put in the place of another"


@pytest.mark.parametrize(
    ("value", "share"), [("75.4 %", 0.754), (0.754, 0.754), ("0.754", 0.754), (1.0, 1)]
)
def test_share_in(value, share):
    assert share_in(value) == pytest.approx(share)


def test_share_over_one_was_meant_in_percent():
    with pytest.raises(ProtocolError) as caught:
        share_in(75.4)
    assert caught.value.faults[0].write == "75.4 %"


@pytest.mark.parametrize(
    ("value", "number"), [("5 pp", 0.05), ("-5 %", -0.05), (0.05, 0.05), ("5pp", 0.05)]
)
def test_difference_in(value, number):
    assert difference_in(value) == pytest.approx(number)


def test_difference_refused():
    with pytest.raises(ProtocolError):
        difference_in("5 mg")

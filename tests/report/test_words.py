"""Numbers with the digits they deserve, units as print has them, times as said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrial.report.words import (
    amount,
    clock,
    count,
    decimals,
    duration,
    error_words,
    fixed,
    interval,
    link,
    listing,
    moments,
    number,
    slug,
    unit_words,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (-0.00001234, "−1.23 × 10⁻⁵"),
        (0.0012345, "0.00123"),
        (3.0, "3"),
        (99.96, "100"),
        (123456.0, "123,456"),
        (6.02e23, "6.02 × 10²³"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_numbers_have_significant_digits(value, words):
    assert number(value) == words


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_is_within_half_a_digit_of_its_words(value):
    words = number(float(value))
    plain = words.replace(",", "").replace("−", "-")
    if "×" in plain:
        head, tail = plain.split(" × 10")
        raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        plain = f"{head}e{tail.translate(raised)}"
    assert float(plain) == pytest.approx(float(value), rel=5.1e-3)


def test_minus_zero_is_zero():
    assert fixed(-0.001, 2) == "0.00"
    assert fixed(-0.001, 2, trim=True) == "0"


@pytest.mark.parametrize(
    ("value", "error", "kind", "places"),
    [
        (0.754, 0.02, "share", 0),
        (0.754, 0.0023, "share", 1),
        (0.754, math.nan, "share", 1),
        (0.194, 1e-9, "points", 1),
        (12.3, 0.52, "plain", 1),
        (12.3, 0.0012, "plain", 2),
        (123.4, 20.0, "plain", 0),
        (1.5, 0.0, "plain", 2),
        (0.0, 0.013, "plain", 2),
        (0.754, 0.2, "share", 0),
        (math.nan, 0.1, "plain", 0),
    ],
)
def test_monte_carlo_errors_rule_the_decimals(value, error, kind, places):
    assert decimals(value, error, kind) == places


def test_amounts_carry_their_unit():
    assert amount(0.0, 0.0, "plain", "mg/L") == "0.00\u202fmg/L"
    assert amount(5.2, 0.03, "plain", "1e9/L") == "5.20 × 10⁹/L"
    assert amount(-0.034, 0.001, "points") == "−3.4\u202fpp"
    assert amount(-0.034, 0.01, "points") == "−3\u202fpp"
    assert amount(2.5e-9, 1e-10, "plain", "g") == "2.5 × 10⁻⁹\u202fg"
    assert amount(math.nan, 1.0, "share") == "–"
    assert error_words(0.00234, "share") == "0.23\u202fpp"


def test_intervals():
    assert interval(0.7, 0.8, "share") == "70.0 to 80.0\u202f%"
    assert interval(0.7, 0.8, "share", error=0.013) == "70 to 80\u202f%"
    assert interval(-2.04, 31.2, "plain", "h", error=0.2) == "−2.0 to 31.2\u202fh"
    assert interval(-1.0, 12.0) == "−1.0 to 12.0"
    assert interval(math.nan, 1.0) == "–"
    assert interval(0.0, 1e-7) == "0 to 1 × 10⁻⁷"


def test_counts():
    assert count(105400) == "105,400"
    assert count(2.5) == "2.5"
    assert count(math.nan) == "–"


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("mg/m2", "mg/m²"),
        ("ug/mL", "µg/mL"),
        ("uU/mL", "µU/mL"),
        ("L/h", "L/h"),
        ("1e9/L", "10⁹/L"),
        ("mg.h/L", "mg·h/L"),
        ("%", "%"),
        ("", ""),
    ],
)
def test_units_as_print_has_them(unit, words):
    assert unit_words(unit) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0.0, "0 h"),
        (0.25, "0.25 h"),
        (24.0, "24 h"),
        (72.0, "3 d"),
        (50.0, "50 h"),
        (100 * 168.0, "100 wk"),
    ],
)
def test_durations(hours, words):
    assert duration(hours) == words


def test_moments():
    assert moments([]) == "never"
    assert moments([0.0]) == "0 h"
    assert moments([312.0, 313.0, 314.0]) == "312, 313 and 314 h"
    many = moments([float(k * k) for k in range(40)])
    assert many.endswith("… 1521 h (40 times)") or "1,521 h (40 times)" in many


@pytest.mark.parametrize(
    ("times", "unit", "words"),
    [
        ([11424.0], "wk", "week 68"),
        ([11424.0], "d", "day 476"),
        ([11424.0], "", "day 476"),
        ([0.0, 84.0], "wk", "week 0 and 0.5"),
        ([0.0, 24.0], "wk", "0 and 24 h"),
        ([336.0], "h", "336 h"),
    ],
)
def test_moments_are_counted_as_the_sheet_does(times, unit, words):
    assert moments(times, unit=unit) == words


@pytest.mark.parametrize(
    ("hours", "unit", "name", "step"),
    [
        (72 * 168.0, "wk", "weeks", 12),
        (72 * 168.0, "d", "days", 84),
        (504.0, "wk", "weeks", 0.5),
        (4.0, "d", "h", 1),
        (504.0, "h", "h", 72),
    ],
)
def test_time_axes_count_as_the_sheet_does(hours, unit, name, step):
    chosen = clock(hours, unit)
    assert (chosen.name, chosen.step) == (name, step)


@pytest.mark.parametrize(
    ("hours", "name", "step"),
    [
        (12.0, "h", 2),
        (48.0, "h", 6),
        (504.0, "days", 7),
        (3024.0, "days", 21),
        (72 * 168.0, "weeks", 12),
        (10 * 8766.0, "years", 2),
    ],
)
def test_time_axes_suit_their_span(hours, name, step):
    chosen = clock(hours)
    assert (chosen.name, chosen.step) == (name, step)


def test_links_are_safe():
    assert link("https://doi.org/10.1/x") == "https://doi.org/10.1/x"
    assert link("", "http://example.org/a") == "http://example.org/a"
    assert link('10.1/"><script>') == ""
    assert link("", "data:text/html,x") == ""
    assert link("") == ""


def test_lists_and_file_names():
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert slug("Above 5 mg/L, ../etc") == "above-5-mg-l-etc"
    assert slug("µ²") == "x"

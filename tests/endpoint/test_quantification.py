"""Values below the limit of quantification, by every rule, against closed forms.

The profile falls by half each hour: 8, 4, 2, 1 mg/L at 1 to 4 h. The limit is 1 mg/L;
what is before 1 h and behind 4 h is below it and stands in the record as 0.5.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import outcomes

TIME = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
VALUE = np.array([0.5, 8.0, 4.0, 2.0, 1.0, 0.5, 0.5])
FALL = 1 / np.log(2)


def number(take, rule, value=VALUE, *, end=np.inf):
    endpoint = Endpoint(
        *("x", "conc", take, 0.0, end), lloq=1.0, below_quantification=rule
    )
    made = outcomes(endpoint, jnp.asarray(TIME)[None], jnp.asarray(value)[None])
    return float(made.outcome[0])


@pytest.mark.parametrize(
    ("rule", "take", "right"),
    [
        ("zero before first", "AUC last", 4 + 7 * FALL),
        ("zero before first", "AUC infinity", 4 + 8 * FALL),
        ("zero before first", "half-life", 1.0),
        ("zero before first", "extrapolated share", 100 * FALL / (4 + 8 * FALL)),
        ("zero before first", "area", 14.5),
        ("zero before first", "maximum", 8.0),
        ("zero before first", "time of maximum", 1.0),
        ("zero before first", "minimum", 0.0),
        ("zero before first", "mean", 3.0),
        ("drop", "AUC last", 7 * FALL),
        ("drop", "area", 10.5),
        ("drop", "minimum", 1.0),
        ("drop", "half-life", 1.0),
        # Time runs from the dose, though the first value is of 1 h.
        ("drop", "mean residence time", 1 + FALL),
        ("LLOQ/2", "AUC last", 4.25 + 7.5 * FALL + 0.5),
        ("LLOQ/2 once", "AUC last", 4 + 7.5 * FALL),
        ("LLOQ/2 once", "half-life", 1.0),
        ("LLOQ/2 once", "area", 14.5 + 0.75),
        ("zero", "AUC last", 4 + 7 * FALL),
        ("zero", "area", 15.0),
        ("zero", "mean", 15 / 7),
    ],
)
def test_each_rule_has_its_own_number(rule, take, right):
    assert number(take, rule) == pytest.approx(right, rel=1e-12)


def test_what_is_between_quantified_values_is_left_out():
    value = np.array([0.5, 8.0, 4.0, 0.5, 1.0, 0.5, 0.5])
    assert number("AUC last", "zero before first", value) == pytest.approx(4 + 7 * FALL)
    assert number("area", "LLOQ/2 once", value) == pytest.approx(
        4 + 6 + 2.25 + 0.75 + 0.75
    )


def test_an_interval_ends_by_the_terminal_rate_where_its_end_is_below():
    right = 4 + 8 * FALL * (1 - 2.0**-5)
    found = number("AUC tau", "zero before first", end=6.0)
    assert found == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "right"), [("zero before first", 0.0), ("LLOQ/2", 0.5), ("drop", np.nan)]
)
def test_nobody_is_quantified(rule, right):
    none = np.full(7, 0.5)
    np.testing.assert_equal(number("maximum", rule, none), right)
    assert np.isnan(number("half-life", rule, none))

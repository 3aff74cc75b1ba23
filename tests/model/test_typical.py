"""What is no number for the typical subject is told from the equations alone."""

import math

import numpy as np
import pytest

from vtrial.model.grammar import parse_expression, parse_model
from vtrial.model.model import Covariate, Model, Parameter
from vtrial.model.tree import FUNCTIONS, evaluate
from vtrial.model.typical import (
    Typical,
    more_than_whole,
    property_faults,
    typical_of,
)


def found(text, **parameters):
    model = Model(
        "m",
        parse_model(text),
        parameters=tuple(Parameter(k, float(v)) for k, v in parameters.items()),
        covariates=(Covariate("WT"),),
    )
    return typical_of(model)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y = t/V", "`t/V`, a division by `V`, which is 0"),
        ("K = A/V\nd/dt(x) = -K*x", "a division by `V`"),
        ("d/dt(x) = -A/(B - 2)*x", "a division by `B - 2`, which is 0"),
        ("y = log(V - 1)*t", "`log(V - 1)`, which is no number"),
        ("y = sqrt(-A)", "which is no number"),
        ("y = (V - 1)^0.5", "which is no number"),
        ("y = if(V == 0, A/V, 1)", "a division by `V`"),
        ("y = mod(t, A) + mod(A, V)", "which is no number"),
    ],
)
def test_what_is_no_number_is_told_where_it_arises(text, words):
    faults = found(text, V=0, A=3, B=2).faults
    assert len(faults) == 1
    assert words in faults[0].found
    assert faults[0].line == 1


@pytest.mark.parametrize(
    "text",
    [
        "y = t/A",
        "y = if(V > 0, A/V, 0)",
        "y = if(t > 1, A/V, 0)",  # whether it is taken is not known
        "y = A/WT",  # nobody's weight is known
        "y = exp(-A*log(V))",
        "y = exp(800*A)",
        "d/dt(x) = -A*x/(x + V)",
        "y = V^0 + V^2 + A^(-1)",
        "x = A/(A + V)\ny = log(x)/t",
    ],
)
def test_what_may_be_a_number_is_left_alone(text):
    assert found(text, V=0, A=3).faults == []


def test_doses_that_nobody_can_have():
    text = (
        "lag(x) = A\nF(x) = A\nrate(x) = 1 + A\nduration(x) = B\nd/dt(x) = -x\n"
        "lag(z) = C\nF(z) = C\nd/dt(z) = -z\nduration(z) = C\nF(w) = WT\nd/dt(w) = 0"
    )
    typical = found(text, A=-1, B=0, C=2)
    faults = property_faults(typical)
    assert [fault.line for fault in faults] == [1, 2, 3, 4]
    said = " ".join(map(str, faults))
    for words in ("`lag(x)`, -1", "`F(x)`, -1", "`rate(x)`, 0", "`duration(x)`, 0"):
        assert words in said
    (warning,) = more_than_whole(typical)
    assert "`F(z)`, 2" in warning.found


VALUES = (-2.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0)


WRITTEN = [name for name in FUNCTIONS if name not in ("if", "lgamma'", "^+")]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_function_is_what_it_is_in_the_solver(name):
    """Where the solver has NaN there is a fault; everywhere else the same number."""
    signs = dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "^"))
    for a in VALUES:
        for b in VALUES if FUNCTIONS[name].most != 1 else (1.0,):
            words = {"negative": "-(A)", "not": "not A"}.get(name, f"{name}(A)")
            if FUNCTIONS[name].most != 1:
                words = f"{name}(A, B)"
            if name in signs or name in ("and", "or"):
                words = f"(A) {name} (B)"
            tree = parse_expression(words)
            typical = Typical({"A": a, "B": b})
            value = typical.value(tree)
            right = float(evaluate(tree, {"A": np.float64(a), "B": np.float64(b)}))
            if value is None:
                assert typical.faults
                assert not math.isfinite(right), (words, a, b)
            else:
                assert value == pytest.approx(right, rel=1e-12), (words, a, b)

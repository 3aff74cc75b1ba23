"""Sums of products: equal expressions look equal, and nothing takes long."""

import time

import pytest

from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.polynomial import added, contract, expand, scaled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-(CL + Q)/V*x", "-CL/V*x - Q*x/V"),
        ("(a + b)*(a - b)", "a*a - b^2"),
        ("a/(b*c)", "a/b/c"),
        ("(2*a)^3", "8*a^3"),
        ("a^-1", "1/a"),
        ("exp(2*a - a)*c", "c*exp(a)"),
        ("a/(b + c) - a/(b + c)", "0"),
        ("3*a - a - a - a", "0"),
        ("x^0", "1"),
        ("a*(b + c)/(b + c)", "a*b/(b + c) + a*c/(b + c)"),
    ],
)
def test_equal_expressions_look_equal(one, other):
    difference = added(
        expand(parse_expression(one)), scaled(expand(parse_expression(other)), -1.0)
    )
    assert difference == {}


def test_normal_form_is_written_back():
    tree = contract(expand(parse_expression("-(CL + 2*Q)/V")))
    assert write_expression(tree) == "-(CL/V) - 2*Q/V"
    assert write_expression(contract({})) == "0"


@pytest.mark.parametrize(
    "text",
    [
        "x/0/(x - x)",
        "1e300^4 + 2^1e999 + 0*1e999",
        "x/(1e-200*a*1e-200)/(1e-200*a)^2",
        "*".join(f"(a{i} + b{i})" for i in range(100)),
        "exp(" * 50 + "a" + " + a*a)" * 50,
        "(" + " + ".join(f"a{i}" for i in range(100)) + ")^2",
    ],
)
def test_contrived_expressions_take_no_time(text):
    begun = time.process_time()
    contract(expand(parse_expression(text)))
    assert time.process_time() - begun < 5

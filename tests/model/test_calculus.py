"""Slopes written by rule equal slopes by automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.calculus import differentiate, simplify, substitute
from vtrial.model.grammar import parse_expression, write_expression
from vtrial.model.tree import FUNCTIONS, Number, evaluate

EXPRESSIONS = [
    "x*y + 3*x - y/x",
    "(x + 2*y)/(1 + x^2)",
    "x^y",
    "x^2.5 * y^(x/3)",
    "-x - -y",
    "exp(-x*y) + expm1(x) + log(x) + log10(x*y) + log1p(x)",
    "sqrt(x*y) + abs(x - y) + abs(-x)",
    "min(x, y, 2*x) + max(x*x, y)",
    "sin(x) + cos(x*y) + tan(x/3) + tanh(x)",
    "erf(x) + logit(x/4) + expit(x*y) + lgamma(x + 1) + normal_cdf(x)",
    "if(x < y, x^2, y*x) + floor(x)*x + ceil(y) + mod(x, 0.4)",
    "if(not (x > y) and y > 0 or x == 1, x, 3)",
    "x^3/(x^3 + y^3)",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("name", ["x", "y"])
def test_slopes_equal_automatic_ones(text, name):
    tree = parse_expression(text)
    slope = differentiate(tree, name)
    rng = np.random.default_rng(5)
    for x, y in rng.uniform(0.3, 2.5, (7, 2)):
        point = {"x": jnp.asarray(x), "y": jnp.asarray(y)}
        wanted = jax.grad(lambda v, point=point: evaluate(tree, point | {name: v}))(
            point[name]
        )
        np.testing.assert_allclose(evaluate(slope, point), wanted, rtol=1e-12)


def test_every_function_has_a_slope():
    for word, function in FUNCTIONS.items():
        if word.isidentifier() and word not in ("if", "and", "or", "not", "negative"):
            arguments = ", ".join("x" for _ in range(max(function.least, 1)))
            differentiate(parse_expression(f"{word}({arguments})"), "x")


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("0*x + 1*y", "y"),
        ("x - 0 + 0/y", "x"),
        ("2*3 + x^0", "7"),
        ("(x + 0)^1/1", "x"),
        ("if(1, x, y)", "x"),
        ("1/0", "1/0"),
        ("(0 - 8)^(1/3)", "(-8)^0.3333333333333333"),
    ],
)
def test_simplify(text, tidy):
    assert write_expression(simplify(parse_expression(text))) == tidy


def test_substitute_replaces_names_only():
    tree = substitute(parse_expression("x + exp(x*y)"), {"x": Number(2.0)})
    assert write_expression(tree) == "2 + exp(2*y)"


def test_power_at_zero_has_a_finite_slope_in_the_exponent():
    slope = differentiate(parse_expression("x^y"), "y")
    assert evaluate(slope, {"x": jnp.asarray(0.0), "y": jnp.asarray(0.5)}) == 0.0

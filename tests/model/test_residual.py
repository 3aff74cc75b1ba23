"""Residual error: the right spread, and censoring below the limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from vtrial.errors import ModelError
from vtrial.model.model import Output, ResidualError
from vtrial.model.residual import censored, log_density, measured
from vtrial.model.sheet import read_model
from vtrial.sheets.sheet import parse_sheet

DRAWS = jax.random.normal(jax.random.key(3), (40_000,))


@pytest.mark.parametrize(
    ("error", "spread"),
    [
        (ResidualError(additive=0.5), 0.5),
        (ResidualError(proportional=0.2), 0.8),
        (ResidualError(additive=0.5, proportional=0.2), np.sqrt(0.25 + 0.64)),
        (ResidualError(), 0.0),
    ],
)
def test_spread(error, spread):
    values = measured(Output("y", "y", error=error), jnp.full(DRAWS.shape, 4.0), DRAWS)
    # The standard error of a standard deviation is sd/sqrt(2n); five of them are
    # passed by chance once in two million runs.
    tolerance = 5 * spread / np.sqrt(2 * DRAWS.size)
    assert float(jnp.std(values)) == pytest.approx(spread, abs=tolerance + 1e-12)
    assert float(jnp.mean(values)) == pytest.approx(4.0, abs=5 * spread / 200 + 1e-12)


def test_log_error_is_exact():
    output = Output("y", "y", error=ResidualError(log=0.3))
    found = measured(output, jnp.asarray([2.0, 0.0]), jnp.asarray([1.0, 1.0]))
    np.testing.assert_allclose(found, [2 * np.exp(0.3), 0.0])


def test_below_the_limit_is_half_of_it():
    output = Output("y", "y", lloq=1.0)
    values = jnp.asarray([0.99, 1.0, -3.0, jnp.nan])
    np.testing.assert_array_equal(censored(output, values), [0.5, 1.0, 0.5, np.nan])
    np.testing.assert_array_equal(
        measured(output, values, jnp.zeros(4)), [0.5, 1.0, 0.5, np.nan]
    )


def test_slope_is_finite_at_zero():
    output = Output("y", "y", error=ResidualError(additive=0.5, proportional=0.2))
    slope = jax.grad(lambda f: measured(output, f, jnp.asarray(1.0)))(0.0)
    assert np.isfinite(slope)


def like(shape, numbers):
    """Lay what equations give out in a shape."""
    return {name: jnp.full(shape, value) for name, value in numbers.items()}


KEYS = jax.random.split(jax.random.key(5), 100_000)
# Of each law: the error, what equations give, and between which values it can measure.
ERRORS = {
    "additive": (ResidualError(additive=0.5), {}, (-10.0, 30.0)),
    "proportional": (ResidualError(proportional=0.3), {}, (-10.0, 30.0)),
    "combined": (ResidualError(additive=0.4, proportional=0.2), {}, (-10.0, 30.0)),
    "log": (ResidualError(log=0.35), {}, (1e-6, 30.0)),
    "equation": (ResidualError(spread="sd"), {"sd": 0.6}, (-10.0, 30.0)),
    "log by equation": (ResidualError(law="log", spread="sd"), {"sd": 0.3}, (1e-6, 30)),
    "biased": (ResidualError(additive=0.5, bias="b"), {"b": 0.2}, (-10.0, 30.0)),
    "logit": (
        ResidualError(law="logit", spread="sd", low=0.5, high=4.5),
        {"sd": 0.8},
        (0.5 + 1e-9, 4.5 - 1e-9),
    ),
    "beta": (
        ResidualError(law="beta", spread="sd", low=0.5, high=4.5),
        {"sd": 12.0},
        (0.5 + 1e-9, 4.5 - 1e-9),
    ),
    "student": (
        ResidualError(law="student", freedom=4.0, additive=0.3),
        {},
        (-400.0, 400.0),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("lloq", [0.0, 1.5])
def test_the_density_is_that_of_what_is_measured(name, lloq):
    """All values above the limit, and the probability to fall below it, make 1.

    Draws fall below any value as often as the density says.
    """
    error, numbers, (low, high) = ERRORS[name]
    lloq = 0.0 if error.law == "beta" else lloq
    output = Output("conc", "conc", error=error, lloq=lloq)
    true = jnp.asarray(2.0)
    grid = jnp.linspace(lloq or low, high, 400_001)
    density = np.exp(
        log_density(
            output,
            jnp.full_like(grid, true),
            grid,
            computed=like(grid.shape, numbers),
        )
    )
    under = log_density(output, true, true * 0, computed=like((), numbers))
    below = float(jnp.exp(under)) if lloq else 0.0
    whole = np.concatenate([[0.0], scipy.integrate.cumulative_simpson(density, x=grid)])
    assert whole[-1] + below == pytest.approx(1.0, abs=1e-6)
    normal = jax.random.normal(jax.random.key(3), KEYS.shape)
    given = like(KEYS.shape, numbers)
    drawn = np.asarray(
        measured(output, jnp.full(KEYS.shape, true), normal, computed=given, keys=KEYS)
    )
    for value in (1.6, 2.0, 2.5):
        share = below + np.interp(value, grid, whole)
        close = 4 * np.sqrt(share * (1 - share) / normal.size)
        assert np.mean(drawn < value) == pytest.approx(share, abs=close)


MOMENTS = {  # mean and standard deviation of a value whose prediction is 2
    "equation": (2.0, 0.6),
    "biased": (2.2, 0.5),
    "beta": (2.0, 4.0 * np.sqrt(0.375 * 0.625 / 13.0)),
    "student": (2.0, 0.3 * np.sqrt(2.0)),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_of_measured_values(name):
    error, numbers, _ = ERRORS[name]
    given = like(KEYS.shape, numbers)
    normal = jax.random.normal(jax.random.key(4), KEYS.shape)
    true = jnp.full(KEYS.shape, 2.0)
    output = Output("conc", "conc", error=error)
    drawn = np.asarray(measured(output, true, normal, computed=given, keys=KEYS))
    mean, spread = MOMENTS[name]
    close = 4 * spread / np.sqrt(drawn.size)
    assert drawn.mean() == pytest.approx(mean, abs=close)
    # A variance of Student's t with 4 degrees has no standard error; half the middle
    # half of its values has: 0.741 times the scale, as tables say.
    if name == "student":
        width = np.quantile(drawn, 0.75) - np.quantile(drawn, 0.25)
        assert width == pytest.approx(2 * 0.7407 * 0.3, abs=0.006)
    else:
        assert drawn.std() == pytest.approx(spread, abs=close)


@pytest.mark.parametrize("name", ERRORS)
def test_the_density_has_derivatives_where_a_value_cannot_be(name):
    error, numbers, _ = ERRORS[name]
    lloq = 0.0 if error.law == "beta" else 0.1
    output = Output("conc", "conc", error=error, lloq=lloq)
    given = like((), numbers)
    slope = jax.vmap(
        jax.grad(
            lambda true: log_density(output, true, jnp.asarray(1.0), computed=given)
        )
    )
    found = slope(jnp.asarray([0.0, 0.5, 2.0]))
    assert np.isfinite(found).all()


def test_an_output_without_error_has_no_density():
    with pytest.raises(ModelError, match=r"outputs\.conc\.error is none"):
        log_density(Output("conc", "conc"), jnp.ones(2), jnp.ones(2))


SHEET = """
model: errors
covariates: {N: {typical: 100}}
parameters: {SIG: {value: 0.2}, DRIFT: {value: 0.01}}
random: [{of: RUV, variance: 0.09}]
equations: |
  d/dt(central) = -central
  conc = central + 2
outputs:
  conc: {error: {proportional: "SIG*exp(eta.RUV)", additive: 0.1, exponent: 0.8}}
  mean: {equals: conc, error: {sd: "sqrt(0.391 / N) * mean / 2", bias: DRIFT * t}}
  score: {equals: conc, error: {logit: 0.3, between: [0, 100], memory: 4 h}}
errors: [{of: [conc, mean], correlation: 0.7}]
"""


def test_a_sheet_gives_errors_by_equations():
    model = read_model(parse_sheet(SHEET))
    inputs = model.typical() | {"eta.RUV": 0.3, "N": 25.0}
    seen = model.observe(10.0, (0.5,), model.individual(inputs))
    wanted = {
        "conc": 2.5,
        "conc.sd": np.hypot(0.1, 0.2 * np.exp(0.3) * 2.5**0.8),
        "mean.sd": np.sqrt(0.391 / 25) * 2.5 / 2,
        "mean.bias": 0.1,
        "score.sd": 0.3,
    }
    for name, value in wanted.items():
        assert float(seen[name]) == pytest.approx(value, rel=1e-12), name
    errors = {output.name: output.error for output in model.outputs}
    assert errors["score"].memory == 4.0
    assert (errors["score"].low, errors["score"].high) == (0.0, 100.0)
    assert model.error_correlation == ((1.0, 0.7), (0.7, 1.0))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SIG*exp", "SIGMA*exp", r"7: outputs\.conc\.error\.proportional is `SIGMA`"),
        ("0.391 / N", "0.391 // N", r"outputs\.mean\.error\.sd is .*no equation"),
        ("between: [0, 100]", "between: [100, 0]", "a lower and a higher number"),
        ("memory: 4 h", "memory: 0 h", "a time above 0"),
        ("logit: 0.3", "log: 0.3, logit: 0.3", "log beside logit"),
        ("exponent: 0.8", "student: 4, log: 1", "log beside additive"),
        ("[conc, mean]", "[conc, conc]", "of two different outputs"),
        ("[conc, mean]", "[conc, none]", "of outputs with an error"),
        ("logit: 0.3", "beta: 8", "memory of a beta error"),
        ("{logit: 0.3, between: [0, 100], memory: 4 h}", "{beta: 8}, lloq: 2", "lloq"),
        ("correlation: 0.7", "correlation: 1.7", "less than or equal to 1"),
    ],
)
def test_errors_that_make_no_sense_are_told(old, new, message):
    with pytest.raises(ModelError, match=message.replace("7: ", "")):
        read_model(parse_sheet(SHEET.replace(old, new)))

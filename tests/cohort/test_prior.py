"""The program is one NumPyro model, and `sample` draws what it declares."""

import dataclasses

import jax
import numpy as np
import numpyro
import pytest
from jax import numpy as jnp
from numpyro import handlers
from numpyro.infer import Predictive

from vtrial.cohort.draw import sample
from vtrial.cohort.prior import program
from vtrial.cohort.sheet import cohort_of, load_cohort
from vtrial.model.covariance import root
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Parameter, RandomBlock
from vtrial.sheets.sheet import parse_sheet

MODEL = Model(
    name="small",
    statements=parse_model("x = a*exp(eta.A)*b*(1 + FEMALE)"),
    parameters=(Parameter("a", 2.0, error=0.2), Parameter("b", -1.0, error=0.1)),
    random=(RandomBlock(("A",), ((0.04,),)),),
)


def trace(cohort, model=MODEL, **options):
    seeded = handlers.seed(program, jax.random.key(0))
    return handlers.trace(seeded).get_trace(cohort, model, **options)


def test_every_site_can_be_seen():
    sites = trace(load_cohort("adults"), occasions=2)
    assert {"a", "b", "WT.score", "WT", "BMI", "eta.A.score", "eta.A"} <= set(sites)
    assert sites["WT"]["type"] == "deterministic"
    prior = sites["a"]["fn"]
    assert isinstance(prior, numpyro.distributions.LogNormal)
    assert float(prior.loc) == pytest.approx(np.log(2))
    assert float(prior.scale) == pytest.approx(0.1)


def test_predictive_takes_it_as_it_is():
    """Two means, each off by more than 4 errors once in 16,000 seeds."""
    adults = load_cohort("adults")
    found = Predictive(program, num_samples=4000, parallel=True)(
        jax.random.key(3), adults, MODEL
    )
    who = np.arange(4000)
    drawn = sample(adults, MODEL, seed=0, replicate=who, subject=who)
    for name in ("WT", "AGE"):
        one, other = np.asarray(found[name]), np.asarray(drawn.covariates[name])
        error = np.hypot(one.std(), other.std()) / np.sqrt(4000)
        assert abs(one.mean() - other.mean()) < 4 * error


def test_eligibility_is_in_the_density():
    text = (
        "cohort: c\ncovariates: {AGE: {normal: {mean: 0, sd: 1}}}\neligibility: AGE>0"
    )
    cohort = cohort_of(parse_sheet(text))
    density = numpyro.infer.util.log_density
    inside, _ = density(program, (cohort,), {}, {"AGE.score": jnp.asarray(1.0)})
    outside, _ = density(program, (cohort,), {}, {"AGE.score": jnp.asarray(-1.0)})
    assert float(inside) == pytest.approx(-0.5 - 0.5 * np.log(2 * np.pi))
    assert float(outside) == -np.inf


def test_parameters_have_their_prior_over_replicates():
    """Four moments, each off by more than 4 errors once in 16,000 seeds."""
    count = 4096
    replicates, nobody = np.arange(count), np.zeros(count, int)
    drawn = sample(
        load_cohort("adults"), MODEL, seed=5, replicate=replicates, subject=nobody
    )
    for name, sign, value in (("a", 1, 2.0), ("b", -1, 1.0)):
        logs = np.log(sign * np.asarray(drawn.parameters[name]))
        assert abs(logs.mean() - np.log(value)) < 4 * 0.1 / np.sqrt(count)
        assert abs(logs.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * count)


def test_joint_uncertainty_has_its_correlation():
    """A correlation of 0.8 is off by more than 4 errors once in 16,000 seeds."""
    parameters = (*MODEL.parameters, Parameter("c", 3.0), Parameter("d", 0.0))
    joint = (
        (0.01, 0.008, 0.0, 0.04),
        (0.008, 0.01, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.04, 0.0, 0.0, 1.0),
    )
    model = dataclasses.replace(MODEL, parameters=parameters, population=joint)
    fixed = dataclasses.replace(parameters[3], scale="identity")
    model = dataclasses.replace(model, parameters=(*parameters[:3], fixed))
    count = 4096
    drawn = sample(
        load_cohort("adults"),
        model,
        seed=1,
        replicate=np.arange(count),
        subject=np.zeros(count, int),
    )
    a, b = np.log(drawn.parameters["a"]), np.log(-drawn.parameters["b"])
    assert abs(np.corrcoef(a, b)[0, 1] - 0.8) < 4 * (1 - 0.64) / np.sqrt(count)
    assert set(np.asarray(drawn.parameters["c"])) == {3.0}
    d = np.asarray(drawn.parameters["d"])
    assert abs(d.std() - 1) < 4 / np.sqrt(2 * count)
    assert abs(np.corrcoef(a, d)[0, 1] - 0.4) < 4 * (1 - 0.16) / np.sqrt(count)


def test_copula_has_its_correlation():
    """Two correlations, each off by more than 4 errors once in 16,000 seeds."""
    text = """
cohort: c
covariates:
  FEMALE: {categorical: {0: 0.5, 1: 0.5}}
  X: {normal: {mean: 3, sd: 2}}
  Y: {lognormal: {median: 5, cv: 0.4}}
  Z: {uniform: [0, 1]}
correlation:
  - {of: [X, Y], is: 0.6}
  - {of: [Z, X], is: -0.3}
"""
    cohort = cohort_of(parse_sheet(text))
    count = 10_000
    who = np.arange(count)
    drawn = sample(cohort, None, seed=2, replicate=who * 0, subject=who)
    values = drawn.covariates
    found = np.corrcoef(values["X"], np.log(values["Y"]))[0, 1]
    assert abs(found - 0.6) < 4 * (1 - 0.36) / np.sqrt(count)
    # A rank correlation is 6/pi asin(r/2) of the normal scores' (Pearson 1907).
    ranks = [np.argsort(np.argsort(values[name])) for name in ("X", "Z")]
    expected = 6 / np.pi * np.arcsin(-0.3 / 2)
    assert abs(np.corrcoef(*ranks)[0, 1] - expected) < 4 / np.sqrt(count)


def test_root_of_a_covariance_with_zeros():
    matrix = np.array([[4.0, 2, 0], [2, 5, 0], [0, 0, 0]])
    lower = root(matrix.tolist())
    np.testing.assert_allclose(lower @ lower.T, matrix)
    assert (lower[2] == 0).all()


def test_root_of_what_varies_only_with_another():
    lower = root([[0.09, 0.06, 0.03], [0.06, 0.04, 0.02], [0.03, 0.02, 0.05]])
    assert lower[1, 1] == 0, "rounding is no variability"
    np.testing.assert_allclose(lower[1] / lower[0, 0], [2 / 3, 0, 0])
    np.testing.assert_allclose((lower @ lower.T)[2], [0.03, 0.02, 0.05])


def effects(*blocks):
    model = dataclasses.replace(
        MODEL,
        statements=parse_model("x = a*exp(eta.A + eta.B + eta.C)*b"),
        random=tuple(RandomBlock(names, matrix) for names, matrix in blocks),
    )
    who = np.arange(5)
    drawn = sample(load_cohort("adults"), model, seed=7, replicate=0 * who, subject=who)
    return model, {name: np.asarray(value) for name, value in drawn.effects.items()}


def test_an_effect_without_variance_is_zero_and_changes_no_other():
    _, free = effects((("A", "B"), ((0.09, 0.0), (0.0, 0.04))), (("C",), ((0.01,),)))
    model, fixed = effects(
        (("A", "B"), ((0.0, 0.0), (0.0, 0.04))), (("C",), ((0.01,),))
    )
    assert (fixed["eta.A"] == 0).all()
    np.testing.assert_array_equal(fixed["eta.B"], free["eta.B"])
    np.testing.assert_array_equal(fixed["eta.C"], free["eta.C"])
    sites = trace(load_cohort("adults"), model)
    assert "eta.A.score" not in sites, "nothing to draw"
    assert sites["eta.A"]["type"] == "deterministic"


def test_effects_that_vary_as_one_are_equal_up_to_scale():
    _, free = effects((("A", "B"), ((0.09, 0.0), (0.0, 0.04))), (("C",), ((0.01,),)))
    model, one = effects(
        (("A", "B"), ((0.09, -0.06), (-0.06, 0.04))), (("C",), ((0.01,),))
    )
    np.testing.assert_array_equal(one["eta.A"], free["eta.A"])
    np.testing.assert_allclose(one["eta.B"], -2 / 3 * one["eta.A"], rtol=1e-14)
    np.testing.assert_array_equal(one["eta.C"], free["eta.C"])
    assert "eta.B.score" not in trace(load_cohort("adults"), model)


def test_a_parameter_that_is_known_beside_uncertain_ones_is_its_value():
    joint = ((0.0, 0.0), (0.0, 0.04))
    model = dataclasses.replace(MODEL, population=joint)
    who = np.arange(3)
    drawn = sample(load_cohort("adults"), model, seed=1, replicate=who, subject=0 * who)
    assert set(np.asarray(drawn.parameters["a"])) == {2.0}
    assert len(set(np.asarray(drawn.parameters["b"]))) == 3


def test_covariates_without_spread_are_their_middle():
    """A perfect correlation of two normal ones; SD 0 and CV 0 of others."""
    text = """
cohort: c
covariates:
  X: {normal: {mean: 3, sd: 2}}
  Y: {normal: {mean: 5, sd: 4}}
  N: {normal: {mean: 7, sd: 0}, within: [7, 9]}
  L: {lognormal: {median: 75, cv: 0 %}, within: [40, 75]}
  M: {lognormal: {mean: 70, sd: 0}}
correlation:
  - {of: [X, Y], is: 1}
  - {of: [X, N], is: -1}
  - {of: [Y, N], is: -1}
"""
    who = np.arange(50)
    drawn = sample(
        cohort_of(parse_sheet(text)), None, seed=2, replicate=who * 0, subject=who
    )
    values = {name: np.asarray(found) for name, found in drawn.covariates.items()}
    assert (values["N"] == 7).all()
    np.testing.assert_allclose(values["L"], 75)
    np.testing.assert_allclose(values["M"], 70)
    np.testing.assert_allclose((values["Y"] - 5) / 4, (values["X"] - 3) / 2)


COUNT = 100_000


def two_effects(level="subject", covariance=((0.04, 0.01), (0.01, 0.09)), **options):
    """Draw two random effects of 100,000 subjects, each of a replicate of its own."""
    block = RandomBlock(("A", "B"), covariance, level, **options)
    model = dataclasses.replace(MODEL, random=(block,))
    who = np.arange(COUNT)
    drawn = sample(load_cohort("adults"), model, seed=2, replicate=who, subject=who)
    return np.stack([drawn.effects["eta.A"], drawn.effects["eta.B"]])


def within(found, wanted, each):
    """Hold a mean against its value, by 4 standard errors of what it is the mean of."""
    assert abs(found - wanted) < 4 * np.std(each) / np.sqrt(COUNT)


@pytest.mark.slow
def test_effects_of_students_t_have_its_variance():
    """With n degrees of freedom n/(n - 2) of the normal one, and its correlation."""
    a, b = two_effects(student=9.0)
    within((a**2).mean(), 0.04 * 9 / 7, a**2)
    within((a * b).mean(), 0.01 * 9 / 7, a * b)
    # Both are divided by one chi-squared, and so go together beyond their correlation:
    # E[x^2 y^2] = (C11 C22 + 2 C12^2) n^2/(n-2)/(n-4).
    within((a**2 * b**2).mean(), (0.0036 + 0.0002) * 81 / 35, a**2 * b**2)


def test_effects_of_box_cox_have_its_moments():
    """The mean of (exp(b x) - 1)/b is (exp(b^2 v/2) - 1)/b."""
    a, _ = two_effects(box_cox=1.5)
    within(a.mean(), np.expm1(1.5**2 * 0.04 / 2) / 1.5, a)
    square = (np.exp(2 * 2.25 * 0.04) - 2 * np.exp(2.25 * 0.02) + 1) / 2.25
    within((a**2).mean(), square, a**2)


@pytest.mark.slow
def test_an_uncertain_covariance_is_inverse_wishart():
    """Its mean is n C / (n - p - 1); the variance of what it scales says its own.

    E[x^4] = 3 E[S^2], and S = n C/X with X chi-squared of n - p + 1 degrees.
    """
    n, p = 30.0, 2
    a, b = two_effects(freedom=n)
    factor = n / (n - p - 1)
    within((a**2).mean(), 0.04 * factor, a**2)
    within((b**2).mean(), 0.09 * factor, b**2)
    within((a * b).mean(), 0.01 * factor, a * b)
    m = n - p + 1
    for each, variance in ((a, 0.04), (b, 0.09)):
        fourth = 3 * (n * variance) ** 2 / ((m - 2) * (m - 4))
        within((each**4).mean(), fourth, each**4)
    fixed = two_effects(freedom=0.0)
    within((fixed[0] ** 2).mean(), 0.04, fixed[0] ** 2)


def test_effects_of_a_study_are_one_for_all_its_subjects():
    block = RandomBlock(("A",), ((0.04,),), "study")
    model = dataclasses.replace(MODEL, random=(block,))
    replicate, subject = np.divmod(np.arange(60), 20)
    drawn = sample(
        load_cohort("adults"), model, seed=2, replicate=replicate, subject=subject
    )
    found = np.asarray(drawn.effects["eta.A"]).reshape(3, 20)
    assert (found == found[:, :1]).all()
    assert len(set(found[:, 0])) == 3


@pytest.mark.slow
def test_other_laws_leave_the_normal_scores_alone():
    """The same scores are behind an effect, whatever its law."""
    plain, skewed = two_effects(), two_effects(box_cox=1.0)
    np.testing.assert_allclose(np.log1p(skewed), plain, rtol=1e-9)


@pytest.mark.slow
def test_an_occasion_more_changes_no_heavy_effect():
    block = RandomBlock(("A",), ((0.04,),), "occasion", student=5.0)
    model = dataclasses.replace(MODEL, random=(block,))
    adults, who = load_cohort("adults"), np.arange(50)
    two, three = (
        sample(adults, model, seed=2, replicate=who, subject=who, occasions=count)
        for count in (2, 3)
    )
    found = np.asarray(three.effects["eta.A"])
    np.testing.assert_array_equal(two.effects["eta.A"], found[:, :2])
    assert len(np.unique(found)) == found.size

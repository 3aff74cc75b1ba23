"""The same person in any block, order and company; a replicate's one population."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import cohort_of, load_cohort
from vtrial.errors import CohortError
from vtrial.keys import purpose_key, replicate_key, subject_key
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model, Output, Parameter, RandomBlock
from vtrial.sheets.sheet import parse_sheet

MODEL = Model(
    name="oral",
    statements=parse_model(
        "KA = tvKA*exp(eta.KA)\nCL = tvCL*(WT/70)^0.75*exp(eta.CL + eta.OCC)\n"
        "V = tvV*exp(eta.V) + shift\nd/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - CL/V*central\nconc = central/V"
    ),
    parameters=(
        Parameter("tvKA", 1.0, "1/h", error=0.2),
        Parameter("tvCL", 5.0, "L/h", error=0.4),
        Parameter("tvV", 50.0, "L"),
        Parameter("shift", -2.0, "L", error=0.5, scale="identity"),
    ),
    covariates=(Covariate("WT", "g", typical=70_000.0),),
    random=(
        RandomBlock(("KA",), ((0.25,),)),
        RandomBlock(("CL", "V"), ((0.09, 0.03), (0.03, 0.0625))),
        RandomBlock(("OCC",), ((0.04,),), level="occasion"),
    ),
    outputs=(Output("conc", "conc", "mg/L"),),
)
PICKY = """
cohort: picky
covariates:
  FEMALE: {categorical: {0: 0.5, 1: 0.5}}
  AGE: {unit: a, normal: {mean: 45, sd: 15}, within: [18, 80]}
  WT: {unit: kg, lognormal: {median: 75, cv: 20 %}, within: [40, 150]}
  HT: {unit: cm, normal: {mean: 170, sd: 9}}
correlation:
  - {of: [WT, HT], is: 0.45}
derive: [BMI]
eligibility: AGE > 50 and BMI < 27
"""


def cohort_from(text: str) -> Cohort:
    return cohort_of(parse_sheet(text))


def draw(cohort, who, *, model=MODEL, **options):
    replicate, subject = np.asarray(who, int).reshape(-1, 2).T
    options = {"seed": 11, "occasions": 3} | options
    return sample(cohort, model, replicate=replicate, subject=subject, **options)


def rows(drawn):
    """Lay a draw out as one array, a row a subject."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(drawn)]
    return np.column_stack([leaf.reshape(len(leaf), -1) for leaf in leaves])


EVERYBODY = [(r, s) for r in range(3) for s in range(700)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["picky", "adults", "theophylline-twelve"])
def test_same_person_in_any_block_and_order(name):
    cohort = cohort_from(PICKY) if name == "picky" else load_cohort(name)
    whole = rows(draw(cohort, EVERYBODY))
    for size, most in ((7, 70), (64, 640), (1000, 2100)):
        parts = [
            rows(draw(cohort, EVERYBODY[start : start + size]))
            for start in range(0, most, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts)[:most], whole[:most])
    for place in (0, 1, 699, 1023, 1024, 2099):
        np.testing.assert_array_equal(
            rows(draw(cohort, EVERYBODY[place])), whole[[place]]
        )
    order = np.random.default_rng(0).permutation(len(EVERYBODY))
    mixed = rows(draw(cohort, np.asarray(EVERYBODY)[order]))
    np.testing.assert_array_equal(mixed, whole[order])


def test_sites_are_keyed_by_who_and_what():
    drawn = draw(load_cohort("theophylline-twelve"), [(2, 5)])
    person = purpose_key(subject_key(11, 2, 5), "eta.KA.score")
    expected = 0.5 * jax.random.normal(person, (), float)
    np.testing.assert_allclose(drawn.effects["eta.KA"][0], expected, rtol=1e-12)
    population = purpose_key(replicate_key(11, 2), "population")
    score = jax.random.normal(purpose_key(population, "tvKA"), (), float)
    np.testing.assert_allclose(
        drawn.parameters["tvKA"][0], jnp.exp(0.2 * score), rtol=1e-12
    )


def test_population_is_one_draw_for_a_replicate():
    drawn = draw(load_cohort("adults"), EVERYBODY)
    for name, values in drawn.parameters.items():
        found = np.asarray(values).reshape(3, 700)
        assert (found == found[:, :1]).all()
        different = len(np.unique(found[:, 0]))
        assert different == (1 if name == "tvV" else 3)


def test_without_uncertainty_parameters_are_their_values():
    drawn = draw(load_cohort("adults"), EVERYBODY[:2], uncertainty=False)
    values = {name: float(value[0]) for name, value in drawn.parameters.items()}
    assert values == {"tvKA": 1.0, "tvCL": 5.0, "tvV": 50.0, "shift": -2.0}


def test_more_sites_change_no_other():
    lean = "cohort: lean\ncovariates:\n"
    lean += "  WT: {unit: kg, lognormal: {median: 75, cv: 0.2}}\n"
    rich = lean + "  AGE: {unit: a, normal: {mean: 45, sd: 9}}\nderive: {X: WT/AGE}\n"
    few = draw(cohort_from(lean), EVERYBODY, model=None)
    many = draw(cohort_from(rich), EVERYBODY, occasions=5)
    np.testing.assert_array_equal(few.covariates["WT"] * 1000, many.covariates["WT"])
    three = draw(cohort_from(lean), EVERYBODY, occasions=3)
    for name, values in three.effects.items():
        more = many.effects[name]
        more = more[:, :3] if name == "eta.OCC" else more
        np.testing.assert_array_equal(values, more)


@pytest.mark.slow
def test_occasions_have_columns_if_there_is_more_than_one():
    adults = load_cohort("adults")
    drawn = draw(adults, EVERYBODY[:10], occasions=4)
    assert drawn.effects["eta.OCC"].shape == (10, 4)
    assert drawn.effects["eta.CL"].shape == (10,)
    inputs = drawn.inputs()
    assert inputs["eta.OCC"].shape == (10, 4)
    assert inputs["WT"].shape == (10, 1)
    once = draw(adults, EVERYBODY[:10], occasions=1)
    assert once.effects["eta.OCC"].shape == (10,)


def test_covariates_are_in_the_models_units():
    adults = load_cohort("adults")
    plain = draw(adults, EVERYBODY[:5], model=None)
    drawn = draw(adults, EVERYBODY[:5])
    np.testing.assert_allclose(drawn.covariates["WT"], plain.covariates["WT"] * 1000)
    np.testing.assert_array_equal(drawn.covariates["BMI"], plain.covariates["BMI"])
    assert list(drawn.covariates) == list(adults.names)


def test_only_eligible_people_take_part_and_the_screened_are_counted():
    """Screened counts are geometric: a false alarm once in 10,000 seeds."""
    open_door = PICKY.replace("eligibility: AGE > 50 and BMI < 27", "")
    everybody = draw(cohort_from(open_door), EVERYBODY, model=None)
    age, bmi = everybody.covariates["AGE"], everybody.covariates["BMI"]
    fit = np.asarray((age > 50) & (bmi < 27))
    drawn = draw(cohort_from(PICKY), EVERYBODY, model=None)
    assert (np.asarray(drawn.covariates["AGE"]) > 50).all()
    assert (np.asarray(drawn.covariates["BMI"]) < 27).all()
    screened = np.asarray(drawn.screened)
    np.testing.assert_array_equal(screened == 1, fit)
    same = {n: np.asarray(v)[fit] for n, v in everybody.covariates.items()}
    for name, values in same.items():
        np.testing.assert_array_equal(np.asarray(drawn.covariates[name])[fit], values)
    share, count = 1 / screened.mean(), len(screened)
    error = np.sqrt(2 * share * (1 - share) / count)
    assert abs(share - fit.mean()) < 3.9 * error


def test_rows_in_order_and_at_random():
    twelve = load_cohort("theophylline-twelve")
    assert twelve.table is not None
    drawn = draw(twelve, [(r, s) for r in (0, 7) for s in range(30)], model=None)
    weights = np.asarray(twelve.table.column("WT"))
    expected = np.tile(weights[np.arange(30) % 12], 2)
    np.testing.assert_array_equal(drawn.covariates["WT"], expected)


def test_random_effects_have_their_covariance():
    """Each of six moments is off by more than 4 errors once in 2,600 seeds."""
    drawn = draw(load_cohort("theophylline-twelve"), [(0, s) for s in range(20_000)])
    etas = np.stack([drawn.effects[f"eta.{name}"] for name in ("CL", "V")])
    expected = np.array([[0.09, 0.03], [0.03, 0.0625]])
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / 20_000)
    assert (abs(np.cov(etas) - expected) < 4 * error).all()
    occasion = np.asarray(drawn.effects["eta.OCC"])
    assert abs(occasion.std() - 0.2) < 4 * 0.2 / np.sqrt(2 * occasion.size)
    between = np.corrcoef(occasion.T)[0, 1]
    assert abs(between) < 4 / np.sqrt(20_000)


def test_an_empty_block_is_empty():
    drawn = draw(load_cohort("adults"), np.zeros((0, 2), int))
    assert drawn.covariates["WT"].shape == (0,)
    assert drawn.effects["eta.OCC"].shape == (0, 3)


def test_a_unit_that_does_not_convert_is_refused():
    cohort = cohort_from("cohort: odd\ncovariates:\n  WT: {unit: cm, constant: 70}\n")
    with pytest.raises(CohortError, match=r"covariates\.WT of cohort `odd` is in `cm`"):
        draw(cohort, EVERYBODY[:2])

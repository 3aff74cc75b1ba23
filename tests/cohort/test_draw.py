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
from vtrial.sheets import parse_sheet

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


@pytest.mark.parametrize("name", ["picky", "adults", "theophylline-twelve"])
def test_same_person_in_any_block_and_order(name):
    cohort = cohort_from(PICKY) if name == "picky" else load_cohort(name)
    whole = rows(draw(cohort, EVERYBODY))
    for size in (7, 64, 1000):
        parts = [
            rows(draw(cohort, EVERYBODY[start : start + size]))
            for start in range(0, len(EVERYBODY), size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    for place in (0, 1, 699, 1023, 1024, 2099):
        np.testing.assert_array_equal(
            rows(draw(cohort, EVERYBODY[place])), whole[[place]]
        )
    order = np.random.default_rng(0).permutation(len(EVERYBODY))
    mixed = rows(draw(cohort, np.asarray(EVERYBODY)[order]))
    np.testing.assert_array_equal(mixed, whole[order])

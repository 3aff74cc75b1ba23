"""The search by gradient, where the optimum is known in closed form."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import vtrial as vt
from tests.test_traces import compiled  # noqa: F401 (a fixture)
from vtrial.optimise.crowd import People
from vtrial.optimise.descent import Descent
from vtrial.optimise.problem import Problem
from vtrial.optimise.surrogate import Surrogate
from vtrial.protocol.optimisation import Limit

CL, SD, COUNT = 4.0, 0.3, 1024
WIDTHS = (0.5, 0.1, 0.02)


@pytest.fixture(scope="module")
def descent(tmp_path_factory):
    """Search on people who stand for the quantiles of the population."""
    from tests.optimise.conftest import Folder

    folder = Folder(tmp_path_factory.mktemp("sheets"))
    folder.change("subjects: 400", f"subjects: {COUNT}").change(
        "step: 25 mg", "step: 1 mg"
    )
    folder.change("search:", "widths: [0.5, 0.1, 0.02]\n  search:")
    folder.change(
        "maximise: inside", "maximise: inside\n  subject to: [{on: high, at most: 1}]"
        "\n  front: {against: exposure}",
    )  # fmt: skip
    protocol = folder.load()
    problem = Problem(protocol, vt.plan(protocol).cohort)
    asked = problem.asked.search.settled(uncertain=False)
    people = People(problem, asked)
    effects = SD * ndtri((np.arange(COUNT) + 0.5) / COUNT)
    few = People(problem, asked.__class__(2, 1, 5)).subjects
    many = people.__dict__
    many["subjects"] = few._replace(
        replicate=jnp.zeros(COUNT, int),
        subject=jnp.arange(COUNT),
        screened=jnp.ones(COUNT, int),
        covariates={k: jnp.full(COUNT, v[0]) for k, v in few.covariates.items()},
        parameters={k: jnp.full(COUNT, v[0]) for k, v in few.parameters.items()},
        effects={"eta.CL": jnp.asarray(effects)},
    )
    assert problem.why_not == ""
    assert problem.lines is not None
    return Descent(problem, Surrogate(problem, problem.lines), people)


def searched(descent, **how):
    """Go through all stages from the start."""
    point = descent.problem.start
    for width in WIDTHS:
        point = descent.descend(point, width, **how)
    return point[0]


@pytest.mark.slow
def test_a_window_of_exposure_has_its_optimum_at_its_geometric_mean(descent):
    """P(a < D/CL < b) for a lognormal CL is highest at CL times the root of a b."""
    amount = searched(descent, limits=())
    assert amount == pytest.approx(CL * math.sqrt(80 * 180), rel=1e-3)
    inside = descent.hard((amount,)).goal.value
    best = 2 * ndtr(math.log(180 / 80) / 2 / SD) - 1
    assert inside == pytest.approx(best, abs=1e-3)


@pytest.mark.slow
def test_a_limit_on_a_probability_is_met_where_the_quantile_is(descent):
    """The highest dose of which 10 % exceed an exposure is that of CL's quantile."""
    amount = searched(descent, goal="exposure", limits=(Limit("high", "at most", 0.1),))
    assert amount == pytest.approx(200 * CL * math.exp(SD * ndtri(0.1)), rel=1e-3)


def test_another_candidate_compiles_nothing(descent, compiled):  # noqa: F811
    """Variables and widths are data, with slopes and without; so is another seed."""
    descent.look((300.0,), 0.5)
    descent.hard((300.0,))
    compiled.clear()
    descent.look((310.0,), 0.25)
    descent.hard((320.0,))
    assert compiled == []


def test_slopes_are_those_of_the_closed_form(descent):
    """The mean exposure of a lognormal clearance is linear in the dose."""
    looked = descent.look((300.0,), 0.5)
    place = descent.problem.needed.index("exposure")
    each = looked.slope[:, place, 0]
    effects = np.asarray(descent.people.subjects.effects["eta.CL"])
    np.testing.assert_allclose(each, 1 / (CL * np.exp(effects)), rtol=1e-6)

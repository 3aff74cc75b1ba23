"""Every sheet of the library says what its numbers are, and draws people who exist."""

import jax.numpy as jnp
import numpy as np
import pytest

import vtrial as vt

PEOPLE = 500


@pytest.fixture(scope="module", params=vt.model.library())
def model(request):
    return vt.load_model(request.param)


def test_units_agree_and_everything_has_a_name(model):
    assert model.warnings == ()
    assert model.title
    assert any(source.cite or source.note for source in model.sources)
    for part in (*model.parameters, *model.outputs, *model.covariates):
        assert part.title, part.name


def test_drawn_people_have_finite_parameters(model):
    """The covariates are typical, the random effects are drawn (seed 0)."""
    random = np.random.default_rng(0)
    given = {name: jnp.full(PEOPLE, float(v)) for name, v in model.typical().items()}
    for row in model.random:
        spread = np.array(row.covariance)
        drawn = random.multivariate_normal(np.zeros(len(spread)), spread, PEOPLE)
        given |= {
            f"eta.{n}": jnp.asarray(d) for n, d in zip(row.names, drawn.T, strict=True)
        }
    known = model.individual(given)
    for name, value in known.items():
        assert np.isfinite(np.asarray(value)).all(), name
    for state, value in zip(model.states, model.initial(known), strict=True):
        assert np.isfinite(np.asarray(value)).all(), state

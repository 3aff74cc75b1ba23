"""What tests of the library share: courses of its models, and their rate matrices."""

import jax.numpy as jnp
import numpy as np
import pytest

import vtrial as vt
from vtrial.dosing.doses import times
from vtrial.dosing.expansion import expand
from vtrial.dosing.words import parse_regimen
from vtrial.solver.host import simulate


@pytest.fixture
def course():
    """Return a function: outputs of a model by name, (subject, time).

    `at` is in hours; `dose` in dosing words, or None; further words set covariates,
    parameters and random effects, a number or one a subject.
    """

    def follow(name, dose, at, **changes):
        model = vt.load_model(name)
        unknown = changes.keys() - model.typical().keys()
        assert not unknown, f"{name} has no {unknown}"
        given = model.typical() | changes
        inputs = {k: jnp.atleast_1d(jnp.asarray(v, float)) for k, v in given.items()}
        regimen = None if dose is None else parse_regimen(dose, model=model)
        found = simulate(model, inputs, expand(regimen, inputs), times(at))
        assert (np.asarray(found.status) == 0).all()
        return {k: np.asarray(v) for k, v in found.outputs.items()}

    return follow


@pytest.fixture
def individual():
    """Return a function: individual parameters by name, as floats."""

    def known(name, **changes):
        model = vt.load_model(name)
        unknown = changes.keys() - model.typical().keys()
        assert not unknown, f"{name} has no {unknown}"
        values = model.individual(model.typical() | changes)
        return {k: float(v) for k, v in values.items()}

    return known


@pytest.fixture
def rates():
    """Return a function: the matrix of rates [1/h] of a model, at its start."""

    def matrix(name, states=None, **changes):
        model = vt.load_model(name)
        values = model.individual(model.typical() | changes)
        rows = model.jacobian(0.0, model.initial(values), values)
        filled = [[0.0 if x is None else float(x) for x in row] for row in rows]
        kept = [model.states.index(s) for s in states or model.states]
        return np.array(filled)[np.ix_(kept, kept)]

    return matrix

"""The Model: elementwise for a crowd, equal by content, whole across a pickle."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.sheet import load_model, read_model
from vtrial.sheets.sheet import parse_sheet

SHEET = """\
model: all
parameters:
  K: {value: 0.1}
  B: {value: 2}
equations: |
  d/dt(x) = -K*x*(1 + t)*(1 + tad)
  d/dt(y) = K*x
  init(x) = B
  F(x) = 0.5
  lag(y) = 2*B
  c = x/2 + t + tad
outputs:
  c: {}
  y: {}
  B: {}
"""


@pytest.fixture(scope="module")
def model():
    return read_model(parse_sheet(SHEET))


def test_one_subject(model):
    known = model.individual({"K": 0.1, "B": 2.0})
    start = model.initial(known)
    assert [float(v) for v in start] == [2.0, 0.0]
    rates = model.derivative(1.0, start, known, after_dose=3.0)
    np.testing.assert_allclose(rates, [-0.1 * 2 * 2 * 4, 0.2])
    seen = model.observe(1.0, start, known, after_dose=3.0)
    assert {k: float(v) for k, v in seen.items()} == {"c": 5.0, "y": 0.0, "B": 2.0}
    found = {key: float(v) for key, v in model.properties(known).items()}
    assert found == {("F", "x"): 0.5, ("lag", "y"): 4.0}
    assert model.structure.uses_time
    assert model.structure.uses_after_dose


def test_a_crowd_and_a_grid_of_times(model):
    known = model.individual({"K": jnp.linspace(0.1, 0.3, 3)[:, None], "B": 2.0})
    state = (jnp.ones((3, 1)), jnp.ones((3, 1)))
    times = jnp.linspace(0.0, 1.0, 4)[None, :]
    rates = model.derivative(times, state, known)
    assert rates[0].shape == (3, 4)
    first = model.derivative(times[0, 2], (1.0, 1.0), {"K": 0.1, "B": 2.0})
    np.testing.assert_allclose(rates[0][0, 2], first[0])


def test_single_precision_stays_single(model):
    inputs = {"K": jnp.float32(0.1), "B": jnp.float32(2.0)}
    with jax.numpy_dtype_promotion("standard"):
        known = model.individual(inputs)
        rates = model.derivative(jnp.float32(1.0), model.initial(known), known)
    assert {rate.dtype for rate in rates} == {jnp.dtype("float32")}


def test_models_are_values():
    one, other = load_model("theophylline"), load_model("theophylline")
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)
    assert one != load_model("one-compartment-oral")
    assert one != "theophylline"
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert again.structure == one.structure


def test_typical_inputs_are_all_inputs():
    model = load_model("docetaxel-neutropenia")
    assert set(model.typical()) == set(model.inputs)
    assert model.typical()["eta.CL"] == 0.0
    assert model.typical()["BSA"] == 1.75

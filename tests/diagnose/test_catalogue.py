"""What a model's solver is, in words and in data."""

import pytest

import vtrial as vt
from vtrial.diagnose.catalogue import solving
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output
from vtrial.types import Numerics


def test_a_model_without_states_is_algebra():
    model = Model("flat", parse_model("y = 2*t"), outputs=(Output("y", "y"),))
    found = solving(model)
    assert (found.method, found.states, found.entries) == ("algebra", 0, 0)
    assert "no states" in found.sparsity


def test_zeros_of_the_jacobian_are_counted():
    found = solving(vt.load_model("one-compartment-oral"))
    assert (found.states, found.entries, found.zeros) == (2, 4, 1)
    assert found.sparsity == "1 of 4 entries are always zero (25 %)"
    assert found.linear == ("depot", "central")


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_a_method_that_is_asked_for_is_told(method):
    found = solving(vt.load_model("one-compartment-iv"), Numerics(method=method))
    assert (found.method, found.reason) == (method, "the protocol asks for it")

"""Each subject by the method that suits it, whoever else is there."""

import jax
import numpy as np
import pytest

from vtrial.dosing.doses import times
from vtrial.solver.choice import choose
from vtrial.solver.grouping import parted
from vtrial.solver.host import simulate
from vtrial.types import Numerics, Status

GRID = times([1.0, 6.0, 12.0, 24.0])


@pytest.fixture(scope="module")
def binding(made):
    """A drug that binds at a rate K, which may be fast."""
    return made.model(
        "free = x/10\nbind = K*free*r - 0.1*c\nd/dt(x) = -0.2*x - bind\n"
        "d/dt(r) = 0.05*(1 - r) - bind\nd/dt(c) = bind - 0.05*c\ninit(r) = 1",
        outputs=("free", "c"),
        K=20.0,
    )


def test_subjects_with_fast_rates_are_stiff(made, binding):
    choice = choose(binding, Numerics())
    assert choice.methods == ("explicit", "stiff")
    assert f"from {choice.border:.2g} times that fastest rate on" in choice.words
    speed = np.array([10.0, 500.0, 20.0, 2000.0, 7.0])
    parts = parted(binding, choice, {"K": speed[:, None]})
    found = {method: rows.tolist() for method, rows in parts}
    assert found == {"explicit": [0, 2, 4], "stiff": [1, 3]}
    assert parted(binding, choice, {"K": speed[:1, None]}) == [("explicit", None)]
    assert parted(binding, choice, {"K": speed[1:2, None]}) == [("stiff", None)]


@pytest.mark.slow
def test_the_answer_is_the_method_s_own(made, binding):
    """Bit for bit, in the order of the subjects, and whoever else is there."""
    rng = np.random.default_rng(2)
    speed = np.exp(rng.uniform(np.log(2.0), np.log(3000.0), 90))
    speed[8] = np.nan
    doses = made.doses([0.0], [10.0])

    def solved(speed, method="auto"):
        numerics = Numerics(method=method)
        return simulate(binding, {"K": speed}, doses, GRID, numerics=numerics)

    found = solved(speed)
    assert np.flatnonzero(found.status).tolist() == [8]
    assert found.status[8] == Status.MISSING_INPUT
    parts = dict(parted(binding, choose(binding, Numerics()), {"K": speed[:, None]}))
    assert sorted(parts) == ["explicit", "stiff"]
    for method, rows in parts.items():
        alone = solved(speed[rows], method)
        for name, values in alone.outputs.items():
            np.testing.assert_array_equal(found.outputs[name][rows], values)
        np.testing.assert_array_equal(found.steps[rows], alone.steps)
        np.testing.assert_array_equal(found.end.amounts[rows], alone.end.amounts)
    some = solved(speed[20:40])
    np.testing.assert_array_equal(some.outputs["c"], found.outputs["c"][20:40])


@pytest.mark.slow
def test_traced_subjects_are_solved_as_the_typical_one(made, binding):
    doses = made.doses([0.0], [10.0])

    def last(speed):
        return simulate(binding, {"K": speed}, doses, GRID).outputs["c"][:, -1]

    speed = np.array([10.0, 2000.0])
    np.testing.assert_allclose(jax.jit(last)(speed), last(speed), rtol=1e-5)

"""A subject whose solution fails is data: it says why, and harms nobody else."""

import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.dosing.doses import no_doses, times
from vtrial.errors import SolverError
from vtrial.solver.host import simulate
from vtrial.types import Numerics, Status

GRID = np.array([0.0, 0.5, 1.0, 2.0, 4.0])


def solved(model, inputs, doses=None, grid=GRID, **how):
    doses = no_doses() if doses is None else doses
    return simulate(model, inputs, doses, times(grid), numerics=Numerics(**how))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_blowing_up_is_told_and_stays_alone(made, method):
    """x' = A x^2 from 1 is infinite at time 1/A."""
    model = made.model("d/dt(x) = A*x^2\ninit(x) = 1", outputs=("x",), A=0.1)
    found = solved(model, {"A": np.array([0.1, 0.7, 0.2])}, method=method)
    failed = found.status[1]
    assert failed in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    values = np.asarray(found.outputs["x"])
    np.testing.assert_allclose(values[1, :3], 1 / (1 - 0.7 * GRID[:3]), rtol=1e-4)
    assert np.isnan(values[1, 3:]).all()
    for place, rate in ((0, 0.1), (2, 0.2)):
        assert found.status[place] == Status.SOLVED
        np.testing.assert_allclose(values[place], 1 / (1 - rate * GRID), rtol=1e-4)
    assert np.isnan(found.end.amounts[1]).all()
    assert found.end.status[1] == failed


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_the_step_limit_holds_for_each_subject(made, method):
    model = made.model("d/dt(x) = W*cos(W*t)", outputs=("x",), W=1.0)
    found = solved(model, {"W": np.array([1.0, 5000.0])}, method=method, max_steps=300)
    assert found.status.tolist() == [Status.SOLVED, Status.STEP_LIMIT]
    assert found.steps[1] == 300
    assert found.steps[0] < 300
    assert np.isnan(found.outputs["x"][1, -1])
    assert np.isfinite(found.outputs["x"][0]).all()


@pytest.mark.parametrize(
    "method", ["closed form", "matrix exponential", "explicit", "stiff", "diffrax"]
)
def test_missing_inputs_and_doses_are_told(made, method):
    model = made.models["oral"]
    inputs = {
        "KA": np.array([1.0, np.nan, 1.0, 1.0]),
        "CL": np.full(4, 5.0),
        "V": np.full(4, 50.0),
    }
    amount = np.array([[100.0], [100.0], [np.nan], [100.0]])
    doses = made.doses(np.zeros((4, 1)), amount)
    found = solved(model, inputs, doses, method=method)
    lost = [0, Status.MISSING_INPUT, Status.BAD_DOSE, 0]
    assert found.status.tolist() == lost
    values = np.asarray(found.outputs["conc"])
    assert np.isnan(values[1:3]).all()
    np.testing.assert_array_equal(values[0], values[3])
    alone = solved(model, {k: v[:1] for k, v in inputs.items()}, method=method)
    assert np.isfinite(alone.outputs["conc"]).all()


@pytest.mark.slow
def test_padding_may_hold_anything(made):
    """A dose at infinity is none, whatever its amount says."""
    model = made.models["oral"]
    doses = made.doses([[0.0, np.inf]], [[100.0, np.nan]])
    found = solved(model, model.typical(), doses)
    plain = solved(model, model.typical(), made.doses([0.0], [100.0]))
    assert found.status[0] == Status.SOLVED
    np.testing.assert_array_equal(found.outputs["conc"], plain.outputs["conc"])
    late = simulate(model, model.typical(), doses, times([1.0, np.inf, 2.0]))
    assert np.isnan(late.outputs["conc"][0, 1])
    assert np.isfinite(late.outputs["conc"][0, [0, 2]]).all()


@pytest.mark.slow
def test_below_zero_is_told_where_the_model_forbids_it(made):
    text = "d/dt(x) = -A\ninit(x) = 1"
    free = made.model(text, outputs=("x",), A=1.0)
    bound = made.model(text, outputs=("x",), nonnegative=("x",), A=1.0)
    inputs = {"A": np.array([0.1, 0.8])}
    assert solved(free, inputs).status.tolist() == [0, 0]
    found = solved(bound, inputs)
    assert found.status.tolist() == [Status.SOLVED, Status.NEGATIVE]
    np.testing.assert_allclose(found.outputs["x"][1, :3], 1 - 0.8 * GRID[:3])
    assert np.isnan(found.outputs["x"][1, 3:]).all()


@pytest.mark.slow
def test_what_never_settles_is_told(made):
    """A compartment without a way out has no steady state, by either way."""
    linear = made.model("d/dt(x) = -K*x", outputs=("x",), K=0.1)
    doses = made.doses([0.0], [10.0], steady=1, interval=24.0)
    inputs = {"K": np.array([0.1, 0.0])}
    found = solved(linear, inputs, doses)
    assert found.status.tolist() == [Status.SOLVED, Status.UNSETTLED]
    full = made.model("d/dt(x) = -VMAX*x/(1 + x)", outputs=("x",), VMAX=1.0)
    found = solved(full, {"VMAX": np.array([2.0, 0.1])}, doses, max_steps=10_000)
    assert found.status[0] == Status.SOLVED
    assert found.status[1] in (Status.UNSETTLED, Status.STEP_LIMIT)


def test_a_duration_that_is_none_is_told(made):
    model = made.model("duration(x) = D\nd/dt(x) = -K*x", outputs=("x",), K=0.1, D=1.0)
    doses = made.doses([0.0], [10.0], rate=-2)
    found = solved(model, {"K": 0.1, "D": np.array([2.0, 0.0, -1.0])}, doses)
    assert found.status.tolist() == [0, Status.BAD_DOSE, Status.BAD_DOSE]
    level = 5.0 / 0.1 * (1 - np.exp(-0.1 * 2.0))
    np.testing.assert_allclose(found.outputs["x"][0, 3], level, rtol=1e-12)


@pytest.mark.parametrize("method", ["closed form", "explicit"])
@pytest.mark.parametrize(
    ("line", "good", "bad", "rate"),
    [
        ("lag(depot) = A", [0.0, 0.5], [-0.5, np.inf], 0.0),
        ("F(depot) = A", [0.0, 0.5, 1.5], [-0.5, np.inf], 0.0),
        ("lag(depot) = log(A)", [1.0], [0.5, 0.0, -1.0], 0.0),
        ("rate(depot) = A", [2.0], [0.0, -2.0], -1.0),
        ("duration(depot) = A", [2.0], [0.0, -2.0], -2.0),
    ],
)
def test_a_dose_that_cannot_be_given_fails_its_subject_only(
    made, line, good, bad, rate, method
):
    text = f"{line}\nd/dt(depot) = -KA*depot\nd/dt(x) = KA*depot - x"
    model = made.model(text, outputs=("x",), KA=1.0, A=1.0)
    values = np.array([*good, *bad])
    doses = made.doses([0.0, 5.0], [10.0, 10.0], rate=rate)
    found = solved(model, {"KA": 1.0, "A": values}, doses, method=method)
    fine = [Status.SOLVED] * len(good)
    assert found.status.tolist() == fine + [Status.BAD_DOSE] * (len(values) - len(fine))
    values = np.asarray(found.outputs["x"])
    assert np.isfinite(values[: len(good)]).all()
    assert np.isnan(values[len(good) :]).all()


@pytest.mark.parametrize("method", ["closed form", "explicit"])
def test_who_has_failed_stays_failed_in_the_next_stage(made, method):
    model = made.models["oral"]
    inputs = made.spread(model, 3)
    bad = inputs | {"KA": np.array([1.0, np.nan, 1.0])}
    doses = made.doses([0.0], [100.0])
    numerics = Numerics(method=method)
    first = simulate(model, bad, doses, times([4.0]), until=4.0, numerics=numerics)
    second = simulate(
        model, inputs, doses, times([8.0]), start=first.end, numerics=numerics
    )
    assert second.status.tolist() == [0, Status.MISSING_INPUT, 0]
    assert np.isnan(second.outputs["conc"][1, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"KA": 1.0, "cl": 5.0, "V": 50.0}}, "missing, but `cl` is given"),
        ({"inputs": {"KA": np.ones(2), "CL": np.ones(3), "V": 1.0}}, "for 2 subjects"),
        ({"inputs": {"KA": np.ones((1, 2)), "CL": 1.0, "V": 1.0}}, "2 columns"),
        ({"compartment": 2}, "the position of a state, 0 to 1"),
        ({"rate": -1}, r"Write `rate\(depot\) = \.\.\.`"),
        ({"rate": -2}, r"duration\(depot\) = \.\.\."),
        ({"rate": -3}, "above 0, 0, -1 or -2"),
        ({"steady": 1}, "above 0 h"),
        ({"event": 7}, "1, 2, 3 or 4"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_compiled(made, change, message):
    model = made.models["oral"]
    fields = {k: v for k, v in change.items() if k != "inputs"}
    inputs = change.get("inputs", model.typical())
    doses = made.doses([0.0], [100.0], **fields)
    with pytest.raises(SolverError, match=message):
        simulate(model, inputs, doses, times([1.0]))


def test_nothing_to_look_at_gives_nothing(made):
    model = made.models["oral"]
    empty = simulate(model, model.typical(), no_doses(), times(np.zeros((1, 0))))
    assert empty.outputs["conc"].shape == (1, 0)
    assert empty.status[0] == Status.SOLVED
    assert float(jnp.abs(empty.end.amounts).max()) == 0.0

"""Laws that hold whatever the numbers: mass, superposition, dose, time, order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.dosing.doses import Doses, times
from vtrial.solver.simulation import simulate
from vtrial.testing import bodies, individuals, schedules
from vtrial.types import Numerics

GRID = np.array([0.0, 3.0, 10.0, 24.0, 47.75, 60.0])
few = settings(max_examples=8, deadline=None)
METHODS = ["closed form", "matrix exponential", "explicit", "stiff"]
CLOSE = {"closed form": 1e-11, "matrix exponential": 1e-11}


def solved(model, inputs, doses, grid=GRID, method="closed form"):
    numerics = Numerics(method=method, rtol=1e-9, atol=1e-11)
    return simulate(
        model, inputs, doses, times(grid), numerics=numerics, keep_states=True
    )


def near(found, wanted, method="closed form", scale=None):
    close = CLOSE.get(method, 1e-6)
    scale = float(np.abs(wanted).max()) if scale is None else scale
    np.testing.assert_allclose(found, wanted, rtol=close, atol=close * (scale + 1e-9))


@few
@given(data=st.data())
def test_response_is_linear_in_dose_and_shifts_with_time(data):
    model = data.draw(bodies())
    inputs = data.draw(individuals(model))
    doses = data.draw(schedules())
    plain = solved(model, inputs, doses).states
    double = doses._replace(amount=2 * doses.amount, rate=2 * doses.rate)
    near(solved(model, inputs, double).states, 2 * plain)
    later = doses._replace(time=doses.time + 100.0)
    near(solved(model, inputs, later, GRID + 100.0).states, plain)


@few
@given(data=st.data())
def test_responses_add_up(data):
    model = data.draw(bodies())
    inputs = data.draw(individuals(model))
    one, two = data.draw(schedules(most=2)), data.draw(schedules(most=2))
    columns = zip(one[:-1], two[:-1], strict=True)
    joined = [np.concatenate(pair, axis=1) for pair in columns]
    order = np.argsort(joined[0][0], kind="stable")
    both = Doses(*(column[:, order] for column in joined))
    parts = solved(model, inputs, one).states + solved(model, inputs, two).states
    near(solved(model, inputs, both).states, parts)


@few
@given(data=st.data())
def test_order_of_subjects_and_of_times_changes_nothing(data):
    model = data.draw(bodies())
    inputs = data.draw(individuals(model))
    doses = data.draw(schedules())
    plain = solved(model, inputs, doses).outputs["conc"]
    backward = {k: v[::-1] for k, v in inputs.items()}
    turned = solved(model, backward, doses).outputs["conc"][::-1]
    np.testing.assert_array_equal(turned, plain)
    mixed = np.random.default_rng(0).permutation(len(GRID))
    shuffled = solved(model, inputs, doses, GRID[mixed]).outputs["conc"]
    np.testing.assert_array_equal(shuffled, plain[:, mixed])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_lost(made, method):
    """What was given is still there, or was eliminated into a state of its own."""
    model = made.model(
        "d/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - CL/V*central - Q/V*central + Q/V2*rim\n"
        "d/dt(rim) = Q/V*central - Q/V2*rim\n"
        "d/dt(gone) = CL/V*central",
        outputs=("gone",),
        **{"KA": 1.0, "CL": 5.0, "V": 20.0, "Q": 8.0, "V2": 60.0},
    )
    if method == "closed form":
        method = "auto"
    doses = made.doses([0.0, 5.0, 8.0], [100.0, 80.0, 60.0], rate=[0.0, 8.0, 30.0])
    found = solved(model, made.spread(model, 4), doses, GRID, method)
    given_by = [0.0, 100.0, 200.0, 240.0, 240.0, 240.0]
    total = np.asarray(found.states).sum(axis=2)
    wanted = np.broadcast_to(given_by, total.shape)
    np.testing.assert_allclose(total, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_overlapping_infusions_add_their_rates(made, method):
    """Three infusions at once are one of three times the rate."""
    model = made.models["oral"]
    many = made.doses(
        [0.0, 0.0, 0.0, 2.0], [10.0, 10.0, 10.0, 30.0], rate=[2.0] * 3 + [6.0]
    )
    one = made.doses([0.0, 2.0], [30.0, 30.0], rate=[6.0, 6.0])
    grid = np.array([1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 9.0])
    inputs = made.spread(model, 3)
    near(
        solved(model, inputs, many, grid, method).states,
        solved(model, inputs, one, grid, method).states,
        method,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rate", "lag"), [(0.0, 0.0), (20.0, 0.0), (4.0, 5.0), (0.0, 30.0)]
)
def test_steady_state_is_what_repetition_leads_to(made, method, rate, lag):
    """With lags and infusions longer than the interval, too."""
    text = "lag(central) = LAG\nd/dt(depot) = -KA*depot\n"
    text += "d/dt(central) = KA*depot - CL/V*central\nconc = central/V"
    model = made.model(text, KA=1.0, CL=8.0, V=30.0, LAG=lag)
    inputs = {"KA": 1.0, "CL": np.array([8.0, 4.0]), "V": 30.0, "LAG": lag}
    place = {"compartment": 1, "rate": rate}
    repeats = 60
    many = made.doses(12.0 * np.arange(repeats), [100.0] * repeats, **place)
    once = made.doses([0.0], [100.0], steady=1, interval=12.0, **place)
    begin = 12.0 * (repeats - 1)
    grid = np.array([0.5, 3.0, 7.0, 11.5])
    wanted = solved(model, inputs, many, grid + begin, method).states
    near(solved(model, inputs, once, grid, method).states, wanted, method)


def test_the_grid_of_observations_changes_nothing(made):
    model = made.models["three"]
    inputs = made.spread(model, 3)
    doses = made.doses([0.0, 12.0], [100.0, 60.0], rate=[0.0, 12.0])
    coarse = solved(model, inputs, doses, GRID).states
    fine = solved(model, inputs, doses, np.arange(0.0, 60.25, 0.25)).states
    near(fine[:, (GRID * 4).astype(int)], coarse)


def test_a_reset_empties_all_and_cancels_what_is_pending(made):
    text = "lag(depot) = 4\nd/dt(depot) = -KA*depot\n"
    text += "d/dt(central) = KA*depot - CL/V*central\nconc = central/V"
    model = made.model(text, KA=1.0, CL=5.0, V=50.0)
    doses = made.doses(
        [0.0, 0.0, 8.0, 10.0], [100.0, 50.0, 70.0, 0.0], rate=[0.0, 2.0, 0, 0]
    )
    doses = doses._replace(event=np.array([[1, 1, 1, 3]]))
    found = solved(model, model.typical(), doses, np.array([9.9, 10.5, 40.0]))
    assert float(found.outputs["conc"][0, 0]) > 0
    assert (np.asarray(found.states)[0, 1:] == 0.0).all()


def test_conditions_work_in_32_bits(made):
    model = made.model(
        "k = if(t < 2, 2*K, K)\nd/dt(x) = -k*x*(x > 0)", outputs=("x",), K=0.1
    )
    numerics = Numerics(method="explicit", precision=32, rtol=1e-5, atol=1e-6)
    found = simulate(
        model,
        {"K": 0.1},
        made.doses([0.0], [10.0]),
        times([2.0, 4.0]),
        numerics=numerics,
    )
    assert found.outputs["x"].dtype == np.float32
    wanted = 10 * np.exp([-0.4, -0.6])
    np.testing.assert_allclose(found.outputs["x"][0], wanted, rtol=1e-3)

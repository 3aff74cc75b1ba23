"""Stage by stage gives what the whole gives; what changes in time; what is shared."""

import jax
import numpy as np
import pytest

from vtrial.dosing.doses import Times, times
from vtrial.solver.host import simulate
from vtrial.solver.program import LANES, bucket
from vtrial.types import Numerics

pytestmark = pytest.mark.as_shipped
METHODS = ["closed form", "matrix exponential", "explicit", "stiff"]
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
GRID = np.array([1.0, 5.0, 6.0, 7.0, 12.0, 18.0, 24.0, 30.0])


@pytest.mark.parametrize("method", METHODS)
def test_stages_equal_the_whole(made, method):
    """With an infusion across a boundary, a dose at one, and a dose still to act."""
    lagged = "lag(depot) = LAG\nF(depot) = 0.8\n"
    model = made.model(lagged + "\n".join(_oral()), KA=1.0, CL=5.0, V=50.0, LAG=3.0)
    doses = made.doses(
        [0.0, 4.0, 12.0, 16.0],
        [100.0, 60.0, 100.0, 40.0],
        rate=[0.0, 10.0, 0.0, 20.0],
    )
    doses = doses._replace(compartment=np.array([[0, 1, 0, 1]]))
    numerics = Numerics(method=method, **TIGHT)
    inputs = made.spread(model, 3)
    inputs["LAG"] = np.array([3.0, 0.5, 5.0])
    whole = simulate(model, inputs, doses, times(GRID), numerics=numerics)
    state, parts = None, []
    for begin, end in ((0.0, 6.0), (6.0, 12.0), (12.0, 17.0), (17.0, 30.0)):
        grid = GRID[(begin < GRID) & (end >= GRID)]
        part = simulate(
            model,
            inputs,
            doses,
            times(grid),
            numerics=numerics,
            start=state,
            until=end,
        )
        state = part.end
        np.testing.assert_array_equal(np.ravel(state.time), end)
        parts.append(part.outputs["conc"])
    close = 1e-12 if method in ("closed form", "matrix exponential") else 1e-7
    found = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(found, whole.outputs["conc"], rtol=close, atol=1e-12)


def _oral():
    return (
        "d/dt(depot) = -KA*depot",
        "d/dt(central) = KA*depot - CL/V*central",
        "conc = central/V",
    )


def test_a_dose_at_the_end_of_a_stage_belongs_to_the_next(made):
    model = made.models["oral"]
    doses = made.doses([0.0, 12.0], [100.0, 50.0])
    both = Times(np.array([[12.0, 12.0]]), np.array([[0, 2]]))
    first = simulate(model, model.typical(), doses, both, until=12.0, keep_states=True)
    assert np.isfinite(first.states[0, 0, 0])
    assert np.isnan(first.states[0, 1, 0])
    assert float(first.end.last_dose[0]) == 0.0
    second = simulate(
        model, model.typical(), doses, both, start=first.end, keep_states=True
    )
    jump = second.states[0, 1, 0] - second.states[0, 0, 0]
    np.testing.assert_allclose(jump, 50.0)
    assert float(second.states[0, 0, 0]) == float(first.states[0, 0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_inputs_that_change_in_time_hold_in_their_periods(made, method):
    """Clearance changes at 10 h: the same as two stages with two clearances."""
    model = made.models["oral"]
    doses = made.doses([0.0, 10.0, 20.0], [100.0, 50.0, 20.0], rate=[0.0, 5.0, 0.0])
    numerics = Numerics(method=method, **TIGHT)
    one = made.spread(model, 3)
    two = one | {"CL": 3 * one["CL"], "V": 0.5 * one["V"]}
    both = {k: np.stack([one[k], two[k]], axis=1) for k in one}
    grid = np.array([2.0, 10.0, 11.0, 20.0, 26.0])
    found = simulate(
        model,
        both,
        doses,
        times(grid),
        periods=np.array([[-np.inf, 10.0]]),
        numerics=numerics,
    )
    first = simulate(model, one, doses, times(grid[:2]), until=10.0, numerics=numerics)
    second = simulate(
        model, two, doses, times(grid[2:]), start=first.end, numerics=numerics
    )
    wanted = np.concatenate([first.outputs["conc"], second.outputs["conc"]], axis=1)
    close = 1e-11 if method in ("closed form", "matrix exponential") else 1e-7
    np.testing.assert_allclose(found.outputs["conc"], wanted, rtol=close)
    named = simulate(
        model,
        both,
        doses,
        Times(np.array([[10.0]]), np.array([[0]]), np.array([[1]])),
        periods=np.array([[-np.inf, 10.0]]),
        numerics=numerics,
        keep_states=True,
    )
    np.testing.assert_allclose(
        named.outputs["conc"][:, 0], named.states[:, 0, 1] / two["V"], rtol=1e-12
    )


def test_a_column_begins_for_each_subject_when_it_says(made):
    model = made.model("d/dt(x) = RATE\ny = x", outputs=("y",), RATE=1.0)
    starts = np.array([[-np.inf, 2.0, 2.0, np.inf], [-np.inf, 1.0, 5.0, 9.0]])
    rates = np.array([[1.0, 99.0, 3.0, np.nan], [1.0, 2.0, 3.0, 4.0]])
    found = simulate(
        model,
        {"RATE": rates},
        made.doses([0.0], [0.0]),
        times([2.0, 10.0]),
        periods=starts,
    )
    assert found.status.tolist() == [0, 0]
    np.testing.assert_allclose(
        found.outputs["y"], [[2.0, 2 + 3 * 8], [1 + 2.0, 1 + 8 + 12 + 4.0]], rtol=1e-6
    )


def test_shared_and_repeated_rows_give_the_same(made):
    model = made.models["three"]
    doses = made.doses([0.0, 8.0], [100.0, 50.0], rate=[0.0, 25.0])
    inputs = made.spread(model, 5)
    inputs["KA"] = 0.9
    shared = simulate(model, inputs, doses, times(GRID))
    repeated = simulate(
        model,
        {k: np.broadcast_to(v, 5) for k, v in inputs.items()},
        jax.tree.map(lambda a: np.repeat(a, 5, axis=0), doses),
        Times(*(np.repeat(a, 5, axis=0) for a in times(GRID)[:2])),
    )
    np.testing.assert_array_equal(shared.outputs["conc"], repeated.outputs["conc"])


def test_chunks_change_nothing(made):
    """More subjects than lanes: each is solved as if alone."""
    model = made.models["saturable"]
    count = LANES[-1] + 9
    inputs = made.spread(model, count)
    doses = made.doses([0.0], [100.0])
    numerics = Numerics(method="explicit")
    many = simulate(model, inputs, doses, times(GRID), numerics=numerics)
    few = simulate(
        model,
        {k: v[-9:] for k, v in inputs.items()},
        doses,
        times(GRID),
        numerics=numerics,
    )
    assert many.outputs["conc"].shape == (count, GRID.size)
    np.testing.assert_allclose(
        many.outputs["conc"][-9:], few.outputs["conc"], rtol=1e-12
    )


def test_a_new_number_of_subjects_in_the_bucket_compiles_nothing(made):
    model = made.model("d/dt(x) = -K*x", outputs=("x",), K=0.2)
    doses, grid = made.doses([0.0], [10.0]), times([1.0, 2.0])
    simulate(model, made.spread(model, 40), doses, grid)
    compiled = _solve_cache()
    for count in (17, 33, 64):
        simulate(model, made.spread(model, count), doses, grid)
    assert _solve_cache() == compiled
    again = made.model("d/dt(x) = -K*x", outputs=("x",), K=0.2)
    simulate(again, made.spread(model, 50), doses, grid)
    assert _solve_cache() == compiled, "an equal model is the same model"
    simulate(model, made.spread(model, 65), doses, grid)
    assert _solve_cache() == compiled + 1


def _solve_cache():
    from vtrial.solver.program import _solve

    kept = len(_solve.stored._programs)
    return kept + sum(program._cache_size() for program in _solve.programs)


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(1, (16, 1)), (64, (64, 1)), (65, (64, 2)), (321, (64, 6)), (1000, (64, 16))],
)
def test_buckets(count, wanted):
    assert bucket(count) == wanted
    lanes, chunks = bucket(count)
    assert count <= lanes * chunks


def test_simulate_may_be_called_under_jit(made):
    """Doses are traced then, and everything they could ask for is compiled."""
    model = made.models["oral"]
    doses = made.doses([0.0, 6.0], [100.0, 50.0], rate=[0.0, 10.0])
    inputs = made.spread(model, 4)

    @jax.jit
    def run(inputs, doses, grid):
        return simulate(model, inputs, doses, grid).outputs["conc"]

    found = run(inputs, doses, times(GRID))
    plain = simulate(model, inputs, doses, times(GRID)).outputs["conc"]
    np.testing.assert_allclose(found, plain, rtol=1e-12)

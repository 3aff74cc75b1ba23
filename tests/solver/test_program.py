"""A program is the same function inside a larger one, and is told what comes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vtrial.dosing.doses import AFTER_DOSE, RESET, Times, times
from vtrial.dosing.expansion import expand
from vtrial.dosing.schedule import (
    ANYTHING,
    Schedule,
    between,
    observed,
    schedule_of,
    schedule_of_doses,
)
from vtrial.dosing.words import parse_regimen
from vtrial.errors import SolverError
from vtrial.solver.host import simulate
from vtrial.solver.program import compile_program
from vtrial.types import Numerics, Status

NAMES = ("oral", "saturable")
GRID = np.array([1.0, 6.0, 12.0, 30.0])


def asked(made, name):
    model = made.models[name]
    doses = made.doses([0.0, 12.0], [100.0, 60.0], rate=[0.0, 12.0])
    return model, made.spread(model, 5), doses


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_what_simulate_gives(made, name):
    model, inputs, doses = asked(made, name)
    program = compile_program(model, schedule_of_doses(doses))
    wanted = simulate(model, inputs, doses, times(GRID))
    for solve in (program.solve, jax.jit(program.solve)):
        found = solve(inputs, doses, times(GRID))
        np.testing.assert_array_equal(found.status, wanted.status)
        conc = (found.outputs["conc"], wanted.outputs["conc"])
        np.testing.assert_allclose(*conc, rtol=1e-12)
        ends = (found.end.amounts, wanted.end.amounts)
        np.testing.assert_allclose(*ends, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_program_is_mapped_scanned_and_differentiated(made, name):
    model, inputs, doses = asked(made, name)
    program = compile_program(model, schedule_of_doses(doses))
    factors = jnp.array([0.5, 1.0, 2.0])

    def last(factor):
        given = doses._replace(amount=factor * doses.amount)
        return program.solve(inputs, given, times(GRID)).outputs["conc"][0, -1]

    each = jnp.stack([last(factor) for factor in factors])
    np.testing.assert_allclose(jax.jit(jax.vmap(last))(factors), each, rtol=1e-9)
    scanned = lax.scan(lambda none, factor: (none, last(factor)), 0, factors)[1]
    np.testing.assert_allclose(scanned, each, rtol=1e-12)
    step = 1e-4
    slope = (last(1.0 + step) - last(1.0 - step)) / (2 * step)
    for by in (jax.grad, jax.jacfwd):
        assert float(jax.jit(by(last))(1.0)) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.slow
def test_stages_join(made):
    model, inputs, doses = asked(made, "saturable")
    program = compile_program(model, schedule_of_doses(doses))
    whole = program.solve(inputs, doses, times(GRID))
    first = program.solve(inputs, doses, times(GRID), until=13.0)
    second = program.solve(inputs, doses, times(GRID), start=first.end)
    conc = (second.outputs["conc"][:, 3], whole.outputs["conc"][:, 3])
    np.testing.assert_allclose(*conc, rtol=1e-5)


def test_other_data_compile_nothing(made):
    model, inputs, doses = asked(made, "saturable")
    solve = jax.jit(compile_program(model, schedule_of_doses(doses)).solve)
    for factor in (1.0, 1.5, 3.0):
        given = doses._replace(
            amount=factor * doses.amount, time=doses.time + factor, rate=doses.rate * 2
        )
        solve(inputs, given, times(GRID + factor))
    assert solve._cache_size() == 1


@pytest.mark.parametrize(
    ("schedule", "field", "value"),
    [
        (Schedule(), "rate", [0.0, 12.0]),
        (Schedule((0,)), "event", [1, RESET]),
        (Schedule((0,)), "steady", [1, 0]),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_events_that_the_schedule_does_not_have_are_told(
    made, name, schedule, field, value
):
    model = made.models[name]
    given = made.doses([0.0, 12.0], [100.0, 60.0], interval=[12.0, 12.0])
    full = np.asarray(getattr(given, field))
    rows = np.stack([full[0], np.asarray(value, full.dtype)])
    given = jax.tree.map(lambda v: np.repeat(v, 2, axis=0), given)
    program = compile_program(model, schedule)
    found = program.solve(
        model.typical(), given._replace(**{field: rows}), times([1.0])
    )
    assert found.status.tolist() == [Status.SOLVED, Status.UNSCHEDULED]
    conc = np.asarray(found.outputs["conc"])[:, 0]
    assert np.isfinite(conc).tolist() == [True, False]


@pytest.mark.slow
def test_more_observations_than_are_announced_are_told(made):
    model, _, doses = asked(made, "saturable")
    seen = np.stack([np.linspace(1.0, 23.0, 8), np.linspace(1.0, 8.0, 8)])
    how = Numerics(method="stiff")
    schedule = observed(schedule_of_doses(doses), doses, times(seen[:1]))
    found = compile_program(model, schedule, how).solve(
        model.typical(), doses, times(seen)
    )
    assert found.status.tolist() == [Status.SOLVED, Status.UNSCHEDULED]
    wanted = simulate(model, model.typical(), doses, times(seen[:1]), numerics=how)
    conc = (found.outputs["conc"][0], wanted.outputs["conc"][0])
    np.testing.assert_allclose(*conc, rtol=1e-9)


def test_what_is_missing_is_refused_before_anything_is_traced(made):
    model, inputs, doses = asked(made, "oral")
    del inputs["CL"]
    solve = jax.jit(compile_program(model, ANYTHING).solve)
    with pytest.raises(SolverError, match="CL"):
        solve(inputs, doses, times(GRID))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100 mg every 24 h x 3", Schedule()),
        ("100 mg over 2 h every 24 h x 3", Schedule((0,))),
        ("5 mg every 12 h x 4 at steady state", Schedule(overlaps=2)),
    ],
)
def test_a_regimen_s_schedule_is_that_of_its_doses(made, text, wanted):
    regimen = parse_regimen(text, model=made.models["oral"])
    assert schedule_of(regimen) == wanted
    assert schedule_of_doses(expand(regimen, {})) == wanted
    assert len({wanted, schedule_of(regimen)}) == 1


def test_observations_at_a_dose_count_on_both_sides(made):
    doses = made.doses([0.0, 24.0], [1.0, 1.0])
    grid = np.array([[1.0, 24.0, 24.0, 25.0, np.inf]])
    seen = Times(grid, np.array([[0, 0, AFTER_DOSE, 0, 0]]))
    assert between(doses, seen).tolist() == [3]

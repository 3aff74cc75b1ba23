"""What is seen between events is the same, read in passing or stopped at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.dosing.doses import AFTER_DOSE, Times, times
from vtrial.dosing.schedule import most_between
from vtrial.solver import program, window
from vtrial.solver.host import simulate
from vtrial.types import Numerics, Status

SLOW = pytest.mark.slow
CASES = [
    pytest.param("friberg", "explicit", marks=SLOW),
    ("saturable", "hybrid explicit"),
    ("saturable", "stiff"),
    pytest.param("friberg", "hybrid stiff", marks=SLOW),
]
BOTH = pytest.mark.parametrize(
    "method", [pytest.param("explicit", marks=SLOW), "stiff"]
)
FINE = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture
def looked(monkeypatch):
    """Solve twice: read in passing, then with a step that ends at all that is seen."""
    monkeypatch.setattr(window, "RICH", 1)
    width_of = program.width_of

    def both(*asked, **how):
        widths = []

        def noted(*given):
            widths.append(width_of(*given))
            return widths[-1]

        monkeypatch.setattr(program, "width_of", noted)
        passing = simulate(*asked, **how)
        assert widths
        assert widths[0] > 0
        monkeypatch.setattr(program, "width_of", lambda *given: 0)
        return passing, simulate(*asked, **how)

    return both


def assert_alike(one, two, close=1e-7):
    np.testing.assert_array_equal(one.status, two.status)
    for name, values in two.outputs.items():
        np.testing.assert_allclose(one.outputs[name], values, rtol=close, atol=1e-9)
    ends = map(jax.tree.leaves, (one.end, two.end))
    for mine, other in zip(*ends, strict=True):
        np.testing.assert_allclose(mine, other, rtol=close, atol=1e-9)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_times_of_their_own_in_any_order(made, looked, name, method):
    """Seen twice at one time, before and after a dose, out of order, or not at all."""
    model = made.models[name]
    rng = np.random.default_rng(5)
    seen = rng.uniform(0.0, 60.0, (70, 9))
    seen[:, 3], seen[:, 5], seen[:, 6] = seen[:, 2], 12.0, 12.0
    seen[::2, 7] = np.inf
    rank = np.zeros(seen.shape, int)
    rank[:, 6] = AFTER_DOSE
    doses = made.doses([0.0, 12.0, 30.0], [100, 60, 90], rate=[0.0, 12.0, 0.0])
    one, two = looked(
        model,
        made.spread(model, 70),
        doses,
        Times(seen, rank, None),
        numerics=Numerics(method=method, **FINE),
        keep_states=True,
    )
    assert_alike(one, two)
    np.testing.assert_allclose(one.states, two.states, rtol=1e-7, atol=1e-8)
    assert np.isnan(np.asarray(one.outputs["conc"])[::2, 7]).all()


@pytest.mark.slow
@BOTH
def test_stages_join(made, looked, method):
    """What is seen at the end of a stage, before and after a dose there."""
    model = made.models["saturable"]
    inputs = made.spread(model, 5)
    doses = made.doses([0.0, 24.0], [100.0, 80.0])
    grid = np.array([[1.0, 12.0, 24.0, 24.0, 30.0, 48.0]])
    seen = Times(grid, np.array([[0, 0, 0, AFTER_DOSE, 0, 0]]), None)
    how = {"numerics": Numerics(method=method, **FINE)}
    first, other = looked(model, inputs, doses, seen, until=24.0, **how)
    assert_alike(first, other)
    assert np.isnan(np.asarray(first.outputs["conc"])[:, 3:]).all()
    second, other = looked(model, inputs, doses, seen, start=first.end, **how)
    assert_alike(second, other)
    whole = simulate(model, inputs, doses, seen, **how)
    joined = np.where(
        np.isnan(first.outputs["conc"]),
        second.outputs["conc"],
        first.outputs["conc"],
    )
    np.testing.assert_allclose(joined, whole.outputs["conc"], rtol=1e-7, atol=1e-9)


@BOTH
@pytest.mark.slow
def test_a_failure_shows_from_where_it_happens(made, looked, method):
    """x' = x^2 from 1/T has no solution beyond T; the others have none of that."""
    model = made.model(
        "d/dt(x) = x*x\ninit(x) = 1/T\nd/dt(y) = -y\ninit(y) = 1",
        outputs=("x", "y"),
        T=1.0,
    )
    ends = np.array([5.5, 20.0, 9.5])
    grid = np.arange(12.0)
    one, two = looked(
        model,
        {"T": ends},
        made.doses([0.0], [0.0]),
        times(grid),
        numerics=Numerics(method=method),
    )
    np.testing.assert_array_equal(one.status, two.status)
    assert np.flatnonzero(one.status).tolist() == [0, 2]
    known = np.isfinite(np.asarray(one.outputs["x"]))
    np.testing.assert_array_equal(known, grid[None] < ends[:, None])
    exact = 1 / (ends[:, None] - grid[None])
    np.testing.assert_allclose(
        np.asarray(one.outputs["x"])[known], exact[known], rtol=1e-4
    )


@BOTH
@pytest.mark.slow
def test_what_may_not_be_negative_is_seen_to_be(made, looked, method):
    model = made.model(
        "d/dt(x) = -K\ninit(x) = 10", outputs=("x",), nonnegative=("x",), K=1.0
    )
    one, two = looked(
        model,
        {"K": np.array([1.0, 4.0])},
        made.doses([0.0], [0.0]),
        times(np.arange(6.0)),
        numerics=Numerics(method=method),
    )
    assert_alike(one, two)
    assert one.status.tolist() == [Status.SOLVED, Status.NEGATIVE]
    np.testing.assert_allclose(one.outputs["x"][1, :3], [10.0, 6.0, 2.0])
    assert np.isnan(np.asarray(one.outputs["x"])[1, 3:]).all()


@pytest.mark.slow
def test_a_rich_grid_costs_no_steps(made):
    """Read inside steps, and as accurately as these are."""
    model = made.models["friberg"]
    inputs, doses = made.spread(model, 20), made.doses([0.0, 240.0], [100.0, 60.0])

    def solved(count, **how):
        grid = times(np.linspace(0.0, 480.0, count))
        return simulate(model, inputs, doses, grid, numerics=Numerics(**how))

    few, many = solved(3), solved(2001)
    exact = solved(2001, rtol=1e-11, atol=1e-13)
    assert float(many.steps.mean()) < 1.3 * float(few.steps.mean())
    np.testing.assert_allclose(many.outputs["circ"], exact.outputs["circ"], rtol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_slopes_are_those_of_the_closed_form(made, monkeypatch, method):
    """By rates, the dose, its time, and the time at which one looks."""
    monkeypatch.setattr(window, "RICH", 1)
    model = made.models["three"]
    grid = np.array([1.0, 5.0, 11.0, 20.0])
    typical = {k: jnp.asarray(v) for k, v in model.typical().items()}

    def level(values, amount, when, seen, method):
        doses = made.doses([0.0, 12.0], [100.0, 60.0])
        doses = doses._replace(
            time=jnp.stack([0.0 * when, when])[None],
            amount=jnp.stack([amount, 0.6 * amount])[None],
        )
        numerics = Numerics(method=method, rtol=1e-10, atol=1e-12)
        return simulate(
            model, values, doses, times(grid)._replace(time=seen), numerics=numerics
        ).outputs["conc"][0]

    at = (typical, jnp.asarray(100.0), jnp.asarray(12.0), jnp.asarray(grid)[None])
    slopes = jax.jacfwd(level, argnums=(0, 1, 2, 3))
    found, wanted = slopes(*at, method), slopes(*at, "auto")
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("doses", "seen", "most"),
    [
        ([[0.0, 12.0]], [[1.0, 2.0, 13.0]], 2),
        ([[0.0, 12.0]], [[0.0, 12.0, 12.0, 24.0]], 3),
        ([[5.0]], [[1.0, 2.0, 3.0, 6.0]], 3),
        ([[0.0, np.inf]], [[1.0, np.inf, np.inf]], 1),
        ([[0.0], [10.0]], [[1.0, 2.0, 11.0], [1.0, 2.0, 11.0]], 3),
    ],
)
def test_observations_between_doses_are_counted(doses, seen, most):
    """Ends included: what is seen at a dose may count for both sides of it."""
    assert most_between(np.array(doses), np.array(seen)).max() == most


def test_no_company_changes_how_a_subject_is_looked_at(made):
    """One dose and many looks beside many doses: each as if by itself."""
    model = made.models["saturable"]
    grid = np.linspace(0.0, 100.0, 2 * window.RICH)
    given = np.array([[0.0, np.inf, np.inf, np.inf], [0.0, 25.0, 50.0, 75.0]])
    doses = made.doses(given, np.full((2, 4), 50.0))
    inputs = made.spread(model, 2)
    how = {"numerics": Numerics(method="explicit")}
    both = simulate(model, inputs, doses, times(grid), **how)
    for row in (0, 1):
        mine, dosed = jax.tree.map(lambda value: value[[row]], (inputs, doses))  # noqa: B023
        alone = simulate(model, mine, dosed, times(grid), **how)
        assert both.steps[row] == alone.steps[0]
        conc = (both.outputs["conc"][row], alone.outputs["conc"][0])
        np.testing.assert_allclose(*conc, rtol=1e-13)

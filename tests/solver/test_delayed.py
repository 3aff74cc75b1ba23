"""Delays: closed forms, SciPy's solutions by intervals, doses, stages, slopes."""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
import pytest
from jaxtyping import Float
from scipy.integrate import quad, solve_ivp

from vtrial.dosing.doses import Doses, Times, no_doses
from vtrial.dosing.schedule import schedule_of_doses
from vtrial.errors import SolverError
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.solver.program import Program, compile_program
from vtrial.solver.trajectory import Trajectory
from vtrial.testing.contract import SimulateContract
from vtrial.types import Method, Numerics, Status

HUTCHINSON = """
model: hutchinson
parameters: {R: {value: 0.3}, K: {value: 10}, N0: {value: 1}, TAU: {value: 4, unit: h}}
equations: |
  past = lag(n, TAU)
  d/dt(n) = R*n*(1 - past/K)
  init(n) = N0
outputs: {n: {}, past: {}}
"""
LINEAR = """
model: looks-back
parameters: {TAU: {value: 1, unit: h}}
equations: |
  d/dt(x) = -lag(x, TAU)
  init(x) = 1
outputs: {x: {}}
"""
LIFESPAN = """
model: lifespan
parameters:
  KE: {value: 0.1}
  KIN: {value: 2}
  SMAX: {value: 3}
  SC50: {value: 2}
  TP: {value: 5, unit: h}
  TR: {value: 25, unit: h}
equations: |
  d/dt(central) = -KE*central
  young = lag(central, TP)
  old = lag(central, TP + TR)
  d/dt(cells) = KIN*SMAX*(young/(SC50 + young) - old/(SC50 + old))
  init(cells) = KIN*TR
outputs: {cells: {}, young: {}}
"""


@functools.cache
def model_of(text: str) -> Model:
    """Load a model once."""
    return load_model(text)


def program_of(text: str) -> Program:
    """Return the program of a model without doses."""
    return compile_program(model_of(text), schedule_of_doses(no_doses()))


def seen(time: Float[np.ndarray, " time"]) -> Times:
    """Return observations after anything at their time."""
    return Times(time[None], np.full((1, len(time)), 2))


COUNT = 61  # observations, so that all of a model's solutions are one program's


def solved(
    text: str, time: np.ndarray, *, rows: int = 3, **values: object
) -> Trajectory:
    """Solve for some subjects, without doses, with some parameters' values."""
    model, numerics = model_of(text), Numerics(past=256)
    inputs = {
        name: np.broadcast_to(value, (rows,))
        for name, value in (model.typical() | values).items()
    }
    return simulate(model, inputs, no_doses(), seen(time), numerics=numerics)


def by_scipy(
    slope: Callable[[float, float], float], start: float, by: float, intervals: int
) -> Callable[[float], float]:
    """Solve d/dt y = slope(y, y a delay ago) with SciPy, one delay after another."""
    parts: list[Callable[[float], np.ndarray]] = []

    def past(time: float, number: int) -> float:
        return start if number < 0 else float(parts[number](time)[0])

    value = start
    for number in range(intervals):

        def change(time: float, y: np.ndarray, number: int = number) -> list[float]:
            return [slope(float(y[0]), past(time - by, number - 1))]

        ends, how = (number * by, (number + 1) * by), {"rtol": 1e-10, "atol": 1e-12}
        one = solve_ivp(
            change, ends, [value], method="DOP853", dense_output=True, **how
        )
        parts.append(one.sol)
        value = float(one.y[0, -1])
    return lambda time: past(time, min(int(time // by), intervals - 1))


def test_a_delay_is_chosen_for_and_no_other_method_is_taken():
    model = model_of(HUTCHINSON)
    assert choose(model, Numerics()).words.startswith("method of steps: ")
    assert "the past of `n`" in choose(model, Numerics()).reason
    methods: list[Method] = ["explicit", "stiff", "matrix exponential", "diffrax"]
    for method in methods:
        with pytest.raises(SolverError, match=r"the past of `n`.*`method: auto`"):
            choose(model, Numerics(method=method))
    with pytest.raises(SolverError, match="32 bits"):
        choose(model, Numerics(precision=32))


@pytest.mark.slow
def test_polynomials_and_their_slopes_are_exact():
    """x(t) is the sum of (-1)^k (t - (k - 1) TAU)^k / k! over all k that have begun.

    Observations at multiples of TAU are where steps end anyway.
    """
    time, program = np.linspace(0, 5, 26), program_of(LINEAR)

    def at(by: jax.Array) -> jax.Array:
        return program.solve({"TAU": by}, no_doses(), seen(time)).outputs["x"][0]

    for by in (1.0, 0.93):
        found, slope = jax.jvp(at, (by,), (1.0,))
        wanted, slopes = np.ones_like(time), np.zeros_like(time)
        for k in range(1, 8):
            since = np.maximum(time - (k - 1) * by, 0)
            sign = (-1) ** k / math.factorial(k - 1)
            wanted += sign * since**k / k
            slopes -= sign * (k - 1) * since ** (k - 1)
        # Dense output is of degree 4: a polynomial of degree 5 is read with an error.
        exact = time <= 5 * by
        np.testing.assert_allclose(found[exact], wanted[exact], rtol=0, atol=1e-12)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-8)
        np.testing.assert_allclose(slope, slopes, rtol=0, atol=1e-6)


def test_hutchinson_agrees_with_scipy():
    growth, by = np.array([0.3, 0.5, 1.0]), np.array([4.0, 4.0, 4.0 / 3])
    time = np.linspace(0, 40, COUNT)
    found = solved(HUTCHINSON, time, R=growth, TAU=by)
    n, past = (np.asarray(found.outputs[name]) for name in ("n", "past"))
    for row in range(3):
        alone = time <= by[row]
        exact = np.exp(growth[row] * (1 - 1 / 10) * time[alone])
        np.testing.assert_allclose(n[row, alone], exact, rtol=1e-7)

        def slope(now: float, before: float, rate: float = growth[row]) -> float:
            return rate * now * (1 - before / 10)

        known = by_scipy(slope, 1.0, float(by[row]), math.ceil(40 / by[row]))
        np.testing.assert_allclose(n[row], [known(t) for t in time], rtol=1e-6)
    shift = round(by[0] / (time[1] - time[0]))
    np.testing.assert_allclose(past[0, shift:], n[0, :-shift], rtol=1e-9)
    np.testing.assert_array_equal(past[0, : shift + 1], 1.0)


def test_hutchinson_swings_from_half_pi_on():
    """At R TAU = pi/2 the equilibrium gives way to a cycle (Hopf), not before."""
    time = np.concatenate([np.linspace(0, 20, 30), np.linspace(380, 400, COUNT - 30)])
    found = solved(HUTCHINSON, time, R=[1.4, 1.57, 1.75], TAU=1.0, N0=9.0)
    n = np.asarray(found.outputs["n"])
    early, late = (np.ptp(n[:, part], axis=1) for part in (time < 21, time > 379))
    assert late[0] < 1e-6 * early[0]
    assert late[0] < late[1] < late[2]
    assert late[2] > 0.9 * early[2] > 1.0


def concentration(time: float, lasts: float) -> float:
    """Return the amount of three doses of 10, at once or over some hours."""
    total = 0.0
    for dose in (0.0, 24.0, 50.5):
        since = time - dose
        if since >= 0 and not lasts:
            total += 10 * math.exp(-0.1 * since)
        elif since >= 0:
            begun, ended = math.exp(-0.1 * since), math.exp(-0.1 * (since - lasts))
            total += 100 / lasts * (min(ended, 1.0) - begun)
    return total


@pytest.mark.slow
def test_cells_of_one_lifespan_agree_with_their_integral():
    """Cells there are those produced TP to TP + TR ago; doses jump, infusions bend."""
    time, zero, lasting = np.linspace(0, 120, 61), np.zeros((2, 3), int), (0.0, 5.0)
    doses = Doses(
        time=np.array([[0.0, 24.0, 50.5]] * 2),
        amount=np.full((2, 3), 10.0),
        rate=np.array([[0.0] * 3, [2.0] * 3]),
        compartment=zero,
        event=zero + 1,
        steady=zero,
        interval=np.zeros((2, 3)),
        rank=zero + 1,
    )
    model = model_of(LIFESPAN)
    found = simulate(model, model.typical(), doses, seen(time))
    for row, lasts in enumerate(lasting):

        def made(at: float, lasts: float = lasts) -> float:
            c = concentration(at, lasts)
            return 2 * (1 + 3 * c / (2 + c))

        bends = sorted({b + more for b in (0.0, 24.0, 50.5) for more in lasting})
        wanted = []
        for t in time:
            ends = [t - 30, *(b for b in bends if t - 30 < b < t - 5), t - 5]
            parts = zip(ends[:-1], ends[1:], strict=True)
            wanted.append(sum(quad(made, a, b, epsabs=1e-11)[0] for a, b in parts))
        np.testing.assert_allclose(found.outputs["cells"][row], wanted, rtol=2e-6)
        young = [concentration(t - 5, lasts) for t in time]
        np.testing.assert_allclose(found.outputs["young"][row], young, atol=1e-6)


@pytest.mark.slow
def test_stages_equal_the_whole():
    time, rows = np.linspace(0, 40, COUNT), 3
    by = np.array([1.5, 4.0, 9.0])
    whole, model = solved(HUTCHINSON, time, TAU=by), model_of(HUTCHINSON)
    schedule = schedule_of_doses(no_doses())
    program = compile_program(model, schedule, Numerics(past=256))
    inputs = model.typical() | {"TAU": by}
    stands = program.start(inputs, np.zeros(rows))
    for first in (0, 20, 40):
        part = slice(first, first + 20)
        until = np.full(rows, time[first + 20])
        how = {"start": stands, "until": until}
        stage = program.solve(inputs, no_doses(), seen(time[part]), **how)
        for name, values in stage.outputs.items():
            there = whole.outputs[name][:, part]
            np.testing.assert_allclose(values, there, rtol=2e-6)
        stands = stage.end
    assert whole.end.past is None  # nobody said where it ends
    with pytest.raises(SolverError, match=r"a State without a past.*`until="):
        program.solve(inputs, no_doses(), seen(time + 40), start=whole.end)


def test_what_cannot_be_is_told_by_subject():
    time, by = np.linspace(0, 40, COUNT), np.array([2.0, 0.0, -1.0, np.inf, 3.0])
    found = solved(HUTCHINSON, time, rows=5, TAU=by)
    bad = int(Status.BAD_DELAY)
    np.testing.assert_array_equal(found.status, [0, bad, bad, bad, 0])
    assert np.isnan(np.asarray(found.outputs["n"])[1:4, 1:]).all()


def test_a_past_that_is_too_short_is_told():
    """A fall by 300 an hour takes an explicit method hundreds of steps in a delay."""
    time = np.linspace(0, 40, COUNT)
    found = solved(HUTCHINSON, time, N0=[1.0, 9.0, 1e4])
    np.testing.assert_array_equal(found.status, [0, 0, int(Status.PAST_LOST)])


def test_steady_states_and_resets_have_no_past():
    zero = np.zeros((1, 1), int)
    real = np.full((1, 1), 24.0)
    doses = Doses(
        time=real, amount=real, rate=0 * real, compartment=zero, event=zero + 1,
        steady=zero + 1, interval=real, rank=zero + 1,
    )  # fmt: skip
    model = model_of(HUTCHINSON)
    with pytest.raises(SolverError, match="a steady state, which has no past"):
        simulate(model, model.typical(), doses, seen(np.array([30.0])))
    anew = doses._replace(steady=zero, event=zero + 3)
    with pytest.raises(SolverError, match="a reset, which has no past"):
        simulate(model, model.typical(), anew, seen(np.array([30.0])))


@pytest.mark.slow
class TestDelayed(SimulateContract):
    """What holds for every method holds for this one."""

    model = model_of(LIFESPAN)
    amount = 10.0


@pytest.mark.slow
class TestDelayedInfusions(SimulateContract):
    """The same where doses last."""

    model = model_of(LIFESPAN)
    amount, duration = 10.0, 3.0

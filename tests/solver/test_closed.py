"""Closed forms against the matrix exponential, and where rates meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from vtrial.dosing.doses import times
from vtrial.solver.differences import divided_differences
from vtrial.solver.host import simulate
from vtrial.solver.linear_pk import eigenvalues
from vtrial.testing import bodies, individuals, schedules
from vtrial.types import Numerics

CLOSED = Numerics(method="closed form")
GRID = np.array([0.0, 0.25, 1.0, 2.0, 5.0, 12.0, 24.0, 48.0, 96.0])
rates = st.floats(1e-4, 30.0)


def exact(model, values, doses, grid):
    """Walk through doses with SciPy's exponential of the model's matrix."""
    rows = model.linear_matrix(model.individual(values))
    matrix = np.array([[0.0 if e is None else float(e) for e in row] for row in rows])
    size = len(matrix)
    events = []
    for t, amount, rate in zip(
        doses.time[0], doses.amount[0], doses.rate[0], strict=True
    ):
        if rate == 0:
            events.append((t, amount, 0.0))
        else:
            events += [(t, 0.0, rate), (t + amount / rate, 0.0, -rate)]
    events = sorted(events)
    found = []
    for end in grid:
        state, forced, now = np.zeros(size), np.zeros(size), 0.0
        for when, amount, rate in [*events, (end, 0.0, 0.0)]:
            until = min(when, end)
            full = np.zeros((size + 1, size + 1))
            full[:size, :size], full[:size, size] = matrix, forced
            state = (expm(full * (until - now)) @ np.append(state, 1.0))[:size]
            now = until
            if when >= end:
                break
            state[0] += amount
            forced[0] += rate
        found.append(state)
    return np.array(found)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_bodies_agree_with_the_matrix_exponential(data):
    model = data.draw(bodies())
    inputs = data.draw(individuals(model, subjects=2))
    doses = data.draw(schedules())
    solved = simulate(
        model, inputs, doses, times(GRID), numerics=CLOSED, keep_states=True
    )
    assert (solved.status == 0).all()
    for subject in range(2):
        values = {k: v[subject] for k, v in inputs.items()}
        wanted = exact(model, values, doses, GRID)
        found = np.asarray(solved.states[subject])
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-11)


def positive_exponential(matrix):
    """Return exp of a matrix that is negative on its diagonal only, to the last digits.

    Shifted, nothing in Taylor's series and in squaring is negative, and so no digit is
    lost; the shift asks for the range of extended precision.
    """
    shift = -matrix.diagonal().min()
    small = np.asarray(matrix + shift * np.eye(len(matrix)), np.longdouble)
    halvings = max(0, int(np.ceil(np.log2(small.sum(axis=1).max()))))
    small /= 2**halvings
    term = total = np.eye(len(matrix), dtype=np.longdouble)
    for order in range(1, 30):
        term = term @ small / order
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total * np.exp(-np.longdouble(shift))


@given(nodes=st.lists(rates, min_size=2, max_size=5), time=st.floats(1e-3, 50.0))
@settings(max_examples=60, deadline=None)
def test_divided_differences_are_a_corner_of_a_bidiagonal_exponential(nodes, time):
    """Opitz: f[x_0..x_k] stands in the corner of f of a bidiagonal matrix.

    Not by SciPy, which divides differences of exponentials where a matrix is
    triangular: nodes that are one bit apart then give 0 for 0.9999.
    """
    nodes = np.sort(nodes)
    table = divided_differences([jnp.asarray([x]) for x in nodes], jnp.asarray([time]))
    matrix = np.diag(-nodes) + np.diag(np.ones(len(nodes) - 1), 1)
    corner = positive_exponential(matrix * time)
    for i, row in enumerate(table):
        for order, value in enumerate(row):
            wanted = corner[i, i + order]
            np.testing.assert_allclose(float(value[0]), wanted, rtol=1e-9, atol=1e-13)


@given(values=st.lists(rates, min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_eigenvalues_annihilate_the_matrix(values):
    """Cayley and Hamilton: nearly equal roots may be off, their product may not."""
    ke, out1, out2, in1, in2 = values
    three = np.array(
        [[-ke - out1 - out2, in1, in2], [out1, -in1, 0.0], [out2, 0.0, -in2]]
    )
    two = np.array([[-ke - out1, in1], [out1, -in1]])
    for matrix, outward, inward in (
        (three, (out1, out2), (in1, in2)),
        (two, (out1,), (in1,)),
    ):
        roots = np.ravel(eigenvalues(*_arrays(ke, outward, inward)))
        assert (np.diff(roots) >= -1e-12).all()
        product = np.eye(len(matrix))
        for root in roots:
            product = (matrix + root * np.eye(len(matrix))) @ product
        scale = np.abs(matrix).max() ** len(matrix)
        np.testing.assert_allclose(product, 0.0, atol=1e-12 * scale)
        wanted = np.sort(-np.linalg.eigvals(matrix).real)
        np.testing.assert_allclose(roots, wanted, rtol=1e-4, atol=1e-7 * wanted.max())


def _arrays(ke, outward, inward):
    one = jnp.ones(1)
    return ke * one, tuple(o * one for o in outward), tuple(i * one for i in inward)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-7, 1e-3])
@pytest.mark.slow
def test_nothing_happens_where_absorption_meets_elimination(made, distance):
    """Value and slope are finite in the hole, and the value is right."""
    model = made.models["oral"]
    doses = made.doses([0.0], [100.0])

    def peak(ka):
        inputs = {"KA": ka, "CL": 5.0, "V": 50.0}
        solved = simulate(model, inputs, doses, times([3.0]), numerics=CLOSED)
        return solved.outputs["conc"][0, 0]

    ka, ke, t = 0.1 + distance, 0.1, 3.0
    slope = jax.jacfwd(peak)(jnp.asarray(ka))
    step = 1e-5
    rough = (peak(ka + step) - peak(ka - step)) / (2 * step)
    assert np.isfinite(slope)
    np.testing.assert_allclose(slope, rough, rtol=1e-5)
    if distance == 0:
        np.testing.assert_allclose(peak(ka), 2.0 * ke * t * np.exp(-ke * t), rtol=1e-13)


@pytest.mark.slow
def test_an_empty_exchange_is_no_exchange(made):
    """With no flow to the periphery three compartments are one, of a peak of 3."""
    three, one = made.models["three"], made.models["oral"]
    doses = made.doses([0.0, 12.0], [100.0, 50.0], rate=[0.0, 10.0])
    values = {"KA": 0.8, "CL": 5.0, "V": 20.0}
    alone = simulate(one, values, doses, times(GRID), numerics=CLOSED)
    still = values | {"Q": 0.0, "V2": 60.0, "Q3": 0.0, "V3": 100.0}
    joined = simulate(three, still, doses, times(GRID), numerics=CLOSED)
    np.testing.assert_allclose(
        joined.outputs["conc"], alone.outputs["conc"], rtol=1e-11, atol=1e-13
    )


def test_a_long_washout_keeps_its_digits(made):
    """Forty half-lives on, the concentration is still right to many digits."""
    model = made.models["oral"]
    values = {"KA": 2.0, "CL": 5.0, "V": 10.0}
    solved = simulate(
        model, values, made.doses([0.0], [100.0]), times([56.0]), numerics=CLOSED
    )
    ka, ke = 2.0, 0.5
    wanted = 10.0 * ka / (ka - ke) * (np.exp(-ke * 56) - np.exp(-ka * 56))
    np.testing.assert_allclose(solved.outputs["conc"][0, 0], wanted, rtol=1e-12)

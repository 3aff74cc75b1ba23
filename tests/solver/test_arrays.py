"""Small tools on many lanes: order of events, dense matrices, parts of subjects."""

import threading

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from vtrial.dosing.doses import times
from vtrial.solver.dense import exponential, inverse
from vtrial.solver.host import simulate
from vtrial.solver.order import SHORT, count_before, key_of, sorted_order
from vtrial.solver.spread import SWITCH, cut, threads
from vtrial.types import Numerics, Status


def drawn_key(events, rows, seed=0):
    """Draw events with many ties; some never come."""
    random = np.random.default_rng(seed)
    time = random.integers(0, 6, (rows, events)).astype(float)
    time[random.random((rows, events)) < 0.1] = np.inf
    rank, kind = random.integers(0, 3, (2, rows, events))
    return time, rank, kind


def as_key(time, rank, kind):
    return key_of(jnp.asarray(time), jnp.asarray(rank), jnp.asarray(kind))


@pytest.mark.parametrize("events", [1, 7, SHORT, SHORT + 1, 90])
@pytest.mark.parametrize("rows", [1, 5])
def test_events_are_sorted_as_numpy_does(events, rows):
    time, rank, kind = drawn_key(events, rows)
    found = sorted_order(as_key(time, rank, kind))
    wanted = np.lexsort((kind, rank, time), axis=1)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("events", [0, 4, SHORT + 20])
@pytest.mark.parametrize(("rows", "asking"), [(1, 1), (1, 4), (4, 4)])
def test_places_among_events(events, rows, asking):
    parts = drawn_key(events, rows)
    order = np.lexsort((parts[2], parts[1], parts[0]), axis=1)
    parts = [np.take_along_axis(part, order, axis=1) for part in parts]
    asked = drawn_key(9, asking, seed=1)
    found = count_before(as_key(*parts), as_key(*asked))
    keys = [list(zip(*(p[row] for p in parts), strict=True)) for row in range(rows)]
    for row in range(found.shape[0]):
        have = keys[row if rows > 1 else 0]
        want = list(zip(*(a[row if asking > 1 else 0] for a in asked), strict=True))
        assert found[row].tolist() == [sum(k < w for k in have) for w in want]


@pytest.mark.parametrize("size", [1e-3, 1.0, 40.0, 1e5])
def test_exponentials_equal_scipys(size):
    random = np.random.default_rng(1)
    matrix = random.normal(size=(5, 6, 6)) * size / 6
    matrix[:, range(6), range(6)] -= np.abs(matrix).sum(axis=1)
    matrix[0] = 0.0
    found = np.asarray(exponential(jnp.asarray(matrix)))
    wanted = np.stack([expm(one) for one in matrix])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


def test_a_lane_that_is_no_number_leaves_the_others():
    matrix = np.zeros((3, 2, 2))
    matrix[1] = np.nan
    found = np.asarray(exponential(jnp.asarray(matrix)))
    np.testing.assert_array_equal(found[[0, 2]], np.stack([np.eye(2)] * 2))
    assert np.isnan(found[1]).any()


def test_inverses_need_pivots_and_tell_what_has_none():
    random = np.random.default_rng(2)
    matrix = random.normal(size=(4, 5, 5))
    matrix[1] = np.eye(5)[[4, 0, 3, 1, 2]]
    matrix[2] = 0.0
    found = np.asarray(inverse(jnp.asarray(matrix)))
    assert not np.isfinite(found[2]).all()
    for lane in (0, 1, 3):
        np.testing.assert_allclose(found[lane], np.linalg.inv(matrix[lane]), rtol=1e-10)


def test_cutting():
    assert cut(200, 2, 64) == [(0, 128), (128, 200)]
    assert cut(60, 4, 64) == [(0, 60)]
    assert cut(640, 3, 64) == [(0, 256), (256, 512), (512, 640)]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["hybrid explicit", "stiff"])
def test_threads_places_and_company_change_no_answer(made, monkeypatch, method):
    """Bit for bit: cores, order, more subjects; and one failure stays alone."""
    model = made.models["friberg"]
    inputs = made.spread(model, 300)
    inputs["MTT"][17] = np.nan
    doses, grid = made.doses([0.0, 24.0], [100.0, 60.0]), times([12.0, 48.0])
    numerics = Numerics(method=method)

    def solved(values):
        return simulate(model, values, doses, grid, numerics=numerics)

    monkeypatch.setenv(SWITCH, "1")
    plain = solved(inputs)
    assert np.flatnonzero(plain.status).tolist() == [17]
    assert plain.status[17] == Status.MISSING_INPUT
    for count in ("2", "3"):
        monkeypatch.setenv(SWITCH, count)
        found = solved(inputs)
        np.testing.assert_array_equal(found.outputs["circ"], plain.outputs["circ"])
        np.testing.assert_array_equal(found.steps, plain.steps)
    mixed = np.random.default_rng(0).permutation(300)
    turned = solved({k: v[mixed] for k, v in inputs.items()})
    np.testing.assert_array_equal(turned.outputs["circ"], plain.outputs["circ"][mixed])
    fewer = solved({k: v[:200] for k, v in inputs.items()})
    np.testing.assert_array_equal(fewer.outputs["circ"], plain.outputs["circ"][:200])


def test_a_cluster_thread_has_one_core():
    found = []
    thread = threading.Thread(target=lambda: found.append(threads()))
    thread.start()
    thread.join()
    assert found == [1]

"""A program that is read from disk is the one that was traced."""

import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from vtrial import program_cache
from vtrial.dosing.doses import times
from vtrial.solver.host import simulate
from vtrial.solver.program import _solve as solve
from vtrial.types import Numerics


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place for programs, though JAX itself keeps nothing."""
    monkeypatch.setattr(program_cache, "_given", lambda: str(tmp_path))
    forget(monkeypatch)
    return tmp_path / program_cache.FOLDER


def forget(monkeypatch):
    """Do as a new process does."""
    monkeypatch.setattr(solve.stored, "_programs", {})


def answer(made, *, rtol=1e-6):
    model = made.models["saturable"]
    return simulate(
        model,
        made.spread(model, 5),
        made.doses([0.0, 8.0], [100.0, 50.0]),
        times([1.0, 9.0, 30.0]),
        numerics=Numerics(rtol=rtol),
        keep_states=True,
    )


def same(one, two):
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    )


def test_the_second_process_traces_nothing_and_answers_the_same(
    made, folder, monkeypatch
):
    first = answer(made)
    assert len(list(folder.iterdir())) == 1
    forget(monkeypatch)
    monkeypatch.setattr(program_cache.export, "export", None)  # no tracing
    assert same(first, answer(made))
    monkeypatch.setattr(program_cache, "_given", lambda: None)
    assert same(first, answer(made)), "what is kept answers as what is not"


def test_what_is_traced_otherwise_is_kept_apart(made, folder):
    answer(made)
    answer(made, rtol=1e-5)
    assert len(list(folder.iterdir())) == 2


def test_other_code_reads_no_program_of_this(made, folder, monkeypatch):
    answer(made)
    forget(monkeypatch)
    monkeypatch.setattr(program_cache, "fingerprint", lambda *places: "other code")
    answer(made)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [lambda old: old[:-5], lambda old: b"", None])
def test_a_damaged_program_is_made_anew(made, folder, monkeypatch, damage):
    first = answer(made)
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    forget(monkeypatch)
    assert same(first, answer(made))
    forget(monkeypatch)
    monkeypatch.setattr(program_cache.export, "export", None)
    assert same(first, answer(made)), "it has not been written again"


@pytest.mark.slow
def test_a_folder_that_takes_nothing_is_no_fault(made, folder, monkeypatch):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder would be")
    first = answer(made)
    forget(monkeypatch)
    assert same(first, answer(made))


def test_a_program_within_another_is_part_of_that(made, folder):
    found = jax.jit(lambda scale: answer(made).outputs["conc"] * scale)(2.0)
    assert not folder.exists()
    np.testing.assert_allclose(found, 2 * answer(made).outputs["conc"], rtol=1e-9)


def test_what_jax_does_not_write_is_solved_all_the_same(made, folder, monkeypatch):
    first = answer(made)
    (path,) = folder.iterdir()
    path.unlink()
    forget(monkeypatch)

    def refuse(function):
        raise ValueError("Cannot serialize code with custom calls")

    monkeypatch.setattr(program_cache.export, "export", refuse)
    assert same(first, answer(made))
    assert not list(folder.iterdir())


def test_two_threads_make_a_program_once(made, folder, monkeypatch):
    traced, trace = [], program_cache.export.export

    def slowly(function):
        traced.append(function)
        time.sleep(0.2)  # so that the other one comes meanwhile
        return trace(function)

    monkeypatch.setattr(program_cache.export, "export", slowly)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(answer, [made, made])
    assert same(one, two)
    assert len(traced) == 1
    assert [path.suffix for path in folder.iterdir()] == [""], "no lock is left"


def test_another_process_is_waited_for(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path, order = tmp_path / "program", []

    def second():
        with program_cache._alone(path):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with path.with_suffix(".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            waits = pool.submit(second)
            time.sleep(0.1)
            order.append("first")
        waits.result(timeout=10)
    assert order == ["first", "second"]

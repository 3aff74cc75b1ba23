"""Public names: few, documented, present, and loaded only when used."""

import importlib
import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vtrial

ROOMS = sorted(vtrial._ROOMS)
HEAVY = ["jax", "numpy", "pydantic", "dask", "distributed", "zarr", "matplotlib"]


@pytest.mark.parametrize("name", ROOMS)
def test_room_says_what_it_takes_does_and_gives(name):
    room = importlib.import_module(f"vtrial.{name}")
    words = inspect.getdoc(room)
    assert all(word in words for word in ("Takes", "Does", "Gives")), words
    assert 1 <= len(room.__all__) <= 12
    assert set(room.__all__) <= set(dir(room))


@pytest.mark.parametrize("name", ROOMS)
def test_public_names_are_there_and_documented(name):
    room = importlib.import_module(f"vtrial.{name}")
    for public in room.__all__:
        file = Path(room.__file__).with_name(f"{public}.py")
        assert not file.exists(), f"{file.name} hides its own verb in `{name}`"
        thing = getattr(room, public)
        if callable(thing):
            assert inspect.getdoc(thing), f"vtrial.{name}.{public} has no docstring"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = room.no_such_name


def test_top_level_names_are_there():
    for name in vtrial.__all__:
        assert getattr(vtrial, name) is not None
    assert "load_protocol" in dir(vtrial)


def test_import_is_light():
    code = "import sys, vtrial, vtrial.cli; print([m for m in %r if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code % HEAVY], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["vtrial.solver", "vtrial.dosing.doses"])
def test_solver_needs_only_jax(module):
    blocked = ["pydantic", "zarr", "dask", "distributed", "lark", "pint", "pandas"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        f"import {module} as m; [getattr(m, n) for n in ('simulate',) if hasattr(m, n)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_is_quick():
    best = min(_seconds("--help") for _ in range(3))
    assert best < 1.0, "the promise is 0.5 s on a quiet machine"


def _seconds(*arguments):
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "vtrial.cli", *arguments],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - begun

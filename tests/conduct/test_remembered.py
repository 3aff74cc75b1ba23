"""What differs in data only compiles nothing again."""

import jax
import pytest

import vtrial as vt

MISSES = "/jax/compilation_cache/cache_misses"


@pytest.fixture
def misses():
    """Count programs that were compiled because nobody had kept them."""
    found = []

    def note(event, **_):
        if event == MISSES:
            found.append(event)

    jax.monitoring.register_event_listener(note)
    yield found
    jax.monitoring.unregister_event_listener(note)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("small", "seed: 11", "seed: 12"),
        ("small", "replicates: 4", "replicates: 3"),
        ("small", 'low: {dose: "50 mg', 'low: {dose: "40 mg'),
    ],
)
def test_other_data_compile_nothing(sheets, tmp_path, misses, name, old, new):
    vt.run(sheets.load(), out=tmp_path / "one", workers=0)
    assert misses or old != "seed: 11"
    misses.clear()
    other = sheets.change(name, old, new).load()
    vt.run(other, out=tmp_path / "other", workers=0)
    assert misses == []

"""A run continues, answers from its record, grows, and never spoils one."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import vtrial as vt
from vtrial.conduct import executor
from vtrial.conduct import run as coordinator
from vtrial.conduct.folder import locked, write_sheets
from vtrial.errors import ProtocolError, SolverError, StoreError
from vtrial.store.layout import Layout
from vtrial.store.ledger import Ledger
from vtrial.store.record import create_record


def sums(folder):
    """Return the checksum of every block of a record, and what the ledger says."""
    record = vt.open_record(folder)
    entries = Ledger(Path(folder) / "ledger.jsonl").read()
    return {block: record.checksum(block) for block in entries}


def same(one, other):
    """Compare two records array by array."""
    first, second = (vt.open_record(f).tree() for f in (one, other))
    xr.testing.assert_identical(
        first.map_over_datasets(lambda ds: ds.drop_attrs()),
        second.map_over_datasets(lambda ds: ds.drop_attrs()),
    )


@pytest.fixture
def counted(monkeypatch):
    """Note which blocks are done in this process."""
    done, real = [], coordinator.conduct_block

    def count(spec, folder, block):
        done.append(block)
        return real(spec, folder, block)

    monkeypatch.setattr(coordinator, "conduct_block", count)
    return done


def test_a_record_says_what_made_it(sheets, tmp_path):
    protocol = sheets.load()
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    told = record.attributes
    assert record.complete
    assert told["digest"] == vt.plan(protocol).digest
    assert told["arms"] == ["low", "high"]
    assert (told["seed"], told["replicates"], told["failures"]) == (11, 4, 0)
    assert {"python", "jax", "zarr", "xarray", "dask"} <= set(told["versions"])
    assert told["sheets"]["protocol"] == sheets.texts["small"]
    assert told["sheets"]["model"] == sheets.texts["body"]
    assert told["sheets"]["cohort"] == sheets.texts["folk"]
    assert told["tolerances"]["relative"] == protocol.numerics.rtol
    assert "cpu" in told["device"].lower()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"record.zarr", "ledger.jsonl", "sheets"}
    assert {p.name for p in (tmp_path / "run/sheets").iterdir()} == {
        "small.yaml",
        "body.yaml",
        "folk.yaml",
    }


def test_no_name_writes_outside_the_folder(sheets, tmp_path):
    sheets.change("folk", "cohort: folk", "cohort: ../../folk")
    with pytest.raises(ProtocolError, match="Write `folk`"):
        vt.run(sheets.load(replicates=1), out=tmp_path / "run", workers=0)
    assert {p.name for p in tmp_path.iterdir()} == {"sheets"}
    write_sheets(tmp_path, {"../../out.yaml": "cohort: out"})
    assert (tmp_path / "sheets" / "out.yaml").is_file()


def test_a_record_opens_in_xarray_with_names_and_units(sheets, tmp_path):
    record = vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    tree = xr.open_datatree(record.path, engine="zarr", consolidated=False)
    assert tree["subjects"]["WT"].attrs["units"] == "kg"
    outcomes = tree["arms/high/outcomes"]
    assert list(outcomes["endpoint"].values) == ["peak", "exposed"]
    assert outcomes["endpoint"].attrs["units"] == ["mg/L", "1"]
    bands = tree["arms/high/trajectories"]
    assert bands["time"].attrs["units"] == "h"
    assert list(bands["output"].values) == ["conc", "effect"]
    assert bands["sketch"].dims == ("block", "output", "time", "bin")
    visits = tree["arms/high/measurements"]
    np.testing.assert_array_equal(visits["planned"], [25, 28, 36, 48])
    assert visits["measured"].dims == ("subject", "visit", "output")


def test_a_finished_trial_is_not_run_again(sheets, tmp_path, counted):
    for _round in range(2):
        vt.run(sheets.load(), out=tmp_path / "run", workers=0)
        assert counted == [0, 1, 2, 3, 4]
    vt.run(sheets.load(), out=tmp_path / "run", workers=0, restart=True)
    assert counted == [0, 1, 2, 3, 4] * 2


def test_torn_and_missing_blocks_are_done_again(sheets, tmp_path, counted):
    vt.run(sheets.load(), out=tmp_path / "whole", workers=0)
    folder = tmp_path / "run"
    record = vt.run(sheets.load(), out=folder, workers=0)
    shard = record.path / "arms/low/outcomes/outcome/c.1.0"
    shard.write_bytes(shard.read_bytes()[:-9])
    (record.path / "subjects/WT/c.2").unlink()
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:30])
    record.note(complete=False)
    counted.clear()
    vt.run(sheets.load(), out=folder, workers=0)
    assert counted == [1, 2, 4]
    same(folder, tmp_path / "whole")


def test_more_replicates_extend_the_record(sheets, tmp_path, counted):
    vt.run(sheets.load(replicates=6), out=tmp_path / "whole", workers=0)
    folder = tmp_path / "run"
    vt.run(sheets.load(replicates=2), out=folder, workers=0)
    counted.clear()
    record = vt.run(sheets.load(replicates=6), out=folder, workers=0)
    assert counted == [2, 3, 4, 5, 6, 7], "blocks 0 and 1 were whole"
    assert record.attributes["replicates"] == 6
    same(folder, tmp_path / "whole")


def test_fewer_replicates_are_answered_by_what_is_there(
    sheets, tmp_path, counted, capsys
):
    vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    counted.clear()
    record = vt.run(sheets.load(replicates=2), out=tmp_path / "run", workers=0)
    assert counted == []
    assert record.tree()["subjects"].sizes["subject"] == 120
    assert "holds 4 replicates" in capsys.readouterr().err


def test_another_trial_does_not_touch_a_record(sheets, tmp_path):
    folder = tmp_path / "run"
    vt.run(sheets.load(), out=folder, workers=0)
    before = sums(folder)
    with pytest.raises(StoreError, match="--restart"):
        vt.run(sheets.load(seed=12), out=folder, workers=0)
    assert sums(folder) == before
    vt.run(sheets.load(seed=12), out=folder, workers=0, restart=True)
    assert vt.open_record(folder).attributes["seed"] == 12


def test_a_refused_run_leaves_nothing(sheets, tmp_path):
    protocol = sheets.load()
    sheets.change("folk", "WT: {unit: kg", "WT: {unit: L")
    sheets.write()
    with pytest.raises(ProtocolError):
        vt.run(protocol, out=tmp_path / "deep/run", workers=0)
    assert [p.name for p in tmp_path.iterdir()] == ["sheets"]


def test_an_unreachable_scheduler_leaves_nothing(sheets, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "PATIENCE", 1)
    with pytest.raises(StoreError, match="not reached"):
        vt.run(sheets.load(), out=tmp_path / "deep/run", scheduler="tcp://127.0.0.1:9")
    assert [p.name for p in tmp_path.iterdir()] == ["sheets"]


def test_two_coordinators_cannot_share_a_folder(sheets, tmp_path):
    folder = tmp_path / "run"
    with locked(folder), pytest.raises(StoreError, match=f"process {os.getpid()}"):
        vt.run(sheets.load(), out=folder, workers=0)
    assert not folder.exists()
    folder.mkdir()
    (folder / "coordinator.lock").write_text(json.dumps({"process": 1, "host": "x"}))
    vt.run(sheets.load(), out=folder, workers=0)
    assert not (folder / "coordinator.lock").exists()


def test_a_block_that_fails_leaves_the_others(sheets, tmp_path, monkeypatch, counted):
    real = coordinator.conduct_block

    def fail(spec, folder, block):
        if block == 2:
            raise RuntimeError("no luck")
        return real(spec, folder, block)

    monkeypatch.setattr(coordinator, "conduct_block", fail)
    with pytest.raises(SolverError, match="block 2 of small .* no luck"):
        vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    assert counted == [0, 1, 3, 4]
    assert not vt.open_record(tmp_path / "run").complete
    monkeypatch.setattr(coordinator, "conduct_block", real)
    counted.clear()
    assert vt.run(sheets.load(), out=tmp_path / "run", workers=0).complete
    assert counted == [2]


def test_a_protocol_comes_back_from_its_record(sheets, tmp_path):
    protocol = sheets.load(replicates=3, seed=5)
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    for path in sheets.folder.iterdir():
        path.unlink()
    found = vt.conduct.protocol_of(vt.open_record(tmp_path / "run"))
    assert found.digest == protocol.digest
    for name in ("arms", "visits", "endpoints", "analysis", "grid", "replicates"):
        assert getattr(found, name) == getattr(protocol, name), name
    ours, theirs = (vt.evaluate(record.tree(), p) for p in (protocol, found))
    assert ours.endpoints.equals(theirs.endpoints)


@pytest.mark.parametrize(
    "trial", [None, {}, {"is": "Protocol"}, {"is": "Fault"}, [[1]], {"is": "Name"}]
)
def test_a_record_that_does_not_say_what_was_run_is_told(tmp_path, trial):
    layout = Layout((), (), subjects=1, block=1)
    record = create_record(tmp_path, layout, attributes={"trial": trial})
    with pytest.raises(StoreError, match="not what a run writes there"):
        vt.conduct.protocol_of(record)


def test_numbers_of_workers_give_the_same_record(sheets, tmp_path):
    protocol = sheets.load()
    for workers in (0, 1, 2):
        vt.run(protocol, out=tmp_path / str(workers), workers=workers)
    assert sums(tmp_path / "0") == sums(tmp_path / "1") == sums(tmp_path / "2")
    hosts = {
        entry.worker for entry in Ledger(tmp_path / "2/ledger.jsonl").read().values()
    }
    assert len(hosts) == 2


def start(sheet, out, workers):
    """Start a run as a user does at a terminal, in a session of its own.

    A job that a shell starts in the background ignores interrupts, and so would what
    these tests start from there.
    """
    command = [sys.executable, "-m", "vtrial.cli", "run", str(sheet), "--out", str(out)]
    command += ["--workers", str(workers), "--no-report"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(ledger, blocks, process):
    """Wait until some blocks are done."""
    for _turn in range(3000):
        done = Ledger(ledger).read()
        if len(done) >= blocks:
            return done
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("nothing was done")


@pytest.fixture
def long(sheets):
    """Write a trial of many small blocks."""
    return sheets.change("small", "replicates: 4", "replicates: 40")


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_killed_run_continues_to_the_same_record(long, tmp_path, how):
    sheet, folder = long.write(), tmp_path / "run"
    process = start(sheet, folder, 0)
    done = wait_for(folder / "ledger.jsonl", 3, process)
    process.send_signal(how)
    _out, told = process.communicate(timeout=60)
    if how == signal.SIGTERM:
        assert process.returncode == 130
        assert "the same command goes on" in told
    record = vt.open_record(folder)
    assert not record.complete
    protocol = long.load()
    vt.run(protocol, out=folder, workers=0)
    entries = Ledger(folder / "ledger.jsonl").read()
    assert all(entries[block] == done[block] for block in done), "not done again"
    vt.run(protocol, out=tmp_path / "whole", workers=0)
    assert sums(folder) == sums(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_worker_is_replaced(long, tmp_path):
    sheet, folder = long.write(), tmp_path / "run"
    process = start(sheet, folder, 2)
    done = wait_for(folder / "ledger.jsonl", 3, process)
    victim = next(iter(done.values())).worker.split(":")[1]
    os.kill(int(victim), signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert vt.open_record(folder).complete
    vt.run(long.load(), out=tmp_path / "whole", workers=0)
    assert sums(folder) == sums(tmp_path / "whole")


@pytest.mark.slow
def test_ctrl_c_with_workers_leaves_a_good_record(long, tmp_path):
    sheet, folder = long.write(), tmp_path / "run"
    process = start(sheet, folder, 2)
    wait_for(folder / "ledger.jsonl", 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _out, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on" in told
    assert "Traceback" not in told
    entries = Ledger(folder / "ledger.jsonl").read()
    assert {b: e.checksum for b, e in entries.items()} == sums(folder)


@pytest.mark.slow
def test_a_script_needs_no_guard(sheets, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import vtrial as vt\n"
        f"protocol = vt.load_protocol({str(sheets.write())!r})\n"
        f"record = vt.run(protocol, out={str(tmp_path / 'run')!r}, workers=1)\n"
        "print(record.complete, __file__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == f"True {script}\n", done.stderr


def test_plans_keep_what_a_record_holds(sheets, tmp_path):
    protocol = sheets.load()
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    fewer = dataclasses.replace(protocol, replicates=1)
    assert vt.run(fewer, out=tmp_path / "run", workers=0) == record

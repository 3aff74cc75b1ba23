"""Executors give every block back once; what fails is told and spares the rest."""

import pytest

from vtrial.conduct.executor import (
    Cluster,
    Done,
    Serial,
    _close,
    blocks_failed,
    executor,
)
from vtrial.errors import SolverError, StoreError
from vtrial.store.ledger import Entry


def entry(block):
    return Entry(block, 10, "x")


def test_serial_goes_on_after_a_failure():
    def work(block):
        if block == 1:
            raise RuntimeError("no luck")
        return entry(block)

    found = list(Serial().conduct(work, range(3)))
    assert [done.block for done in found] == [0, 1, 2]
    assert [done.entry for done in found] == [entry(0), None, entry(2)]
    assert str(found[1].error) == "no luck"


def test_no_more_processes_than_blocks_and_none_for_one():
    with executor(workers=4, scheduler=None, blocks=0) as place:
        assert isinstance(place, Serial)
    with executor(workers=0, scheduler=None, blocks=9) as place:
        assert isinstance(place, Serial)
    with executor(workers=None, scheduler=None, blocks=1) as place:
        assert isinstance(place, Serial)


@pytest.mark.slow
def test_a_poisoned_block_does_not_take_the_others_with_it():
    def work(block):
        import os
        import signal

        from vtrial.store.ledger import Entry

        if block == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        one = os.environ["NPROC"] == os.environ["OMP_NUM_THREADS"] == "1"
        return Entry(block, 10, f"one thread: {one}")

    with executor(workers=1, scheduler=None, blocks=9) as place:
        assert isinstance(place, Cluster)
        assert "1 process" in place.words
        found = {done.block: done for done in place.conduct(work, range(9))}
    assert sorted(found) == list(range(9))
    assert [b for b in found if found[b].error] == [1], found
    assert {found[b].entry.checksum for b in found if b != 1} == {"one thread: True"}
    error = blocks_failed([found[1]], at="small")
    assert isinstance(error, StoreError)
    assert "block 1 of small is not done: every worker" in str(error)


def test_a_cluster_is_closed_though_a_worker_is_just_starting(monkeypatch):
    calls = []

    class Starting:
        def close(self):
            calls.append(None)
            assert len(calls) > 1, "can only join a started process"

    monkeypatch.setattr("vtrial.conduct.executor.time.sleep", lambda seconds: None)
    _close(Starting())
    assert len(calls) == 2


def test_an_existing_cluster_does_the_blocks():
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        executor(workers=None, scheduler=cluster.scheduler_address, blocks=9) as place,
    ):
        assert cluster.scheduler_address in place.words
        found = list(place.conduct(entry, range(9)))
    assert sorted(done.block for done in found) == list(range(9))
    assert all(done.entry == entry(done.block) for done in found)


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr("vtrial.conduct.executor.PATIENCE", 1)
    with (
        pytest.raises(StoreError, match="127.0.0.1:9 is not reached"),
        executor(workers=None, scheduler="tcp://127.0.0.1:9", blocks=1),
    ):
        raise AssertionError("there is nothing to enter")


def test_failures_with_one_reason_are_told_together():
    failed = [Done(b, None, ValueError("no luck")) for b in (3, 5)]
    failed += [Done(7, None, ValueError("less"))]
    error = blocks_failed(failed, at="small")
    assert isinstance(error, SolverError)
    assert [fault.at for fault in error.faults] == [
        "blocks 3, 5 of small",
        "block 7 of small",
    ]

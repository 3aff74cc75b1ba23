"""The ledger survives being killed in the middle of a line."""

import pytest

from vtrial.store.ledger import Entry, Ledger


def entry(block, checksum="x"):
    return Entry(block=block, subjects=10, checksum=checksum, seconds=0.5, worker="w")


def test_nothing_done_is_empty(tmp_path):
    assert Ledger(tmp_path / "ledger.jsonl").read() == {}


def test_entries_read_back_and_the_last_counts(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for block, checksum in [(0, "a"), (1, "b"), (0, "c")]:
        ledger.append(entry(block, checksum))
    assert ledger.read() == {0: entry(0, "c"), 1: entry(1, "b")}


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_torn_line_does_not_count_and_harms_no_other(tmp_path, cut):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for block in (0, 1):
        ledger.append(entry(block))
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    assert ledger.read().keys() == ({0, 1} if cut == 1 else {0})
    ledger.append(entry(2))
    assert ledger.read().keys() - {1} == {0, 2}
    assert ledger.read()[2] == entry(2)


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff\xfe\n", b"[1]\n", b'{"block": 1}\n', b"\0\n", b"[" * 100_000 + b"\n"),
        b'{"block": true, "subjects": 10, "checksum": "x"}\n',
        b'{"block": 2, "subjects": "10", "checksum": "x"}\n',
        b'{"block": 2, "subjects": 10, "checksum": null}\n',
        b'{"block": -2, "subjects": 10, "checksum": "x"}\n',
    ],
)
def test_a_foreign_line_is_passed_over(tmp_path, line):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(entry(0))
    with ledger.path.open("ab") as file:
        file.write(line)
    ledger.append(entry(1))
    assert ledger.read().keys() == {0, 1}


def test_what_is_no_file_is_no_ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.path.mkdir()
    assert ledger.read() == {}
    ledger.clear_way()
    ledger.append(entry(0))
    assert ledger.read().keys() == {0}
    ledger.clear_way()
    assert ledger.read().keys() == {0}

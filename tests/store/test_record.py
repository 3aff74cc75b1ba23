"""A record keeps what blocks wrote, tells torn ones, grows, and opens in xarray."""

import multiprocessing
import warnings

import numpy as np
import pytest
import xarray as xr

from vtrial.errors import StoreError
from vtrial.store.layout import Layout
from vtrial.store.ledger import Entry
from vtrial.store.mend import mend_record
from vtrial.store.record import create_record, open_record
from vtrial.store.variable import Coordinate, Variable

VARIABLES = (
    Variable("arms/a/status", ("subject",), dtype="int8", fill=-1),
    Variable(
        "arms/a/outcomes/outcome",
        ("subject", "endpoint"),
        (2,),
        attributes={"units": "mg/L"},
    ),
    Variable(
        "arms/a/trajectories/sketch",
        ("block", "time", "bin"),
        (3, 5),
        dtype="float32",
        per_block=True,
    ),
)
COORDINATES = (
    Coordinate("arms/a/outcomes/endpoint", ["peak", "trough"]),
    Coordinate("arms/a/trajectories/time", np.arange(3.0), {"units": "h"}),
)


def lay(folder, *, subjects=25, block=10):
    layout = Layout(VARIABLES, COORDINATES, subjects, block)
    return create_record(folder, layout, attributes={"digest": "abc"})


def rows(block, count):
    """Make what a block would write, different in each block."""
    draw = np.random.default_rng(block)
    return {
        "arms/a/status": np.full(count, block % 3, "int8"),
        "arms/a/outcomes/outcome": draw.normal(size=(count, 2)),
        "arms/a/trajectories/sketch": draw.normal(size=(1, 3, 5)).astype("float32"),
    }


def write(record, block, count):
    """Write a block and note it, as a run does; return the checksum."""
    written = record.write(block, rows(block, count))
    record.ledger.append(Entry(block, count, **written._asdict()))
    return written.checksum


def fill(record, subjects=25, block=10):
    sums = [
        write(record, b, min(block, subjects - b * block))
        for b in range(-(-subjects // block))
    ]
    record.note(complete=True)
    return sums


def torn(record):
    """Name the blocks that are torn."""
    return {one.block for one in record.check(whole=True)}


def test_what_is_written_reads_back(tmp_path):
    record = lay(tmp_path)
    sums = fill(record)
    tree = record.tree()
    outcome = tree["arms/a/outcomes/outcome"]
    for b, count in enumerate((10, 10, 5)):
        expected = rows(b, count)["arms/a/outcomes/outcome"]
        np.testing.assert_array_equal(outcome[b * 10 : b * 10 + count], expected)
    assert [record.checksum(b) for b in range(3)] == sums
    assert len(set(sums)) == 3


def test_what_32_bits_cannot_hold_is_infinite(tmp_path):
    record = lay(tmp_path)
    given = rows(0, 10)
    given["arms/a/trajectories/sketch"] = np.full((1, 3, 5), 1e40)
    record.write(0, given)
    assert np.isposinf(record.group["arms/a/trajectories/sketch"][0]).all()


def test_opens_in_plain_xarray_without_a_warning(tmp_path):
    fill(lay(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xr.open_datatree(
            tmp_path / "record.zarr", engine="zarr", consolidated=False
        )
    assert tree.attrs["digest"] == "abc"
    assert list(tree["arms/a/outcomes"]["endpoint"].values) == ["peak", "trough"]
    assert tree["arms/a/trajectories"]["time"].attrs["units"] == "h"
    assert tree["arms/a/outcomes/outcome"].attrs["units"] == "mg/L"
    assert tree["arms/a/status"].dtype == np.int8
    assert tree["arms/a/outcomes"].sel(endpoint="peak")["outcome"].shape == (25,)


def test_what_was_not_written_is_told(tmp_path):
    record = lay(tmp_path)
    write(record, 1, 10)
    assert torn(record) == {0, 2}
    with pytest.raises(StoreError, match="block 0.* is without a line"):
        record.tree()


@pytest.mark.parametrize("count", [9, 11])
def test_rows_must_fit_their_place(tmp_path, count):
    record = lay(tmp_path)
    with pytest.raises(StoreError, match="of block 0 is of shape"):
        record.write(0, rows(0, count))


def test_an_array_that_was_not_laid_out_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not an array of the record"):
        lay(tmp_path).write(0, {"arms/b/status": np.zeros(10, "int8")})


def test_a_block_is_one_shard_of_each_array(tmp_path):
    record = lay(tmp_path)
    fill(record)
    outcomes = record.path / "arms/a/outcomes/outcome"
    assert len(list(outcomes.glob("c.*"))) == 3


def test_flipped_byte_is_told(tmp_path):
    record = lay(tmp_path)
    fill(record)
    shard = record.path / "arms/a/outcomes/outcome/c.1.0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=r"outcome/c\.1\.0 .block 1. is not as it was"):
        record.checksum(1)
    assert torn(record) == {1}


@pytest.mark.parametrize("cut", [0, 7, 40, -1])
def test_cut_shard_is_told(tmp_path, cut):
    record = lay(tmp_path)
    sums = fill(record)
    shard = record.path / "arms/a/outcomes/outcome/c.1.0"
    shard.write_bytes(shard.read_bytes()[:cut])
    assert torn(record) == {1}
    assert write(record, 1, 10) == sums[1]
    assert not torn(record)


def test_lost_shard_is_told(tmp_path):
    record = lay(tmp_path)
    fill(record)
    (record.path / "arms/a/outcomes/outcome/c.1.0").unlink()
    assert torn(record) == {1}


def test_rows_of_nothing_have_a_shard_too(tmp_path):
    record = lay(tmp_path)
    record.write(0, rows(0, 10) | {"arms/a/outcomes/outcome": np.full((10, 2), np.nan)})
    assert (record.path / "arms/a/outcomes/outcome/c.0.0").is_file()


def test_more_subjects_leave_what_is_there(tmp_path):
    record = lay(tmp_path)
    sums = fill(record)
    layout = Layout(VARIABLES, COORDINATES, 47, 10)
    assert mend_record(record, layout, attributes={}) == []
    assert record.group["arms/a/status"].shape == (47,)
    assert record.group["arms/a/trajectories/sketch"].shape == (5, 3, 5)
    assert [record.checksum(b) for b in (0, 1)] == sums[:2]
    assert record.checksum(2) != sums[2], "the last block has new rows to fill"
    whole = lay(tmp_path / "other", subjects=47)
    assert fill(record, 47) == fill(whole, 47)
    assert not torn(record)


def test_a_record_is_not_written_over(tmp_path):
    lay(tmp_path)
    with pytest.raises(StoreError, match="there already"):
        lay(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["record.zarr"]


def test_no_record_no_opening(tmp_path):
    with pytest.raises(StoreError, match="without a record"):
        open_record(tmp_path)
    record = lay(tmp_path)
    assert open_record(tmp_path) == open_record(record.path) == record


def test_notes_and_completion(tmp_path):
    record = lay(tmp_path)
    assert not record.complete
    record.note(complete=True, versions={"zarr": "3"})
    assert open_record(tmp_path).complete
    assert record.attributes["versions"] == {"zarr": "3"}
    assert record.attributes["digest"] == "abc"


def test_a_whole_array_can_be_put_and_put_again(tmp_path):
    record = lay(tmp_path)
    fill(record)
    for length in (4, 6):
        record.put("estimates/x", np.arange(length), dims=("row",), units="1")
        assert record.tree()["estimates/x"].shape == (length,)
    assert record.tree()["estimates/x"].attrs["units"] == "1"


def _write(path, blocks):
    record = open_record(path)
    for block in blocks:
        write(record, block, 10)


def test_two_processes_lose_nothing(tmp_path):
    record = lay(tmp_path, subjects=200)
    context = multiprocessing.get_context("spawn")
    halves = [list(range(0, 20, 2)), list(range(1, 20, 2))]
    writers = [context.Process(target=_write, args=(tmp_path, h)) for h in halves]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0, 0]
    alone = lay(tmp_path / "alone", subjects=200)
    assert fill(alone, 200) == [record.checksum(b) for b in range(20)]

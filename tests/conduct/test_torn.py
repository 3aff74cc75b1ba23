"""A record that something happened to is told, and mended by the same command."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

import vtrial as vt
from tests.conduct.test_run import same
from tests.small_trial import Sheets
from vtrial.errors import StoreError

RECORD, LEDGER = "record.zarr", "ledger.jsonl"
SHARD = "record.zarr/arms/low/outcomes/outcome/c.1.0"
FILES = {
    "shard": SHARD,
    "shard of one row": "record.zarr/arms/high/trajectories/sketch/c.2.0.0.0",
    "shard of nothing": "record.zarr/arms/low/outcomes/baseline/c.3.0",
    "covariate": "record.zarr/subjects/WT/c.0",
    "times": "record.zarr/arms/low/trajectories/time/c.0",
    "names": "record.zarr/arms/high/outcomes/endpoint/c.0",
    "array": "record.zarr/arms/low/outcomes/outcome/zarr.json",
    "coordinate": "record.zarr/arms/low/trajectories/time/zarr.json",
    "group": "record.zarr/arms/low/zarr.json",
    "top group": "record.zarr/subjects/zarr.json",
    "root": "record.zarr/zarr.json",
    "ledger": LEDGER,
}


def delete(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[random.Random(str(path.name)).randrange(len(content))] ^= 0x08
    path.write_bytes(content)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def into_folder(path):
    path.unlink()
    path.mkdir()


def into_full_folder(path):
    into_folder(path)
    (path / "c.0").write_bytes(b"x")


def into_link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def into_link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


def to_deep_json(path):
    path.write_text("[" * 100_000)


def to_other_json(path):
    path.write_text('{"attributes": 3, "zarr_format": 3, "node_type": "group"}\n')


ATTACKS = (
    *(delete, empty, cut, flip, lengthen, into_folder, into_full_folder),
    *(into_link_to_nothing, into_link_to_itself, to_deep_json, to_other_json),
)


def swap_blocks(folder):
    """Let two shards of an array stand for each other."""
    one, other = folder / SHARD, folder / SHARD.replace("c.1", "c.2")
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def swap_arms(folder):
    """Let an arm's outcomes stand for another's, all blocks of them."""
    low, high = (folder / f"{RECORD}/arms/{arm}/outcomes" for arm in ("low", "high"))
    aside = low.with_name("aside")
    low.rename(aside)
    high.rename(low)
    aside.rename(high)


def swap_variables(folder):
    """Let one array lead to another that is laid out like it."""
    outcomes = folder / f"{RECORD}/arms/low/outcomes"
    shutil.rmtree(outcomes / "outcome")
    (outcomes / "outcome").symlink_to(outcomes / "event")


def lose_an_array(folder):
    shutil.rmtree(folder / f"{RECORD}/arms/low/outcomes/event")


def lose_a_group(folder):
    shutil.rmtree(folder / f"{RECORD}/arms/high")


def put_a_file_for_an_array(folder):
    lose_an_array(folder)
    (folder / f"{RECORD}/arms/low/outcomes/event").write_text("x")


def name_a_group_otherwise(folder):
    (folder / f"{RECORD}/arms/high").rename(folder / f"{RECORD}/arms/High")


def roll_a_block_back(folder):
    """Let shards and ledger of a block come from another one."""
    swap_blocks(folder)
    lines = (folder / LEDGER).read_text().splitlines()
    (folder / LEDGER).write_text("\n".join([lines[0], lines[2], *lines[3:]]))


def type_the_ledger_wrongly(folder):
    lines = [json.loads(line) for line in (folder / LEDGER).read_text().splitlines()]
    for line, key, value in zip(
        lines,
        ("subjects", "shards", "block", "checksum", "failed"),
        ("25", None, -1, 5, [1]),
        strict=True,
    ):
        line[key] = value
    (folder / LEDGER).write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def tell_another_attribute(folder):
    """Change a word of the sheets that the record holds; it stays JSON."""
    root = folder / RECORD / "zarr.json"
    root.write_text(root.read_text().replace("25 h, 28 h", "25 h, 29 h"))


def name_another_arm(folder):
    root = folder / RECORD / "zarr.json"
    root.write_text(root.read_text().replace('"low"', '"LOW"'))


WHOLE = (
    *(swap_blocks, swap_arms, swap_variables, lose_an_array, lose_a_group),
    *(put_a_file_for_an_array, name_a_group_otherwise, roll_a_block_back),
    *(type_the_ledger_wrongly, tell_another_attribute, name_another_arm),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Run it once: its protocol, its folder, and what a report says."""
    folder = tmp_path_factory.mktemp("whole")
    sheets = Sheets(folder / "sheets")
    protocol = sheets.load()
    record = vt.run(protocol, out=folder / "run", workers=0)
    return protocol, folder / "run", reported(record)


def reported(record):
    estimates = vt.evaluate(record.tree(), vt.conduct.protocol_of(record))
    return estimates.endpoints.to_csv() + estimates.bands.to_csv()


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    return tmp_path / "run"


def told_or_same(folder, said):
    """Report it: the same, or refused with the command that mends it."""
    try:
        found = reported(vt.open_record(folder))
    except StoreError as error:
        (fault,) = error.faults
    else:
        assert found == said
        return ""
    assert fault.write.startswith("vtrial run ")
    assert str(folder) in fault.write
    return str(fault)


def mended(whole, folder):
    """Run the same command again, which ends in the same record."""
    protocol, other, _said = whole
    record = vt.run(protocol, out=folder, workers=0)
    same(folder, other)
    assert not record.check(whole=True)
    assert not any(path.suffix == ".partial" for path in folder.rglob("*"))


def every():
    """Pair files with attacks: all on a shard, two on any other file, the rest slow."""
    for place, kind in enumerate(FILES):
        for turn, attack in enumerate(ATTACKS):
            often = kind == "shard" or turn in (place, (place + 5) % len(ATTACKS))
            marks = [] if often else [pytest.mark.slow]
            yield pytest.param(
                kind, attack, marks=marks, id=f"{kind}-{attack.__name__}"
            )


@pytest.mark.parametrize(("kind", "attack"), list(every()))
def test_a_torn_file_is_told_and_mended(whole, copied, kind, attack):
    place = copied / FILES[kind]
    attack(place)
    said = told_or_same(copied, whole[2])
    if (kind, attack) == ("ledger", lengthen):
        return  # the last line is as one that a kill left there
    assert said, "no file of a record is of no account"
    findings = vt.doctor(copied)
    assert not all(finding.ok for finding in findings)
    if kind not in ("root", "ledger"):
        name = place.relative_to(copied / RECORD).as_posix()
        assert name in {finding.item for finding in findings}
        assert name in said
    mended(whole, copied)


@pytest.mark.parametrize("attack", WHOLE, ids=lambda attack: attack.__name__)
def test_a_torn_record_is_told_and_mended(whole, copied, attack):
    attack(copied)
    assert told_or_same(copied, whole[2])
    mended(whole, copied)


def test_what_a_killed_run_left_half_written_is_passed_over_and_cleared(
    whole, copied, recwarn
):
    for place in ("arms/low", "arms/low/outcomes/outcome", "", "subjects"):
        left = copied / RECORD / place / "zarr.0123abc.partial"
        left.write_bytes(b"{")
    (copied / ".record.zarr.99").mkdir()
    (copied / RECORD / ".DS_Store").write_bytes(b"x")
    assert told_or_same(copied, whole[2]) == ""
    mended(whole, copied)
    assert not (copied / ".record.zarr.99").exists()
    assert not [str(one.message) for one in recwarn.list]


@pytest.mark.parametrize("how", ["link", "file", "loop"])
def test_what_is_no_record_is_told_and_not_thrown_away(whole, copied, how):
    place = copied / RECORD
    shutil.rmtree(place)
    if how == "file":
        place.write_text("mine")
    else:
        place.symlink_to(place if how == "loop" else copied / "disk/that/is/away")
    told = told_or_same(copied, whole[2])
    assert "a file" in told if how == "file" else "a link to" in told
    with pytest.raises(StoreError, match="--restart"):
        vt.run(whole[0], out=copied, workers=0)
    assert os.path.lexists(place)
    vt.run(whole[0], out=copied, workers=0, restart=True)
    mended(whole, copied)


def test_a_linked_record_is_a_record(whole, copied, tmp_path):
    shutil.move(copied / RECORD, tmp_path / "disk")
    (copied / RECORD).symlink_to(tmp_path / "disk")
    assert told_or_same(copied, whole[2]) == ""
    mended(whole, copied)
    vt.run(whole[0], out=copied, workers=0, restart=True)
    assert (tmp_path / "disk").is_dir(), "only the link is thrown away"


def test_a_record_that_nobody_can_name_is_not_taken_over(whole, copied):
    for name in ("zarr.json", "arms/zarr.json", "subjects/zarr.json"):
        (copied / RECORD / name).write_text("{}")
    with pytest.raises(StoreError, match="it is nobody's"):
        vt.run(whole[0], out=copied, workers=0)
    vt.run(whole[0], out=copied, workers=0, restart=True)
    mended(whole, copied)


def test_another_trial_does_not_mend_a_record(whole, copied):
    flip(copied / FILES["root"])
    flip(copied / FILES["times"])
    other = vt.load_protocol(whole[0].path, changes={"seed": 12})
    with pytest.raises(StoreError, match="the record of another trial"):
        vt.run(other, out=copied, workers=0)
    mended(whole, copied)


def test_an_unfinished_record_is_not_reported(whole, copied):
    vt.open_record(copied).note(complete=False)
    with pytest.raises(StoreError, match="not finished"):
        vt.open_record(copied).tree()
    mended(whole, copied)


def test_a_large_record_is_checked_by_some_bytes_and_by_all_that_it_reads(
    whole, copied, monkeypatch
):
    monkeypatch.setattr("vtrial.store.check.SAMPLED", 1)
    record, shards = vt.open_record(copied), sorted(copied.rglob("c.*"))
    for shard in shards:
        flip(shard)
    assert 0 < len(record.check()) < len(record.check(whole=True))
    shutil.rmtree(copied)
    shutil.copytree(whole[1], copied)
    monkeypatch.setattr(type(record), "check", lambda *_a, **_k: [])
    flip(copied / SHARD)
    with pytest.raises(StoreError, match=r"outcome/c\.1\.0 .*not as it was written"):
        reported(record)


@pytest.mark.slow
def test_more_replicates_mend_what_is_torn(whole, copied):
    flip(copied / FILES["shard"])
    flip(copied / FILES["times"])
    more = vt.load_protocol(whole[0].path, changes={"replicates": 6})
    grown = vt.run(more, out=copied, workers=0)
    assert vt.run(more, out=Path(f"{copied}-new"), workers=0).complete
    same(copied, f"{copied}-new")
    assert not grown.check(whole=True)

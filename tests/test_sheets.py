"""Sheets: lines are kept, hostile ones are refused, all faults are told at once."""

import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from vtrial.errors import SheetError
from vtrial.sheets.find import find_sheet, shipped
from vtrial.sheets.sheet import parse_sheet, read_sheet
from vtrial.sheets.validate import check_shape, sheet_name
from vtrial.sheets.words import listed, nearest


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: float


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    parts: list[Inner] = []
    named: dict[str, Inner] = {}


def test_lines_and_plain_data():
    sheet = parse_sheet("name: x\nparts:\n  - {size: 1}\n  - size: 2e-3\n")
    assert sheet.data == {"name": "x", "parts": [{"size": 1}, {"size": 2e-3}]}
    assert sheet.place(("parts", 1, "size")) == (4, 5)
    assert sheet.place(("parts", 1, "nothing")) == (4, 5), "the nearest around it"


def test_what_is_read_once_is_everybodys_own():
    """A sheet is composed once in a process, and its data are given out as copies."""
    text = "a: {b: [1, 2]}"
    first = parse_sheet(text, source="one")
    first.data["a"]["b"].append(3)
    again = parse_sheet(text, source="two")
    assert again.data == {"a": {"b": [1, 2]}}
    assert again.source == "two"


def test_the_first_fault_of_a_text_is_told():
    """What is hostile comes before what the loader finds, as it stands in the text."""
    with pytest.raises(SheetError, match="an alias") as caught:
        parse_sheet("a: 1\na: 2\nb: &x 1\nc: *x", source="mine")
    (fault,) = caught.value.faults
    assert (fault.source, fault.line) == ("mine", 4)


def test_yaml_1_2_keeps_words_words():
    sheet = parse_sheet("a: NO\nb: 12:30\nc: 1e-3\nd: true\n")
    assert sheet.data == {"a": "NO", "b": "12:30", "c": 0.001, "d": True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", "alias"),
        ("a: 1\na: 2\n", "each key once"),
        ("[" * 3000, "nested too deep"),
        ("", "empty"),
        ("- 1\n", "a mapping"),
        ("a: [1\n", "not YAML"),
        ("a: # why\n  x\n\nb: 2\n", "`# why` parts a key from its value"),
        ("a: !!python/object/apply:os.system [ls]\n", "a tag"),
        ("a: !foo 3\n", "a tag"),
        ("%YAML 1.1\n---\na: yes\n", "directive"),
        ("a: " + "x" * 1_000_001, "bytes long"),
    ],
)
def test_hostile_or_broken_sheets_are_refused_at_once(text, words):
    begun = time.process_time()
    with pytest.raises(SheetError, match=words):
        parse_sheet(text)
    assert time.process_time() - begun < 3


def test_every_fault_of_shape_has_a_line_and_a_remedy():
    sheet = parse_sheet(
        "nmae: x\nparts:\n  - {size: big}\n  - {sise: 2}\nnamed:\n  a: {size: 1}\n",
        source="trial.yaml",
    )
    found, faults = check_shape(sheet, Shape)
    assert found is None
    said = "\n".join(map(str, sorted(faults, key=lambda fault: fault.line)))
    assert "trial.yaml:1:1: nmae is an unknown key `nmae`" in said
    assert "Write `name`" in said
    assert "trial.yaml:3:6: parts.0.size is `big`; it must be a number" in said
    assert "parts.1.sise is an unknown key" in said
    assert len(faults) == 5


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(SheetError, match="not readable"):
        read_sheet(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SheetError, match="not UTF-8"):
        read_sheet(tmp_path / "latin.yaml")


def test_sheets_are_found_beside_and_by_name(tmp_path):
    (tmp_path / "mine.yaml").write_text("cohort: mine\n")
    beside = tmp_path / "trial.yaml"
    assert find_sheet("mine", kind="cohorts", beside=beside) == tmp_path / "mine.yaml"
    assert find_sheet("../no such sheet", kind="cohorts") is None
    assert find_sheet("adults", kind="cohorts") is not None


def test_sheets_are_found_by_their_kind(tmp_path):
    """A protocol, a cohort and a model may share a name, and lie beside each other."""
    trial = tmp_path / "x.yaml"
    trial.write_text("# a trial\nprotocol: x\nmodel: x\ncohort: x\n")
    for kind in ("cohorts", "models"):
        assert find_sheet("x", kind=kind, beside=trial) is None
    (tmp_path / "people.yaml").write_text("title: people\n\"cohort\": 'x'\n")
    (tmp_path / "x.yml").write_text("model: x\nequations: y = 1\n")
    found = {k: find_sheet("x", kind=k, beside=trial) for k in ("cohorts", "models")}
    assert found == {"cohorts": tmp_path / "people.yaml", "models": tmp_path / "x.yml"}
    assert find_sheet(str(tmp_path / "x"), kind="protocols") == trial
    assert find_sheet("x.yaml", kind="cohorts", beside=trial) == trial, "so it is said"
    trial.rename(tmp_path / "adults.yaml")
    assert find_sheet("adults", kind="cohorts", beside=trial) == (
        shipped("cohorts") / "adults.yaml"
    )
    (tmp_path / "odd.yaml").write_text("[")
    assert find_sheet("odd", kind="cohorts", beside=trial) == tmp_path / "odd.yaml"


def test_names_may_be_files():
    assert sheet_name("docetaxel-dose.2") == "docetaxel-dose.2"
    for wrong in ("../x", "a/b", "", ".x", "a b", "x" * 101):
        with pytest.raises(ValueError, match="letters, digits"):
            sheet_name(wrong)


def test_words_for_messages():
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b or c"
    assert listed("abcde", most=2) == "a, b or one of 3 more"
    assert nearest("conz", ["conc", "anc"]) == "conc"
    assert nearest("xyz", ["conc", "anc"]) == ""
    assert nearest("conx", ["conc", "conv"]) == "", "which of two is not known"
    assert nearest("between", ["below"]) == nearest("x", ["conc"]) == ""


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text):
    try:
        parse_sheet(text)
    except SheetError:
        return


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a: 1\n<<: {b: 2}\n", "a merge key (<<)", 2),
        ("a:\n  b:\n    <<: [{c: 2}]\n", "a merge key (<<)", 3),
        ("a: 1\nb: 2\na: 3\n", "each key once", 3),
        ("a: 1\nb: \x00\n", "a character that YAML does not allow", 2),
        ('a: 1\n"b\\0": 2\n', "a control character", 2),
        ('a: 1\n\nb: "\\e[2J"\n', "a control character", 3),
        (f"a: 1\nb: {'9' * 5000}\n", "a number of 5000 digits", 2),
        (f"a: 1\nb: {'9' * 400} h\nc: 1e999\n", "`1e999`, too large for a number", 3),
        ("a: 1\nb: 2020-13-45\n", "`2020-13-45`", 2),
        ("a: 1\nb: [1, *c]\n", "an alias", 2),
        ("a: 1\nb: {c: 1\n", "not YAML", 3),
    ],
)
def test_what_a_sheet_cannot_say_is_told_by_its_line(text, words, line):
    with pytest.raises(SheetError) as caught:
        parse_sheet(text, source="x.yaml")
    (fault,) = caught.value.faults
    assert words in fault.found + fault.allowed
    assert (fault.source, fault.line) == ("x.yaml", line)
    assert str(fault).isprintable()


def test_merge_keys_and_large_numbers_may_be_words():
    """What is quoted is text, and `<<` inside a text is two characters."""
    sheet = parse_sheet(f'a: "<<"\nb: 1 << 2\nc: "{"9" * 400}"\n')
    assert sheet.data == {"a": "<<", "b": "1 << 2", "c": "9" * 400}


def test_a_file_too_large_is_told_by_its_size_before_it_is_read(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)  # of which a disk holds nothing
    tracemalloc.start()
    with pytest.raises(SheetError, match="3000000000 bytes long"):
        read_sheet(path)
    find_sheet("large", kind="models", beside=tmp_path / "x.yaml")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("make", ["folder", "pipe", "loop", "device"])
def test_what_is_no_file_is_told_at_once(make, tmp_path):
    path = tmp_path / "odd.yaml"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SheetError, match="not readable|not a file"):
        read_sheet(path)
    assert find_sheet("odd", kind="models", beside=tmp_path / "x.yaml") is None


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "x/" * 3000, "\ud800", "a\x1bb"])
def test_names_that_no_file_can_have_are_told(name, tmp_path):
    assert find_sheet(name, kind="cohorts", beside=tmp_path / "x.yaml") is None
    assert find_sheet(f"{name}.yaml", kind="cohorts") is None
    with pytest.raises(SheetError, match="not readable|no path that a file") as told:
        read_sheet(tmp_path / f"{name}.yaml")
    assert str(told.value).isprintable()

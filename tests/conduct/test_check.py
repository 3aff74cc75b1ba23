"""Sheets of any kind are checked whole, and named ones are found."""

import pytest

import vtrial as vt
from vtrial.errors import ModelError, SheetError, VtrialError


def test_each_kind_is_known(sheets):
    sheets.write()
    for name, kind in [("small", "protocol"), ("body", "model"), ("folk", "cohort")]:
        path = sheets.folder / f"{name}.yaml"
        assert vt.conduct.check_sheet(path) == (kind, [])
    assert vt.conduct.check_sheet("docetaxel-dose")[0] == "protocol"
    assert vt.conduct.check_sheet("adults")[0] == "cohort"
    assert vt.conduct.check_sheet("one-compartment-oral")[0] == "model"


def test_an_unknown_kind_is_told(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("protokol: odd\n")
    with pytest.raises(SheetError, match="Write `protocol`"):
        vt.conduct.check_sheet(path)


def test_faults_are_raised(sheets):
    sheets.change("body", "CL/V * central", "CL/W * central").write()
    with pytest.raises(ModelError, match="W"):
        vt.conduct.check_sheet(sheets.folder / "body.yaml")


def hostile_faults(path):
    with pytest.raises(VtrialError) as caught:
        vt.conduct.check_sheet(path)
    for fault in caught.value.faults:
        assert fault.source == str(path)
        assert fault.line
        assert str(fault).isprintable()
        assert len(str(fault)) < 2500, "all models of the library"
    return {fault.line: f"{fault.at} is {fault.found}" for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("small", "visits:\n", "<<: {a: 1}\nvisits:\n", 12),
        ("folk", "eligibility:", "<<: {a: 1}\neligibility:", 6),
    ],
)
def test_hostile_merge_keys_are_faults_of_their_line(sheets, name, old, new, line):
    """Merged keys have no line: they came to be asked for one."""
    sheets.change(name, old, new).write()
    found = hostile_faults(sheets.folder / f"{name}.yaml")
    assert found == {line: "the sheet is with a merge key (<<)"}


@pytest.mark.parametrize("size", [f"{'9' * 330} h", f"{'9' * 330} %", f"-{'9' * 330}"])
def test_hostile_sizes_beyond_all_numbers_are_faults_of_their_line(sheets, size):
    sheets.change("body", "{value: 1.0, unit: 1/h}", "{value: 1.0, unit: 1e+308}")
    old = "{of: [CL, V], covariance: [[0.09], [0.03, 0.0625]]}"
    sheets.change(
        "body", old, f"{{of: CL, cv: {size}}}\n  - {{of: V, cv: 25 %}}"
    ).write()
    found = hostile_faults(sheets.folder / "body.yaml")
    assert set(found) == ({10} if size.startswith("-") else {6, 10})


def test_a_protocol_that_names_itself_as_its_cohort_or_model_ends(tmp_path):
    for key, other in (("cohort", "model"), ("model", "cohort")):
        given = {"cohort": "adults", "model": "one-compartment-oral", key: "m"}
        path = tmp_path / "m.yaml"
        for own in ("m", "m.yaml", "./m", str(path)):
            given[key] = own
            path.write_text(
                f"protocol: m\nmodel: {given['model']}\ncohort: {given['cohort']}\n"
                f"subjects: 4\narms: {{one: {{}}}}\nvisits: {{v: {{at: 1 h, "
                "measure: [conc]}}\n"
                "endpoints: {e: {of: conc, take: value, at: 1 h}}\n"
            )
            assert list(hostile_faults(path)) == [3 if key == "cohort" else 2], own
            assert other in given


@pytest.mark.parametrize("name", ["a\\0b", "\\e[31m", "x" * 300, "\\ud800", "../" * 99])
@pytest.mark.parametrize("key", ["model", "cohort"])
def test_names_that_no_file_can_have_are_faults_of_their_line(sheets, key, name):
    named = {"model": "model: body", "cohort": "cohort: folk"}[key]
    sheets.change("small", named, f'{key}: "{name}"')
    assert {"model": 3, "cohort": 4}[key] in hostile_faults(sheets.write())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("folk", "within: [40, 150]", "within: [.nan, 150]"),
        ("folk", "median: 75", "median: .nan"),
        ("folk", "cv: 0.2", "cv: .inf"),
        ("body", "value: 1.0", "value: .nan"),
        ("body", "additive: 0.05", "additive: .nan"),
        ("small", "subjects: 30", "subjects: .nan"),
        ("small", "above: 0.5", "above: .nan"),
        ("small", 'within: "24 h to 48 h"}', "within: .nan}"),
    ],
)
def test_what_is_no_number_is_a_fault_of_its_line(sheets, name, old, new):
    sheets.change(name, old, new).write()
    path = sheets.folder / f"{name}.yaml"
    line = 1 + path.read_text()[: path.read_text().index(new)].count("\n")
    assert line in hostile_faults(path)

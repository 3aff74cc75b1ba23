"""Sheets of any kind are checked whole, and named ones are found."""

import pytest

import vtrial as vt
from vtrial.errors import ModelError, SheetError


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
    with pytest.raises(SheetError, match="protocol: odd"):
        vt.conduct.check_sheet(path)


def test_faults_are_raised(sheets):
    sheets.change("body", "CL/V * central", "CL/W * central").write()
    with pytest.raises(ModelError, match="W"):
        vt.conduct.check_sheet(sheets.folder / "body.yaml")

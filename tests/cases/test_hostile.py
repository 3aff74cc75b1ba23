"""Sheets that ended in a traceback: each fault has its line, and words."""

import pytest

from vtrial.conduct.check import check_sheet
from vtrial.errors import VtrialError

LINES = {"274.yaml": (14, 49), "1237.yaml": (14,), "1828.yaml": (15,)}


@pytest.mark.parametrize("sheet", LINES)
def test_hostile(case, sheet):
    with pytest.raises(VtrialError) as caught:
        check_sheet(case.folder / sheet)
    faults = caught.value.faults
    assert all(fault.found and fault.allowed for fault in faults)
    assert all(fault.line for fault in faults)
    assert {fault.line for fault in faults} >= {*LINES[sheet]}

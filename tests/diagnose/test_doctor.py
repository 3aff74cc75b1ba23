"""The doctor finds a machine that works, and tells one that does not."""

import json

import pytest

import vtrial as vt
from vtrial.diagnose import doctor as _  # noqa: F401
from vtrial.diagnose.doctor import Finding, _guarded


@pytest.mark.slow
def test_this_machine_is_well():
    findings = {finding.item: finding for finding in vt.doctor()}
    bad = [finding for finding in findings.values() if not finding.ok]
    assert bad == []
    for item in ("python", "jax", "device", "compiler", "memory", "dask cluster"):
        assert findings[item].finding
    assert findings["float64"].finding == "on"
    # by hand: 100 mg, KA 1/h, CL 2 L/h, V 20 L, after 2 h
    assert findings["tiny trial"].finding.startswith("3.7")
    assert json.dumps([finding._asdict() for finding in findings.values()])


def test_a_check_that_breaks_is_a_finding():
    def _left_leg():
        yield Finding("one", "fine", ok=True)
        raise OSError("broken")

    (finding,) = _guarded(_left_leg)
    assert finding == ("left leg", "OSError: broken", False)

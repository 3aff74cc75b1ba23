"""A trial that asks for no number still has courses, measured values and a report."""

import numpy as np
import pytest

import vtrial as vt

SHEET = {
    "protocol": "bare",
    "model": "stroke-arm-recovery",
    "cohort": "alike",
    "subjects": 6,
    "arms": {"usual": {}},
    "visits": {"score": {"at": "week 1, week 4", "measure": ["fm"]}},
    "keep": {"trajectories": "all", "measurements": True},
}


@pytest.mark.slow
def test_a_trial_without_endpoints_is_kept_and_told(tmp_path):
    protocol = vt.load_protocol(SHEET)
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    assert record.check(whole=True) == []
    tree = record.tree()
    arm = tree["arms/usual"]
    assert arm["outcomes/outcome"].shape == (6, 0)
    assert arm["outcomes/endpoint"].dtype.kind in "OUT"
    assert np.isfinite(arm["measurements/measured"]).all()
    assert np.isfinite(arm["trajectories/value"]).all()
    found = vt.evaluate(tree, protocol)
    assert found.endpoints.empty
    page = vt.render(found, protocol, tmp_path / "run", attributes=tree.attrs)
    assert "Recovery of the arm" in page.read_text()

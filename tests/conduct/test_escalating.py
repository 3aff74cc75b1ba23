"""Dose escalations of a sheet whose toxicities come late."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.design.escalation import enact_late_toxicity, escalation_method
from vtrial.errors import ProtocolError

SHEET = """
protocol: late-toxicity
model: theophylline
cohort: theophylline-twelve
subjects: 12
replicates: 10
potential: all
arms:
  d1: {dose: 100 mg every 24 h x 5}
  d2: {dose: 200 mg every 24 h x 5}
  d3: {dose: 320 mg every 24 h x 5}
visits:
  blood: {at: 4 h, repeat: every 24 h x 5, measure: [conc]}
endpoints:
  toxicity: {of: conc, take: time to, low: 10 mg/L}
  high: {of: conc, take: maximum, above: 10 mg/L}
design:
  accrual: 1 / d
  escalation:
    by: CRM
    on: toxicity
    window: 3 d
    target: 30 %
    cohort: 1
    options: {skeleton: [0.1, 0.3, 0.5]}
keep: {trajectories: nothing}
"""


def test_whoever_is_observed_counts_by_the_share_of_the_window(tmp_path):
    protocol = vt.load_protocol(SHEET)
    record = vt.run(protocol, out=tmp_path / "late", workers=0)
    made = vt.enact(record, protocol)
    tree = record.tree()
    time = np.stack(
        [
            np.where(
                tree[f"arms/{arm}/outcomes"]["event"].values[:, 0] == 1,
                tree[f"arms/{arm}/outcomes"]["outcome"].values[:, 0],
                np.inf,
            ).reshape(10, 12)
            for arm in ("d1", "d2", "d3")
        ],
        axis=2,
    )
    arrival = np.broadcast_to(24.0 * (np.arange(12) + 0.5), (10, 12))
    method = escalation_method(
        "CRM", doses=3, options={"target": 0.3, "skeleton": (0.1, 0.3, 0.5)}
    )
    direct = enact_late_toxicity(method, time, arrival, window=72.0)
    np.testing.assert_array_equal(made.given, direct.given)
    np.testing.assert_array_equal(made.selected, direct.selected)
    late = np.isfinite(time) & (time > 72)
    assert late.any(), "some toxicities come after the window, and do not count"
    table = vt.evaluate(tree, protocol).escalated
    np.testing.assert_allclose(
        table["truth"][:3], (time <= 72).mean(axis=(0, 1)), rtol=1e-12
    )
    waiting = SHEET.replace("    window: 3 d\n", "").replace("on: toxicity", "on: high")
    assert len(vt.enact(record, vt.load_protocol(waiting)).selected) == 10


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("on: toxicity", "on: high", "a time to an event: toxicity"),
        ("window: 3 d", "window: 30 d", "longer than `toxicity` looks"),
        ("  accrual: 1 / d\n", "", "no rate at which subjects come"),
        ("target: 30 %", "target: 30 %\n    efficacy: high", "only toxicities"),
    ],
)
def test_a_window_needs_times_and_arrivals(old, new, words):
    with pytest.raises(ProtocolError, match=words):
        vt.load_protocol(SHEET.replace(old, new))


def test_a_method_that_waits_has_no_window(tmp_path):
    from vtrial.conduct.check import check_sheet

    path = tmp_path / "late.yaml"
    text = SHEET.replace("by: CRM", "by: BOIN")
    path.write_text(text.replace("    options: {skeleton: [0.1, 0.3, 0.5]}\n", ""))
    with pytest.raises(ProtocolError, match="weighs pending outcomes: CRM"):
        check_sheet(path)

"""The figure of a dose-response: what is drawn of it, and what is said."""

import numpy as np
import pandas as pd

from vtrial.analysis.dosed import fitted_of
from vtrial.analysis.operating import told_of
from vtrial.protocol.load import load_protocol
from vtrial.report.fitted_doses import draw_fitted

SHEET = """
protocol: dosed
model: theophylline
cohort: theophylline-twelve
subjects: 80
replicates: 3
arms:
  none: {dose: 60 mg}
  low: {dose: 100 mg}
  high: {dose: 200 mg}
visits:
  blood: {at: "2 h, 8 h", measure: [conc]}
endpoints:
  exposed: {of: conc, take: maximum, above: 3 mg/L}
analysis:
  - name: main
    compare: high with none
    on: exposed
    by: MCP-Mod of responses
    doses: {none: 60, low: 100, high: 200}
    shapes: [linear]
    target: 3
"""


def test_estimates_curves_and_target_are_drawn():
    protocol = load_protocol(SHEET)
    course = np.linspace(0.1, 0.7, 61) * np.array([[1.0], [1.1], [0.9]])
    estimate = np.array([[0.1, 0.3, 0.7], [0.1, 0.3, 0.9], [0.1, 0.0, 0.8]])
    frame = fitted_of(
        protocol,
        {
            (0, "estimate"): estimate,
            (0, "course: chosen"): np.where([[True], [True], [False]], course, np.nan),
            (0, "course: linear"): course,
        },
    )
    seen = frame[frame["of"] == "estimate"]
    assert seen["dose"].tolist() == [60.0, 100.0, 200.0]
    np.testing.assert_allclose(seen["value"], estimate.mean(axis=0))
    chosen = frame[frame["of"] == "chosen"]
    assert (chosen["trials"] == 2).all()
    assert (frame[frame["of"] == "linear"]["trials"] == 3).all()
    np.testing.assert_allclose(chosen["value"], 1.05 * course[0])
    told = told_of(protocol, {(0, "target dose"): np.array([90.0, 110.0, np.nan])})
    drawn = draw_fitted(protocol, protocol.analysis.comparisons[0], frame, told)
    assert "target dose 100" in drawn.alt
    assert "target dose" in drawn.caption
    (axes,) = drawn.figure.axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["linear", "the curve that counts", "estimates"]
    nothing = pd.DataFrame(columns=told.columns)
    without = frame[frame["of"] != "chosen"]
    drawn = draw_fitted(protocol, protocol.analysis.comparisons[0], without, nothing)
    assert "target" not in drawn.caption

"""Combinations of two drugs, from the sheet to the report's table."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.check import check_sheet
from vtrial.design.escalation import enact_escalation, escalation_method
from vtrial.errors import ProtocolError
from vtrial.report.escalated import draw_escalation, escalation_line

SHEET = """
protocol: two-drugs
model: theophylline
cohort: theophylline-twelve
subjects: 12
replicates: 10
potential: all
arms:
  a1b1: {dose: 100 mg}
  a1b2: {dose: 100 mg, set: {tvCL: 0.4 * tvCL}}
  a2b1: {dose: 300 mg}
  a2b2: {dose: 300 mg, set: {tvCL: 0.4 * tvCL}}
visits:
  blood: {at: 4 h, measure: [conc]}
endpoints:
  toxicity: {of: conc, take: maximum, above: 6 mg/L}
design:
  escalation:
    by: BOIN-comb
    combinations:
      - [a1b1, a1b2]
      - [a2b1, a2b2]
    target: 30 %
keep: {trajectories: nothing}
"""


@pytest.mark.slow
def test_a_sheet_escalates_two_drugs(tmp_path):
    protocol = vt.load_protocol(SHEET)
    record = vt.run(protocol, out=tmp_path / "two", workers=0)
    made = vt.enact(record, protocol)
    tree = record.tree()
    toxic = np.stack(
        [
            tree[f"arms/{arm}/outcomes"]["outcome"].values[:, 0].reshape(10, 12)
            for arm in ("a1b1", "a1b2", "a2b1", "a2b2")
        ],
        axis=2,
    )
    method = escalation_method("BOIN-comb", doses=4, rows=2, target=0.3)
    direct = enact_escalation(method, toxic, seed=protocol.seed)
    np.testing.assert_array_equal(made.given, direct.given)
    np.testing.assert_array_equal(made.selected, direct.selected)
    table = vt.evaluate(tree, protocol).escalated
    assert table["arm"].tolist() == ["a1b1", "a1b2", "a2b1", "a2b2", ""]
    assert "2 x 2 combinations" in escalation_line(protocol)
    (drawing,) = draw_escalation(protocol, table)
    assert drawing.title == "Combination selected"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "      - [a2b1, a2b2]\n",
            "      - [a2b1]\n",
            "22:9: .*1 arms, where the first",
        ),
        ("      - [a2b1, a2b2]\n", "", "1 x 2 combinations.*at least two rows"),
        ("[a2b1, a2b2]", "[a2b1, a1b2]", "22:16: .*stands there 2 times"),
        ("[a2b1, a2b2]", "[a2b1, a2b3]", "`a2b3`, an unknown arm.*a2b2"),
        ("by: BOIN-comb", "by: BOIN-comb\n    start: d9", "`d9`, an unknown dose"),
        ("by: BOIN-comb", "by: BOIN-comb\n    skipping: true", "one drug goes"),
        ("by: BOIN-comb", "by: BOIN-comb\n    doses: [a1b1]", "names the arms"),
        ("target:", "options: {rows: 2}\n    target:", "shows how many rows"),
    ],
)
def test_rows_make_a_grid(old, new, words):
    with pytest.raises(ProtocolError, match=f"(?s){words}"):
        vt.load_protocol(SHEET.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("by: BOIN-comb", "by: BOIN", "escalates one drug.*BOIN-comb"),
        (
            "    combinations:\n      - [a1b1, a1b2]\n      - [a2b1, a2b2]\n",
            "",
            "combinations: missing",
        ),
        (
            "a2b1: {dose: 300 mg}",
            "a2b1: {dose: 50 mg}",
            "less into depot than",
        ),
    ],
)
def test_levels_go_up_by_a_method_for_two(tmp_path, old, new, words):
    path = tmp_path / "two.yaml"
    path.write_text(SHEET.replace(old, new))
    with pytest.raises(ProtocolError, match=f"(?s){words}"):
        check_sheet(path)

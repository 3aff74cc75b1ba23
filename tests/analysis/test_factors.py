"""A factorial trial, run: contrasts of its arms, in words and numbers."""

import numpy as np
import pytest

import vtrial as vt
from tests.small_trial import COHORT, MODEL

SHEET = """
protocol: two-factors
model: body
cohort: folk
subjects: 24
replicates: 3
potential: all
factors:
  dose: {low: {dose: 50 mg}, high: {dose: 100 mg}}
  food: {fasted: {}, fed: {set: {tvKA: 0.5 * tvKA}}}
design:
  randomisation: {permuted block: 4}
visits:
  blood: {at: "1 h, 4 h, 24 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
analysis:
  - {compare: fed with fasted, on: peak, by: ratio of geometric means}
  - {compare: dose x food, on: peak, by: ratio of geometric means}
keep: {trajectories: nothing}
"""


def test_levels_are_compared_in_all_subjects(tmp_path):
    for name, text in (("body", MODEL), ("folk", COHORT), ("two", SHEET)):
        (tmp_path / f"{name}.yaml").write_text(text)
    protocol = vt.load_protocol(tmp_path / "two.yaml")
    tree = vt.run(protocol, out=tmp_path / "run", workers=0).tree()
    found = vt.evaluate(tree, protocol)
    logs = [
        np.log(tree[f"arms/{arm.name}/outcomes"]["outcome"].values[:, 0])
        for arm in protocol.arms
    ]
    arm = tree["subjects"]["arm"].values.reshape(3, 24)
    means = np.array(
        [
            [logs[k].reshape(3, 24)[t][arm[t] == k].mean() for k in range(4)]
            for t in range(3)
        ]
    ).mean(axis=0)
    main, interaction = found.contrasts["estimate"]
    expected = (means[1] + means[3] - means[0] - means[2]) / 2
    assert np.log(main) == pytest.approx(expected, rel=1e-9)
    both = means[3] - means[2] - means[1] + means[0]
    assert np.log(interaction) == pytest.approx(both, rel=1e-9)
    size = found.operating.query("measure == 'expected size'")["value"]
    assert (size == 24).all()
    paired = np.mean(logs[1] + logs[3] - logs[0] - logs[2]) / 2
    assert np.log(found.contrasts["truth"].iloc[0]) == pytest.approx(paired, rel=1e-6)
    page = vt.render(found, protocol, tmp_path / "page", attributes=tree.attrs)
    assert "food (fasted and fed), in every combination" in page.read_text()

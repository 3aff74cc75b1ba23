"""Arms by who came before and by sites: the same in any block, record or enactment."""

import dataclasses

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.allocated import arms_of
from vtrial.design.trials import Trials
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.report.balance import balance_table, sites_table
from vtrial.report.design import allocation_in_words
from vtrial.report.enacted import enactment_lines

SHEET = """
protocol: balanced
model: one-compartment-oral
cohort: adults
subjects: 40
replicates: 10
seed: 2
potential: all
arms:
  low: {dose: 100 mg}
  high: {dose: 120 mg}
visits: {late: {at: "2 h, 8 h", measure: [conc]}}
endpoints:
  peak: {of: conc, take: maximum}
analysis:
  - {name: main, compare: high with low, on: peak, by: difference of means}
design:
  randomisation: {by: minimisation, factors: [FEMALE, AGE < 50, site]}
  sites:
    north: {rate: 2 / month, count: 3, cap: 8, region: Europe}
    south: {rate: 3 / month, opens: month 1, region: Asia}
  arrivals: poisson
keep: {trajectories: nothing}
"""


def test_arms_are_the_same_in_any_block():
    protocol = vt.load_protocol(SHEET)
    trial = Trial(protocol, vt.load_cohort("adults"))
    replicate, number = np.divmod(np.arange(3 * 40), 40)
    whole = arms_of(trial, Identity(replicate, number))
    few = np.array([50, 7, 119, 81])
    part = arms_of(trial, Identity(replicate[few], number[few]))
    np.testing.assert_array_equal(part, whole[few])
    assert np.abs(whole.reshape(3, 40).sum(axis=1) - 20).max() <= 2


@pytest.mark.slow
def test_a_record_is_enacted_with_its_own_arms_and_told(tmp_path):
    protocol = vt.load_protocol(SHEET)
    record = vt.run(protocol, out=tmp_path / "at", workers=0)
    trials = vt.enact(record, protocol)
    arm = np.asarray(record.tree()["subjects"].to_dataset()["arm"].values)
    counts = [(arm.reshape(-1, 40) == k).sum(axis=1) for k in (0, 1)]
    np.testing.assert_array_equal(trials.allocated, np.stack(counts, axis=1))
    few, many = (vt.enact(record, protocol, trials=n) for n in (15, 25))
    for part in dataclasses.fields(Trials):
        one, other = getattr(few, part.name), getattr(many, part.name)
        np.testing.assert_array_equal(one, other[:15], err_msg=part.name)
    found = vt.evaluate(record.tree(), protocol)
    balance = found.balance.set_index(["factor", "by"])
    assert {name for name, _ in balance.index} == {"", "FEMALE", "AGE < 50", "site"}
    for factor in ("FEMALE", "AGE < 50"):
        minimised, simple = (
            balance.loc[(factor, by)] for by in ("minimisation", "simple")
        )
        assert minimised.value < simple.value / 2
        assert minimised.largest < simple.largest
    sites = found.sites.set_index("site")
    assert sites["value"].sum() == pytest.approx(40)
    assert sites.loc["north", "value"] <= 24
    assert 0 < sites.loc["north", "full"] < 1
    words = str(enactment_lines(protocol)) + allocation_in_words(protocol)
    assert "minimisation over FEMALE, AGE < 50 and site" in words
    assert "3 sites in Europe: 2 a month each, 8 at most each" in words
    assert sites_table(found.sites).rows[0][0].text == "north"
    assert len(balance_table(protocol, found.balance).rows) == 4

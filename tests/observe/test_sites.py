"""Sites that differ, and whole sites that are randomised."""

import functools

import numpy as np
import pytest

import vtrial as vt
from tests.changed_sheet import load_changed, told_at
from vtrial.cohort.sheet import load_cohort
from vtrial.errors import ProtocolError
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.stored import read_protocol, write_protocol
from vtrial.report.design import comparison_in_words

SHEET = """
protocol: clinics
model: one-compartment-oral
cohort: adults
subjects: 60
replicates: 3
arms:
  usual: {dose: 100 mg}
  more: {dose: 120 mg}
design:
  randomisation: {clusters: site, permuted block: 2}
  sites:
    clinics: {rate: 4 / month, count: 6, effects: {eta.CL: 20 %, WT: 4}}
    others: {rate: 4 / month, count: 2}
visits:
  blood: {at: "1 h, 4 h, 24 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
analysis:
  - {compare: more with usual, on: peak, by: difference of site means}
  - {compare: more with usual, on: peak, by: difference of means, random: sites}
keep: {trajectories: nothing}
"""
EFFECTS = ", effects: {eta.CL: 20 %, WT: 4}"


load = functools.partial(load_changed, SHEET)


def people(protocol):
    trial = Trial(protocol, load_cohort("adults"))
    number = np.tile(np.arange(60), 3)
    return trial.drawn(Identity(np.repeat(np.arange(3), 60), number))


def test_subjects_of_a_site_share_its_effects_and_nothing_else_moves():
    protocol = load()
    plain = load((EFFECTS, ""))
    found, other = people(protocol), people(plain)
    site = enrolled_at(
        protocol.design.sites, seed=0, trials=np.arange(3), subjects=60
    ).site
    weight, before = (
        np.asarray(p.covariates["WT"]).reshape(3, 60) for p in (found, other)
    )
    gap = weight - before
    eta = np.asarray(found.effects["eta.CL"] - other.effects["eta.CL"]).reshape(3, 60)
    for trial in range(3):
        for place in range(8):
            here = site[trial] == place
            assert np.ptp(gap[trial][here]) < 1e-9
            assert np.ptp(eta[trial][here]) < 1e-9
            assert (np.abs(gap[trial][here]).max() > 0) == (place < 6)
    assert np.unique(np.round(gap, 6)).size == 3 * 6 + 1
    assert 1.5 < gap[site < 6].std() < 7
    for name in ("eta.V", "eta.KA"):
        np.testing.assert_array_equal(found.effects[name], other.effects[name])
    age, index = (np.asarray(found.covariates[name]) for name in ("AGE", "BMI"))
    np.testing.assert_array_equal(age, np.asarray(other.covariates["AGE"]))
    height = np.asarray(found.covariates["HT"]) / 100
    np.testing.assert_allclose(index, weight.ravel() / height**2, rtol=1e-6)


def test_whole_sites_are_randomised_and_compared(tmp_path):
    protocol = load(("replicates: 3", "replicates: 2"))
    assert protocol.enactment is None
    again = read_protocol(write_protocol(protocol))
    assert again.design == protocol.design
    tree = vt.run(protocol, out=tmp_path / "run", workers=0).tree()
    arm = tree["subjects"]["arm"].values.reshape(2, 60)
    site = enrolled_at(
        protocol.design.sites, seed=0, trials=np.arange(2), subjects=60
    ).site
    for trial in range(2):
        of = [np.unique(arm[trial][site[trial] == place]) for place in range(8)]
        assert all(len(one) == 1 for one in of)
        assert sorted(int(one[0]) for one in of) == [0] * 4 + [1] * 4
    found = vt.evaluate(tree, protocol)
    means, mixed = found.contrasts.itertuples()
    assert np.sign(means.estimate) == np.sign(mixed.estimate)
    assert means.estimate != mixed.estimate
    assert "sites random (REML, Kenward-Roger)" in comparison_in_words(
        protocol, protocol.analysis.comparisons[1]
    )
    assert set(found.details["measure"]) == {
        "correlation within sites",
        "design effect",
        "sites with subjects",
    }
    page = vt.render(found, protocol, tmp_path / "page", attributes=tree.attrs)
    text = page.read_text()
    assert "of whole sites" in text
    assert "they differ in eta.CL" in text
    with pytest.raises(ProtocolError, match="whole sites"):
        vt.enact(vt.open_record(tmp_path / "run"), protocol)


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("eta.CL: 20 %", "eta.CX: 20 %", "effects.eta.CX", "unknown input"),
        ("WT: 4", "WT: -4", "clinics.effects.WT", "standard deviation"),
        ("permuted block: 2", "stratified: [FEMALE]", "stratified", "left out"),
        ("  sites:", "  looks: {half: 50 %, end: 100 %}\n  sites:", "looks", "its end"),
        ("clusters: site", "clusters: arm", "randomisation.clusters", "site"),
        ("random: sites", "random: site", "analysis.1.random", "Write `sites`"),
        ("random: sites", "random: subjects", "analysis.1.random", "in a crossover"),
    ],
)
def test_what_sites_cannot_be(old, new, at, message):
    told = told_at(SHEET, (old, new), lambda place: at in place)
    assert any(message in one for one in told)

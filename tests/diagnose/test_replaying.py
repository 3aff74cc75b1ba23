"""Replay: what a ledger holds gives the course again, and what does not is told."""

import numpy as np
import pytest

import vtrial as vt
from tests.observe.ruled import COHORT, HEAD, MODEL
from vtrial.diagnose import replaying
from vtrial.diagnose.replaying import replay
from vtrial.dims import AMOUNT
from vtrial.errors import StoreError

BODY = """
model: halving
arms:
  a: {dose: "100 mg every 24 h x 8"}
visits:
  morning: {at: "day 0", repeat: "every 1 d x 8", measure: [level]}
endpoints:
  last: {of: level, take: value, at: "day 7"}
"""
RULES = "rules: {down: {when: level > 60, do: reduce by 20 %}}\n"


def record(folder, body):
    """Run the sheets, and return the folder of the record."""
    (folder / "halving.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    (folder / "ruled.yaml").write_text(HEAD.format(subjects=6) + body)
    vt.run(vt.load_protocol(folder / "ruled.yaml"), out=folder / "out", workers=0)
    return folder / "out"


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    return record(tmp_path_factory.mktemp("ruled"), BODY + RULES)


def test_realised_doses_give_the_course_again(ruled):
    found = replay(ruled, subjects=4).set_index("output")
    assert found.loc["level", "doses"] == 4 * 8
    assert found.loc["level", "subjects"] == 4
    assert found["largest"].max() < 1e-3


def test_a_record_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(StoreError, match="without a ledger"):
        replay(record(tmp_path, BODY))


def test_where_a_rule_assigns_only_the_ledger_is_made_again(tmp_path):
    rule = "rules: {empty: {when: level > 60, do: central <- 0}}\n"
    found = replay(record(tmp_path, BODY + rule))
    assert np.isnan(found["largest"]).all()


def test_doses_that_are_not_the_courses_are_told(ruled, monkeypatch):
    fixed = replaying._Fixed

    def other(trial, arm, chosen, held, *rest):
        return fixed(trial, arm, chosen, held | {AMOUNT: 1.001 * held[AMOUNT]}, *rest)

    monkeypatch.setattr(replaying, "_Fixed", other)
    with pytest.raises(
        StoreError, match=r"level, by \d+ tolerances, .* own error is 0"
    ):
        replay(ruled, subjects=4)


@pytest.mark.slow
def test_the_solvers_own_error_is_no_other_course(tmp_path):
    protocol = vt.load_protocol("docetaxel-label", changes={"subjects": 60})
    vt.run(protocol, out=tmp_path / "out", workers=0)
    found = replay(tmp_path / "out", subjects=60).set_index(["arm", "output"])
    anc = found.xs("anc", level="output")
    assert (anc["largest"] > 10).any(), (
        "the nadirs are not deep: compare something else"
    )
    assert (anc["largest"] < 3 * anc["error"])[anc["largest"] > 10].all()
    assert found.xs("conc", level="output")["error"].isna().all()

"""Who is let in on what is measured before any treatment."""

import json

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.errors import ProtocolError
from vtrial.observe import screening
from vtrial.observe.block_program import Trial
from vtrial.protocol.stored import read_protocol, write_protocol

CUT = 2.2
LINE = 8  # of the sheet, on which the condition stands


MODEL = """
model: body
covariates: {WT: {unit: kg, typical: 70}}
parameters: {tvBASE: {value: 2}}
random:
  - {of: BASE, variance: 0.09}
equations: |
  base = tvBASE * exp(eta.BASE)
  level = base * (1 + 0.01*t*WT/70)
outputs:
  base: {unit: 1, error: {proportional: 0.3}}
  level: {unit: 1, error: {additive: 0.05}}
"""
PROTOCOL = """
protocol: small
model: body
cohort: folk
subjects: 30
replicates: 4
seed: 11
arms:
  low: {}
  high: {set: {tvBASE: 3 * tvBASE}}
visits:
  first: {at: day 0, measure: [base, level]}
endpoints:
  level: {of: level, take: value, at: day 1, values: true}
keep: {trajectories: nothing, measurements: true}
"""


@pytest.fixture
def base(sheets):
    """A trial without doses that measures a baseline on day 0."""
    sheets.texts |= {"body": MODEL, "small": PROTOCOL}
    return sheets


def rows(sheets, **changes):
    planned = vt.plan(sheets.load(**changes))
    trial = Trial(planned.protocol, planned.cohort)
    blocks = [rows_of(trial, block) for block in range(trial.protocol.blocks)]
    return {p: np.concatenate([b[p] for b in blocks]) for p in blocks[0]}


def measured(sheets, found, output="base"):
    """Return each subject's first measured value, under its own arm."""
    place = [o.name for o in sheets.load().model.outputs].index(output)
    low, high = (
        found[f"arms/{arm}/measurements/measured"][:, 0, place]
        for arm in ("low", "high")
    )
    return np.where(found["subjects/arm"] == 0, low, high)


@pytest.mark.slow
def test_who_is_let_in_at_once_stays_who_it_was(base):
    before = rows(base)
    high = before["subjects/arm"] == 1  # has three times of what was measured
    fit = measured(base, before) >= np.where(high, 3 * CUT, CUT)
    base.change("small", "arms:", f'eligible: "base >= {CUT}"\narms:')
    after = rows(base)
    for path, values in before.items():
        if len(values) == fit.size:
            np.testing.assert_array_equal(values[fit], after[path][fit], err_msg=path)
    others = ~fit
    assert (before["subjects/WT"][others] != after["subjects/WT"][others]).all()
    assert measured(base, after)[after["subjects/arm"] == 0].min() >= CUT


@pytest.mark.slow
def test_the_number_screened_is_that_of_the_share_let_in(base):
    """False alarms: 1 in 10,000, by the normal approximation of a negative binomial."""
    base.change("small", "arms:", f'eligible: "base >= {CUT}"\narms:')
    base.change("folk", 'eligibility: "WT > 50"\n', "")
    planned = vt.plan(base.load(subjects=400, replicates=1))
    people = Trial(planned.protocol, planned.cohort).people(
        Trial(planned.protocol, planned.cohort).identity(0)
    )
    screened = np.asarray(people.screened)
    found, seen = screening.share_let_in(planned.protocol, planned.cohort)
    share = found / seen
    off = np.sqrt((1 - share) / share**2 / screened.size)
    assert abs(screened.mean() - 1 / share) < 3.9 * off * (1 + screened.size / seen)
    # What was selected for is kept in part only: it was measured with an error.
    effects = np.asarray(people.effects["eta.BASE"])
    assert 0.05 < effects.mean() < 0.3


def test_another_block_size_screens_the_same(base):
    base.change("small", "arms:", f'eligible: "base >= {CUT} and FEMALE == 0"\narms:')
    small, large = (
        Trial(p.protocol, p.cohort)
        for p in (vt.plan(base.load(block=block)) for block in (7, 120))
    )
    names = ("WT", "FEMALE")
    parts = [small.people(small.identity(block)) for block in range(18)]
    whole = large.people(large.identity(0))
    for name in names:
        joined = np.concatenate([np.asarray(p.covariates[name])[:7] for p in parts])
        np.testing.assert_array_equal(joined[:120], whole.covariates[name][:120])
    assert not np.asarray(whole.covariates["FEMALE"]).any()
    counts = np.concatenate([np.asarray(p.screened)[:7] for p in parts])[:120]
    np.testing.assert_array_equal(counts, whole.screened[:120])


@pytest.mark.slow
def test_a_visit_before_the_start_decides(base):
    base.change("small", "first: {at: day 0", "first: {at: 'day -7, day 0'")
    base.change(
        "small", "arms:", f"eligible: {{when: base >= {CUT}, at: day -7}}\narms:"
    )
    found = rows(base, replicates=1)
    assert measured(base, found)[found["subjects/arm"] == 0].min() >= CUT


def test_a_record_holds_who_was_let_in(base):
    base.change("small", "arms:", 'eligible: "base > 1 and WT > 60"\narms:')
    protocol = base.load()
    again = read_protocol(json.loads(json.dumps(write_protocol(protocol))))
    assert again.eligible == protocol.eligible
    assert again.digest == protocol.digest
    base.change("small", "base > 1", "base > 1.5")
    assert base.load().digest != protocol.digest


def test_other_values_come_too_late_for_who_is_let_in(base):
    base.change("small", "arms:", 'eligible: "base > 1"\narms:')
    with pytest.raises(ProtocolError, match="before any arm sets a value"):
        base.load().with_parameters(tvBASE=3.0)


@pytest.mark.slow
def test_words_of_the_cohort_may_be_written(base):
    base.change("folk", "{0: 0.5, 1: 0.5}", "{male: 0.5, female: 0.5}")
    base.change("small", "arms:", 'eligible: "base > 1 and FEMALE == female"\narms:')
    planned = vt.plan(base.load())
    trial = Trial(planned.protocol, planned.cohort)
    assert (np.asarray(trial.people(trial.identity(0)).covariates["FEMALE"]) == 1).all()


@pytest.mark.parametrize(
    ("words", "at", "told"),
    [
        ('eligible: "WT > 60"', "eligible", "a condition on what is measured"),
        ('eligible: "bsae > 1"', "eligible", "an output or covariate"),
        ("eligible: {when: base > 1, at: day 3}", "eligible.at", "day 0"),
        ("eligible: {when: base > 1, at: day -3}", "eligible.at", "day 0"),
        ('eligible: "base >"', "eligible", ""),
    ],
)
def test_what_makes_no_sense_is_refused(base, words, at, told):
    base.change("small", "arms:", f"{words}\narms:")
    faults = base.refused()
    assert told in faults[at].allowed
    assert faults[at].line == LINE


@pytest.mark.slow
def test_what_nobody_meets_is_refused_before_anything_is_run(base):
    base.change("small", "arms:", 'eligible: "base > 1000"\narms:')
    with pytest.raises(
        ProtocolError, match=r"met by 0 of 5120 people screened"
    ) as told:
        vt.plan(base.load())
    assert told.value.faults[0].line == LINE


def test_a_run_gives_up_where_almost_nobody_is_let_in(base):
    base.change("small", "arms:", 'eligible: "base > 1000"\narms:')
    protocol = base.load()
    cohort = vt.load_cohort("folk", beside=protocol.path)
    with pytest.raises(ProtocolError, match="people screened"):
        Trial(protocol, cohort).people(Trial(protocol, cohort).identity(0))


def test_rows_in_order_are_not_screened(base):
    base.folder.mkdir(exist_ok=True)
    (base.folder / "rows.csv").write_text("WT,FEMALE\n70,0\n80,1\n")
    base.texts["folk"] = (
        "cohort: folk\ntable:\n  file: rows.csv\n  draw: in order\n"
        "  columns: {WT: kg, FEMALE: {title: sex}}\n"
    )
    base.change("small", "arms:", 'eligible: "base > 1"\narms:')
    with pytest.raises(ProtocolError, match="takes rows in order"):
        vt.plan(base.load())

"""Leaving at hazards that follow the course: closed forms, causes, rules, faults."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vtrial as vt
from vtrial.analysis.departures import Departures, _Count
from vtrial.conduct.provenance import protocol_of
from vtrial.errors import ProtocolError
from vtrial.keys import purpose_key, subject_key
from vtrial.observe.departure import (
    built,
    by_constants,
    nothing_built,
    numbers_of,
    risk_of,
)
from vtrial.sheets.find import shipped
from vtrial.sheets.sheet import parse_sheet

MODEL = """
model: fading
covariates:
  WT: {unit: kg, typical: 70}
parameters:
  K: {value: 0.1, unit: 1/h}
equations: |
  d/dt(body) = -K * body
  level = body
outputs:
  level: {unit: mg, error: {additive: 0.1}}
"""
COHORT = """
cohort: folk
covariates:
  WT: {unit: kg, lognormal: {median: 75, cv: 0.2}}
"""
PROTOCOL = """
protocol: fade
model: fading
cohort: folk
subjects: 20000
seed: 5
arms:
  one: {dose: "100 mg"}
visits:
  look: {at: "6 h, 12 h, 24 h, 48 h", measure: [level]}
design:
  dropout: HERE
endpoints:
  late: {of: level, take: value, at: 48 h}
keep: {measurements: true, covariates: true}
"""
RULE = """
rules:
  never: {at: look, when: level > 1e6, do: stop}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the trial with a dropout; give the subjects' times, causes and the record."""
    done = {}

    def go(dropout, *, rules="", subjects=20000, model=MODEL, more=""):
        key = (dropout, rules, subjects, model, more)
        if key not in done:
            record = vt.run(
                load(
                    tmp_path_factory.mktemp("fade"),
                    dropout,
                    rules=rules + more,
                    model=model,
                    changes={"subjects": subjects},
                ),
                out=tmp_path_factory.mktemp("record") / "record",
                workers=0,
            )
            tree = record.tree()
            names = ("left", "cause")
            left, cause = (np.asarray(tree[f"arms/one/{n}"]) for n in names)
            done[key] = left, cause, record
        return done[key]

    return go


def load(folder, dropout, *, rules="", model=MODEL, changes=None):
    text = PROTOCOL.replace("HERE", dropout) + rules
    for name, words in (("fading", model), ("folk", COHORT), ("fade", text)):
        (folder / f"{name}.yaml").write_text(words)
    return vt.load_protocol(folder / "fade.yaml", changes=changes or {})


def within(share, wanted, count):
    return abs(share - wanted) < 3 * np.sqrt(wanted * (1 - wanted) / count)


def departed(protocol, time, level, hazards, *, count=20000, parts=1):
    """Let subjects leave along a course that all have, in so many pieces."""

    @jax.jit
    def go(place, time, level, hazards, numbers):
        keys = jax.vmap(lambda number: subject_key(3, 0, number))(place)
        risk = risk_of(protocol, keys, hazards[None], numbers[None], {})
        times, values = (
            jnp.broadcast_to(v[None], (count, v.size)) for v in (time, level)
        )
        now = nothing_built(protocol, by_constants(protocol, risk), times[:, 0])
        for some in np.array_split(np.arange(time.size), parts):
            now = built(protocol, risk, now, times[:, some], {"level": values[:, some]})
        return now.left

    numbers = numbers_of(protocol)
    left = go(jnp.arange(count), time, level, np.asarray(hazards), numbers)
    return tuple(map(np.asarray, left))


@pytest.mark.slow
def test_hazards_that_fade_leave_a_known_survival(tmp_path):
    """Of h = a exp(-K t) the survival is exp(-a / K (1 - exp(-K t)))."""
    causes = """
    causes:
      toxicity: {hazard: "0.003 * level", per: h}
      other: {hazard: "0.001 * level", per: h}"""
    protocol = load(tmp_path, causes)
    time = np.linspace(0, 48, 151)
    level = 100 * np.exp(-0.1 * time)
    left, cause = departed(protocol, time, level, [1.0, 1.0])
    for until in (1.0, 5.0, 20.0, 48.0):
        wanted = 1 - np.exp(-0.4 / 0.1 * (1 - np.exp(-0.1 * until)))
        assert within((left <= until).mean(), wanted, left.size), until
    gone = cause > 0
    assert within((cause[gone] == 1).mean(), 0.75, gone.sum())
    pieces, same = departed(protocol, time, level, [1.0, 1.0], parts=2)
    np.testing.assert_allclose(pieces, left, rtol=1e-12)
    np.testing.assert_array_equal(same, cause)


def test_a_constant_draw_is_the_one_it_was(tmp_path):
    """The exponential number of the key of `dropout`, by the hazard, to the bit."""
    protocol = load(tmp_path, "{share: 30 %, by: 24 h}")
    hazard = -np.log1p(-0.3) / 24
    (cause,) = protocol.design.dropout.causes
    assert cause.hazards == (hazard,)
    place = jnp.arange(500)
    keys = jax.vmap(lambda number: subject_key(3, 0, number))(place)
    drawn = jax.vmap(
        lambda key: jax.random.exponential(purpose_key(key, "dropout"), (), float)
    )(keys)
    none = jnp.zeros((1, 0))
    risk = risk_of(protocol, keys, jnp.asarray([[hazard]]), none, {})
    left = by_constants(protocol, risk)
    np.testing.assert_array_equal(left.time, drawn / hazard)
    assert (np.asarray(left.cause) == 1).all()


@pytest.mark.slow
def test_a_hazard_along_a_decay_has_its_survival(run):
    """Of h = a exp(-K t) the survival is exp(-a / K (1 - exp(-K t)))."""
    left, cause, record = run('{hazard: "0.001 * level", per: h}')
    assert set(cause) == {0, 1}
    np.testing.assert_array_equal(np.isfinite(left), cause == 1)
    for time in (1.0, 5.0, 12.0, 30.0, 48.0):
        wanted = 1 - np.exp(-0.1 / 0.1 * (1 - np.exp(-0.1 * time)))
        assert within((left <= time).mean(), wanted, left.size), time
    measured = np.asarray(record.tree()["arms/one/measurements/measured"])[:, :, 0]
    for place, time in enumerate((6.0, 12.0, 24.0, 48.0)):
        np.testing.assert_array_equal(np.isnan(measured[:, place]), left < time)


@pytest.mark.slow
def test_causes_share_by_their_hazards(run):
    """At proportional hazards the reason is drawn by their shares, at any time."""
    causes = """
    causes:
      toxicity: {hazard: "0.003 * level", per: h}
      other: {hazard: "0.001 * level", per: h}"""
    left, cause, record = run(causes)
    gone = cause > 0
    assert within((cause[gone] == 1).mean(), 0.75, gone.sum())
    early = gone & (left < 3)
    assert within((cause[early] == 1).mean(), 0.75, early.sum())
    wanted = 1 - np.exp(-0.4 / 0.1 * (1 - np.exp(-0.1 * 48)))
    assert within(gone.mean(), wanted, left.size)
    held = record.tree()["arms/one/cause"].attrs
    assert held["flag_meanings"] == ["not simulated", "stayed", "toxicity", "other"]


@pytest.mark.slow
def test_constant_hazards_are_drawn_alike_however_they_are_said(run):
    """A share, a rate, and an equation that happens to be constant."""
    rate = -np.log1p(-0.3) / 24
    shared, _, _ = run("{share: 30 %, by: 24 h}", subjects=2000)
    rated, _, _ = run(f"{{hazard: {float(rate)!r} / h}}", subjects=2000)
    equal, _, _ = run(f'{{hazard: "{float(rate)!r} + 0", per: h}}', subjects=2000)
    np.testing.assert_allclose(rated, shared, rtol=1e-12)
    np.testing.assert_allclose(equal, shared, rtol=1e-9)
    assert within((shared <= 24).mean(), 0.3, 2000)


@pytest.mark.slow
def test_a_rule_that_never_acts_changes_no_leaving(run):
    causes = """
    causes:
      toxicity: {hazard: "0.0005 * level + 0.02 * (t > 20)", per: h}
      heavy: {hazard: "0.0002 * WT", per: h}
      other: {hazard: 0.05 / d}"""
    free, why, _ = run(causes, subjects=1000)
    ruled, same, _ = run(causes, rules=RULE, subjects=1000)
    assert set(why) == {0, 1, 2, 3}
    np.testing.assert_array_equal(same, why)
    np.testing.assert_allclose(ruled, free, rtol=1e-5)


@pytest.mark.slow
def test_who_has_left_is_decided_about_no_more(run):
    """A rule that says `leave` is a reason; who left before is not asked."""
    rules = """
rules:
  high: {at: look, when: t > 5, do: leave}
"""
    left, cause, record = run(
        '{hazard: "0.001 * level", per: h}', rules=rules, subjects=1000
    )
    np.testing.assert_array_equal(cause == 1, left < 6)
    np.testing.assert_array_equal(left[cause == 2], 6.0)
    assert (cause > 0).all()
    assert record.tree()["arms/one/cause"].attrs["flag_meanings"][-1] == "rule high"
    found = vt.evaluate(record.tree(), protocol_of(record))
    row = found.departed.set_index("cause").loc["rule high"]
    assert row["count"] == (cause == 2).sum()
    assert row["mean"] == 6.0


def test_a_cause_for_which_nobody_left_has_its_row(tmp_path):
    """How often is 0; when is not known."""
    protocol = load(tmp_path, '{hazard: "0.1 * (level < 0.5)", per: month}')
    arm = protocol.arms[0]
    counted = Departures(solved={arm.name: 10}, found={(arm.name, 1): _Count()})
    causes = {arm.name: protocol.design.dropout.reasons(arm.rules)}
    (row,) = counted.table(causes).to_dict("records")
    assert (row["n"], row["count"], row["share"]) == (10, 0, 0.0)
    assert np.isnan([row["mean"], row["first"], row["last"]]).all()


def test_a_plan_says_why_people_leave(tmp_path):
    protocol = load(tmp_path, '{hazard: "0.1 * (level < 0.5)", per: month}')
    words = vt.plan(protocol).words()
    assert "0.1 * (level < 0.5) per month" in words


@pytest.mark.parametrize(
    ("dropout", "where", "found"),
    [
        ('{hazard: "0.1 * levle", per: h}', "hazard", "`levle`, an unknown"),
        ('{hazard: "0.1 * body", per: h}', "hazard", "`body`, a state that is no"),
        ('{hazard: "0.1 * level", per: mont}', "per", "`mont`"),
        ('{hazard: "0.1 * level"}', "hazard", "`0.1 * level`"),
        ('{hazard: "0.1 * (level", per: h}', "hazard", ""),
        ("{hazard: -0.1 / h}", "hazard", "`-0.1 / h`"),
        ("{hazard: -0.1, per: h}", "hazard", "-0.1"),
        ('{hazard: "-0.1 * (level < 3)", per: h}', "hazard", "never above 0"),
        ("{hazard: {two: 0.1 / h}}", "hazard", "`two`, an unknown arm"),
        ("{hazard: 0.1 / h, by: 24 h}", "hazard", "`hazard` beside `by`"),
        ("{share: 10 %}", "by", "missing"),
        ("{per: h}", "hazard", "missing"),
        ("{}", "", "without a hazard"),
        ("{causes: {bad: {}}}", "causes.bad", "without a hazard"),
        ("{share: 1 %, causes: {a: {hazard: 1 / h}}}", "share", "beside `causes`"),
        (
            '{causes: {bad: {hazard: "levle", per: h}}}',
            "causes.bad.hazard",
            "`levle`, an unknown",
        ),
    ],
)
def test_hazards_that_cannot_be_are_told(tmp_path, dropout, where, found):
    with pytest.raises(ProtocolError) as caught:
        load(tmp_path, dropout)
    at = ".".join(["design.dropout", *([where] if where else [])])
    fault = next(one for one in caught.value.faults if one.at == at)
    assert found in fault.found
    assert fault.line == 12


FITS = """
model: fading
covariates:
  WT: {unit: kg, typical: 70}
parameters:
  R: {value: 0.05, unit: 1/h}
equations: |
  d/dt(body) = 0 * body
  level = count(seizure)
events:
  seizure: {hazard: R, recurrent: true}
outputs:
  level: {unit: 1, error: {additive: 0.1}}
"""


@pytest.mark.slow
def test_a_hazard_by_events_has_its_survival(run):
    r"""Of events at a rate R that each add c to a hazard, with and without a rule.

    $$ S(t) = \exp(-R (t - (1 - \exp(-c t)) / c)) $$
    """
    dropout = '{hazard: "0.03 * level", per: h}'
    free, _, _ = run(dropout, model=FITS, subjects=4000)
    ruled, _, _ = run(dropout, model=FITS, subjects=4000, rules=RULE)
    for until in (12, 24, 48):
        wanted = 1 - np.exp(-0.05 * (until - (1 - np.exp(-0.03 * until)) / 0.03))
        assert within((free <= until).mean(), wanted, free.size), until
    np.testing.assert_allclose(ruled, free, rtol=1e-12)


def test_a_flow_has_no_course_to_leave_along():
    """Its hazards are rates."""
    (sheet,) = (p for p in shipped("protocols").glob("*.yaml") if p.stem == "ed-rota")
    data = parse_sheet(sheet.read_text()).data
    data["design"] = {"dropout": {"hazard": "0.1 * t", "per": "h"}}
    with pytest.raises(ProtocolError, match="is a flow, whose days are no course"):
        vt.load_protocol(data)

"""Heart failure under remote monitoring, and monitors' exact run lengths.

The rows of the table were computed once for 8,000 people, by other code: NumPy, in
which an event comes within a day with 1 - exp(-h), and a patient's usual pressure is
not said.
"""

import numpy as np
import pytest

import vtrial as vt
from tests.solver.chance_models import course_of
from vtrial.dosing.doses import Times, no_doses

DAYS, PEOPLE = 183, 8000

# One-sided average run lengths of cumulative sums of white noise of sd 1 and a mean, by
# Brook and Evans' chain of 400 cells (Biometrika 1972;59:539).
RUN_LENGTHS = [
    (4, 0.0, 335.36),
    (4, 0.5, 26.68),
    (4, 1.0, 8.383),
    (5, 0.0, 930.84),
    (5, 0.5, 38.01),
    (5, 1.0, 10.376),
]
CUSUM = """
model: cusum
time: d
parameters:
  MEAN: {value: 0}
  LIMIT: {value: 4}
equations: |
  init(alerts) = 0
every 1 d: |
  sum <- if(sum >= LIMIT, 0, sum)
  sum <- max(0, sum + normal(noise) + MEAN - 0.5)
  alerts <- alerts + (sum >= LIMIT)
outputs:
  alerts: {}
"""


def _run_length(limit, mean, people, alerts):
    """Return the mean run length of a cusum that begins anew after each alert."""
    length = next(a for one, at, a in RUN_LENGTHS if (one, at) == (limit, mean))
    days = round(length * alerts)
    sheet = CUSUM.replace("MEAN: {value: 0}", f"MEAN: {{value: {mean}}}")
    model = vt.load_model(
        sheet.replace("LIMIT: {value: 4}", f"LIMIT: {{value: {limit}}}")
    )
    found = course_of(model, [days / 2, days], count=people)["alerts"]
    # Alerts of the second half: the renewal process has forgotten its beginning.
    return days / 2 / np.diff(found, axis=1).mean()


def test_cusum_runs_as_long_as_exactly_known():
    assert _run_length(4, 1.0, 500, 60) == pytest.approx(8.383, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "mean", "length"), RUN_LENGTHS)
def test_every_cusum_runs_as_long_as_exactly_known(limit, mean, length):
    assert _run_length(limit, mean, 1000, 40) == pytest.approx(length, rel=0.015)


@pytest.fixture(scope="module")
def year_half():
    """Return what is measured of people under usual care, every day."""
    model, rng = vt.load_model("heart-failure-congestion"), np.random.default_rng(1)
    inputs = {p.name: p.value for p in model.parameters}
    inputs |= {n: rng.normal(size=PEOPLE) for n in model.inputs if n.startswith("eta.")}
    inputs["PAD"] = rng.normal(25, 6, PEOPLE)
    time = 24.0 * np.arange(DAYS + 1)[None]
    times = Times(time, np.zeros(time.shape, int))
    seen = vt.simulate(model, inputs, no_doses(), times, seed=1).outputs
    weight = np.asarray(seen["weight"]) + rng.normal(0, 0.6, (PEOPLE, DAYS + 1))
    pressure = np.asarray(seen["pressure"]) + rng.normal(0, 1.5, weight.shape)
    return weight, pressure, np.asarray(seen["admissions"]), np.asarray(seen["gained"])


def _mean_of_last(values, days):
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    end = np.arange(1, values.shape[1] + 1)
    begin = np.maximum(end - days, 0)
    return (total[:, end] - total[:, begin]) / (end - begin)


def _gains(weight, who, day, days):
    """Return the weight gained in the days before some days, where they were seen."""
    there = day >= days
    who, day = who[there], day[there]
    return weight[who, day] - weight[who, day - days]


def _alerts(wanted):
    """Leave those out that come within 14 days of another."""
    found, last = np.zeros(wanted.shape, bool), np.full(len(wanted), -99)
    for day in range(wanted.shape[1]):
        found[:, day] = wanted[:, day] & (day >= last + 14)
        last = np.where(found[:, day], day, last)
    return found


def _cusum_alerts(pressure):
    """Watch pressure as the shipped protocol does."""
    usual, total = pressure[:, 0], np.zeros(len(pressure))
    found, last = np.zeros(pressure.shape, bool), np.full(len(pressure), -99)
    for day in range(1, pressure.shape[1]):
        total = np.maximum(0, total + pressure[:, day] - usual - 2.5)
        found[:, day] = (total > 12) & (day >= last + 14)
        last = np.where(found[:, day], day, last)
        total = np.where(found[:, day], 0, total)
        usual = usual + (pressure[:, day] - usual) / 25
    return found


def _worth(alerts, events):
    """Return the share of events foretold, and unexplained alerts a patient-year."""
    who, day = np.nonzero(events)
    ever = np.cumsum(np.pad(alerts, ((0, 0), (1, 0))), axis=1)
    before = ever[who, day + 1] - ever[who, np.maximum(day - 30, 0)]
    came = np.cumsum(np.pad(events, ((0, 0), (1, 0))), axis=1)
    one, when = np.nonzero(alerts)
    after = came[one, np.minimum(when + 31, DAYS)] - came[one, np.minimum(when, DAYS)]
    return (before > 0).mean(), (after == 0).sum() / (PEOPLE * DAYS / 365.25)


@pytest.mark.slow
def test_usual_care_is_as_computed_once(year_half):
    weight, _, admissions, gained = year_half
    count = admissions[:, -1]
    error = 3 * count.std() / np.sqrt(PEOPLE)
    assert count.mean() == pytest.approx(0.433, abs=error)
    who, day = np.nonzero(np.diff(admissions, axis=1))
    # That code took the weight of the day before the climb that brings an admission.
    gains = {days: _gains(weight, who, day - 1, days) for days in (14, 30)}
    assert gains[14].mean() == pytest.approx(0.77, rel=0.1)
    assert gains[14].std() == pytest.approx(1.62, rel=0.1)
    assert gains[30].mean() == pytest.approx(0.93, rel=0.1)
    told = np.diff(gained, axis=1)[who, day][day >= 30].mean()
    same = _gains(weight, who, day, 30).mean()
    assert told == pytest.approx(same, abs=0.05)
    assert (weight[:, 14:] - weight[:, :-14]).std() == pytest.approx(1.16, rel=0.1)


@pytest.mark.slow
def test_alerts_are_worth_what_was_computed_once(year_half):
    weight, pressure, admissions, _ = year_half
    events = np.diff(admissions, axis=1) > 0
    risen = np.zeros(weight.shape, bool)
    risen[:, 3:] = weight[:, 3:] - weight[:, :-3] >= 2
    averages = _mean_of_last(weight, 4) - _mean_of_last(weight, 33) > 1.1
    found = [
        _worth(_alerts(risen), events),
        _worth(_alerts(averages), events),
        _worth(_cusum_alerts(pressure), events),
    ]
    known = [(0.47, 4.4), (0.44, 2.2), (0.77, 1.8)]
    np.testing.assert_allclose(found, known, rtol=0.1)

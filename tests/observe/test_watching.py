"""Rules that ask for the chance of an event: held against a Kalman filter."""

import itertools

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.errors import ProtocolError
from vtrial.model.part import obstacle, part_of
from vtrial.model.sheet import load_model
from vtrial.observe.block_program import Trial
from vtrial.protocol.rules import Forecast, Watch

KEEPS, STEP, ERROR = 0.9, 0.5, 0.4
MODEL = """
model: drift
time: d
covariates:
  AGE: {typical: 50}
random:
  - {of: START, variance: 1}
equations: |
  init(x) = eta.START
  init(flag) = -1
  seen = x + 0.1*(AGE - 50)
  flagged = flag
  troubles = count(trouble)
every 1 d: |
  other <- 0.5*other + normal(other)
  flag <- flag
  x <- 0.9*x + 0.5*normal(x)
events:
  trouble: {hazard: 0.05*exp(x)*(AGE/50)^2, recurrent: true}
outputs:
  seen: {error: {additive: 0.4}}
  flagged: {}
  troubles: {}
  beside: {equals: other, error: {additive: 1}}
"""
COHORT = """
cohort: folk
covariates:
  AGE: {normal: {mean: 50, sd: 5}}
"""
SHEET = """
protocol: watched
model: drift
cohort: folk
subjects: 24
potential: all
seed: 3
arms:
  plain: {rules: [noted], adherence: {visits: 80 %}}
  watched: {rules: [noted, warned], adherence: {visits: 80 %}}
  calmed: {rules: [warned, calm], adherence: {visits: 80 %}}
visits:
  home: {at: day 0, repeat: every 1 d x 10, measure: [seen]}
rules:
  noted: {when: seen > 1, do: "flag <- 2", also: true}
  warned:
    learn: seen
    unknown: AGE
    particles: 400
    when: chance(trouble, 3 d) > 0.2
    do: flag <- day
    also: true
  calm: {when: day == 5, do: "x <- 0", also: true}
endpoints:
  warnings: {of: warned, take: number}
  troubles: {of: troubles, take: increase, within: day 0 to day 9}
keep: {measurements: true}
"""


def trial_of(folder, old="", new="", **changes):
    """Write the sheets, and return the trial."""
    (folder / "drift.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    path = folder / "watched.yaml"
    assert old in SHEET
    path.write_text(SHEET.replace(old, new))
    planned = vt.plan(vt.load_protocol(str(path), changes=changes or None))
    return Trial(planned.protocol, planned.cohort)


def _chance(mean, spread, *, nodes=9):
    """Integrate the chance of trouble within three days over normal `x` and age."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.array(list(itertools.product(range(nodes), repeat=4)))
    z, share = points[grid].T, (weights / weights.sum())[grid].prod(axis=1)
    root = np.linalg.cholesky(spread + 1e-12 * np.eye(2))
    first, age = mean[:, None] + root @ z[[0, 3]]
    second = KEEPS * first + STEP * z[1]
    third = KEEPS * second + STEP * z[2]
    hazard = 0.05 * (np.exp(first) + np.exp(second) + np.exp(third))
    return 1 - share @ np.exp(-hazard * (1 + 0.1 * age) ** 2)


def _kalman(values, *, calmed=False):
    """Return the chance on every day, given what was measured until then.

    Followed are `x`, and the age in standard deviations, which nobody knows.
    """
    mean, spread, found = np.zeros(2), np.eye(2), []
    keeps, sight = np.diag([KEEPS, 1.0]), np.array([1.0, 0.5])
    for day, value in enumerate(values):
        if day:
            mean = keeps @ mean
            spread = keeps @ spread @ keeps + np.diag([STEP**2, 0.0])
        if np.isfinite(value):
            gain = spread @ sight / (sight @ spread @ sight + ERROR**2)
            mean = mean + gain * (value - sight @ mean)
            spread = spread - np.outer(gain, sight @ spread)
        found.append(_chance(mean, spread))
        if calmed and day == 5 and np.isfinite(value):
            mean[0] = spread[0] = spread[:, 0] = 0.0
    return np.array(found)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the rows of the whole trial."""
    return rows_of(trial_of(tmp_path_factory.mktemp("watched")), 0)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["watched", "calmed"])
def test_chances_are_those_of_a_kalman_filter(found, arm):
    names = ["seen", "flagged", "troubles", "beside"]
    values = found[f"arms/{arm}/measurements/measured"][:, :, names.index("seen")]
    told = found[f"arms/{arm}/decisions/learned"][:, :, 0]
    here = np.isfinite(values)
    assert here.mean() == pytest.approx(0.8, abs=0.1)
    np.testing.assert_array_equal(np.isfinite(told), here)
    right = np.array([_kalman(row, calmed=arm == "calmed") for row in values])
    apart = (told - right)[here]
    # Of 400 particles, drawn anew now and then, some 250 are independent: the spread
    # of the chance over the posterior is 0.4 of it or less.
    assert abs(apart.mean()) < 0.004
    assert np.sqrt((apart / right[here]).var()) < 0.05
    if arm == "calmed":  # nobody who was not told of it could have known
        untold = np.array([_kalman(row) for row in values])
        assert np.abs(untold - right)[:, 6:][here[:, 6:]].mean() > 0.01


@pytest.mark.slow
def test_watching_moves_no_other_draw(found):
    plain, watched = (
        {k.partition("/outcomes")[2]: v for k, v in found.items() if k.startswith(at)}
        for at in ("arms/plain/outcomes", "arms/watched/outcomes")
    )
    assert plain
    for name in ("measured", "taken"):
        np.testing.assert_array_equal(
            found[f"arms/plain/measurements/{name}"],
            found[f"arms/watched/measurements/{name}"],
        )
    troubles = [found[f"arms/{a}/outcomes/outcome"][:, 1] for a in ("plain", "watched")]
    np.testing.assert_array_equal(*troubles)
    assert np.nansum(troubles[0]) > 0


@pytest.mark.slow
def test_blocks_change_nothing(found, tmp_path):
    trial = trial_of(tmp_path, "seed: 3", "seed: 3\nblock: 9")
    parts = [rows_of(trial, block) for block in range(3)]
    for name in ("arms/watched/decisions/learned", "arms/calmed/decisions/acted"):
        whole = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(whole, found[name])


def test_what_a_rule_asks_is_read(tmp_path):
    rules = trial_of(tmp_path).protocol.arms[1].rules
    assert rules[1].watch == Watch(("seen",), ("AGE",), 400)
    assert rules[1].when.forecasts == (Forecast("trouble", 72.0),)
    assert "learned from seen" in rules[1].words


WRONG = {
    "when: chance(trouble, 3 d) > 0.2|when: chance(truble, 3 d) > 0.2": (
        "`truble`, an unknown event with a hazard",
        "`trouble`",
    ),
    "chance(trouble, 3 d)|chance(trouble, 3)": ("without a unit", "h, d or wk"),
    "chance(trouble, 3 d)|chance(trouble, seen)": ("in which it may come", "`14 d`"),
    "learn: seen|learn: beside": ("`beside`", "measured output: seen"),
    "    learn: seen\n|": ("asks for a chance", "measured values"),
    "unknown: AGE|unknown: AGES": ("`AGES`", "`AGE`"),
    "when: chance(trouble, 3 d) > 0.2|when: seen > 1": ("no chance", "chance(...)"),
    "    do: flag <- day|    do: AGE <- 3": ("no assignment to a state", "on <- 0"),
    "measure: [seen]}|measure: [seen], window: 2 h}": ("learns from", "at once"),
    "rules:\n|rules:\n  early: {when: day > 3, learn: seen, do: flag <- 1}\n": (
        "does not choose",
        "`chance(...)`",
    ),
    "visits:\n|visits:\n  more: {at: day 3.5, measure: [seen]}\n": ("", ""),
}


@pytest.mark.parametrize("change", [k for k, v in WRONG.items() if v[0]])
def test_what_a_twin_cannot_know_is_refused(tmp_path, change):
    with pytest.raises(ProtocolError) as told:
        trial_of(tmp_path, *change.split("|", 1))
    for words in WRONG[change]:
        assert words in str(told.value), str(told.value)
    assert all(fault.line for fault in told.value.faults)


def test_visits_that_measure_must_be_asked_at(tmp_path):
    old = "visits:\n"
    new = "visits:\n  more: {at: day 3.5, measure: [seen]}\n"
    trial_of(tmp_path, old, new)  # asked at both, unless it is said
    path = tmp_path / "watched.yaml"
    text = path.read_text()
    path.write_text(text.replace("    learn: seen", "    at: home\n    learn: seen"))
    with pytest.raises(ProtocolError, match="at: home, more"):
        vt.load_protocol(str(path))


def test_a_model_must_leave_something_to_ticks(tmp_path):
    (tmp_path / "drift.yaml").write_text(
        MODEL.replace("  seen = x", "  seen = x\n  d/dt(y) = -y")
    )
    (tmp_path / "folk.yaml").write_text(COHORT)
    path = tmp_path / "watched.yaml"
    path.write_text(SHEET)
    with pytest.raises(ProtocolError, match="has states that move between ticks"):
        vt.load_protocol(str(path))


def test_the_part_of_a_model_that_is_needed():
    model = load_model(MODEL)
    part = part_of(model, ("seen",), ("trouble",))
    assert part.chance.held == ("x",)
    assert [one.name for one in part.outputs] == ["seen"]
    assert obstacle(model, "trouble") == ""
    clocked = load_model(MODEL.replace("0.05*exp(x)", "0.05*exp(x)*t"))
    assert "clock" in obstacle(clocked, "trouble")
    events = "events:\n  rescue: {hazard: 0.1, then: ['x <- 0']}\n"
    with_two = load_model(MODEL.replace("events:\n", events))
    assert obstacle(with_two, "trouble") == ("whose hazard depends on `rescue`, too")

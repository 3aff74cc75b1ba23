"""When everybody is observed, and to which occasion that belongs."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.dims import ENDPOINT
from vtrial.report.computed import grid_in_words

MODEL = """
model: number
time: d
random:
  - {of: O, variance: 1, level: occasion}
equations: |
  y = eta.O
outputs:
  y: {title: the number of the occasion}
"""
COHORT = "cohort: folk\ncovariates: {WT: {unit: kg, constant: 70}}\n"
PROTOCOL = """
protocol: occasions
model: number
cohort: folk
subjects: 5
seed: 1
arms: {one: {}}
occasions: "day 0, day 7, day 14"
visits:
  clinic: {at: "day 0, day 6, day 7, day 8, day 14, day 15", measure: [y]}
  late: {at: "day 7", measure: [y], after dose: true}
endpoints:
"""
DAYS = (0, 6, 7, 8, 14, 15)


@pytest.fixture
def values(tmp_path):
    """Return the endpoints of five people by name."""
    (tmp_path / "number.yaml").write_text(MODEL)
    (tmp_path / "folk.yaml").write_text(COHORT)
    lines = [
        f"  d{day}{word}: {{of: y, take: value, at: day {day}{more}}}"
        for day in DAYS
        for word, more in (("", ", visits: [clinic]"), (" true", ", values: true"))
    ]
    lines.append("  late: {of: y, take: value, at: day 7, visits: [late]}")
    path = tmp_path / "occasions.yaml"
    path.write_text(PROTOCOL + "\n".join(lines) + "\n")
    record = vt.run(vt.load_protocol(path), out=tmp_path / "out", workers=0)
    data = record.tree()["arms/one/outcomes"].to_dataset()
    names = [str(name) for name in data[ENDPOINT].values]
    return dict(zip(names, np.asarray(data["outcome"]).T, strict=True))


def test_visits_at_occasions(values):
    """A visit at the very start of an occasion has its number, true or measured."""
    for word in ("", " true"):
        first, second, third = (values[f"d{day}{word}"] for day in (0, 7, 14))
        np.testing.assert_array_equal(values[f"d6{word}"], first)
        np.testing.assert_array_equal(values[f"d8{word}"], second)
        np.testing.assert_array_equal(values[f"d15{word}"], third)
        assert (first != second).all()
        assert (second != third).all()
    np.testing.assert_array_equal(values["late"], values["d8"])
    np.testing.assert_array_equal(values["d7 true"], values["d7"])


ARMS = ("infused", "pushed", "swallowed")
BODY = """
model: body
parameters:
  KA: {value: 1.0, unit: 1/h}
  KE: {value: 0.3, unit: 1/h}
equations: |
  d/dt(depot) = -KA * depot
  d/dt(central) = KA * depot - KE * central
outputs:
  amount: {equals: central, unit: mg}
"""
DOSES = """
protocol: doses
model: body
cohort: folk
subjects: 3
seed: 1
potential: all
arms:
  infused: {dose: "100 mg into central over 1 h every 8 h x 42"}
  pushed: {dose: "100 mg into central every 24 h x 14"}
  swallowed: {dose: "100 mg every 24 h x 14"}
endpoints:
  peak: {of: amount, take: maximum, values: true}
  area: {of: amount, take: area, values: true}
  last peak: {of: amount, take: maximum, within: day 12 to day 13, values: true}
  trough: {of: amount, take: value, at: day 13, values: true}
  least: {of: amount, take: minimum, within: day 12 to day 13, values: true}
  mean: {of: amount, take: mean, within: day 12 to day 13, values: true}
"""


def course(arm, time):
    """Return the amount in closed form, after any dose at the same time."""
    every = 8.0 if arm == "infused" else 24.0
    since = time[:, None] - every * np.arange(336 / every)[None, :]
    later = np.maximum(since, 0.0)
    if arm == "infused":
        run = np.minimum(later, 1.0)
        each = 100 / 0.3 * (np.exp(-0.3 * (later - run)) - np.exp(-0.3 * later))
    elif arm == "pushed":
        each = 100 * np.exp(-0.3 * later)
    else:
        each = 100 / 0.7 * (np.exp(-0.3 * later) - np.exp(-later))
    return np.where(since >= 0, each, 0.0).sum(axis=1)


@pytest.fixture(scope="module")
def dosed(tmp_path_factory):
    """Return the endpoints of each arm by name."""
    folder = tmp_path_factory.mktemp("dosed")
    (folder / "body.yaml").write_text(BODY)
    (folder / "folk.yaml").write_text(COHORT)
    (folder / "doses.yaml").write_text(DOSES)
    protocol = vt.load_protocol(folder / "doses.yaml")
    record = vt.run(protocol, out=folder / "out", workers=0)
    found = {"error": record.attributes["grid_error"], "grid": protocol.grid}
    for arm in ARMS:
        data = record.tree()[f"arms/{arm}/outcomes"].to_dataset()
        names = [str(name) for name in data[ENDPOINT].values]
        found[arm] = dict(zip(names, np.asarray(data["outcome"])[0], strict=True))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_true_peaks_and_areas_are_those_of_the_course(dosed, arm):
    """Their even steps are 3 h long, and an infusion takes 1 h."""
    found, every = dosed[arm], 8.0 if arm == "infused" else 24.0
    fine = np.linspace(288, 312 - 1e-9, 200_001)
    peak = {"infused": 1e-4, "pushed": 1e-9, "swallowed": 1e-3}[arm]
    assert found["last peak"] == pytest.approx(course(arm, fine).max(), rel=peak)
    assert found["peak"] == pytest.approx(found["last peak"], rel=peak)
    count = 336 / every
    ends = every * (1 + np.arange(count))
    if arm == "infused":
        rest = course("infused", np.array([336.0]))[0] / 0.3
        area = count * 100 / 0.3 - rest
    elif arm == "pushed":
        area = np.sum(100 / 0.3 * (1 - np.exp(-0.3 * ends)))
    else:
        shares = (1 - np.exp(-0.3 * ends)) / 0.3 - (1 - np.exp(-ends))
        area = np.sum(100 / 0.7 * shares)
    # The swallowed doses share their grid with 42 infusions, and have fewer times.
    error = 2e-3 if arm == "swallowed" else 1e-3
    assert found["area"] == pytest.approx(area, rel=error)


@pytest.mark.slow
def test_a_true_value_at_a_dose_is_the_one_before_it(dosed):
    before = np.array([312 - 1e-9])
    for arm, found in dosed.items():
        if arm not in ARMS:
            continue
        assert found["trough"] == pytest.approx(course(arm, before)[0], rel=1e-5)
        assert found["least"] == pytest.approx(found["trough"], rel=1e-5)


@pytest.mark.slow
def test_a_true_mean_counts_even_steps_alone(dosed):
    steps = np.arange(288.0, 313.0, 3.0)
    wanted = course("swallowed", steps).mean()
    assert dosed["swallowed"]["mean"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.slow
def test_the_record_tells_how_far_numbers_move_on_half_the_grid(dosed):
    error = dosed["error"]
    assert set(error) == {"peak", "area", "last peak", "least"}
    assert error["peak"]["times"] == len(dosed["grid"])
    assert error["least"]["max"] < 1e-6
    assert 1e-5 < error["area"]["max"] < 0.1
    assert 0 <= error["area"]["median"] <= error["area"]["max"]
    words = grid_in_words({"grid_error": error})
    assert "area, taken from" in words
    assert "least" not in words

"""When everybody is observed, and to which occasion that belongs."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.dims import ENDPOINT

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

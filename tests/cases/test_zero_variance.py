"""What is fixed to zero has no variability, and thirds are thirds."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import cohort_of
from vtrial.sheets.sheet import parse_sheet

MODEL = """
model: fixed
parameters:
  tvCL: {value: 5, unit: L/h}
  tvV: {value: 40, unit: L}
%s
equations: |
  CL = tvCL*exp(eta.CL)
  V = tvV*exp(eta.V)
  d/dt(central) = -CL/V*central
  conc = central/V
outputs: {conc: {unit: mg/L}}
"""
PAIR = "random: [{of: [CL, V], %s}]"
RANDOM = {  # and the SD of each effect
    "random: [{of: CL, variance: 0}, {of: V, variance: 0.09}]": (0, 0.3),
    PAIR % "covariance: [[0.09], [0, 0]]": (0.3, 0),
    PAIR % "covariance: [[0.09], [0.09, 0.09]]": (0.3, 0.3),
    PAIR % "sd: [0.3, 0.3], correlation: [[1], [1, 1]]": (0.3, 0.3),
}
SIZE = 400  # so that an SD is within a fifth, with a false alarm in 1e7


def drawn(tmp_path, text):
    path = tmp_path / "fixed.yaml"
    path.write_text(text)
    who = np.arange(SIZE)  # each alone in a replicate, with parameters of its own
    folk = cohort_of(parse_sheet("cohort: c\ncovariates: {WT: {constant: 70}}\n"))
    model = vt.load_model(path)
    return sample(folk, model, seed=1, replicate=who, subject=0 * who)


@pytest.mark.parametrize("random", RANDOM)
def test_zero_variance(tmp_path, random):
    found = drawn(tmp_path, MODEL % random).effects
    pair = np.array([found["eta.CL"], found["eta.V"]])
    for values, spread in zip(pair, RANDOM[random], strict=True):
        assert np.std(values) == pytest.approx(spread, rel=0.2)
    if RANDOM[random] == (0.3, 0.3):
        np.testing.assert_allclose(pair[0], pair[1], rtol=1e-12)


def test_zero_variance_of_an_estimate(tmp_path):
    uncertain = "uncertainty:\n  - {of: [tvCL, tvV], covariance: [[0.25], [0, 0]], "
    text = (MODEL % (uncertain + "scale: identity}")).replace("*exp(eta.CL)", "")
    found = drawn(tmp_path, text.replace("*exp(eta.V)", "")).parameters
    assert (np.asarray(found["tvV"]) == 40).all()
    assert np.std(found["tvCL"]) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        ("0: 33.3 %, 1: 33.3 %, 2: 33.3 %", [1 / 3] * 3),
        ("0: 0.3333, 1: 0.3333, 2: 0.3333", [1 / 3] * 3),
        ("0: 0.333, 1: 0.333, 2: 0.334", [0.333, 0.333, 0.334]),
    ],
)
def test_zero_variance_thirds(shares, wanted):
    text = f"cohort: thirds\ncovariates:\n  RACE: {{categorical: {{{shares}}}}}\n"
    (trait,) = cohort_of(parse_sheet(text)).traits
    np.testing.assert_allclose(trait.marginals[0].shares, wanted, rtol=1e-9)

"""The information of a design, against PopED."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.errors import ModelError
from vtrial.optimise.exchange import optimal_times
from vtrial.optimise.fisher import information
from vtrial.protocol.sampling import Group

MODEL = """
model: warfarin
parameters:
  tvCL: {value: 0.15, unit: L/h}
  tvV: {value: 8, unit: L}
  tvKA: {value: 1, unit: 1/h}
random:
  - {of: CL, variance: 0.07}
  - {of: V, variance: 0.02}
  - {of: KA, variance: 0.6}
equations: |
  CL = tvCL * exp(eta.CL)
  V = tvV * exp(eta.V)
  KA = tvKA * exp(eta.KA)
  d/dt(depot) = -KA*depot
  d/dt(central) = KA*depot - CL/V*central
  conc = central/V
outputs:
  conc: {unit: mg/L, error: {proportional: 0.1}}
"""
TIMES = (0.5, 1, 2, 6, 24, 36, 72, 120)
GROUP = Group("70 mg", {"conc": TIMES}, 32)
# What PopED prints of its example ex.2.a.warfarin.evaluate.R (the warfarin example of
# Nyberg et al. 2015, Br J Clin Pharmacol 79:6-17): `evaluate_design`, by default the
# reduced matrix, read in the documentation of evaluate_design and evaluate.fim of the
# package, and the first diagonal elements of the full one there.
RSE = (4.738266, 2.756206, 13.925829, 25.627205, 30.344316, 25.777327, 11.170784)
DETERMINANT = 5.996147e22
FULL = (47625.234145, 30.887205, 452.758773)


@pytest.fixture(scope="module")
def model():
    return vt.load_model(MODEL)


@pytest.mark.slow
def test_the_reduced_matrix_is_that_of_poped(model, note):
    found = information(model, [GROUP])
    rse = found.table["rse"].to_numpy(float)
    note("relative standard errors, PopED's warfarin", np.abs(rse / RSE - 1).max())
    np.testing.assert_allclose(rse, RSE, rtol=5e-7)
    assert np.exp(found.log_determinant) == pytest.approx(DETERMINANT, rel=5e-6)


@pytest.mark.slow
def test_the_full_matrix_is_that_of_poped(model):
    found = information(model, [GROUP], form="full")
    np.testing.assert_allclose(np.diag(found.matrix)[:3], FULL, rtol=1e-6)


def test_groups_add_up(model):
    halves = [Group("70 mg", {"conc": TIMES}, 16)] * 2
    whole = information(model, [GROUP]).matrix
    np.testing.assert_allclose(information(model, halves).matrix, whole, rtol=1e-12)


@pytest.mark.slow
def test_exchanged_times_tell_more(model):
    grid = {"conc": [0.25, 0.5, 1, 1.5, 2, 4, 6, 12, 24, 36, 48, 72, 96, 120]}
    found, told = optimal_times(model, GROUP, candidates=grid)
    assert len(found.times["conc"]) == len(TIMES)
    assert told.log_determinant > information(model, [GROUP]).log_determinant


def test_what_cannot_be_is_refused(model):
    with pytest.raises(ModelError, match="unknown parameter"):
        information(model, [GROUP], known=["tvCl"])
    with pytest.raises(ModelError, match=r"an output of warfarin"):
        information(model, [Group("70 mg", {"con": TIMES}, 32)])

"""Contrasts of a factorial trial's arms, against statsmodels' least squares."""

import numpy as np
import statsmodels.api as sm

from vtrial.measure.cells import contrast_of_cells
from vtrial.measure.groups import Cells

MAIN = np.array([-0.5, -0.5, 0.5, 0.5])
INTERACTION = np.array([1.0, -1.0, -1.0, 1.0])


def test_main_effect_and_interaction_are_those_of_a_model_of_all_arms():
    rng = np.random.default_rng(5)
    place = rng.permutation(np.repeat([0, 1, 2, 3, -1], [7, 9, 12, 8, 2]))[None]
    age = rng.normal(50, 10, place.shape)
    value = 3 + place % 2 + 2 * (place > 1) + 0.1 * age + rng.normal(size=place.shape)
    value[0, 4] = np.nan
    for covariates, weights in ((None, MAIN), (age[..., None], INTERACTION)):
        made = contrast_of_cells(Cells(value, place, weights), covariates)
        seen = np.isfinite(value[0]) & (place[0] >= 0)
        columns = (place[0][seen, None] == np.arange(4)).astype(float)
        if covariates is not None:
            centred = age[0][seen] - age[0][seen].mean()
            columns = np.column_stack([columns, centred])
        fit = sm.OLS(value[0][seen], columns).fit()
        asked = np.append(weights, np.zeros(columns.shape[1] - 4))
        test = fit.t_test(asked)
        got = [part[0] for part in made]
        expected = [test.effect.item(), test.sd.item(), fit.df_resid]
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_an_arm_without_anybody_leaves_no_number():
    place = np.array([[0, 0, 1, 1, 2, 2]])
    made = contrast_of_cells(Cells(np.arange(6.0)[None], place, MAIN))
    assert np.isnan(made.estimate[0])

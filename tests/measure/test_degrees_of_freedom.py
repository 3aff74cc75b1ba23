"""Tests of effects: where exact ones are known, the approximations are exact."""

import numpy as np
import pytest
from scipy import stats

from vtrial.errors import ProtocolError
from vtrial.measure.degrees_of_freedom import (
    adjusted_covariance,
    contrast,
    empirical_covariance,
    joint_test,
)
from vtrial.measure.mixed import effects, fit_mixed
from vtrial.measure.mmrm_design import lay_out

SUBJECTS, VISITS, TREATED = 20, 3, 8
KENWARD_ROGER = ("kenward-roger", "kenward-roger linear")


def draw(missing=0.0, seed=1):
    """Draw two trials of two arms, with a column for each arm at each visit."""
    rng = np.random.default_rng(seed)
    value = rng.normal(0, 2, (2, SUBJECTS, 1)) + rng.normal(
        0, [1, 2, 3], (2, SUBJECTS, VISITS)
    )
    value[rng.uniform(size=value.shape) < missing] = np.nan
    arm = np.arange(SUBJECTS) < TREATED
    member = np.stack([~arm, arm], axis=1)[:, None, :, None] * np.eye(VISITS)[:, None]
    design = np.broadcast_to(member.reshape(1, SUBJECTS, VISITS, 6), (*value.shape, 6))
    return value, design, arm


CHANGE = np.concatenate([-np.eye(VISITS), np.eye(VISITS)], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("by", [*KENWARD_ROGER, "satterthwaite"])
def test_complete_unstructured_is_students_test_at_each_visit(by):
    value, design, arm = draw()
    made = contrast(fit_mixed(lay_out(value, design), "un"), CHANGE, by=by)
    np.testing.assert_allclose(made.freedom, SUBJECTS - 2, rtol=1e-7)
    for trial in range(len(value)):
        test = stats.ttest_ind(value[trial, arm], value[trial, ~arm])
        np.testing.assert_allclose(made.t[trial], test.statistic, rtol=1e-7)
        np.testing.assert_allclose(made.p[trial], test.pvalue, rtol=1e-6)


@pytest.mark.parametrize("by", KENWARD_ROGER)
def test_complete_unstructured_is_hotellings_test_of_all_visits(by):
    # Kenward and Roger (1997, section 4): T squared is reproduced exactly.
    value, design, arm = draw()
    made = joint_test(fit_mixed(lay_out(value, design), "un"), CHANGE, by=by)
    for trial, values in enumerate(value):
        sides = values[arm], values[~arm]
        pooled = sum(np.cov(s.T) * (len(s) - 1) for s in sides) / (SUBJECTS - 2)
        change = sides[0].mean(axis=0) - sides[1].mean(axis=0)
        scale = 1 / (1 / TREATED + 1 / (SUBJECTS - TREATED))
        square = scale * change @ np.linalg.solve(pooled, change)
        freedom = SUBJECTS - VISITS - 1
        f = freedom / (VISITS * (SUBJECTS - 2)) * square
        np.testing.assert_allclose(made.freedom[trial], freedom, rtol=1e-7)
        np.testing.assert_allclose(made.f[trial], f, rtol=1e-7)
        np.testing.assert_allclose(made.p[trial], stats.f.sf(f, VISITS, freedom))


@pytest.mark.parametrize("by", [*KENWARD_ROGER, "satterthwaite"])
def test_complete_compound_symmetry_has_the_strata_of_a_split_plot(by):
    value, design, _ = draw()
    fit = fit_mixed(lay_out(value, design), "cs")
    rows = np.stack([CHANGE.mean(axis=0), CHANGE[0] - CHANGE[2]])
    made = contrast(fit, rows, by=by)
    strata = [SUBJECTS - 2, (SUBJECTS - 2) * (VISITS - 1)]
    np.testing.assert_allclose(made.freedom, [strata] * 2, rtol=1e-6)
    both = joint_test(fit, CHANGE[1:] - CHANGE[:1], by=by)
    np.testing.assert_allclose(both.freedom, strata[1], rtol=1e-6)


@pytest.mark.parametrize("by", [*KENWARD_ROGER, "satterthwaite", "residual", "normal"])
@pytest.mark.slow
def test_one_row_jointly_is_the_row_alone(by):
    value, design, _ = draw(missing=0.2)
    fit = fit_mixed(lay_out(value, design), "un")
    alone = contrast(fit, CHANGE[2:], by=by)
    jointly = joint_test(fit, CHANGE[2:], by=by)
    np.testing.assert_allclose(jointly.f, alone.t[:, 0] ** 2, rtol=1e-10)
    np.testing.assert_allclose(jointly.freedom, alone.freedom[:, 0], rtol=1e-10)
    np.testing.assert_allclose(jointly.p, alone.p[:, 0], rtol=1e-8)


@pytest.mark.parametrize("by", KENWARD_ROGER)
@pytest.mark.slow
def test_rows_may_be_mixed(by):
    value, design, _ = draw(missing=0.2)
    fit = fit_mixed(lay_out(value, design), "ar1h")
    mixed = np.array([[1, 2, 0], [0, 1, 5], [3, 0, 1.0]]) @ CHANGE
    for plain, other in zip(
        joint_test(fit, CHANGE, by=by), joint_test(fit, mixed, by=by), strict=True
    ):
        np.testing.assert_allclose(other, plain, rtol=1e-7)


@pytest.mark.slow
def test_second_derivatives_count_where_the_covariance_is_curved():
    value, design, _ = draw(missing=0.2)
    panel = lay_out(value, design)
    for name, curved in (("un", False), ("cs", False), ("toep", False), ("csh", True)):
        fit = fit_mixed(panel, name)
        full, linear = (adjusted_covariance(fit, second=s) for s in (True, False))
        assert np.allclose(full, linear, rtol=1e-9, atol=1e-12) == (not curved)
        # The correction without them is never negative.
        assert (np.linalg.eigvalsh(linear - fit.covariance) > -1e-10).all()


def test_sandwich_is_the_sum_of_squared_scores():
    value, design, _ = draw(missing=0.2)
    fit = fit_mixed(lay_out(value, design), "cs")
    made = contrast(fit, np.eye(6), by="normal", error="empirical")
    for trial, values in enumerate(value):
        bread, meat = np.zeros((6, 6)), np.zeros((6, 6))
        low, rest = fit.parameter[trial, 0]
        for own, row in zip(values, design[trial], strict=True):
            seen = np.isfinite(own)
            matrix = low + rest * np.eye(seen.sum())
            pull = np.linalg.solve(matrix, row[seen])
            bread += row[seen].T @ pull
            score = pull.T @ (own[seen] - row[seen] @ effects(fit)[trial])
            meat += np.outer(score, score)
        side = np.linalg.inv(bread)
        error = np.sqrt(np.diag(side @ meat @ side))
        np.testing.assert_allclose(made.error[trial], error, rtol=1e-9)
    assert empirical_covariance(fit).shape == (2, 6, 6)
    assert (made.freedom == np.inf).all()


def test_counted_degrees_of_freedom():
    value, _, arm = draw(missing=0.2)
    visit = np.broadcast_to(np.eye(VISITS)[:, 1:], (*value.shape, 2))
    side = np.broadcast_to(arm[:, None, None] * 1.0, (*value.shape, 1))
    design = np.concatenate([np.ones_like(side), side, visit], axis=3)
    fit = fit_mixed(lay_out(value, design), "cs")
    seen = np.isfinite(value)
    values, subjects = seen.sum(axis=(1, 2)), seen.any(axis=2).sum(axis=1)
    made = contrast(fit, np.eye(4), by="between-within")
    np.testing.assert_array_equal(made.freedom[:, 1], subjects - 2)
    np.testing.assert_array_equal(made.freedom[:, 3], values - subjects - 2)
    made = contrast(fit, np.eye(4), by="residual")
    np.testing.assert_array_equal(made.freedom[:, 0], values - 4)


def test_what_does_not_exist_is_refused():
    value, design, _ = draw()
    fit = fit_mixed(lay_out(value, design), "cs")
    with pytest.raises(ProtocolError, match="empirical"):
        contrast(fit, CHANGE, by="kenward-roger", error="empirical")


def test_what_cannot_be_told_is_nan():
    value, design, arm = draw(missing=0.2)
    value[0, arm, 1] = np.nan
    fit = fit_mixed(lay_out(value, design), "cs")
    made = contrast(fit, CHANGE)
    assert np.isnan(np.array(made)[:, 0, 1]).all()
    assert np.isfinite(np.array(made)[:, 0, [0, 2]]).all()
    assert np.isfinite(np.array(made)[:, 1]).all()
    assert np.isnan(joint_test(fit, CHANGE).p).tolist() == [True, False]

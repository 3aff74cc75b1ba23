"""Layout: orthonormal columns, kinds of subjects, what cannot be told."""

import numpy as np

from vtrial.measure.mmrm_design import express, lay_out

RNG = np.random.default_rng(5)


def draw(replicates=3, subjects=12, visits=3, columns=4):
    value = RNG.normal(1000, 1, (replicates, subjects, visits))
    value[RNG.uniform(size=value.shape) < 0.2] = np.nan
    design = RNG.normal(size=(*value.shape, columns))
    design[..., 0] = 1.0
    return value, design


def test_columns_are_orthonormal_and_the_triangle_gives_them_back():
    value, design = draw()
    weight = RNG.uniform(0.5, 2, value.shape)
    panel = lay_out(value, design, weight=weight)
    gram = np.einsum("rsvi,rsvj->rij", panel.columns, panel.columns)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(4), gram.shape), atol=1e-14)
    seen = np.isfinite(value)[..., None]
    expected = np.where(seen, design * np.sqrt(weight)[..., None], 0.0)
    back = np.einsum("rsvi,rij->rsvj", panel.columns, panel.basis.triangle)
    np.testing.assert_allclose(back, expected, atol=1e-13)
    assert (panel.seen == seen[..., 0]).all()
    left = np.einsum("rsvi,rsv->ri", panel.columns, panel.value)
    np.testing.assert_allclose(left, 0, atol=1e-11)
    np.testing.assert_allclose(
        panel.log_weight, np.where(seen[..., 0], np.log(weight), 0).sum(axis=(1, 2))
    )


def test_a_column_that_depends_on_others_is_dropped_and_not_told():
    value, design = draw()
    design[0, :, :, 2] = 3 * design[0, :, :, 1] - design[0, :, :, 0]
    panel = lay_out(value, design)
    assert panel.basis.kept.tolist() == [[True, True, False, True], [True] * 4] + [
        [True] * 4
    ]
    rows = np.array([[0, 1, 3, 0.0], [0, 1, 0, 0], [0, 0, 0, 2]])
    told = np.isfinite(express(panel.basis, rows)).all(axis=2)
    assert told.tolist() == [[True, False, True], [True] * 3, [True] * 3]


def test_subjects_of_one_kind_share_visits_and_group():
    value, design = draw(subjects=40)
    group = RNG.integers(-1, 2, value.shape[:2])
    panel = lay_out(value, design, group=group)
    assert ((panel.kind < 0) == (group < 0)).all()
    for trial in range(len(value)):
        inside = panel.kind[trial] >= 0
        kind = panel.kind[trial][inside]
        assert (panel.group[trial, kind] == group[trial][inside]).all()
        seen = np.isfinite(value[trial][inside])
        assert (panel.mask[trial, kind] == seen).all()
    assert panel.groups == 2
    assert panel.mask.shape[1] == 16  # 2 groups of 8 patterns


def test_what_is_missing_in_design_weight_or_place_is_missing():
    value, design = draw()
    value[:] = 1.0
    design[0, 0, 0, 1] = np.nan
    weight = np.ones_like(value)
    weight[0, 1, 1], weight[0, 1, 2] = 0.0, np.nan
    coordinate = RNG.normal(size=(*value.shape, 2))
    coordinate[0, 2, 2, 0] = np.nan
    panel = lay_out(value, design, weight=weight, coordinate=coordinate)
    missing = np.argwhere(~panel.seen).tolist()
    assert missing == [[0, 0, 0], [0, 1, 1], [0, 1, 2], [0, 2, 2]]
    apart = coordinate[1, 3, 0] - coordinate[1, 3, 2]
    kind = panel.kind[1, 3]
    np.testing.assert_allclose(panel.distance[1, kind, 0, 2], np.hypot(*apart))


def test_places_that_all_share_make_no_kinds():
    value, design = draw()
    at = np.array([0.0, 2.0, 7.0])
    coordinate = np.broadcast_to(at[:, None], (*value.shape, 1))
    panel = lay_out(value, design, coordinate=coordinate)
    assert panel.mask.shape == lay_out(value, design).mask.shape
    np.testing.assert_array_equal(panel.distance[2, 1], np.abs(at[:, None] - at[None]))


def test_columns_that_differ_between_visits():
    value, design = draw(columns=3)
    design[..., 1] = design[:, :, :1, 1]
    assert lay_out(value, design).varies.tolist() == [[False, False, True]] * 3

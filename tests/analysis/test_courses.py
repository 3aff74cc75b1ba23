"""Single subjects' courses: whose they are, how many, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from vtrial.analysis import courses
from vtrial.analysis.evaluate import evaluate
from vtrial.protocol.protocol import Keep


@pytest.fixture(scope="module")
def whole(tree, protocol):
    return evaluate(tree, protocol).courses


def test_courses_are_those_of_the_first_subjects_of_each_arm(whole, tree):
    arm = np.asarray(tree["subjects/arm"])
    number = np.asarray(tree["subjects/number"])
    for place, name in enumerate(("low", "high")):
        mine = whole[whole["arm"] == name]
        values = np.asarray(tree[f"arms/{name}/trajectories/value"])[:, 0]
        rows = np.flatnonzero((arm == place) & np.isfinite(values).any(axis=1))[:50]
        assert len(mine) == np.isfinite(values[rows]).sum()
        first = mine[mine["time"] == 0.0]
        np.testing.assert_array_equal(first["subject"], number[rows])
        np.testing.assert_array_equal(first["replicate"], rows // 60)
        np.testing.assert_array_equal(first["value"], values[rows, 0])
    assert set(whole["unit"]) == {"mg/L"}


def test_only_as_many_are_read_as_are_drawn(tree, protocol, whole, monkeypatch):
    monkeypatch.setattr(courses, "AT_ONCE", 7)
    assert evaluate(tree, protocol).courses.equals(whole)
    monkeypatch.setattr(courses, "MOST", 3)
    few = evaluate(tree, protocol).courses
    assert len(few.groupby(["arm", "replicate", "subject"])) == 6
    monkeypatch.setattr(courses, "MOST", 50)
    kept = replace(protocol, keep=Keep(trajectories=10))
    first = evaluate(tree, kept).courses
    assert len(first.groupby(["replicate", "subject"])) == 10


def test_without_kept_courses_there_are_none(made_up):
    make_protocol, make_tree = made_up
    protocol = make_protocol()
    assert evaluate(make_tree(protocol, trajectories=False), protocol).courses.empty

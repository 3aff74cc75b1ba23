"""The answer in words, as it ends a run on a terminal."""

from dataclasses import replace

import pandas as pd
import pytest

from vtrial.analysis.answers import MOST_ARMS, summary
from vtrial.analysis.evaluate import evaluate
from vtrial.protocol.protocol import Arm


@pytest.fixture(scope="module")
def estimates(tree, protocol):
    return evaluate(tree, protocol)


def test_endpoints_have_a_row_and_arms_a_column(estimates, protocol):
    table, _ = summary(estimates, protocol)
    assert list(table.columns) == ["endpoint", "statistic", "low", "high"]
    rows = table.set_index("endpoint")
    assert list(rows.index) == ["peak", "cured", "relief"]
    assert rows.loc["cured", "statistic"] == "share"
    held = estimates.endpoints.set_index(["endpoint", "statistic", "arm"])["estimate"]
    share = held["cured", "share", "high"]
    assert rows.loc["cured", "high"] == f"{100 * share:.1f} %"
    assert rows.loc["peak", "low"] == f"{held['peak', 'mean', 'low']:.4g} mg/L"


def test_effects_are_in_points_where_proportions_differ(estimates, protocol):
    _, table = summary(estimates, protocol)
    rows = table.set_index("by")
    held = estimates.contrasts.set_index("by")
    risk = held.loc["risk difference"]
    assert rows.loc["risk difference", "effect"] == f"{100 * risk['estimate']:.1f} pp"
    assert rows.loc["risk difference", "comparison"] == "high with low"
    ratio = held.loc["ratio of geometric means", "estimate"]
    assert rows.loc["ratio of geometric means", "effect"] == f"{ratio:.4g}"


def test_many_arms_have_rows(estimates, protocol):
    arms = tuple(Arm(f"arm {i}") for i in range(MOST_ARMS + 1))
    table, _ = summary(estimates, replace(protocol, arms=arms))
    assert list(table.columns) == ["endpoint", "statistic", "arm", "estimate"]
    assert len(table) == 6


def test_nothing_asked_nothing_said(estimates, protocol):
    none = replace(estimates, contrasts=estimates.contrasts.iloc[:0])
    table, effects = summary(none, replace(protocol, endpoints=()))
    assert isinstance(table, pd.DataFrame)
    assert not len(table)
    assert not len(effects)

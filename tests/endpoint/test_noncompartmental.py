"""Areas, terminal rates and what is made of them."""

import csv
from collections import defaultdict
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import outcomes
from vtrial.sheets.find import shipped

REFERENCE = Path(__file__).parents[1] / "reference" / "nca" / "theophylline.csv"
COLUMNS = {
    "AUC last": "auc_last",
    "AUC infinity": "auc_infinity",
    "terminal rate": "terminal_rate",
    "half-life": "half_life",
    "mean residence time": "mean_residence_time",
    "extrapolated share": "extrapolated_share",
    "AUC tau": "auc_0_8",
}


def number(take, time, value, *, start=0.0, end=np.inf):
    endpoint = Endpoint("x", of="conc", take=take, start=start, end=end)
    time, value = jnp.asarray(time, float), jnp.asarray(value, float)
    return float(outcomes(endpoint, time[None], value[None]).outcome[0])


def theophylline():
    rows = defaultdict(list)
    with open(shipped("protocols") / "theophylline-single-dose.csv") as lines:
        for row in csv.DictReader(lines):
            rows[row["ID"]].append((float(row["TIME"]), float(row["DV"])))
    return {key: np.array(points).T for key, points in rows.items()}


@pytest.mark.parametrize("take", COLUMNS)
def test_the_twelve_have_the_numbers_of_other_software(take, note):
    subjects = theophylline()
    with open(REFERENCE) as lines:
        wanted = {row["ID"]: float(row[COLUMNS[take]]) for row in csv.DictReader(lines)}
    assert wanted.keys() == subjects.keys()
    end = 8.0 if take == "AUC tau" else np.inf
    found = {k: number(take, *points, end=end) for k, points in subjects.items()}
    scale = 100 if take == "extrapolated share" else 1
    worst = max(abs(found[k] / (scale * wanted[k]) - 1) for k in wanted)
    note(f"non-compartmental {take}, theophylline", worst)
    assert worst < 1e-9


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(rate=st.floats(0.01, 2.0), top=st.floats(0.1, 100.0), gap=st.floats(0.5, 4.0))
def test_a_falling_exponential_has_its_own_numbers(rate, top, gap):
    """After a maximum at time 0, which no fit may use."""
    time = np.arange(8) * gap
    value = top * np.exp(-rate * time)
    for take, wanted in {
        "terminal rate": rate,
        "half-life": np.log(2) / rate,
        "AUC infinity": top / rate,
        "AUC last": top / rate * (1 - np.exp(-rate * time[-1])),
        "AUC tau": top / rate * (1 - np.exp(-rate * 1.5 * gap)),
        "mean residence time": 1 / rate,
        "extrapolated share": 100 * np.exp(-rate * time[-1]),
    }.items():
        end = 1.5 * gap if take == "AUC tau" else np.inf
        if take == "AUC tau":
            found = number(take, time, value, end=end)
        else:
            found = number(take, time, value)
        assert found == pytest.approx(wanted, rel=1e-7), take


def test_the_area_over_an_interval_goes_on_by_the_terminal_rate():
    time = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    value = 10 * np.exp(-0.5 * time)
    found = number("AUC tau", time, value, end=6.0)
    assert found == pytest.approx(20 * (1 - np.exp(-3.0)), rel=1e-12)


def test_no_falling_end_has_no_terminal_rate():
    time = [0.0, 1.0, 2.0, 3.0, 4.0]
    for value in ([1, 2, 3, 4, 5], [5, 5, 5, 5, 5], [5, 4, 3, 0, 0]):
        assert np.isnan(number("half-life", time, value))
        assert np.isnan(number("AUC infinity", time, value))
    assert number("AUC last", time, [5, 5, 5, 5, 5]) == 20
    assert number("AUC last", time, [4, 2, 0, 0, 0]) == pytest.approx(2 / np.log(2))


def test_missing_and_padded_values_change_nothing():
    time, value = next(iter(theophylline().values()))
    longer = np.concatenate([time[:3], [0.7], time[3:], [np.inf, np.inf]])
    holes = np.concatenate([value[:3], [np.nan], value[3:], [np.nan, np.nan]])
    for take in COLUMNS:
        end = 20.0 if take == "AUC tau" else np.inf
        wanted = number(take, time, value, end=end)
        found = number(take, longer, holes, end=end)
        assert found == pytest.approx(wanted, rel=1e-13), take

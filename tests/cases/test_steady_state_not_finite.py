"""Steady states of infusions that outlast many intervals, by superposition.

Of one compartment, so that everything that was ever given adds up: SS 2 on top of what
is there, SS 1 in its place and in that of additional doses still to come.
"""

import numpy as np
import pytest

import vtrial as vt
from vtrial.dosing.table import read_events
from vtrial.solver.prediction import predict
from vtrial.types import Numerics

CL, V, F = 1.4882625581036442, 64.09562879569116, 0.408
RATE, DURATION = 0.744, 0.869  # RAT0 [mg/h] and DUR0 [h] of the table
KE = CL / V
ENDLESS = np.arange(3000.0)  # intervals back, far more than anything lasts


def infused(since, rate, duration):
    """Return the amounts left of infusions that began some hours ago."""
    since = np.asarray(since, float)
    running = np.clip(since, 0, duration)
    late = np.maximum(since - duration, 0)
    return rate / KE * (1 - np.exp(-KE * running)) * np.exp(-KE * late)


def given(since, amount):
    """Return the amounts left of boluses."""
    since = np.asarray(since, float)
    return np.where(since >= 0, amount * np.exp(-KE * np.maximum(since, 0)), 0)


def repeated(time, begin, interval, more):
    """Return the hours since each dose of a regimen, endless and to come."""
    return (
        time - begin + interval * np.concatenate([ENDLESS, -np.arange(1.0, more + 1)])
    )


def right(time):
    """Return the concentration, record by record of the table [mg/L]."""
    if time < 29.372:
        first = RATE / KE * np.exp(-KE * time)
        boluses = given(repeated(time, 13.494, 9.476, 4), F * 6.455).sum()
        length = F * 644.714 / RATE
        infusions = infused(repeated(time, 13.494, 3.272, 5), RATE, length).sum()
        return (first + boluses + infusions) / V
    length = F * 306.64 / RATE
    infusions = infused(repeated(time, 29.372, 4.209, 5), RATE, length).sum()
    last = infused(time - 56.926, F * 86.3 / DURATION, DURATION)
    return (infusions + last) / V


def test_superposition_is_that_of_the_case():
    found = [right(time) for time in (20.133, 25.144, 27.103)]
    wanted = [54.50913391040316, 54.49404911069885, 54.47368837289342]
    assert found == pytest.approx(wanted, rel=1e-10)


def test_steady_state_not_finite(case, method):
    model = vt.load_model(case.folder / "model.yaml")
    events = read_events(
        case.folder / "data.csv",
        states=model.states,
        covariates=model.covariates,
        time=model.time,
        amount=model.amount,
    )
    table = predict(
        model, events, parameters={"CL": CL, "V": V}, numerics=Numerics(method=method)
    )
    assert "STATUS" not in table
    wanted = [right(time) for time in table["TIME"]]
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-5)


@pytest.mark.slow
def test_steady_state_not_finite_on_trial(case, trial_method):
    """100 mg over 353 h every 3.3 h: 107 infusions overlap."""
    cohort = "cohort: anybody\ncovariates:\n" + "".join(
        f"  {name}: {{{unit}constant: {value}}}\n"
        for name, unit, value in (
            *(("WT", "unit: kg, ", 70), ("BIO0", "", 1), ("LAG0", "unit: h, ", 0)),
            *(("RAT0", "unit: mg/h, ", 1), ("DUR0", "unit: h, ", 1)),
        )
    )
    hours = (1.0, 3.0, 5.0, 400.0)
    found, _ = case.tried(
        *("model.yaml", "conc", hours),
        method=trial_method,
        dose="100 mg over 353 h every 3.3 h x 2 at steady state",
        cohort=cohort,
    )
    ke = 1 / 50  # the sheet's own parameters
    wanted = []
    for hour in hours:
        since = repeated(hour, 0, 3.3, 1)
        run, late = np.clip(since, 0, 353), np.maximum(since - 353, 0)
        left = 100 / 353 / ke * (1 - np.exp(-ke * run)) * np.exp(-ke * late)
        wanted.append(left.sum() / 50)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

"""Every bound, spending and size against other people's software.

The tolerances are about half a unit of the last digit that is printed.
"""

import ast

import numpy as np
import pytest
from scipy.special import ndtr

from tests.design.sequential import rpact
from vtrial.design.sequential import (
    GroupSequential,
    Means,
    Rates,
    boundaries,
    characteristics,
    power,
    size,
)

WT = "Wang-Tsiatis"
SIZED = GroupSequential((0.2, 0.5, 1), beta=0.1, efficacy=WT, efficacy_parameter=0.3)
SIZED_2 = GroupSequential((0.2, 0.5, 1), 0.4, 0.1, 2, WT, 0.3)
POWERED = GroupSequential((0.3, 0.7, 1), 0.07, 0.1, 1, WT, 0.22, "z", (-0.5, 0.5))
POWERED_2 = GroupSequential((0.3, 0.7, 1), 0.4, 0.1, 2, WT, 0.22)
PLANS = {  # those that rpact's tests of means and rates name
    ("getSampleSize", "designGS1"): SIZED,
    ("getSampleSize", "designGS2"): SIZED_2,
    ("getPower", "designGS1"): POWERED,
    ("getPower", "designGS2"): POWERED_2,
}


def _check_row(row):
    word, _ = rpact.WORDS[row["type"]]
    parameter = float(row["par"]) if row["par"] else None
    looks = int(row["K"])
    plan = GroupSequential(
        tuple(np.arange(1, looks + 1) / looks),
        float(row["alpha"]),
        float(row["beta"]),
        int(row["sided"]),
        word,
        parameter,
    )
    bounds = boundaries(plan)
    found = characteristics(plan, bounds)
    crit = [float(x) for x in row["crit"].split(";")]
    np.testing.assert_allclose(bounds.upper, crit, atol=6e-7)
    spent = [float(x) for x in row["alphaSpent"].split(";")]
    np.testing.assert_allclose(bounds.alpha_spent, spent, atol=2e-8)
    for name, value in (
        ("inflation", found.inflation),
        ("ASN_H0", found.mean_h0),
        ("ASN_H01", found.mean_h01),
        ("ASN_H1", found.mean_h1),
    ):
        assert value == pytest.approx(float(row[name]), abs=1e-7), name


def test_bounds_of_families_in_part():
    rows = rpact.table("boundaries.csv.gz")
    assert len(rows) == 140
    for row in rows[::9]:
        _check_row(row)


@pytest.mark.slow
def test_bounds_of_families():
    for row in rpact.table("boundaries.csv.gz"):
        _check_row(row)


@pytest.mark.parametrize("row", rpact.table("designs.csv.gz"), ids=lambda r: r["call"])
def test_designs(row):
    bounds = boundaries(rpact.design(row["call"]))
    for name, found in (
        ("criticalValues", bounds.upper),
        ("alphaSpent", bounds.alpha_spent),
        ("stageLevels", bounds.stage_levels),
    ):
        expected = [float(x) for x in _listed(row[name])]
        np.testing.assert_allclose(found, expected, atol=1.2e-7, err_msg=name)
    if row["futilityBounds"]:
        side = bounds.lower if bounds.sides == 1 else bounds.inner
        expected = [0.0 if x is None else x for x in _listed(row["futilityBounds"])]
        expected = np.asarray(expected, float)
        np.testing.assert_allclose(side[:-1], expected, atol=1.2e-7)


def _listed(text):
    text = text.replace("null", "None").replace("Infinity", "inf")
    if "inf" in text:
        return [float(x) for x in text.strip("[]").split(",")]
    return ast.literal_eval(text)


def test_constants_of_jennison_and_turnbull():
    looks = tuple(np.arange(1, 6) / 5)
    for word, constant, inflation in (
        ("Pocock", 2.413, 1.207),
        ("O'Brien-Fleming", 2.040, 1.026),
    ):
        plan = GroupSequential(looks, 0.05, 0.1, 2, word)
        assert round(float(boundaries(plan).upper[-1]), 3) == constant
        assert round(characteristics(plan).inflation, 3) == inflation


def _outcomes(kind, given):
    """Return the outcomes that a call of rpact compares; one for each effect."""
    arms = given.get("groups", 2)
    ratio = given.get("allocationRatioPlanned", 1) or None
    ratio = None if ratio is None else float(ratio)
    if kind == "Means":
        by_ratio = given.get("meanRatio", False)
        null = given.get("thetaH0", 1.0 if by_ratio else 0.0)
        return [
            Means(
                float(effect),
                float(given["stDev"]),
                float(null),
                arms,
                ratio,
                "ratio" if by_ratio else "difference",
                not given.get("normalApproximation", False),
            )
            for effect in np.atleast_1d(given["alternative"])
        ]
    by_ratio = given.get("riskRatio", False)
    null = float(given.get("thetaH0", 1.0 if by_ratio else 0.0))
    second = float(given.get("pi2", np.nan))
    scale = "ratio" if by_ratio else "difference"
    return [
        Rates(float(first), second, null, arms, ratio, scale)
        for first in np.atleast_1d(given["pi1"])
    ]


def _ours(call):
    """Return rpact's fields of a call, by our functions: (field: values)."""
    task, kind = call.split("(")[0][:-5], call.split("(")[0][-5:]
    given = rpact.arguments(call)
    plan = PLANS[task, given["design"]]
    outcomes = _outcomes(kind, given)
    share = outcomes[0].allocation / (1 + outcomes[0].allocation)
    if task == "getSampleSize":
        made = [size(outcome, plan) for outcome in outcomes]
        rejection = np.array([m.characteristics.rejection for m in made])
        total = np.array([m.total for m in made])
        fields = {
            "expectedNumberOfSubjectsH0": [m.mean_h0 for m in made],
            "expectedNumberOfSubjectsH01": [m.mean_h01 for m in made],
            "expectedNumberOfSubjectsH1": [m.mean_h1 for m in made],
            "earlyStop": rejection[:, :-1].sum(axis=1),
            "allocationRatioPlanned": [o.allocation for o in outcomes],
        }
    else:
        total = np.array([float(given["maxNumberOfSubjects"])] * len(outcomes))
        up = given.get("directionUpper", True)
        made = [power(outcome, plan, total[0], up=up) for outcome in outcomes]
        rejection = np.array([m.rejection for m in made])
        futility = np.array([m.futility for m in made])[:, :-1]
        fields = {
            "overallReject": [m.overall for m in made],
            "earlyStop": [m.early for m in made],
            "futilityStop": futility.sum(axis=1),
            "expectedNumberOfSubjects": [m.mean for m in made],
        }
        fields |= {f"futilityPerStage[{k + 1},]": futility[:, k] for k in range(2)}
    fields |= _by_look(plan, made, rejection)
    for name, part in (("", 1.0), ("1", share), ("2", 1 - share)):
        fields[f"maxNumberOfSubjects{name}"] = total * part
        for k, time in enumerate(plan.information):
            fields[f"numberOfSubjects{name}[{k + 1},]"] = total * part * time
    return fields


def _by_look(plan, made, rejection):
    """Return what there is for each look."""
    levels = boundaries(plan).stage_levels
    fields = {}
    upper = np.array([m.upper_effect for m in made])
    lower = np.array([m.lower_effect for m in made])
    for k in range(plan.looks):
        at = f"[{k + 1},]"
        fields["rejectPerStage" + at] = rejection[:, k]
        fields["informationRates" + at] = [plan.information[k]]
        fields["criticalValuesEffectScale" + at] = upper[:, k]
        fields["criticalValuesEffectScaleUpper" + at] = np.maximum(upper, lower)[:, k]
        fields["criticalValuesEffectScaleLower" + at] = np.minimum(upper, lower)[:, k]
        fields["criticalValuesPValueScale" + at] = [levels[k] * plan.sides]
        fields["futilityBoundsEffectScale" + at] = lower[:, k]
        fields["futilityBoundsPValueScale" + at] = [ndtr(-boundaries(plan).lower[k])]
    return fields


def test_sizes_and_power_in_part():
    _check_sizes(every=8)


@pytest.mark.slow
def test_sizes_and_power():
    assert _check_sizes(every=1) > 700


def _check_sizes(every):
    made, worst, checked, left = {}, [], 0, set()
    rows = rpact.table("sizes.csv.gz")
    calls = sorted({row["call"] for row in rows})[::every]
    for row in (row for row in rows if row["call"] in calls):
        call = row["call"]
        if call not in made:
            made[call] = _ours(call)
        if row["field"] not in made[call]:
            left.add(row["field"])
            continue
        text = row["expected"].replace("null", "nan").strip("[]")
        expected = np.array([float(x) for x in text.split(",")])
        found = np.asarray(made[call][row["field"]], float)
        if len(expected) == 1:
            found = found[:1]
        assert (np.isnan(expected) == np.isnan(found)).all(), (row, found)
        off = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-2)
        worst.append((float(np.nanmax(off)), row["field"], call))
        checked += 1
    worst.sort(reverse=True)
    assert left <= {"directionUpper", "effect"}
    assert worst[0][0] < 1e-6, worst[:10]
    return checked

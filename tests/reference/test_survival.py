"""Times to events against R.

R's `survival` 3.5-3 (log-rank, rho = 1, Cox, Kaplan-Meier, restricted means) on eleven
data sets; simtrial's restricted mean on one of them. The maintenance trial in leukaemia
is in this repository, the others are read from where `VTRIAL_REFERENCE` says.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

from vtrial.measure.hazard import hazard_ratio
from vtrial.measure.survival import (
    area_under_curve,
    kaplan_meier,
    log_rank,
    restricted_mean,
    survival_curve,
)
from vtrial.testing import reference_folder

HERE = Path(__file__).parent / "survival"
FOLDER = reference_folder("trial_stats")
AWAY = FOLDER / "survival" if FOLDER else None
REASON = "no reference data sets: set VTRIAL_REFERENCE to their folder"
TABLE = "times to events against R"
EXCERPT = pd.read_csv(HERE / "results.csv")


def tables():
    """Give the place of each data set and what R says of it."""
    for _, row in EXCERPT.iterrows():
        yield pytest.param((HERE, row), id=row["dataset"])
    if AWAY is None:
        yield pytest.param(None, id="others", marks=pytest.mark.skip(reason=REASON))
        return
    for _, row in pd.read_csv(AWAY / "reference_results.csv").iterrows():
        yield pytest.param((AWAY, row), id=f"all-{row['dataset']}")


@pytest.fixture(params=tables())
def case(request):
    folder, expected = request.param
    data = pd.read_csv(folder / f"{expected['dataset']}.csv")
    time, event = (data[name].to_numpy(float)[None] for name in ("time", "event"))
    return (time, event, data["trt"].to_numpy()[None] == 1), expected, folder


@pytest.fixture
def agrees(cell):
    """Compare with R's number, and note how far off it is."""

    def compared(statistic, got, expected, tolerance=1e-8):
        off = abs(float(got) - expected) / max(abs(expected), 1e-300)
        cell(TABLE, statistic, "relative error", off)
        assert off < tolerance, statistic

    return compared


def test_log_rank(case, agrees):
    data, expected, _ = case
    made = log_rank(*data)
    score, error = np.log(made.estimate[0]), made.error[0]
    agrees("log-rank variance", error**-2, expected["logrank_var"])
    agrees("log-rank O - E", score / error**2, expected["logrank_OminusE_trt"])
    agrees("log-rank chi-squared", (score / error) ** 2, expected["logrank_chisq"])
    early = log_rank(*data, rho=1.0)
    square = (np.log(early.estimate[0]) / early.error[0]) ** 2
    agrees("rho = 1 chi-squared", square, expected["peto_wilcoxon_rho1_chisq"])


@pytest.mark.parametrize("ties", ["Efron", "Breslow"])
def test_hazard_ratio(case, agrees, ties):
    data, expected, _ = case
    made = hazard_ratio(*data, ties=ties)
    name = f"cox_{ties.lower()}"
    # R stops where the likelihood changes by 1e-9 of it: 4e-9 of the coefficient.
    agrees(f"{ties} log ratio", np.log(made.estimate[0]), expected[f"{name}_loghr"])
    agrees(f"{ties} error", made.error[0], expected[f"{name}_se"])
    if ties == "Efron":
        score = hazard_ratio(*data, test="score").p[0]
        agrees("score p", score, special.chdtrc(1, expected["score_test_efron"]))


def test_medians_and_restricted_means(case, agrees):
    (time, event, treated), expected, _ = case
    for side, number in ((~treated, 0), (treated, 1)):
        own = np.where(side, time, np.nan)
        horizon = np.array([float(expected["rmst_tau"])])
        area = area_under_curve(own, event, horizon).area[0]
        agrees("restricted mean", area, expected[f"rmst{number}"])
        own_event = np.where(side, event, np.nan)
        median = kaplan_meier(own, own_event)["median"].estimate[0]
        np.testing.assert_allclose(median, expected[f"median{number}"], rtol=1e-12)


def test_curves(case, agrees):
    (time, event, treated), expected, folder = case
    name = "curves.csv" if folder == HERE else "reference_km.csv.gz"
    known = pd.read_csv(folder / name)
    known = known[known["dataset"] == expected["dataset"]]
    for side, number in ((~treated, 0), (treated, 1)):
        rows = known[known["trt"] == number]
        made = survival_curve(
            np.where(side, time, np.nan), event, rows["time"].to_numpy(float)
        )
        np.testing.assert_array_equal(made.at_risk[0], rows["n_risk"])
        for got, share, error, theirs in zip(
            made.survival[0],
            rows["surv"],
            made.error[0],
            rows["se_greenwood"],
            strict=True,
        ):
            if share > 0:
                agrees("curve", got, share)
                agrees("Greenwood error", error, theirs)
            else:
                assert abs(got) < 1e-12


@pytest.mark.skipif(FOLDER is None, reason=REASON)
def test_restricted_mean_of_simtrial(agrees):
    known = json.loads((FOLDER / "published_benchmarks.json").read_text())
    one = next(entry for entry in known if entry["id"] == "rmst_ex1")
    data = pd.read_csv(FOLDER / one["inputs"]["data"])
    made = restricted_mean(
        data["time"].to_numpy(float)[None],
        data["event"].to_numpy(float)[None],
        data["trt"].to_numpy()[None] == 1,
        until=float(one["inputs"]["tau"]),
        corrected=True,
    )
    agrees("difference of means", made.estimate[0], one["expected"]["rmst_diff"], 1e-9)
    score = made.estimate[0] / made.error[0]
    agrees("score of the difference", score, one["expected"]["z"], 1e-9)

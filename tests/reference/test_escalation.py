"""Dose escalation against the R packages BOIN 2.7.2 and dfcrm 0.2-2.1, and papers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from vtrial.design.escalation import (
    characteristics,
    crm_update,
    enact_escalation,
    escalation_method,
    exact_escalation,
    exact_three_plus_three,
    next_dose,
    select_dose,
    skeleton,
    toxicity_of,
)
from vtrial.design.escalation.kinds.boin import boundaries

HERE = Path(__file__).parent / "escalation"
TABLE = "dose escalation against dfcrm"


def rows(name):
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


def numbers(text):
    return np.array([float(one) for one in text.split(";")])


@pytest.mark.parametrize("row", rows("boin_boundaries.csv"), ids=lambda r: r["target"])
def test_boin_boundaries(row):
    made = boundaries(*(float(row[name]) for name in ("target", "p_saf", "p_tox")))
    expected = [float(row["lambda_e"]), float(row["lambda_d"])]
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)


def test_boin_decisions():
    found = rows("boin_decisions.csv")
    for target in {row["target"] for row in found}:
        method = escalation_method("BOIN", doses=3, target=float(target))
        data = method.kind.prepare(method, 36)
        for row in [row for row in found if row["target"] == target]:
            n = int(row["n_treated"])
            move, gone = data["move"][n, : n + 1], data["eliminate"][n, : n + 1]
            assert np.flatnonzero(move == 1).max() == int(row["escalate_if_dlt_le"])
            assert np.flatnonzero(move == -1).min() == int(row["deescalate_if_dlt_ge"])
            limit = row["eliminate_if_dlt_ge"]
            first = np.flatnonzero(gone).min() if gone.any() else None
            assert first == (None if limit == "NA" else int(limit)), row


@pytest.mark.parametrize("row", rows("boin_selections.csv"), ids=lambda r: r["n"])
def test_boin_selections(row):
    method = escalation_method("BOIN", doses=5, target=float(row["target"]))
    chosen = select_dose(method, numbers(row["n"]), numbers(row["dlt"]))
    assert chosen == (-1 if row["mtd"] == "99" else int(row["mtd"]) - 1)


def scenarios():
    found = rows("boin_trials.csv")
    for key in dict.fromkeys((row["scenario"], row["target"]) for row in found):
        yield [row for row in found if (row["scenario"], row["target"]) == key]


@pytest.mark.parametrize(
    "case", list(scenarios()), ids=lambda c: f"{c[0]['scenario']}-{c[0]['target']}"
)
def test_boin_trials(case):
    """All that can happen, against 10,000 simulated trials: within their error."""
    truth = np.array([float(row["p_true"]) for row in case])
    method = escalation_method("BOIN", doses=5, target=float(case[0]["target"]))
    made = exact_escalation(method, truth, most=30)
    share = np.array([float(row["sel_pct"]) for row in case]) / 100
    error = np.sqrt(made.selected * (1 - made.selected) / 10_000)
    assert (np.abs(share - made.selected) <= 3 * error + 1e-4).all()
    stopped = float(case[0]["early_stop_pct"]) / 100
    error = np.sqrt(made.stopped * (1 - made.stopped) / 10_000)
    assert abs(stopped - made.stopped) <= 3 * error + 1e-4
    treated = np.array([float(row["n_pat"]) for row in case])
    spread = np.sqrt(made.treated * (30 - made.treated))  # a dose has from 0 to 30
    assert (np.abs(treated - made.treated) <= 3 * spread / 100 + 1e-3).all()


def test_boin_worked_trial():
    """Yan et al. 2020, page 25; escalation's tests at add4557 have its outcomes."""
    told = ["1NNN", "2NNN", "3NTT", "2NTN", "3NNN", "3NNN"]
    told += ["4TTT", "3NTN", "3NNT", "3TNN"]
    method = escalation_method("BOIN", doses=5, target=0.3)
    treated, toxic = np.zeros((2, 5))
    found = []
    for cohort in told:
        dose = int(cohort[0]) - 1
        treated[dose] += 3
        toxic[dose] += cohort.count("T")
        found.append(int(next_dose(method, treated, toxic, np.array(dose)).dose) + 1)
    assert found == [2, 3, 2, 3, 3, 4, 3, 3, 3, 3]


def padded(parts, fill):
    size = max(len(part) for part in parts)
    return np.stack(
        [np.pad(p, (0, size - len(p)), constant_values=fill) for p in parts]
    )


def crm_cases():
    found = rows("crm_updates.csv")
    names = ("method", "model", "skeleton")
    for key in sorted({tuple(row[name] for name in names) for row in found}):
        yield key, [r for r in found if tuple(r[name] for name in names) == key]


@pytest.mark.parametrize(
    ("key", "found"), list(crm_cases()), ids=lambda v: str(v[0])[:9]
)
def test_crm_updates(key, found, cell):
    by, model, guesses = key
    given = padded([numbers(row["level"]).astype(int) - 1 for row in found], -1)
    toxic = padded([numbers(row["tox"]) > 0 for row in found], False)
    variance = float(found[0]["scale"]) ** 2
    options = {"target": float(found[0]["target"]), "model": model, "by": by}
    made = crm_update(numbers(guesses), given, toxic, variance=variance, **options)
    assert (made.dose + 1 == [int(row["mtd"]) for row in found]).all()
    chance = np.stack([numbers(row["ptox"]) for row in found])
    estimate = np.array([float(row["estimate"]) for row in found])
    off = np.abs(made.probability - chance).max()
    cell(TABLE, f"{model}, {by}", "probability", off)
    if by == "bayes":
        spread = np.array([float(row["post_var"]) for row in found])
        assert max(off, np.abs(made.estimate - estimate).max()) < 2e-6
        assert np.abs(made.variance - spread).max() < 2e-6
        return
    # dfcrm ends its search where steps are below 1e-4, ours where the slope is 0.
    # Brent's method, ended as early on the same likelihood, comes to dfcrm's numbers.
    assert np.abs(made.estimate - estimate).max() < 1e-4 / 3
    for one in range(len(found)):
        theirs = _as_early(numbers(guesses), given[one], toxic[one], model)
        assert abs(theirs - estimate[one]) < 2e-6


def _as_early(guesses, given, toxic, model):
    """Maximise the likelihood by Brent's method with R's tolerance."""
    there = given >= 0
    scaled = np.log(guesses / (1 - guesses)) - 3

    def loss(beta):
        power = guesses ** np.exp(beta)
        logistic = 1 / (1 + np.exp(-3 - np.exp(beta) * scaled))
        p = (power if model == "empiric" else logistic)[given[there]]
        return -np.log(np.where(toxic[there], p, 1 - p)).sum()

    with np.errstate(all="ignore"):
        return optimize.fminbound(loss, -10, 10, xtol=1e-4)


def test_late_toxicity_updates(cell):
    for row in rows("titecrm_updates.csv"):
        given, toxic = numbers(row["level"]).astype(int) - 1, numbers(row["tox"]) > 0
        given, toxic, weights = (
            np.pad(part, (0, 24 - len(part)), constant_values=fill)
            for part, fill in (
                (given, -1),
                (toxic, False),
                (numbers(row["weights"]), 0),
            )
        )
        made = crm_update(
            numbers(row["skeleton"]),
            given,
            toxic,
            target=float(row["target"]),
            weights=weights,
        )
        off = np.abs(made.probability - numbers(row["ptox"])).max()
        cell(TABLE, "TITE-CRM", "probability", off)
        assert off < 2e-6
        assert abs(made.estimate - float(row["estimate"])) < 2e-6
        assert abs(made.variance - float(row["post_var"])) < 2e-6
        assert made.dose + 1 == int(row["mtd"])


def test_skeletons(cell):
    for row in rows("skeletons.csv"):
        doses = int(row["nlevel"])
        made = skeleton(
            float(row["target"]),
            doses=doses,
            guess=int(row["nu"]) - 1,
            halfwidth=float(row["halfwidth"]),
            model=row["model"],
        )
        expected = [float(row[f"skel{i + 1}"]) for i in range(doses)]
        cell(TABLE, "skeletons", "probability", np.abs(made - expected).max())
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_crm_trials():
    """2,000 trials of dfcrm from its third dose, against ours, within both errors."""
    found = rows("crm_trials.csv")
    columns = ("p_true", "prior", "sel", "n_mean", "tox_mean")
    truth, guesses, share, treated, toxic = (
        np.array([float(row[name]) for row in found]) for name in columns
    )
    outcome = toxicity_of(truth, seed=3, replicate=np.arange(10_000), subjects=24)
    method = escalation_method("CRM", doses=6, target=0.2, skeleton=tuple(guesses))
    made = enact_escalation(method, outcome, cohort=1, start=2)
    ours, both = characteristics(made), np.sqrt(1 + 10_000 / 2000)
    for got, error, theirs in (
        (ours.selected, ours.selected_error, share),
        (ours.treated, ours.treated_error, treated),
        (ours.toxic, ours.toxic_error, toxic),
    ):
        assert (np.abs(got - theirs) <= 3 * both * error + 5e-4).all()


@pytest.mark.parametrize(
    ("truth", "back", "none", "selected", "size"),
    [
        (
            (0.05, 0.10, 0.20, 0.30, 0.50),
            False,
            0.0266,
            (0.0914, 0.2570, 0.3161, 0.2558, 0.0531),
            14.67,
        ),
        (
            (0.25, 0.35, 0.45, 0.5, 0.6),
            False,
            0.4001,
            (0.3620, 0.1821, 0.0461, 0.0088, 0.0008),
            8.14,
        ),
        (
            (0.01, 0.03, 0.05, 0.10, 0.20),
            False,
            0.0012,
            (0.0100, 0.0263, 0.0903, 0.2542, 0.6180),
            16.92,
        ),
        (
            (0.05, 0.10, 0.20, 0.30, 0.50),
            True,
            0.0272,
            (0.0971, 0.2775, 0.3305, 0.2339, 0.0338),
            17.08,
        ),
    ],
)
def test_three_plus_three_tables(truth, back, none, selected, size):
    """Tables computed by enumeration; definitions as in bcrm's `threep3`."""
    made = exact_three_plus_three(np.array(truth), back=back)
    assert abs(made.none - none) < 5.1e-5
    np.testing.assert_allclose(made.selected, selected, atol=5.1e-5)
    assert abs(made.size - size) < 5.1e-3


def test_three_plus_three_of_wheeler():
    """Wheeler's AplusB, as in escalation's tests at add4557: two digits.

    The recursion that stands beside them gives 0.3247 for the second dose, printed as
    0.33; it is held to its own formula, all others to their digits.
    """
    truth = np.arange(1, 9) / 10
    made = exact_three_plus_three(truth)
    found = np.array([made.none, *made.selected])
    expected = np.array([0.09, 0.26, 0.33, 0.22, 0.08, 0.02, 0, 0, 0])
    others = np.arange(9) != 2
    np.testing.assert_allclose(found[others], expected[others], atol=5e-3)
    passes = np.append((1 - truth) ** 3 + 3 * truth * (1 - truth) ** 5, 0.0)
    recursion = np.append(1.0, np.cumprod(passes[:-1])) * (1 - passes)
    np.testing.assert_allclose(found, recursion, rtol=0, atol=1e-12)


def test_logistic_regression_of_neuenschwander():
    """Neuenschwander 2008, figure 1 (to 0.04), and bcrm's chains (to 0.01)."""
    amounts = (1, 2.5, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250)
    method = escalation_method(
        "BLRM",
        doses=15,
        options={
            "amounts": amounts,
            "reference": 250,
            "mean": (2.15, 0.52),
            "deviation": (0.84, 0.80),
            "correlation": 0.134 / (0.84 * 0.80),
            "target": 0.3,
            "low": 0.2,
            "high": 0.35,
            "choose": "nearest mean",
            "overdose": 1.0,
        },
    )
    treated, toxic = np.zeros((2, 15))
    treated[[0, 1, 2, 3, 6]], toxic[6] = (3, 4, 5, 4, 2), 2
    made = next_dose(method, treated, toxic, np.array(6))
    assert made.dose == 6
    mean = _means(method, treated, toxic)
    chains = (
        *(0.01276366, 0.0317025, 0.064544, 0.1310326, 0.19505604, 0.25486603),
        *(0.30990977, 0.36015142, 0.44716663, 0.51852928, 0.64632144, 0.72710146),
        *(0.81804596, 0.86567496, 0.89421686),
    )
    figure = (
        *(0.01, 0.02, 0.05, 0.13, 0.19, 0.25, 0.3, 0.35, 0.47, 0.53, 0.68, 0.74),
        *(0.85, 0.89, 0.92),
    )
    np.testing.assert_allclose(mean, chains, atol=0.01)
    np.testing.assert_allclose(mean, figure, atol=0.04)


def _means(method, treated, toxic):
    data = method.kind.prepare(method, 18)
    seen = data["prior"] + toxic @ data["yes"] + (treated - toxic) @ data["no"]
    weight = np.exp(seen - seen.max())
    return np.exp(data["yes"]) @ weight / weight.sum()


@pytest.mark.slow
def test_toxicity_probability_intervals():
    """Ji, Li & Bekele 2007, table 2: whom a simulation of theirs recommends."""
    truth = np.array([0.05, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    method = escalation_method("TPI", doses=8, target=0.25)
    made = exact_escalation(method, truth, most=30)
    published = (0.13, 0.79, 0.08, 0, 0, 0, 0, 0)
    np.testing.assert_allclose(made.selected, published, atol=0.01)
    assert abs(made.toxic.sum() / made.size - 0.25) < 0.01

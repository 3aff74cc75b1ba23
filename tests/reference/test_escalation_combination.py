"""BOIN for combinations of two drugs against the R packages BOIN 2.7.2 and Iso.

The numbers and where each is from are told in `README.md`.
"""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from vtrial.design.escalation import (
    escalation_method,
    exact_escalation,
    next_dose,
    select_dose,
)
from vtrial.design.escalation.grid import isotonic_on_grid, lower_sets

HERE = Path(__file__).parent / "escalation"


def rows(name):
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


def numbers(text):
    return np.array([float(one) for one in text.split(";")])


def method_of(row):
    size = int(row["rows"]), int(row["columns"])
    return escalation_method(
        "BOIN-comb", doses=size[0] * size[1], rows=size[0], target=float(row["target"])
    )


def place(row, first, second):
    """Return the number of a combination, -1 for none."""
    if row[first] == "NA":
        return -1
    return (int(row[first]) - 1) * int(row["columns"]) + int(row[second]) - 1


def test_selections():
    for row in rows("boin_comb_selections.csv"):
        chosen = select_dose(method_of(row), numbers(row["n"]), numbers(row["dlt"]))
        assert chosen == place(row, "first", "second"), row


def test_decisions():
    """A tie may be broken either way: one of the lots breaks it as R did."""
    for row in rows("boin_comb_moves.csv"):
        n, dlt = (np.tile(numbers(row[key]), (2, 1)) for key in ("n", "dlt"))
        at = np.full(2, place(row, "at_first", "at_second"))
        lot = np.array([0.25, 0.75])
        made = next_dose(method_of(row), n, dlt, at, lot=lot).dose
        assert place(row, "next_first", "next_second") in made, row
        assert ("tie" in row["case"]) == (made[0] != made[1]), row


def test_rates_that_rise_with_both_drugs():
    """R iterates until nothing changes by more than 1.5e-8; ours is exact."""
    for row in rows("biviso.csv"):
        n, dlt = numbers(row["n"]), numbers(row["dlt"])
        weight = n + 0.1
        sets = jnp.asarray(lower_sets(int(row["rows"]), int(row["columns"])))
        rate = jnp.asarray((dlt + 0.05) / weight)
        made = jax.jit(isotonic_on_grid)(rate, jnp.asarray(weight), sets)
        np.testing.assert_allclose(made, numbers(row["fit"]), rtol=0, atol=5e-8)


def test_trials():
    """What can happen, against 20 trials: false alarm below 1 % for six numbers."""
    found = rows("boin_comb_trials.csv")
    truth = np.array([float(row["p_true"]) for row in found])
    method = escalation_method("BOIN-comb", doses=6, rows=2, target=0.3)
    exact = exact_escalation(method, truth, most=12, enough=9)
    chosen = np.array([float(row["sel_pct"]) for row in found]) / 5
    law = stats.binom(20, exact.selected)
    assert (law.cdf(chosen) > 5e-4).all()
    assert (law.sf(chosen - 1) > 5e-4).all()

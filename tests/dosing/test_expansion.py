"""Expansion: one array of doses, traced where it depends on the subject."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.dosing.doses import AFTER_DOSE, Doses, no_doses, times
from vtrial.dosing.expansion import expand
from vtrial.dosing.words import parse_regimen
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model

MODEL = Model("pill", parse_model("d/dt(a) = -a"), covariates=(Covariate("WT", "kg"),))


def read(text):
    return parse_regimen(text, model=MODEL)


def test_no_regimen_is_no_doses():
    assert expand(None, {}).time.shape == (1, 0)
    assert no_doses().period is None


def test_what_is_the_same_for_all_is_one_row():
    doses = expand(read("100 mg every 24 h x 3"), {"WT": jnp.ones(5)})
    assert {field.shape for field in doses if field is not None} == {(1, 3)}
    assert doses.event.tolist() == [[1, 1, 1]]
    assert doses.rank.tolist() == [[1, 1, 1]]


def test_doses_are_sorted_by_time_whatever_the_order_of_the_texts():
    regimen = parse_regimen(["1 mg at 48 h", "2 mg every 24 h x 4"], model=MODEL)
    doses = expand(regimen, {})
    assert doses.time.tolist() == [[0, 24, 48, 48, 72]]
    assert doses.amount.tolist() == [[2, 2, 1, 2, 2]]


def test_compiled_and_differentiated():
    regimen = read("5 mg/kg over 2 h every 24 h x 3 up to 400 mg")
    weight = jnp.array([50.0, 70.0, 120.0])

    @jax.jit
    def total(weight):
        doses = expand(regimen, {"WT": weight})
        return doses.amount.sum(axis=1), doses.rate[:, 0]

    amount, rate = total(weight)
    np.testing.assert_allclose(amount, [750, 1050, 1200])
    np.testing.assert_allclose(rate, [125, 175, 200])
    slope = jax.grad(lambda w: total(w)[0].sum())(weight)
    np.testing.assert_allclose(slope, [15, 15, 0])


def test_each_subject_is_alone():
    regimen = read("by WT: 1 mg/kg below 60, else (2*WT) mg rounded to 5 mg")
    weight = jnp.array([40.0, 61.0, 90.0])
    together = expand(regimen, {"WT": weight}).amount
    alone = [expand(regimen, {"WT": weight[i : i + 1]}).amount for i in range(3)]
    assert together.tolist() == jnp.concatenate(alone).tolist()


def test_an_amount_that_cannot_be_is_missing():
    doses = expand(read("(WT - 50) mg over 1 h"), {"WT": jnp.array([40.0, 60.0])})
    assert np.isnan(doses.amount[0, 0])
    assert float(doses.amount[1, 0]) == pytest.approx(10)


@pytest.mark.parametrize("precision", [jnp.float32, jnp.float64])
def test_precision_follows_the_values(precision):
    weight = jnp.asarray([50.0], precision)
    doses = expand(read("5 mg/kg"), {"WT": weight})
    assert isinstance(doses, Doses)
    assert float(doses.amount[0, 0]) == 250.0


def test_times_of_observation():
    shared = times([0.0, 1.0])
    assert shared.time.shape == (1, 2)
    assert times([1.0], rank=AFTER_DOSE).rank.tolist() == [[2]]

"""The library: published numbers, and behaviour that is known from elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from vtrial.model.sheet import library, load_model

NAMES = library()


def individual(name, **changes):
    model = load_model(name)
    inputs = {k: jnp.asarray(v) for k, v in (model.typical() | changes).items()}
    return model, model.individual(inputs)


def course(name, dose, **changes):
    """Integrate one cycle after an infusion of 1 h with LSODA; return days and ANC."""
    model, known = individual(name, **changes)

    @jax.jit
    def flow(state):
        return jnp.stack(model.derivative(0.0, tuple(state), known))

    def rate(time, state, infusion):
        change = np.array(flow(state))
        change[0] += infusion
        return change

    state = np.array([float(x) for x in model.initial(known)])
    settings = {"method": "LSODA", "rtol": 1e-7, "atol": 1e-9}
    during = solve_ivp(rate, (0, 1), state, args=(dose,), **settings)
    times = np.linspace(1, 21 * 24, 1000)
    after = solve_ivp(
        rate, (1, 504), during.y[:, -1], args=(0.0,), t_eval=times, **settings
    )
    states = [jnp.asarray(row) for row in after.y]
    shared = {name: jnp.broadcast_to(v, times.shape) for name, v in known.items()}
    return times / 24, np.asarray(
        model.observe(jnp.asarray(times), states, shared)["anc"]
    )


def test_names():
    assert {"docetaxel-neutropenia", "theophylline", "two-compartment-oral"} < {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_doses_go_to_the_first_state_and_outputs_start_right(name):
    model, known = individual(name)
    body = [name for name in ("depot", "central") if name in model.states]
    assert not body or model.states[0] == body[0]
    start = model.observe(0.0, model.initial(known), known)
    assert not body or float(start.get("conc", 0.0)) == 0.0
    assert all(np.isfinite(float(value)) for value in start.values())
    assert model.covariates == () or all(
        np.isfinite(c.typical) for c in model.covariates
    )


def test_kloft_typical_baseline_and_its_covariates():
    _, known = individual("docetaxel-neutropenia")
    assert float(known["BA"]) == pytest.approx(5.21965)
    _, known = individual(
        "docetaxel-neutropenia", FEMALE=1.0, ECOG1=1.0, PRIOR=1.0, AAG=2.34
    )
    factors = (1 - 0.121451) * (1 + 0.130406) * (1 - 0.146837) * (1 + 0.494618)
    assert float(known["BA"]) == pytest.approx(5.21965 * factors)
    assert float(known["SL"]) == pytest.approx(15.5711 * (1 - 0.350693))
    _, known = individual("docetaxel-neutropenia", AAG=0.34)
    assert float(known["BA"]) == pytest.approx(5.21965 * (1 - 0.174677))


def test_bruno_clearance():
    _, known = individual("docetaxel-neutropenia", HEP12=1.0)
    wanted = 1.75 * (22.1 - 3.55 * 1.34 - 0.095 * 55 + 0.2245 * 40) * (1 - 0.334)
    assert float(known["CL"]) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("dose", "nadir", "day"), [(60, 0.67, 7.6), (75, 0.43, 8.0), (100, 0.22, 8.5)]
)
def test_kloft_nadir(dose, nadir, day):
    """Compare with the medians of an independent simulation of the same two papers.

    The typical subject is not the median subject; 5 % and half a day allow for that.
    """
    days, anc = course("docetaxel-neutropenia", 1.75 * dose)
    assert anc.min() == pytest.approx(nadir, rel=0.05)
    assert days[anc.argmin()] == pytest.approx(day, abs=0.5)
    assert anc[-1] > 5.2


def test_neutrophils_stay_above_zero_in_an_extreme_subject():
    extreme = {"eta.CL": -1.3, "eta.SL": 1.3, "eta.MTT": -0.3}
    _, anc = course("docetaxel-neutropenia", 175.0, **extreme)
    assert 0 < anc.min() < 1e-3
    assert np.isfinite(anc).all()


def test_ozawa_releases_neutrophils_first():
    days, anc = course("docetaxel-neutropenia-ozawa", 60 * 1.6)
    rise = anc[days < 3]
    assert rise.max() > 1.2 * 5.21965
    assert 0.5 < anc.min() < 2.0
    _, known = individual("docetaxel-neutropenia-ozawa", AAG=1.88)
    assert float(known["SLOPE"]) == pytest.approx(17.9 * 2**-1.38)


def test_theophylline_values():
    model = load_model("theophylline")
    assert [p.value for p in model.parameters] == [1.59, 2.74, 31.7]
    assert model.random[0].covariance[0][0] == pytest.approx(np.log(1 + 0.711**2))
    assert model.outputs[0].error.additive == 0.696


@pytest.mark.parametrize("name", [name for name in NAMES if "-compartment-" in name])
def test_allometry(name):
    _, light = individual(name, WT=70.0)
    _, heavy = individual(name, WT=140.0)
    assert float(heavy["CL"] / light["CL"]) == pytest.approx(2**0.75)
    volume = "V" if "V" in light else "V1"
    assert float(heavy[volume] / light[volume]) == pytest.approx(2.0)

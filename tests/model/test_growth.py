"""Which states a body drives in closed form, and by what."""

import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Parameter

ONE = "d/dt(central) = -CL/V*central\nconc = central/V\n"
ORAL = "d/dt(depot) = -KA*depot\nd/dt(central) = KA*depot - CL/V*central\n"
TWO = """
d/dt(central) = -(CL + Q)/V*central + Q/V2*rim
d/dt(rim) = Q/V*central - Q/V2*rim
"""
THREE = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - (CL + Q + Q3)/V*central + Q/V2*rim + Q3/V3*edge
d/dt(rim) = Q/V*central - Q/V2*rim
d/dt(edge) = Q3/V*central - Q3/V3*edge
"""
KNOWN = {
    **{"CL": 5.0, "V": 20.0, "KA": 0.7, "Q": 3.0, "V2": 40.0, "Q3": 1.0, "V3": 90.0},
    **{"KL": 0.3, "KD": 0.2, "LAMBDA": 0.05, "A": 0.4, "B": 0.6, "R": 2.0},
}


def model_of(text):
    parameters = tuple(Parameter(name, value) for name, value in KNOWN.items())
    return Model("made-up", parse_model(text), parameters=parameters, outputs=())


def written_out(model, time, state):
    """Compute the derivatives of the growing states from their terms."""
    known = model.individual({k: jnp.asarray(v) for k, v in model.typical().items()})
    amounts = dict(zip(model.states, state, strict=True))
    found = {}
    for one, rates in zip(
        model.structure.growth, model.growth_rates(known), strict=True
    ):
        total = 0.0
        for term, (factor, fading) in zip(one.terms, rates, strict=True):
            faded = 1.0 if fading is None else np.exp(-float(fading) * time)
            total += float(factor) * faded * amounts.get(term.driver, 1.0)
        found[one.state] = total * (amounts[one.state] if one.is_relative else 1.0)
    return found


@pytest.mark.parametrize(
    ("text", "relative", "drivers", "fades"),
    [
        ("d/dt(x) = conc", False, {"central"}, False),
        ("d/dt(x) = 2*conc + R - central/3", False, {"central", ""}, False),
        ("d/dt(x) = conc*exp(-LAMBDA*t)", False, {"central"}, True),
        ("d/dt(x) = KL*x - KD*exp(-LAMBDA*t)*conc*x", True, {"", "central"}, True),
        ("d/dt(x) = x*(KL - KD*conc*exp(-LAMBDA*t))", True, {"", "central"}, True),
        ("r = exp(-LAMBDA*t)\nd/dt(x) = x*(KL - KD*conc*r)", True, {"", "central"}, 1),
        ("d/dt(x) = KL*x*exp(A - B*t)", True, {""}, True),
        ("d/dt(x) = KL*exp(A - B*t)*exp(B*t/3)", False, {""}, True),
        ("d/dt(x) = KL*x/exp(B*t)", True, {""}, True),
        ("d/dt(x) = KL*x*exp(-B*t)^2", True, {""}, True),
        ("d/dt(x) = KL*x*exp(-B*t/R + LAMBDA*t)", True, {""}, True),
        ("d/dt(x) = KL*x*exp(-B*t)*exp(B*t)", True, {""}, False),
        ("d/dt(x) = x^2*conc/x", True, {"central"}, False),
    ],
)
def test_terms_add_up_to_the_derivative(text, relative, drivers, fades):
    """Whatever way it is written."""
    model = model_of(ONE + text)
    structure = model.structure
    (growth,) = structure.growth
    assert structure.is_closed
    assert growth.is_relative == relative
    assert {term.driver for term in growth.terms} == drivers
    assert any(term.fading is not None for term in growth.terms) == fades
    known = model.individual(model.typical())
    for time, state in [(0.0, (3.0, 2.0)), (1.7, (0.4, 5.0))]:
        wanted = dict(
            zip(model.states, model.derivative(time, state, known), strict=True)
        )
        found = written_out(model, time, state)
        assert found["x"] == pytest.approx(float(wanted["x"]), rel=1e-13)


@pytest.mark.parametrize(
    "text",
    [
        "d/dt(x) = KL*x*(1 - x/R)",
        "d/dt(x) = KL*x^2",
        "d/dt(x) = KL/x",
        "d/dt(x) = KL*sqrt(x)",
        "d/dt(x) = KL*x + KD*conc",
        "d/dt(x) = R - KL*x*exp(-B*t)",
        "d/dt(x) = KL*x*tad",
        "d/dt(x) = KL*x*t",
        "d/dt(x) = KL*x*exp(-tad)",
        "d/dt(x) = KL*x*exp(-B*t^2)",
        "d/dt(x) = KL*x*exp(-B*conc)",
        "d/dt(x) = KL*x*exp(-B*x)",
        "d/dt(x) = KL*x*conc*central",
        "d/dt(x) = KL*conc^2",
        "d/dt(x) = KL/conc",
        "d/dt(x) = KL*conc/(KD + conc)",
        "d/dt(x) = KL*sqrt(conc)",
        "d/dt(x) = KL*x*log(1 + conc)",
        "d/dt(x) = if(t > 5, KL, KD)*x",
        "d/dt(x) = if(conc > 1, KL, KD)*x",
    ],
)
def test_what_looks_back_or_bends_is_left_to_steps(text):
    structure = model_of(ONE + text).structure
    assert structure.growth == ()
    assert not structure.is_closed
    assert structure.driver is not None
    assert structure.driver.states == ("central",)


def test_two_amounts_multiplied_are_left_to_steps():
    structure = model_of(ORAL + "d/dt(x) = KL*x*depot*central").structure
    assert structure.driver is not None
    assert not structure.is_closed
    structure = model_of(ORAL + "d/dt(x) = KL*x*depot - KD*x*central").structure
    assert structure.is_closed, "added up they may be"


@pytest.mark.parametrize(
    ("text", "states", "closed"),
    [
        (ONE, ("central",), True),
        (ONE + "d/dt(area) = conc", ("central",), True),
        (ORAL + "d/dt(area) = central/V", ("depot", "central"), True),
        (TWO + "d/dt(area) = central\nd/dt(far) = rim", ("central", "rim"), True),
        (THREE, ("depot", "central", "rim", "edge"), True),
        (
            "d/dt(area) = central/V\n" + THREE,
            ("depot", "central", "rim", "edge"),
            True,
        ),
        # an effect compartment and a metabolite look back at themselves
        (ONE + "d/dt(effect) = KL*(conc - effect)", ("central",), False),
        (ONE + "d/dt(made) = B*CL/V*central - KD*made", ("central",), False),
        # unless all that leaves arrives: a depot by another name
        (ONE + "d/dt(made) = CL/V*central - KD*made", ("central", "made"), True),
        # nothing linear that could drive
        ("d/dt(x) = -KL*x/(KD + x)\nd/dt(area) = x", None, False),
    ],
)
def test_who_drives(text, states, closed):
    structure = model_of(text).structure
    found = structure.driver.states if structure.driver else None
    assert found == states
    assert structure.is_closed == closed


def test_two_drugs_apart_do_not_drive():
    """Neither is preferred, so that the order of equations does not matter."""
    first, second = ONE, "d/dt(other) = -KD*other"
    for text in (f"{first}\n{second}", f"{second}\n{first}"):
        model = model_of(f"{text}\nd/dt(x) = KL*x*central^2")
        assert model.structure.driver is None


def test_growth_needs_no_drug():
    text = "d/dt(x) = KL*x*exp(-LAMBDA*t)\nd/dt(y) = R*exp(-B*t)"
    structure = model_of(text).structure
    assert structure.driver is None
    assert [one.is_relative for one in structure.growth] == [True, False]
    assert structure.is_closed

"""Known bodies are recognised, however they are written, and strange ones are not."""

import jax.numpy as jnp
import pytest

from vtrial.model.grammar import parse_model
from vtrial.model.sheet import load_model
from vtrial.model.structure import analyse


def shape(text):
    return analyse(parse_model(text), ()).compartments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("d/dt(c) = -CL/V*c", "one compartment"),
        ("k = CL/V\nd/dt(c) = -k*c", "one compartment"),
        ("d/dt(d) = -KA*d\nd/dt(c) = KA*d - K*c", "one compartment, first-order"),
        ("d/dt(c) = KA*d - K*c\nd/dt(d) = -KA*d", "one compartment, first-order"),
        (
            "d/dt(c) = -(CL + Q)/V*c + Q/V2*p\nd/dt(p) = Q*(c/V - p/V2)",
            "two compartments",
        ),
        (
            "cc = c/V\ncp = p/V2\nd/dt(c) = -CL*cc - Q*(cc - cp)\n"
            "d/dt(p) = Q*(cc - cp)",
            "two compartments",
        ),
        (
            "d/dt(d) = -KA*d\nd/dt(c) = KA*d - (K + K12 + K13)*c + K21*p + K31*q\n"
            "d/dt(p) = K12*c - K21*p\nd/dt(q) = K13*c - K31*q",
            "three compartments, first-order",
        ),
        ("d/dt(c) = -K*c\nd/dt(anc) = K - anc*c", "one compartment"),
    ],
)
def test_known_shapes(text, words):
    found = shape(text)
    assert found is not None
    assert found.words.startswith(words)


@pytest.mark.parametrize(
    "text",
    [
        "d/dt(c) = R - K*c",
        "d/dt(a) = -K*a\nd/dt(b) = K*a - K*b\nd/dt(c) = K*b - K*c",
        "d/dt(c) = -K*c\nd/dt(d) = -K*d",
        "d/dt(c) = -K*c + K31*q\nd/dt(p) = K12*c - K21*p\nd/dt(q) = K21*p - K31*q",
        "d/dt(d) = -KA*d\nd/dt(c) = F*KA*d - K*c",
        "d/dt(c) = -VM*c/(KM + c)",
        "y = 1",
    ],
)
def test_strange_shapes_are_left_to_the_matrix(text):
    assert shape(text) is None


def test_rates_of_a_library_model():
    model = load_model("two-compartment-oral")
    individual = model.individual(
        {k: jnp.asarray(v) for k, v in model.typical().items()}
    )
    rates = model.compartment_rates(individual)
    assert float(rates["absorption"]) == pytest.approx(1.0)
    assert float(rates["elimination"]) == pytest.approx(5 / 20)
    assert float(rates["outward"][0]) == pytest.approx(8 / 20)
    assert float(rates["inward"][0]) == pytest.approx(8 / 30)
    assert load_model("docetaxel-neutropenia").structure.compartments is not None
    drives = load_model("docetaxel-neutropenia-ozawa").structure
    assert drives.driver is not None
    assert drives.driver.words == "three compartments"
    assert not drives.is_closed

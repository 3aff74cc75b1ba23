"""The design in words."""

from dataclasses import replace

import pytest

from tests.altered import altered
from vtrial.dosing.words import parse_regimen
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.registry import MADE_OF_OTHERS, kinds
from vtrial.model.tree import Number
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.design import Allocation
from vtrial.protocol.protocol import Arm
from vtrial.report.design import (
    allocation_in_words,
    arms_in_words,
    comparison_in_words,
    design_lines,
    endpoint_in_words,
)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (
            Endpoint("a", "anc", "value", 336.0, 336.0),
            "last value of anc at day 14; of measured values",
        ),
        (
            Endpoint("a", "anc", "percent change", 0.0, 2016.0, baseline=-24.0),
            "per-cent change of anc from baseline, from day 0 to day 84 "
            "(baseline: last value up to -24 h); of measured values",
        ),
        (
            Endpoint("a", "conc", "area", 0.0, 24.0, values="true"),
            "area under conc from 0 h to 24 h; of true values, without residual error",
        ),
        (
            Endpoint("a", "anc", "time below", 0.0, 504.0, high=0.5),
            "time with anc below 0.5 × 10⁹/L, from day 0 to day 21; of measured values",
        ),
        (
            Endpoint("a", "conc", "time in range", 0.0, 24.0, low=1.0, high=2.5),
            "time with conc from 1\u202fµmol/L to 2.5\u202fµmol/L, from 0 h to 24 h; "
            "of measured values",
        ),
        (
            Endpoint("a", "anc", "time to", 0.0, float("inf"), high=0.5),
            "time until anc is at or below 0.5 × 10⁹/L, at any time; "
            "of measured values",
        ),
        (
            Endpoint("a", "conc", "maximum", 0.0, 24.0, above=3.0, visits=("p", "q")),
            "share of subjects with highest conc from 0 h to 24 h, "
            "above 3\u202fµmol/L; of measured values at visits p and q",
        ),
    ],
)
def test_endpoints_in_words(protocol, endpoint, words):
    assert endpoint_in_words(protocol, endpoint).replace("−", "-") == words


def test_allocation_in_words(protocol):
    weighted = altered(protocol, allocation=Allocation((2, 1, 1)))
    assert allocation_in_words(weighted).startswith("2:1:1 to 60 mg/m², 75 mg/m²")
    assert allocation_in_words(weighted).endswith("; simple randomisation")
    strata = Allocation((1, 1, 1), "stratified", 6, ("FEMALE", "ECOG1"))
    words = allocation_in_words(altered(protocol, allocation=strata))
    assert words.endswith("permuted blocks of 6 within strata of FEMALE and ECOG1")


def test_arms_say_their_regimen(protocol):
    regimen = parse_regimen("60 mg over 1 h every 21 d x 6", model=protocol.model)
    arms = (Arm("a", "A", regimen), Arm("b"))
    told = arms_in_words(altered(protocol, arms=arms, allocation=Allocation((1, 1))))
    assert told[0].treatment == regimen.words
    assert "60 mg" in told[0].treatment
    assert told[1].treatment == "no dose"


def test_comparisons_in_words(protocol):
    comparison = Comparison(
        "c", "d100", "d60", "nadir", "difference of means", ("baseline",), 0.9
    )
    assert comparison_in_words(protocol, comparison) == (
        "100 mg/m² with 60 mg/m² on ANC nadir: difference of means, "
        "adjusted for baseline, 90\u202f% interval"
    )


def test_design_says_what_is_certain(protocol):
    fixed = replace(
        protocol, uncertainty=False, potential="all", occasions=(0.0, 504.0)
    )
    lines = {line.name: line.words for line in design_lines(fixed)}
    assert "published values in every replicate" in lines["Population"]
    assert "every arm, with the same random numbers" in lines["Simulated"]
    assert lines["Occasions"] == "new random effects at day 0 and 21"
    assert lines["Seed"] == "2006"


@pytest.mark.parametrize("take", [*kinds(), *(kind.word for kind in MADE_OF_OTHERS)])
def test_every_endpoint_has_words(protocol, take):
    """Whatever is taken; a sheet that runs has a page."""
    endpoint = Endpoint("x", "anc", take, 0.0, 504.0, low=0.5, unit="1")
    if take == "equals":
        endpoint = replace(endpoint, of="", equals=Number(2.0))
    words = endpoint_in_words(protocol, endpoint)
    assert words
    assert "{" not in words
    graded = replace(endpoint, grades=(2.0, 1.0), above=1.5, confirmed=24.0)
    assert "grade" in endpoint_in_words(protocol, graded)

"""The page on dosing is true: its examples give what it says, and refuse the rest."""

import re
from pathlib import Path

import jax.numpy as jnp
import pytest

from vtrial.dosing.expansion import expand
from vtrial.dosing.table import read_events
from vtrial.dosing.words import parse_regimen
from vtrial.errors import DataError, DosingError
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model

PAGE = (Path(__file__).parents[2] / "docs" / "dosing.md").read_text()
WORDS, REST = PAGE.split("### What is refused")
REFUSED, EVENTS = REST.split("## Event tables")
HEADER = re.findall(r"`(ID,[A-Z,]+)`", EVENTS)[-1]
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.M)
EQUATIONS = """
d/dt(depot) = -depot
d/dt(central) = depot - central
rate(central) = 3
duration(central) = 2
"""
MODEL = Model(
    "pill",
    parse_model(EQUATIONS),
    covariates=(Covariate("WT", "kg"),),
    molar_mass=200.0,
)
KNOWN = ("BSA", "DOSE", "FEMALE")
WHO = {"WT": 70.0, "BSA": 1.8, "DOSE": 320.0, "FEMALE": 1.0}


def said(text):
    """Write the doses of the page's subject as the page does."""
    regimen = parse_regimen(text, model=MODEL, known=KNOWN)
    doses = expand(regimen, {name: jnp.array([x]) for name, x in WHO.items()})
    columns = [doses.time, doses.amount, doses.compartment, doses.rate]
    columns += [doses.steady, doses.interval]
    rows = list(zip(*(column[0].tolist() for column in columns), strict=True))
    shown = ", ".join(_dose(*row) for row in rows[:4])
    return shown + (f", ... {len(rows)} doses" if len(rows) > 4 else "")


def _dose(time, amount, compartment, rate, steady, interval):
    words = [f"{time:g} h: {amount:g}"]
    words += ["into central"] if compartment else []
    words += [f"at {rate:g} mg/h"] if rate > 0 else []
    words += [{-1.0: "RATE -1", -2.0: "RATE -2"}[rate]] if rate < 0 else []
    words += [f"SS {steady}, II {interval:g} h"] if steady else []
    return " ".join(words)


@pytest.mark.parametrize(("text", "doses"), ROW.findall(WORDS))
def test_words_of_the_page(text, doses):
    assert said(text) == doses


@pytest.mark.parametrize(("text", "answer"), ROW.findall(REFUSED))
def test_refusals_of_the_page(text, answer):
    with pytest.raises(DosingError) as caught:
        parse_regimen(text, model=MODEL, known=KNOWN)
    assert str(caught.value) == answer


@pytest.mark.parametrize(("row", "answer"), ROW.findall(EVENTS))
def test_rows_that_do_not_pass(row, answer, tmp_path):
    (tmp_path / "events.csv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(DataError) as caught:
        read_events(tmp_path / "events.csv", states=MODEL.states, covariates=("WT",))
    (fault,) = caught.value.faults
    assert str(fault._replace(source="", line=0)) == answer


def test_the_page_has_examples():
    assert len(ROW.findall(EVENTS)) > 8
    assert len(ROW.findall(WORDS)) > 30
    assert len(ROW.findall(REFUSED)) > 5

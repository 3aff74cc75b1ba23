"""rpact's words for designs, and ours."""

import ast
import csv
import gzip
import io
import re
from pathlib import Path

import numpy as np

from vtrial.design.sequential import GroupSequential

TABLES = Path(__file__).parents[2] / "reference" / "trial_stats"
WORDS = {
    "OF": ("O'Brien-Fleming", None),
    "P": ("Pocock", None),
    "WT": ("Wang-Tsiatis", "deltaWT"),
    "HP": ("Haybittle-Peto", "constantBoundsHP"),
    "PT": ("Pampallona-Tsiatis", "deltaPT1"),
    "noEarlyEfficacy": ("none", None),
    "asOF": ("O'Brien-Fleming spending", None),
    "asP": ("Pocock spending", None),
    "asHSD": ("Hwang-Shih-DeCani", "gammaA"),
    "asKD": ("Kim-DeMets", "gammaA"),
    "asUser": ("user spending", "userAlphaSpending"),
    "bsOF": ("O'Brien-Fleming spending", None),
    "bsP": ("Pocock spending", None),
    "bsHSD": ("Hwang-Shih-DeCani", "gammaB"),
    "bsKD": ("Kim-DeMets", "gammaB"),
    "bsUser": ("user spending", "userBetaSpending"),
}


def table(name):
    """Read a compressed table below its line of provenance."""
    with gzip.open(TABLES / name, "rt") as file:
        file.readline()
        return list(csv.DictReader(io.StringIO(file.read())))


def values(text):
    """Return what a table expects as numbers; true is 1, null is NaN."""
    for word, number in (("null", "nan"), ("true", "1"), ("false", "0")):
        text = text.replace(word, number)
    return np.array([float(x) for x in text.strip("[]").split(",")])


def arguments(call):
    """Return the named arguments of a call in R; the design that comes first as it."""
    text = re.sub(r"\bc\(", "_(", call)
    text = text.replace("TRUE", "True").replace("FALSE", "False")
    tree = ast.parse(text, mode="eval").body
    found = {k.arg: _value(k.value) for k in tree.keywords}
    if tree.args:
        found["design"] = tree.args[0].id
    return found


def _value(node):
    """Return a number, a word or a vector of R."""
    if isinstance(node, ast.Call):
        parts = [_value(part) for part in node.args]
        return parts if node.func.id == "_" else [parts[0]] * parts[1]
    return ast.literal_eval(node)


def design(call):
    """Return our plan of a call of getDesign..."""
    given = arguments(call)
    family = given.get("typeOfDesign", "OF")
    beta = given.get("typeBetaSpending", "none")
    z = given.get("futilityBounds")
    looks = given.get("kMax")
    looks = looks or (len(z) + 1 if z else 3)
    for key in ("userAlphaSpending", "informationRates"):
        looks = len(given.get(key, [0] * looks))
    word, name = WORDS[family]
    futility, other = WORDS[beta] if beta != "none" else ("none", None)
    parameter = given.get(other) if other else None
    if z is not None:
        futility, parameter = "z", z
    if family == "PT":
        futility, parameter = word, given["deltaPT0"]
    return GroupSequential(
        tuple(given.get("informationRates", np.arange(1, looks + 1) / looks)),
        alpha=given.get("alpha", 0.025),
        beta=given.get("beta", 0.2),
        sides=given.get("sided", 1),
        efficacy=word,
        efficacy_parameter=_flat(given.get(name) if name else None),
        futility=futility,
        futility_parameter=_flat(parameter),
        binding=given.get("bindingFutility", False),
        both_tails=given.get("twoSidedPower", False),
    )


def _flat(value):
    """Return a parameter as the plan takes it."""
    return tuple(value) if isinstance(value, list) else value

"""Calls of rpact's planning functions, with our laws and entries for R's words."""

import re

import numpy as np

from vtrial.design.sequential import (
    GroupSequential,
    Hazard,
    LogRank,
    Recruitment,
    Survival,
    dropout_of,
    hazard_of,
)

WT = "Wang-Tsiatis"
METHODS = {"HsiehFreedman": "Hsieh-Freedman"}
EFFECTS_SIZED, EFFECTS_POWERED = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4, 0.5)  # rpact's


def evaluate(text, names):
    """Return the named arguments of a call in R, the unnamed design as `design`."""
    text = text.replace("TRUE", "True").replace("FALSE", "False").replace("^", "**")
    text = re.sub(r"\bc\(", "vector(", text)
    text = re.sub(r"\blambda =", "pooled =", text)
    text = re.sub(r'("[^"]*")\s*=\s*([0-9.]+)', r"(\1, \2)", text)
    text = re.sub(r"(?<!= )\b(designGS\d\w*)", r"design = \1", text)
    start = text.index("(")
    words = {
        "vector": lambda *x: list(x),
        "list": lambda *x: list(x),
        "seq": lambda a, b, by: list(np.arange(a, b + by / 2, by)),
        "log": np.log,
        "getLambdaByMedian": lambda median, kappa: np.log(2) ** (1 / kappa) / median,
        "getDesignGroupSequential": lambda kMax, **given: GroupSequential(
            tuple(np.arange(1, kMax + 1) / kMax)
        ),
        "numeric": float,
        **names,
    }
    return eval("dict" + text[start:], {"dict": dict, **words})


def pieces(value):
    """Return (starts, rates, end or None) of a list of R's pieces of time."""
    starts = [0.0]
    end = None
    for label, _ in value:
        low = re.match(r"\s*(?:>=|<)?\s*([0-9.]+)", label)
        high = re.search(r"-\s*<=?\s*([0-9.]+)", label)
        if (
            label.lstrip().startswith(">=")
            or high is None
            and not label.lstrip().startswith("<")
            or float(low.group(1)) > 0
            and not label.lstrip().startswith("<")
        ):
            starts.append(float(low.group(1)))
        end = float(high.group(1)) if high else None
    return tuple(dict.fromkeys(starts)), tuple(rate for _, rate in value), end


def numbers(value):
    """Return a value of R as a list of numbers."""
    return [float(x) for x in np.atleast_1d(value)]


def laws(given):
    """Return pairs of laws of the arms (first, second), one for each effect."""
    kappa = float(given.get("kappa", 1))
    time = given.get("eventTime", 12)
    starts = (0.0,)
    if "piecewiseSurvivalTime" in given:
        steps = given["piecewiseSurvivalTime"]
        if isinstance(steps[0], tuple):
            starts, rates, _ = pieces(steps)
        else:
            starts, rates = tuple(numbers(steps)), tuple(numbers(given["lambda2"]))
        second = Hazard(rates, starts)
    elif "lambda2" in given:
        second = Hazard((float(given["lambda2"]),), shape=kappa)
    else:
        second = hazard_of(given.get("pi2", 0.2), time, shape=kappa)
    if "hazardRatio" in given:
        firsts = [second.times(ratio) for ratio in numbers(given["hazardRatio"])]
    elif "lambda1" in given and len(starts) > 1:
        firsts = [Hazard(tuple(numbers(given["lambda1"])), starts)]
    elif "lambda1" in given:
        firsts = [Hazard((rate,), shape=kappa) for rate in numbers(given["lambda1"])]
    else:
        usual = EFFECTS_POWERED if "maxNumberOfEvents" in given else EFFECTS_SIZED
        effects = numbers(given.get("pi1", usual))
        firsts = [hazard_of(pi, time, shape=kappa) for pi in effects]
    out = given.get("dropoutTime", 12)
    leave = [dropout_of(given.get(f"dropoutRate{arm}", 0), out) for arm in (1, 2)]
    second = second.leaving(leave[1])
    return [(first.leaving(leave[0]), second) for first in firsts]


def recruitment(given):
    """Return (entry, whether its rates are absolute, whether its end is open)."""
    when = given.get("accrualTime", [0, 12])
    rates = given.get("accrualIntensity")
    if isinstance(when, list) and isinstance(when[0], tuple):
        starts, rates, end = pieces(when)
        closed = end is not None
        return Recruitment(rates, starts, end or starts[-1] + 1), True, not closed
    when = numbers(when)
    if len(when) == 1:
        when = [0.0, *when] if when[0] > 0 else when
    if rates is None:
        return Recruitment((1.0,), (0.0,), when[-1]), False, False
    rates = numbers(rates)
    absolute = any(rate >= 1 for rate in rates)
    if len(when) == len(rates):
        return Recruitment(tuple(rates), tuple(when), when[-1] + 1), absolute, True
    return Recruitment(tuple(rates), tuple(when[:-1]), when[-1]), absolute, False


def survivals(given, ratio):
    """Return trials of times to events, one for each effect."""
    entry, _, _ = recruitment(given)
    method = given.get("typeOfComputation", "Schoenfeld")
    made = []
    for first, second in laws(given):
        hazard_ratio = (first.rates[0] / second.rates[0]) ** first.shape
        test = LogRank(
            hazard_ratio,
            float(given.get("thetaH0", 1.0)),
            ratio,
            METHODS.get(method, method),
        )
        made.append(Survival(first, second, entry, test))
    return made

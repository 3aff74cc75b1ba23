"""Designs by the posterior probability of toxicity intervals: TPI, mTPI, mTPI-2."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from vtrial.design.escalation import interval
from vtrial.design.escalation.interval import Move
from vtrial.design.escalation.kind import Data, Kind
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import level, positive, probability, whole


def below(
    limit: np.ndarray | float, treated: np.ndarray, toxic: np.ndarray, prior: float
) -> np.ndarray:
    """Return the posterior probability of a rate up to a limit."""
    inside = np.clip(limit, 0.0, 1.0)
    return special.betainc(toxic + prior, treated - toxic + prior, inside)


def _best(up: np.ndarray, stay: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return the move whose number is largest; of equal ones the more careful."""
    ranked = np.stack([down, stay, up])
    return np.argmax(ranked, axis=0) - 1


def _by_deviations(method: Method) -> Move:
    """Compare probabilities of intervals of so many posterior standard deviations."""
    target, prior = method["target"], method["prior"]

    def move(treated: np.ndarray, toxic: np.ndarray) -> np.ndarray:
        size, mean = treated + 2 * prior, (toxic + prior) / (treated + 2 * prior)
        deviation = np.sqrt(mean * (1 - mean) / (size + 1))
        low = below(target - method["below"] * deviation, treated, toxic, prior)
        high = below(target + method["above"] * deviation, treated, toxic, prior)
        return _best(low, high - low, 1 - high)

    return move


def _by_unit_mass(method: Method) -> Move:
    """Compare probabilities of the three intervals, each by its length."""
    low, high = _interval(method)

    def move(treated: np.ndarray, toxic: np.ndarray) -> np.ndarray:
        under, up_to = (below(limit, treated, toxic, 1.0) for limit in (low, high))
        masses = under / low, (up_to - under) / (high - low), (1 - up_to) / (1 - high)
        return _best(*masses)

    return move


def _by_equal_lengths(method: Method) -> Move:
    """Compare the unit masses of intervals as long as the one around the target."""
    low, high = _interval(method)
    width = high - low
    limits = np.concatenate(
        [
            [0.0],
            low - width * np.arange(np.ceil(low / width) - 1, -1, -1),
            high + width * np.arange(0, np.ceil((1 - high) / width)),
            [1.0],
        ]
    )
    limits = limits[np.concatenate([[True], np.diff(limits) > 1e-9])]

    def move(treated: np.ndarray, toxic: np.ndarray) -> np.ndarray:
        upto = below(limits, treated[..., None], toxic[..., None], 1.0)
        mass = np.diff(upto, axis=-1) / np.diff(limits)
        lower, upper = limits[1:] <= low + 1e-9, limits[:-1] >= high - 1e-9
        parts = (lower, ~lower & ~upper, upper)
        return _best(*(mass[..., part].max(axis=-1) for part in parts))

    return move


def _interval(method: Method) -> tuple[float, float]:
    """Return the limits of the interval around the target."""
    return method["target"] - method["below"], method["target"] + method["above"]


def interval_conflict(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find an interval that leaves the probabilities."""
    target, under, over = (options[name] for name in ("target", "below", "above"))
    if not under < target:
        return "below", f"{under:g}", f"less than the target, {target:g}"
    if not over < 1 - target:
        return "above", f"{over:g}", f"less than {1 - target:g}, 1 minus the target"
    return None


def _preparing(rule: Any, prior: Any) -> Any:
    def prepare(method: Method, most: int) -> Data:
        return interval.tables(
            rule(method),
            most,
            target=method["target"],
            eliminate=method["eliminate"],
            least=int(method["least"]),
            prior=prior(method),
        )

    return prepare


_SAFETY = {"eliminate": level(0.95), "least": whole(1, 1)}
_AROUND = {
    "target": probability(None, "0.3"),
    "below": positive(0.05),
    "above": positive(0.05),
}

KINDS = (
    Kind(
        word="TPI",
        place=20,
        says="compares the posterior probabilities of too low, right and too high",
        sentence=(
            "TPI with target {target}, right from {below} posterior standard "
            "deviations below it to {above} above"
        ),
        options={
            "target": probability(None, "0.25"),
            "above": positive(1.0),
            "below": positive(1.5),
            "prior": positive(0.005),
            **_SAFETY,
        },
        prepare=_preparing(_by_deviations, lambda method: method["prior"]),
        decide=interval.decide,
        select=interval.select,
        sources=("Ji Y, Li Y, Bekele BN (2007) Clin Trials 4:235-244",),
    ),
    Kind(
        word="mTPI",
        place=30,
        says="compares the unit probability masses of too low, right and too high",
        sentence=(
            "mTPI with target {target}, right from {below} below it to {above} above"
        ),
        options=_AROUND | _SAFETY,
        conflict=interval_conflict,
        prepare=_preparing(_by_unit_mass, lambda method: 1.0),
        decide=interval.decide,
        select=interval.select,
        sources=("Ji Y, Liu P, Li Y, Bekele BN (2010) Clin Trials 7:653-663",),
    ),
    Kind(
        word="mTPI-2",
        place=40,
        says="the same with intervals of equal lengths, which favours none",
        sentence=(
            "mTPI-2 with target {target}, right from {below} below it to {above} above"
        ),
        options=_AROUND | _SAFETY,
        conflict=interval_conflict,
        prepare=_preparing(_by_equal_lengths, lambda method: 1.0),
        decide=interval.decide,
        select=interval.select,
        sources=(
            "Guo W, Wang SJ, Yang S, Lynn H, Ji Y (2017) Contemp Clin Trials 58:23-33",
        ),
    ),
)

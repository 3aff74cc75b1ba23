"""The size that a plan needs for its power, and the power that a size gives.

References
----------
Jennison C, Turnbull BW (2000) Group Sequential Methods, chapter 3.
Wassmer G, Brannath W (2016) Group Sequential and Confirmatory Adaptive Designs in
Clinical Trials, chapter 5.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from vtrial.design.sequential.boundary import Boundaries, boundaries
from vtrial.design.sequential.characteristic import (
    Characteristics,
    characteristics,
    mean_information,
)
from vtrial.design.sequential.given import Array
from vtrial.design.sequential.plan import GroupSequential


@runtime_checkable
class Outcome(Protocol):
    """What is compared: knows fixed sizes, drifts and effects at bounds."""

    @property
    def allocation(self) -> float:
        """Size of the first arm over that of the second."""
        ...

    @property
    def up(self) -> bool:
        """Whether the effect is above that of the hypothesis."""
        ...

    def fixed_size(self, alpha: float, power: float, sides: int = 1) -> float:
        """Return the size of one look that has a power."""
        ...

    def drift(self, size: float, alpha: float, sides: int = 1) -> float:
        """Return the mean of Z at a size."""
        ...

    def at_bound(self, z: Array, size: Array) -> Array:
        """Return the effect at which the statistic is on a bound."""
        ...


@dataclass(frozen=True)
class Size:
    """How large a trial must be.

    Parameters
    ----------
    total
        Largest number of subjects, not rounded.
    fixed
        That of one look.
    looks
        Number of subjects at each look.
    mean_h0, mean_h01, mean_h1
        Mean number under no effect, half of the drift and all of it.
    upper_effect, lower_effect
        The bounds as effects at each look: of efficacy, and of futility or, of two
        sides, of efficacy on the other side. NaN where there is none.
    """

    total: float
    fixed: float
    looks: Array
    mean_h0: float
    mean_h01: float
    mean_h1: float
    characteristics: Characteristics
    boundaries: Boundaries
    upper_effect: Array
    lower_effect: Array


@dataclass(frozen=True)
class Power:
    """What a trial of a given size reaches.

    Parameters
    ----------
    overall
        Probability to reject.
    rejection, futility
        Probabilities to reject, and to stop for futility, at each look.
    early
        Probability to stop before the last look.
    mean
        Mean number of subjects.
    looks, upper_effect, lower_effect
        As of a size.
    """

    overall: float
    rejection: Array
    futility: Array
    early: float
    mean: float
    drift: float
    looks: Array
    upper_effect: Array
    lower_effect: Array


def size(outcome: Outcome, design: GroupSequential) -> Size:
    """Return the size with which a plan has its power.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential, Means
    >>> plan = GroupSequential((1.0,), alpha=0.05, beta=0.1, sides=2)
    >>> print(round(size(Means(effect=0.5, student=False), plan).total, 2))
    168.12
    """
    bounds = boundaries(design)
    found = characteristics(design, bounds)
    fixed = outcome.fixed_size(design.total_alpha, 1 - design.beta, design.sides)
    total = fixed * found.inflation
    looks = total * bounds.information
    upper, lower = _effects(outcome, bounds, looks)
    return Size(
        total=total,
        fixed=fixed,
        looks=looks,
        mean_h0=fixed * found.mean_h0,
        mean_h01=fixed * found.mean_h01,
        mean_h1=fixed * found.mean_h1,
        characteristics=found,
        boundaries=bounds,
        upper_effect=upper,
        lower_effect=lower,
    )


def power(
    outcome: Outcome,
    design: GroupSequential,
    total: float | int,
    *,
    bounds: Boundaries | None = None,
    up: bool = True,
) -> Power:
    """Return what a plan reaches with a largest number of subjects.

    Parameters
    ----------
    up
        Whether a test of one side is for effects above the hypothesis.
    """
    bounds = boundaries(design) if bounds is None else bounds
    drift = outcome.drift(total, design.total_alpha, design.sides)
    if design.sides == 2:
        drift = abs(drift)
    elif not up:
        drift = -drift
    rejection, futility = bounds.rejection(drift), bounds.futility(drift)
    if design.sides == 2:
        found = bounds.crossing(drift)
        rejection = found.upper + found.lower
    looks = total * bounds.information / bounds.information[-1]
    upper, lower = _effects(outcome, bounds, looks, up=up)
    return Power(
        overall=float(rejection.sum()),
        rejection=rejection,
        futility=futility,
        early=float(rejection[:-1].sum() + futility[:-1].sum()),
        mean=float(mean_information(bounds, drift)) * total,
        drift=drift,
        looks=looks,
        upper_effect=upper,
        lower_effect=lower,
    )


def _effects(
    outcome: Outcome, bounds: Boundaries, looks: Array, *, up: bool | None = None
) -> tuple[Array, Array]:
    """Return the bounds as effects; NaN where a look has none."""
    up = outcome.up if up is None else up
    sign = 1.0 if up or bounds.sides == 2 else -1.0
    made = []
    for z in (bounds.upper, bounds.lower):
        known = np.isfinite(z)
        effect = outcome.at_bound(sign * np.where(known, z, 0.0), looks)
        made.append(np.where(known, effect, np.nan))
    return made[0], made[1]

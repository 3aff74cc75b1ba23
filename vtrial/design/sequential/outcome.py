"""What is compared between arms, as far as a size asks: means and proportions.

An outcome says how large a trial of one look must be, which mean of Z a size gives, and
where a bound on Z lies on the scale of the effect. Sizes are of both arms together;
with arms in the ratio r the first has r / (1 + r) of them.

References
----------
Farrington CP, Manning G (1990) Stat Med 9:1447-1454 (proportions).
Kieser M, Hauschke D (1999) J Biopharm Stat 9:641-650 (ratio of means).
Wassmer G, Brannath W (2016) Group Sequential and Confirmatory Adaptive Designs in
Clinical Trials, section 5.2 (Student's test in group sequential plans).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import nctdtr, ndtr, ndtri, stdtr, stdtrit

from vtrial.design.sequential.given import Array
from vtrial.design.sequential.root import root
from vtrial.errors import ProtocolError

Scale = Literal["difference", "ratio"]
_TINY = 1e-12


def _refuse(at: str, found: object, allowed: str) -> None:
    """Raise what is wrong with an outcome."""
    raise ProtocolError(at=at, found=str(found), allowed=allowed, write="")


@dataclass(frozen=True)
class Means:
    """Means of one arm or two.

    Parameters
    ----------
    effect
        Mean of one arm, or difference or ratio of two, that the trial is sized for.
    sd
        Standard deviation in each arm; for a ratio, over the mean of the second arm.
    null
        Effect of the hypothesis.
    arms
        1 or 2.
    ratio
        Size of the first arm over that of the second; None for the best.
    scale
        `difference` or `ratio` of the means.
    student
        Whether the variance is estimated (Student's t) or known.
    """

    effect: float | int
    sd: float | int = 1.0
    null: float | int = 0.0
    arms: int = 2
    ratio: float | int | None = 1.0
    scale: Scale = "difference"
    student: bool = True

    def __post_init__(self) -> None:
        """Refuse an outcome that cannot be sized."""
        if self.sd <= 0:
            _refuse("sd", self.sd, "above 0")
        if self.arms not in (1, 2):
            _refuse("arms", self.arms, "1 or 2")

    @property
    def allocation(self) -> float:
        """Size of the first arm over that of the second."""
        if self.ratio is not None:
            return self.ratio
        return 1.0 if self.scale == "difference" else 1.0 / self.null

    @property
    def up(self) -> bool:
        """Whether the effect is above that of the hypothesis."""
        return self.effect > self.null

    @property
    def spread(self) -> float:
        """Standard deviation of the estimate in a trial of one subject."""
        if self.arms == 1:
            return self.sd
        r = self.allocation
        weight = self.null**2 if self.scale == "ratio" else 1.0
        return self.sd * float(np.sqrt((1 + r) / r + weight * (1 + r)))

    def fixed_power(self, size: float, alpha: float, sides: int = 1) -> float:
        """Return the power of one look."""
        mean = abs(self.effect - self.null) * np.sqrt(size) / self.spread
        if not self.student:
            return float(ndtr(mean + ndtri(alpha / sides)))
        freedom = size - self.arms
        bound = stdtrit(freedom, 1 - alpha / sides)
        return float(1 - nctdtr(freedom, mean, bound))

    def fixed_size(self, alpha: float, power: float, sides: int = 1) -> float:
        """Return the size of one look that has a power."""
        if self.effect == self.null:
            _refuse("effect", self.effect, f"another effect than {self.null:g}")
        z = ndtri(power) - ndtri(alpha / sides)
        known = float((z * self.spread / (self.effect - self.null)) ** 2)
        if not self.student:
            return known

        def missing(size: float) -> float:
            return self.fixed_power(size, alpha, sides) - power

        low = self.arms + 1e-3
        high = known + 10.0
        while missing(high) < 0:
            high *= 2
        return float(root(missing, low, high, xtol=1e-10, rtol=1e-14))

    def drift(self, size: float, alpha: float, sides: int = 1) -> float:
        """Return the mean of Z at a size; below zero against the wanted direction.

        Of Student's test it is that with which a normal test has the same power.
        """
        if not self.student:
            return (self.effect - self.null) * float(np.sqrt(size)) / self.spread
        power = self.fixed_power(size, alpha, sides)
        mean = float(ndtri(power) - ndtri(alpha / sides))
        return mean if self.up else -mean

    def at_bound(self, z: Array, size: Array) -> Array:
        """Return the effect at which the statistic is on a bound."""
        if self.student:
            freedom = np.maximum(size - self.arms, _TINY)
            upper = stdtrit(freedom, ndtr(np.abs(z)))
            z = np.sign(z) * upper
        return self.null + z * self.spread / np.sqrt(size)


@dataclass(frozen=True)
class Rates:
    """Proportions of one arm or two, compared by the score test.

    Parameters
    ----------
    first, second
        Proportions that the trial is sized for; the second only of two arms.
    null
        Proportion, difference or ratio of the hypothesis; differs from none by zero
        for a difference, by not being one for a ratio.
    arms, ratio, scale
        As of means. The variance under the hypothesis is at its restricted estimate.
    """

    first: float | int
    second: float | int = np.nan
    null: float | int = 0.0
    arms: int = 2
    ratio: float | int | None = 1.0
    scale: Scale = "difference"

    def __post_init__(self) -> None:
        """Refuse an outcome that cannot be sized."""
        for at, value in (("first", self.first), ("second", self.second)):
            if (self.arms == 2 or at == "first") and not 0 <= value <= 1:
                _refuse(at, value, "a proportion, from 0 to 1")

    @property
    def effect(self) -> float:
        """Proportion, difference or ratio that the trial is sized for."""
        if self.arms == 1:
            return self.first
        if self.scale == "ratio":
            return self.first / self.second
        return self.first - self.second

    @property
    def up(self) -> bool:
        """Whether the effect is above that of the hypothesis."""
        return self.effect > self.null

    @property
    def allocation(self) -> float:
        """Size of the first arm over that of the second."""
        if self.ratio is not None:
            return self.ratio

        def size(log_ratio: float) -> float:
            r = float(np.exp(log_ratio))
            return self._with(r).fixed_size(0.025, 0.8)

        found: Any = minimize_scalar(size, bounds=(-4, 4), method="bounded")
        return float(np.exp(found.x))

    def _with(self, ratio: float) -> "Rates":
        """Return the same outcome at another ratio."""
        return Rates(self.first, self.second, self.null, self.arms, ratio, self.scale)

    def _parts(self) -> tuple[float, float, float]:
        """Return the distance from the hypothesis and the spreads under both."""
        gap, null, other = _score_parts(self, np.asarray(self.first), self.allocation)
        return float(gap), float(null), float(other)

    def fixed_size(self, alpha: float, power: float, sides: int = 1) -> float:
        """Return the size of one look that has a power."""
        gap, null, other = self._parts()
        if gap == 0:
            _refuse("effect", self.effect, f"another effect than {self.null:g}")
        z = -ndtri(alpha / sides) * null + ndtri(power) * other
        return float((z / gap) ** 2)

    def drift(self, size: float, alpha: float, sides: int = 1) -> float:
        """Return the mean of Z at a size, with which one look has the same power."""
        gap, null, other = self._parts()
        bound = -float(ndtri(alpha / sides))
        sign = 1.0 if gap >= 0 else -1.0
        reached = abs(gap) * float(np.sqrt(size)) - bound * null
        return sign * (bound + reached / other)

    def at_bound(self, z: Array, size: Array) -> Array:
        """Return the effect at which the statistic is on a bound, NaN where none is.

        Of two arms, the proportion of the second is that of the plan.
        """
        if self.arms == 1:
            found = self.null + z * np.sqrt(self.null * (1 - self.null) / size)
            return np.where((found < 0) | (found > 1), np.nan, found)
        r = self.allocation

        def statistic(first: Array) -> Array:
            gap, null, _ = _score_parts(self, first, r)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.sqrt(size) * gap / null

        low, high = np.full(np.shape(z), _TINY), np.full(np.shape(z), 1 - _TINY)
        none = (statistic(low) > z) | (statistic(high) < z)
        for _ in range(60):
            middle = (low + high) / 2
            above = statistic(middle) > z
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        first = np.where(none, np.nan, (low + high) / 2)
        return first / self.second if self.scale == "ratio" else first - self.second


def _score_parts(
    outcome: Rates, first: Array, ratio: float
) -> tuple[Array, Array, Array]:
    """Return distance and spreads (hypothesis, alternative) of one subject's trial."""
    if outcome.arms == 1:
        zero = np.asarray(outcome.null)
        return (
            first - zero,
            np.sqrt(zero * (1 - zero)),
            np.sqrt(first * (1 - first)),
        )
    second = np.asarray(outcome.second)
    weight = 1.0 if outcome.scale == "difference" else outcome.null
    shift = outcome.null if outcome.scale == "difference" else 0.0
    restricted = restricted_rates(
        first, second, ratio=ratio, null=outcome.null, scale=outcome.scale
    )

    def spread(one: Array, two: Array) -> Array:
        share = (1 + ratio) * (one * (1 - one) / ratio + weight**2 * two * (1 - two))
        return np.sqrt(np.maximum(share, 0.0))

    gap = first - weight * second - shift
    return gap, spread(*restricted), spread(first, second)


def restricted_rates(
    first: Array | float,
    second: Array | float,
    *,
    ratio: float = 1.0,
    null: float | int = 0.0,
    scale: Scale = "difference",
) -> tuple[Array, Array]:
    """Return the most likely proportions of two arms that obey a hypothesis.

    References
    ----------
    Farrington CP, Manning G (1990) Stat Med 9:1447-1454, appendix.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    other = 1 / ratio
    a = 1 + other
    if scale == "ratio":
        b = -(null * (1 + other * second) + other + first)
        c = null * (first + other * second)
        one = (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0))) / (2 * a)
        return one, one / null
    if null == 0:
        pooled = (first + other * second) / a
        return pooled, pooled
    b = -(1 + other + first + other * second + null * (other + 2))
    c = null**2 + null * (2 * first + other + 1) + first + other * second
    d = -first * null * (1 + null)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + d / (2 * a)
    u = np.where(v >= 0, 1.0, -1.0) * np.sqrt(
        np.maximum(b**2 / (9 * a**2) - c / (3 * a), 1e-300)
    )
    angle = (np.pi + np.arccos(np.clip(v / u**3, -1, 1))) / 3
    one = np.clip(2 * u * np.cos(angle) - b / (3 * a), max(null, 0), min(1 + null, 1))
    return one, one - null


def student_level(z: Array, freedom: Array) -> Array:
    """Return the one-sided p-value of Student's statistic."""
    return stdtr(freedom, -z)

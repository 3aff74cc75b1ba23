"""The bounds of a group sequential test, as planned and as the looks really came.

Times count in shares of the planned information, so a drift is the mean of Z at full
information.

References
----------
Jennison C, Turnbull BW (2000) Group Sequential Methods, chapters 2 to 7.
Lan KKG, DeMets DL (1983) Biometrika 70:659-663.
Pampallona S, Tsiatis AA, Kim KM (2001) Drug Inf J 35:1113-1121 (spending of beta).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from vtrial.design.sequential.family import shaped
from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.plan import (
    NONE,
    ON_Z,
    SPENDERS,
    GroupSequential,
)
from vtrial.design.sequential.recursion import Crossing, crossing
from vtrial.design.sequential.root import root
from vtrial.design.sequential.spending import USER, spend
from vtrial.design.sequential.walk import WIDEST, walk


@dataclass(frozen=True)
class Boundaries:
    """The bounds of a group sequential test on Z, and what they spend.

    Parameters
    ----------
    information
        Shares of the planned information at the looks, (*replicate, look).
    upper
        The trial stops for efficacy at or above it; infinite where it cannot.
    lower
        One side: the trial stops for futility at or below it, minus infinite where it
        cannot. Two sides: minus `upper`.
    inner
        Two sides: the trial stops for futility where |Z| is below it; zero where it
        cannot, and everywhere in a test of one side.
    alpha_spent
        Type I error spent by each look, of both sides together.
    stage_levels
        One-sided level of each look's bound.
    drift
        Mean of Z at full information that the bounds of futility stand for; NaN where
        they do not depend on one.
    sides, binding, both_tails
        As in the plan.
    """

    information: Array
    upper: Array
    lower: Array
    inner: Array
    alpha_spent: Array
    stage_levels: Array
    drift: float
    sides: int
    binding: bool
    both_tails: bool

    def crossing(self, drift: ArrayLike = 0.0) -> Crossing:
        """Return what stops at each look, (*drift, *replicate, look).

        `drift` is the mean of Z at full information, of any shape.
        """
        return crossing(
            self.information, self.upper, self.lower, drift, inner=self.inner
        )

    def rejection(self, drift: ArrayLike = 0.0) -> Array:
        """Return the probability of each look to reject, (*drift, *replicate, look).

        Of two sides, that of the upper one, and of the lower one where it counts.
        """
        found = self.crossing(drift)
        if self.sides == 2 and self.both_tails:
            return found.upper + found.lower
        return found.upper

    def futility(self, drift: ArrayLike = 0.0) -> Array:
        """Return the probability of each look to stop for futility."""
        found = self.crossing(drift)
        return found.inner if self.sides == 2 else found.lower


def boundaries(design: GroupSequential) -> Boundaries:
    """Return the bounds of a plan.

    Raises
    ------
    ProtocolError
        If no bounds keep the errors of the plan.

    Examples
    --------
    >>> plan = GroupSequential((0.2, 0.4, 0.6, 0.8, 1.0), efficacy="Pocock", sides=2,
    ...                        alpha=0.05)
    >>> print(boundaries(plan).upper.round(3))
    [2.413 2.413 2.413 2.413 2.413]
    """
    return _planned(design)


@lru_cache(maxsize=256)
def _planned(design: GroupSequential) -> Boundaries:
    """Find the bounds of a plan, once."""
    information = np.asarray(design.information, float)
    if design.efficacy in SPENDERS:
        alpha = _alpha(design, information)
    elif design.futility in SPENDERS:
        upper, _, _, _ = shaped(_without_futility(design))
        alpha = _spent(design, information, upper)
    else:
        upper, lower, inner, drift = shaped(design)
        return _bounds(design, information, (upper, lower, inner), drift)
    if design.futility in SPENDERS:
        drift = _drift_of_futility(design, information, alpha)
        made = _walk(design, information, alpha, drift)
        upper, lower, inner = made
        if design.sides == 1:
            lower = np.append(lower[:-1], upper[-1])
        else:
            inner = np.append(inner[:-1], upper[-1])
        return _bounds(design, information, (upper, lower, inner), drift)
    made = _walk(design, information, alpha, 0.0)
    return _bounds(design, information, made, np.nan)


def boundaries_at(
    design: GroupSequential, information: ArrayLike, *, plan: Boundaries | None = None
) -> Boundaries:
    """Return the bounds at looks that came at other information than planned.

    Parameters
    ----------
    information
        Shares of the planned information at the looks, (*replicate, look), rising; may
        be above 1. The last look spends all that is left of alpha.
    plan
        Bounds of the plan, where they have been made before.

    Notes
    -----
    Alpha and beta are spent by the functions of the plan at the information that was
    reached. A family without such a function spends what its plan does at its looks,
    and between them on straight lines. Bounds of futility that the plan gives on Z stay
    with their looks.
    """
    plan = boundaries(design) if plan is None else plan
    information = np.asarray(information, float)
    planned = np.asarray(design.information, float)
    if design.efficacy in SPENDERS:
        alpha = _alpha(design, information)
    else:
        alpha = _between(information, planned, plan.alpha_spent)
    alpha = np.minimum(alpha, design.total_alpha)
    alpha[..., -1] = max(float(plan.alpha_spent[-1]), design.total_alpha)
    beta = None
    lower = None
    if design.futility in SPENDERS and design.sides == 1:
        beta = _beta(design, information)
    elif design.futility == ON_Z:
        lower = np.full(information.shape, -np.inf)
        looks = min(information.shape[-1], design.looks) - 1
        lower[..., :looks] = plan.lower[:looks]
    elif design.futility != NONE:
        stops = plan.futility(plan.drift)
        stops[-1] = design.total_beta - stops[:-1].sum()
        beta = _between(information, planned, np.cumsum(stops, axis=-1))
    made = walk(
        information,
        alpha,
        beta,
        drift=plan.drift if beta is not None else 0.0,
        binding=design.binding,
        sides=design.sides,
        lower=lower,
    )
    upper, low, inner = made
    if design.futility != NONE:
        if design.sides == 1:
            low[..., -1] = upper[..., -1]
        else:
            inner[..., -1] = upper[..., -1]
    return _bounds(design, information, (upper, low, inner), plan.drift)


def _between(share: Array, looks: Array, values: Array) -> Array:
    """Return what a plan spends between its looks."""
    return np.interp(share, np.append(0.0, looks), np.append(0.0, values))


def _alpha(design: GroupSequential, information: Array) -> Array:
    """Return the type I error spent by each look."""
    return spend(
        design.efficacy,
        information,
        design.total_alpha,
        parameter=_numbers(design.efficacy_parameter),
        sides=1 if design.efficacy == USER else design.sides,
        planned=design.information,
    )


def _beta(design: GroupSequential, information: Array) -> Array:
    """Return the type II error spent by each look."""
    return spend(
        design.futility,
        information,
        design.total_beta,
        parameter=_numbers(design.futility_parameter),
        planned=design.information,
    )


def _beta_at(
    design: GroupSequential, information: Array, alpha: Array, drift: float
) -> Array | None:
    """Return the type II error that the looks of a plan spend at a drift.

    Of two sides, a look spends nothing where a test of one side would not even stop at
    zero, and the others share what is left.
    """
    if design.futility not in SPENDERS:
        return None
    beta = _beta(design, information)
    if design.sides == 1:
        return beta
    _, lower, _ = walk(
        information, alpha / 2, beta, drift=drift, binding=design.binding
    )
    steps = np.where(lower > 0, np.diff(beta, prepend=0.0), 0.0)
    steps[-1] = beta[-1] - beta[-2] if len(beta) > 1 else beta[-1]
    return np.cumsum(steps) * beta[-1] / steps.sum()


def _numbers(parameter: object) -> tuple[float, ...] | None:
    """Return parameters as numbers, or that there are none."""
    if parameter is None:
        return None
    return tuple(float(x) for x in np.ravel(np.asarray(parameter, float)))


def _without_futility(design: GroupSequential) -> GroupSequential:
    """Return a plan that stops for efficacy only."""
    return GroupSequential(
        information=design.information,
        alpha=design.alpha,
        sides=design.sides,
        efficacy=design.efficacy,
        efficacy_parameter=design.efficacy_parameter,
    )


def _spent(design: GroupSequential, information: Array, upper: Array) -> Array:
    """Return the type I error that bounds of efficacy alone spend by each look."""
    below = -upper if design.sides == 2 else -np.inf
    found = crossing(information, upper, below)
    once = found.upper + (found.lower if design.sides == 2 else 0.0)
    return np.cumsum(once, axis=-1)


def _walk(
    design: GroupSequential, information: Array, alpha: Array, drift: float
) -> tuple[Array, Array, Array]:
    """Return upper, lower and inner bounds that spend what the plan says."""
    lower = None
    if design.futility == ON_Z:
        lower = np.full(information.shape, -np.inf)
        given = np.asarray(_numbers(design.futility_parameter))[: design.looks - 1]
        lower[: design.looks - 1] = given
    upper, low, inner = walk(
        information,
        alpha,
        _beta_at(design, information, alpha, drift),
        drift=drift,
        binding=design.binding,
        sides=design.sides,
        lower=lower,
    )
    if lower is not None:
        low[-1] = upper[-1]
    return upper, low, inner


def _drift_of_futility(
    design: GroupSequential, information: Array, alpha: Array
) -> float:
    """Return the drift at which spending beta ends on the last bound of efficacy."""

    def gap(drift: float) -> float:
        upper, lower, inner = _walk(design, information, alpha, drift)
        last = lower[-1] if design.sides == 1 else inner[-1]
        return float(np.clip(last, -WIDEST, WIDEST) - upper[-1])

    low, high = 0.05, 4.0
    while gap(high) < 0 and high < 2 * WIDEST:
        low, high = high, 1.5 * high
    if gap(low) > 0:
        low = 1e-3
    return float(root(gap, low, high, xtol=1e-13, rtol=1e-13))


def _bounds(
    design: GroupSequential,
    information: Array,
    made: tuple[Array, Array, Array],
    drift: float,
) -> Boundaries:
    """Put bounds together with what they spend."""
    upper, lower, inner = made
    if design.binding:
        found = crossing(information, upper, lower, inner=inner)
    else:
        below = -upper if design.sides == 2 else -np.inf
        found = crossing(information, upper, below)
    once = found.upper + (found.lower if design.sides == 2 else 0.0)
    return Boundaries(
        information=information,
        upper=upper,
        lower=lower,
        inner=inner,
        alpha_spent=np.cumsum(once, axis=-1),
        stage_levels=ndtr(-upper),
        drift=float(drift),
        sides=design.sides,
        binding=design.binding,
        both_tails=design.both_tails,
    )

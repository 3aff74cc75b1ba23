r"""How much noise keeps a person's part of a sum private, and what is spent of that.

Noise of a standard deviation $\sigma$ times a sum's sensitivity is $(\epsilon,
\delta)$-private where

$$ \delta = \Phi\left(\tfrac{\mu}{2} - \tfrac{\epsilon}{\mu}\right)
   - e^{\epsilon}\, \Phi\left(-\tfrac{\mu}{2} - \tfrac{\epsilon}{\mu}\right), \qquad
   \mu = 1 / \sigma, $$

and rounds of it, each chosen by what was told before, are together as one of
$\mu = \sqrt{\sum_k \mu_k^2}$.

References
----------
Balle B, Wang YX (2018) Proc Mach Learn Res 80:394-403 (the first formula).
Dong J, Roth A, Su WJ (2022) J R Stat Soc B 84:3-37 (the second).
"""

import math
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import log_ndtr

from vtrial.errors import FitError

LOOSEST, TIGHTEST = 1e3, 1e-6  # of mu
MOST = 1e3  # of epsilon, which protects nobody


class Budget(NamedTuple):
    """What may be told of a person: that much in all, but with probability `delta`."""

    epsilon: float
    delta: float


def check_budget(budget: Budget) -> None:
    """Refuse what is no budget.

    Raises
    ------
    FitError
        If epsilon or delta cannot be.
    """
    if not 0.001 <= budget.epsilon <= 100:
        raise FitError("epsilon", f"{budget.epsilon:g}", "from 0.001 to 100", "")
    if not 0 < budget.delta < 0.1:
        allowed = "above 0 and far below one in so many people as there are"
        raise FitError("delta", f"{budget.delta:g}", allowed, "")


def delta_of(epsilon: float, mu: float) -> float:
    """Return the delta of noise at an epsilon."""
    first = math.exp(log_ndtr(mu / 2 - epsilon / mu))
    return first - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu))


def mu_of(budget: Budget) -> float:
    """Return the largest mu, the inverse of the least noise, within a budget.

    Examples
    --------
    >>> print(f"{1 / mu_of(Budget(1.0, 1e-5)):.2f}")
    3.73
    """

    def over(log_mu: float) -> float:
        return delta_of(budget.epsilon, math.exp(log_mu)) - budget.delta

    ends = math.log(TIGHTEST), math.log(LOOSEST)
    return math.exp(brentq(over, *ends, xtol=1e-12))  # type: ignore[arg-type] # a float


def epsilon_of(mu: float, delta: float) -> float:
    """Return the epsilon that was spent, at a delta; infinite if beyond any use."""
    if mu == 0 or delta_of(0.0, mu) <= delta:
        return 0.0
    if delta_of(MOST, mu) > delta:
        return math.inf
    found = brentq(lambda epsilon: delta_of(epsilon, mu) - delta, 0.0, MOST)
    return float(found)  # type: ignore[arg-type] # one number

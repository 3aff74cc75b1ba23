"""What historical arms say of the next one: the meta-analytic-predictive distribution.

The rate (on the logit scale) or the mean of each historical arm, and that of the next
one, are normal about a common value with a deviation between trials that has a
half-normal prior. All of it is integrated, none drawn.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import special

from vtrial.errors import ProtocolError

HETEROGENEITIES, CENTRES, INNER, OUTER = 96, 101, 24, 31  # nodes of the integrals
WIDE = 7.0  # deviations of the common value over which it is integrated
MOST = 6.0  # up to how many scales of its prior the heterogeneity is integrated
STEPS = 30  # of Newton's method, more than any count of events needs

Points = Float[np.ndarray, " point"]
Grid = Float[np.ndarray, "tau centre trial"]
_LEGENDRE = np.polynomial.legendre.leggauss(HETEROGENEITIES)
_HERMITE = {
    count: np.polynomial.hermite_e.hermegauss(count) for count in (INNER, OUTER)
}


class Predicted(NamedTuple):
    """What is predicted of the next arm, as points with masses that sum up to 1.

    Fields
    ------
    law
        `beta` of a rate, `normal` of a mean: which mixture suits.
    point, mass
        Rates or means, from the lowest on, and how probable they are.
    tau, tau_mass
        Heterogeneities between trials, and how probable they are; of rates on the logit
        scale.
    """

    law: str
    point: Points
    mass: Points
    tau: Points
    tau_mass: Points

    @property
    def mean(self) -> float:
        """The mean of the prediction."""
        return float((self.mass * self.point).sum())

    @property
    def deviation(self) -> float:
        """The standard deviation of the prediction."""
        return float(np.sqrt((self.mass * (self.point - self.mean) ** 2).sum()))

    def quantile(self, level: float) -> float:
        """Return the value below which the next arm lies with a probability."""
        return float(np.interp(level, self.mass.cumsum() - self.mass / 2, self.point))


def predict_rate(
    events: Num[np.ndarray, " trial"],
    count: Num[np.ndarray, " trial"],
    *,
    heterogeneity: float = 1.0,
    centre: float = 0.0,
    spread: float = 2.0,
) -> Predicted:
    r"""Predict the rate of the next arm from events in historical ones.

    $$ r_j \sim \mathrm{Bin}(n_j, \mathrm{logit}^{-1} \theta_j), \quad
       \theta_j, \theta_* \sim N(\mu, \tau^2), \quad
       \mu \sim N(m, s^2), \quad \tau \sim |N(0, h^2)|. $$

    Parameters
    ----------
    events, count
        Responses and subjects of each historical arm.
    heterogeneity
        The scale h of the heterogeneity between trials.
    centre, spread
        Mean m and deviation s of the prior of the common logit.

    Notes
    -----
    Each arm's rate is integrated by Hermite nodes about its own mode. The number of
    points stays the same whatever the data.

    References
    ----------
    Neuenschwander B et al. (2010) Clin Trials 7:5-18.

    Examples
    --------
    >>> made = predict_rate(np.array([23, 12]), np.array([107, 44]))
    >>> print(f"{made.mean:.2f}")
    0.27
    """
    r, n = np.asarray(events, float), np.asarray(count, float)
    wrong = r.size == 0 or (r < 0).any() or (r > n).any() or (n <= 0).any()
    if wrong or not heterogeneity > 0:
        _refuse("events, of their subjects, and a heterogeneity above 0")
    rate = (r + 0.5) / (n + 1)
    logit, variance = special.logit(rate), 1 / (n + 1) / rate / (1 - rate)
    tau, mass = _heterogeneities(heterogeneity)
    middle, wide = _about(logit, variance, tau, centre, spread)
    mu = middle[:, None] + wide[:, None] * _centres()
    likely = _likelihoods(r, n, mu, tau).sum(axis=-1)
    prior = -0.5 * ((mu - centre) / spread) ** 2
    log = np.log(mass * wide)[:, None] + likely + prior
    weight = np.exp(log - log.max())
    return _spread_out("beta", mu, tau, weight / weight.sum())


def predict_mean(
    mean: Num[np.ndarray, " trial"],
    error: Num[np.ndarray, " trial"],
    *,
    heterogeneity: float,
    centre: float = 0.0,
    spread: float,
) -> Predicted:
    """Predict the mean of the next arm from means of historical ones.

    As `predict_rate`, with the means as they are and their standard errors as known.

    Examples
    --------
    >>> means, errors = np.array([-51.0, -49.0]), np.array([10.2, 6.8])
    >>> made = predict_mean(means, errors, heterogeneity=44.0, spread=88.0)
    >>> print(f"{made.mean:.0f}")
    -48
    """
    y, s = np.asarray(mean, float), np.asarray(error, float)
    if y.size == 0 or not (s > 0).all() or not heterogeneity > 0 or not spread > 0:
        _refuse("means, with errors, a heterogeneity and a spread above 0")
    tau, mass = _heterogeneities(heterogeneity)
    middle, wide = _about(y, s**2, tau, centre, spread)
    total = s**2 + tau[:, None] ** 2
    log = -0.5 * ((y - middle[:, None]) ** 2 / total + np.log(total)).sum(axis=1)
    log += np.log(mass) + np.log(wide) - 0.5 * ((middle - centre) / spread) ** 2
    own = np.exp(log - log.max())
    nodes = _centres()
    mu = middle[:, None] + wide[:, None] * nodes
    weight = own[:, None] * np.exp(-0.5 * nodes**2)
    return _spread_out("normal", mu, tau, weight / weight.sum())


def _refuse(what: str) -> None:
    raise ProtocolError(
        at="historical arms", found="something else", allowed=what, write=""
    )


def _heterogeneities(scale: float) -> tuple[Points, Points]:
    """Return heterogeneities and their prior masses; nodes are densest near zero."""
    nodes, shares = _LEGENDRE
    part = (1 + nodes) / 2
    tau = MOST * scale * part**2
    mass = shares * part * np.exp(-0.5 * (tau / scale) ** 2)
    return tau, mass / mass.sum()


def _centres() -> Float[np.ndarray, "tau centre"]:
    """Return evenly spaced deviations, shifted from row to row.

    Sums over even points are as exact as any for what is smooth; shifted ones leave no
    steps in what they make together.
    """
    step = 2 * WIDE / (CENTRES - 1)
    shift = np.arange(HETEROGENEITIES)[:, None] / HETEROGENEITIES - 0.5
    return np.linspace(-WIDE, WIDE, CENTRES) + step * shift


def _about(
    value: Float[np.ndarray, " trial"],
    variance: Float[np.ndarray, " trial"],
    tau: Float[np.ndarray, " tau"],
    centre: float,
    spread: float,
) -> tuple[Float[np.ndarray, " tau"], Float[np.ndarray, " tau"]]:
    """Return mean and deviation of the common value at each heterogeneity."""
    precision = 1 / (variance + tau[:, None] ** 2)
    total = precision.sum(axis=1) + 1 / spread**2
    middle = ((precision * value).sum(axis=1) + centre / spread**2) / total
    return middle, total**-0.5


def _likelihoods(
    r: Float[np.ndarray, " trial"],
    n: Float[np.ndarray, " trial"],
    mu: Float[np.ndarray, "tau centre"],
    tau: Float[np.ndarray, " tau"],
) -> Grid:
    """Return the logarithm of each arm's likelihood, its own rate integrated out."""
    m, t = mu[..., None], np.maximum(tau, 1e-9)[:, None, None]
    u = np.zeros((*mu.shape, len(r)))  # (theta - mu) / tau at the mode
    for _ in range(STEPS):
        rate = special.expit(m + t * u)
        slope = t * (r - n * rate) - u
        step = slope / (1 + t**2 * n * rate * (1 - rate))
        u = u + np.clip(step, -1.0, 1.0) if (np.abs(step) > 1).any() else u + step
        if np.abs(step).max() < 1e-10:
            break
    rate = special.expit(m + t * u)
    wide = (1 + t**2 * n * rate * (1 - rate)) ** -0.5
    nodes, shares = _HERMITE[INNER]
    total = np.zeros_like(u)
    top = _log_density(r, n, m + t * u, u)
    for node, share in zip(nodes, shares, strict=True):
        at = u + wide * node
        log = _log_density(r, n, m + t * at, at) - top + 0.5 * node**2
        total += share * np.exp(log)
    return top + np.log(wide * total)


def _log_density(
    r: Float[np.ndarray, " trial"],
    n: Float[np.ndarray, " trial"],
    theta: Grid,
    u: Grid,
) -> Grid:
    """Return the logarithm of a binomial likelihood times a normal density."""
    return r * theta - n * np.logaddexp(0.0, theta) - 0.5 * u**2


def _spread_out(
    law: str,
    mu: Float[np.ndarray, "tau centre"],
    tau: Float[np.ndarray, " tau"],
    weight: Float[np.ndarray, "tau centre"],
) -> Predicted:
    """Predict the next arm: normal about each common value, by Hermite nodes."""
    nodes, shares = _HERMITE[OUTER]
    shares = shares / shares.sum()
    theta = mu[..., None] + tau[:, None, None] * nodes
    mass = (weight[..., None] * shares).ravel()
    point = theta.ravel()
    order = np.argsort(point)
    point, mass = point[order], mass[order]
    point = special.expit(point) if law == "beta" else point
    return Predicted(law, point, mass, tau, weight.sum(axis=1))

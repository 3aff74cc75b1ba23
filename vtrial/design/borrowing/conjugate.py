"""A mixture of conjugate distributions in the place of a prediction, by EM."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from vtrial.design.borrowing.mixture import Mixture
from vtrial.design.borrowing.predict import Points, Predicted

BINS, ROUNDS, MOST = 600, 1000, 4  # of points, of EM, and of components
CLOSE = 0.005  # how far apart distribution functions may be
SETTLED = 1e-9  # the gain of the mean log likelihood at which EM ends
INNER = 4  # Newton's steps for the shapes of a beta distribution


class Fitted(NamedTuple):
    """A mixture, and by how much its distribution function is off at most."""

    mixture: Mixture
    apart: float


def fit_mixture(predicted: Predicted, components: int | None = None) -> Fitted:
    """Fit a mixture of conjugates to a prediction.

    Expectation-maximisation on points with masses, from components about the same mean
    that are ever wider. There are as few as keep the distribution functions within
    0.005, and at most four, unless `components` says how many.

    Examples
    --------
    >>> from vtrial.design.borrowing.predict import predict_rate
    >>> made = fit_mixture(predict_rate(np.array([23, 12]), np.array([107, 44])))
    >>> made.apart < 0.005
    True
    """
    point, mass = _binned(predicted)
    best = None
    for count in range(1, MOST + 1) if components is None else (components,):
        mixture = _fitted(predicted.law, point, mass, count)
        found = Fitted(mixture, _apart(predicted, mixture))
        if best is None or found.apart < best.apart:
            best = found
        if best.apart < CLOSE:
            break
    assert best is not None, "there is at least one component"
    return best


def _binned(predicted: Predicted) -> tuple[Points, Points]:
    """Gather the points of a prediction in bins, which keep their mass and mean."""
    point, mass = predicted.point, predicted.mass
    at = special.logit(point) if predicted.law == "beta" else point
    total = mass.cumsum()
    low, high = np.interp((1e-7, 1 - 1e-7), total, at)
    place = (at - low) / (high - low) * BINS
    place = np.clip(place, 0, BINS - 1).astype(int)
    weight = np.bincount(place, mass, BINS)
    middle = np.bincount(place, mass * point, BINS)
    full = weight > 0
    return middle[full] / weight[full], weight[full]


def _apart(predicted: Predicted, mixture: Mixture) -> float:
    """Return the greatest difference of the distribution functions."""
    total = predicted.mass.cumsum() - predicted.mass / 2
    level = np.linspace(0.0005, 0.9995, 2000)
    return float(
        np.abs(mixture.below(np.interp(level, total, predicted.point)) - level).max()
    )


def _fitted(law: str, point: Points, mass: Points, count: int) -> Mixture:
    """Fit so many components."""
    mean = (mass * point).sum()
    variance = (mass * (point - mean) ** 2).sum()
    wider = 4.0 ** (np.arange(count) - (count - 1) / 2)
    if law == "normal":
        made = Mixture("normal", *_even(count, mean, np.sqrt(variance * wider)))
    else:
        worth = np.maximum(mean * (1 - mean) / (variance * wider) - 1, 0.2)
        made = Mixture("beta", *_even(count, mean * worth, (1 - mean) * worth))
    before = -np.inf
    for _ in range(ROUNDS):
        with np.errstate(divide="ignore"):
            log = np.log(made.weight) + made.log_parts(point)
        whole = np.asarray(special.logsumexp(log, axis=1))
        share = np.exp(log - whole[:, None]) * mass[:, None]
        now = float((mass * whole).sum())
        if now - before < SETTLED:
            break
        before, made = now, _maximised(made, point, share)
    return made


def _even(
    count: int, first: float | np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return equal weights with the parameters."""
    return np.full(count, 1 / count), np.broadcast_to(first, (count,)), second


def _maximised(
    made: Mixture, point: Points, share: Float[np.ndarray, "point component"]
) -> Mixture:
    """Return the components that are likeliest where each has its share of points."""
    weight = np.maximum(share.sum(axis=0), 1e-12)
    if made.law == "normal":
        middle = (share * point[:, None]).sum(axis=0) / weight
        about = (share * (point[:, None] - middle) ** 2).sum(axis=0) / weight
        spread = np.sqrt(np.maximum(about, 1e-300))
        return Mixture("normal", weight / weight.sum(), middle, spread)
    low = (share * np.log(point)[:, None]).sum(axis=0) / weight
    high = (share * np.log1p(-point)[:, None]).sum(axis=0) / weight
    a, b = made.first, made.second
    for _ in range(INNER):
        slope = special.digamma(a + b)
        one, two = slope - special.digamma(a) + low, slope - special.digamma(b) + high
        shared = special.polygamma(1, a + b)
        p, q = special.polygamma(1, a) - shared, special.polygamma(1, b) - shared
        flat = p * q - shared**2
        a = np.maximum(a + (q * one + shared * two) / flat, a / 4)
        b = np.maximum(b + (p * two + shared * one) / flat, b / 4)
    return Mixture("beta", weight / weight.sum(), a, b)

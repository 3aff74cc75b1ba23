r"""Weights of people that meet targets and are otherwise as even as can be.

Of all weights $w$ that meet the targets, those of least Kullback-Leibler divergence
from even ones are exponential in the features $g$ of a person,

$$ w_i = \frac{e^{\lambda^T g_i}}{\sum_j e^{\lambda^T g_j}}, \qquad
   \lambda = \arg\min_\lambda \; \log \frac1n \sum_i e^{\lambda^T (g_i - b)}, $$

with $b$ the values that the weighted means shall have: a convex problem in as many
unknowns as there are targets, whatever the number of people. Where a target leaves room
between two bounds, $\lambda$ is zero inside and $b$ the bound that is met at the edge.
If weights exist, the minimum is no less than $-\log n$; a value below it proves that
there are none.

References
----------
Hainmueller J (2012) Political Analysis 20:25-46 (entropy balancing).
Dudík M, Phillips SJ, Schapire RE (2007) J Mach Learn Res 8:1217-1260 (with room).
Kish L (1965) Survey Sampling. Wiley, New York (effective sample size).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MOST_STEPS = 200
NEAR = 1e-9  # how near a mean is brought, in standard deviations of the pool
MEETS = 1e-6  # how far off it may be said to be met
SLOPE = 1e-4  # share of the descent foretold that a step must bring
ROUNDING = 1e-14  # of the dual's value: what near its end no step falls short of
FLAT = 1e-12  # of the largest curvature: directions in which nothing changes


class Bounds(NamedTuple):
    """Features of people, and between what their weighted means are to lie.

    Fields
    ------
    feature
        Centred and scaled by mean and standard deviation of the pool.
    low, high
        On the same scale.
    middle, spread
        Mean and standard deviation; of what is the same of everybody, 1.
    """

    feature: Float[np.ndarray, "person row"]
    low: Float[np.ndarray, " row"]
    high: Float[np.ndarray, " row"]
    middle: Float[np.ndarray, " row"]
    spread: Float[np.ndarray, " row"]


class Tilt(NamedTuple):
    """Weights found.

    Fields
    ------
    weights
        Of people; they add up to 1. None if there are none.
    slopes
        Lambda, of the features as `Bounds` have them.
    divergence
        Kullback and Leibler's, from even weights [nats].
    """

    weights: Float[np.ndarray, " person"] | None
    slopes: Float[np.ndarray, " row"]
    divergence: float


def bounds_of(
    feature: Float[np.ndarray, "person row"],
    low: Float[np.ndarray, " row"],
    high: Float[np.ndarray, " row"],
) -> Bounds:
    """Scale features and bounds, so that one tolerance suits all of them."""
    middle, spread = feature.mean(axis=0), feature.std(axis=0)
    spread = np.where(spread > 1e-12 * (np.abs(middle) + 1e-300), spread, 1.0)
    scaled, *sides = ((one - middle) / spread for one in (feature, low, high))
    return Bounds(scaled, sides[0], sides[1], middle, spread)


def tilt(bounds: Bounds) -> Tilt:
    """Find the weights nearest to even ones that meet all bounds.

    Bounds that are missed are taken up one by one, the worst first, and let go where
    holding them costs nothing; each set of them is solved by Newton's method.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.array([[0.0], [1.0]])
    >>> found = tilt(bounds_of(one, np.array([0.8]), np.array([0.8])))
    >>> found.weights.round(6).tolist()
    [0.2, 0.8]
    """
    count, rows = bounds.feature.shape
    exact = bounds.low == bounds.high
    held = {int(row): float(bounds.low[row]) for row in np.flatnonzero(exact)}
    slopes = np.zeros(rows)
    for _ in range(4 * rows + 10):
        places = sorted(held)
        aims = np.array([held[place] for place in places])
        start = slopes[places]
        found = _newton(bounds.feature[:, places], aims, start)
        slopes = np.zeros(rows)
        if found is None:
            break
        slopes[places] = found
        weights = _weights(bounds.feature @ slopes)
        means = weights @ bounds.feature
        needless = [
            place
            for place in places
            if not exact[place]
            and slopes[place] * (1 if held[place] == bounds.low[place] else -1) < 0
        ]
        over = np.maximum(bounds.low - means, means - bounds.high)
        over[places] = -np.inf
        worst = int(np.argmax(over)) if rows else 0
        if needless:
            held.pop(max(needless, key=lambda place: abs(slopes[place])))
        elif rows and over[worst] > NEAR:
            low = bounds.low[worst] - means[worst] > NEAR
            held[worst] = float((bounds.low if low else bounds.high)[worst])
        else:
            positive = weights[weights > 0]
            divergence = float(positive @ np.log(positive * count))
            return Tilt(weights, slopes, divergence)
    return Tilt(None, slopes, np.nan)


def effective_size(weights: Float[np.ndarray, " person"]) -> float:
    """Return how many even people would tell as much of a mean (Kish).

    Examples
    --------
    >>> import numpy as np
    >>> round(effective_size(np.array([0.5, 0.25, 0.25])), 3)
    2.667
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def _weights(score: Float[np.ndarray, " person"]) -> Float[np.ndarray, " person"]:
    """Return exponentials that add up to 1."""
    raised = np.exp(score - score.max())
    return raised / raised.sum()


def _newton(
    feature: Float[np.ndarray, "person held"],
    aims: Float[np.ndarray, " held"],
    start: Float[np.ndarray, " held"],
) -> Float[np.ndarray, " held"] | None:
    """Minimise the dual; None if there are no weights, or only on the edge of it."""
    count, rows = feature.shape
    if not rows:
        return np.zeros(0)
    centred = feature - aims
    slopes = start.copy()
    for _ in range(MOST_STEPS):
        value, weights = _dual(centred, slopes)
        if value < -np.log(count) - NEAR:
            return None
        slope = weights @ centred
        if np.abs(slope).max() < NEAR:
            return slopes
        curve = (centred * weights[:, None]).T @ centred - np.outer(slope, slope)
        step = -np.linalg.pinv(curve, rcond=FLAT, hermitian=True) @ slope
        size = 1.0
        while size > 1e-12:
            tried, _ = _dual(centred, slopes + size * step)
            if tried <= value + SLOPE * size * float(slope @ step) + ROUNDING:
                break
            size /= 2
        else:
            return slopes if np.abs(slope).max() < MEETS else None
        slopes = slopes + size * step
    return None


def _dual(
    centred: Float[np.ndarray, "person held"], slopes: Float[np.ndarray, " held"]
) -> tuple[float, Float[np.ndarray, " person"]]:
    """Return the dual's value, and the weights there."""
    score = centred @ slopes
    top = float(score.max())
    raised = np.exp(score - top)
    total = float(raised.sum())
    return top + float(np.log(total / score.size)), raised / total

r"""How well a fit predicts subjects that it has not seen, without fitting it again.

With s a draw of the population from the posterior distribution of all subjects, and
$p(y_i \mid \theta_s)$ what subject i's data are worth with its effects integrated out,
the posterior without i has weights $1 / p(y_i \mid \theta_s)$, and

$$ \mathrm{elpd} = \sum_i \log p(y_i \mid y_{-i})
   = \sum_i \log \frac{\sum_s w_{is}\, p(y_i \mid \theta_s)}{\sum_s w_{is}}. $$

The largest weights are replaced by the quantiles of a generalised Pareto distribution
fitted to them, whose shape k says how far they may be trusted.

References
----------
Vehtari A, Gelman A, Gabry J (2017) Stat Comput 27:1413-1432. Vehtari A, Simpson D,
Gelman A, Yao Y, Gabry J (2024) J Mach Learn Res 25:72. Zhang J, Stephens MA (2009)
Technometrics 51:316-325. Merkle EC, Furr D, Rabe-Hesketh S (2019) Psychometrika
84:802-829 (why subjects, and not observations given their effects).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

TRUSTED = 0.7  # of k: above, no number of draws that is at hand would do
FEWEST = 25  # draws, of whose fifth a tail can be fitted
POINTS, SCALE, NEAR = 30, 3.0, 10.0  # Zhang's grid and prior; draws that k's is worth


class LeftOut(NamedTuple):
    """What each subject's data are worth to a fit of the others.

    Fields
    ------
    elpd
        log p(y_i | y_-i).
    k
        Shape of the tail of its weights.
    variance
        Of `elpd` by chance, as the weights' spread says.
    within
        log p(y_i | y), of the fit that has seen it.
    """

    elpd: Float[np.ndarray, " subject"]
    k: Float[np.ndarray, " subject"]
    variance: Float[np.ndarray, " subject"]
    within: Float[np.ndarray, " subject"]


def left_out(density: Float[np.ndarray, "draw subject"]) -> LeftOut:
    """Leave out each subject in turn; `density` is log p(y_i | theta_s).

    Draws are taken as independent of each other.
    """
    weight, k = smoothed(-density)
    elpd = np.asarray(logsumexp(weight + density, axis=0))
    off = np.expm1(density - elpd)
    within = np.asarray(logsumexp(density, axis=0)) - math.log(len(density))
    variance = np.sum(np.exp(2.0 * weight) * off**2, axis=0)
    return LeftOut(elpd, k, variance, within)


def smoothed(
    ratio: Float[np.ndarray, "draw subject"],
) -> tuple[Float[np.ndarray, "draw subject"], Float[np.ndarray, " subject"]]:
    """Return the logarithms of smoothed weights that add up to 1, and each tail's k.

    `ratio` is the logarithm of the raw ones. Weights that are all the same have a k of
    minus infinity.
    """
    count = len(ratio)
    ratio = ratio - ratio.max(axis=0)
    order = np.argsort(ratio, axis=0, kind="stable")
    tail = math.ceil(min(0.2 * count, 3.0 * math.sqrt(count)))
    cut = np.take_along_axis(ratio, order[-tail - 1][None], axis=0)
    largest = np.take_along_axis(ratio, order[-tail:], axis=0)
    above = np.exp(largest) - np.exp(cut)
    flat = above[math.floor(tail / 4 + 0.5) - 1] <= 0
    k, scale = pareto_of(np.where(flat, np.arange(1.0, tail + 1)[:, None], above))
    place = -np.log1p(-(np.arange(tail) + 0.5) / tail)[:, None]
    steady = np.where(np.abs(k) < 1e-12, 1.0, k)
    far = np.where(steady == k, np.expm1(k * place) / steady, place)
    smooth = np.minimum(np.log(np.exp(cut) + scale * far), 0.0)
    np.put_along_axis(ratio, order[-tail:], np.where(flat, largest, smooth), axis=0)
    return ratio - logsumexp(ratio, axis=0), np.where(flat, -np.inf, k)


def pareto_of(
    above: Float[np.ndarray, "draw subject"],
) -> tuple[Float[np.ndarray, " subject"], Float[np.ndarray, " subject"]]:
    """Return shape and scale of generalised Pareto distributions, a column each.

    Values are above 0 and ascend. The shape is drawn to 0.5 as by ten values of that.

    Examples
    --------
    >>> place = (np.arange(1000) + 0.5)[:, None] / 1000
    >>> k, scale = pareto_of(2.0 * np.expm1(-0.6 * np.log1p(-place)) / 0.6)
    >>> print(f"{k[0]:.2f} {scale[0]:.2f}")
    0.60 2.00
    """
    count = len(above)
    points = POINTS + math.floor(math.sqrt(count))
    grid = 1.0 - np.sqrt(points / (np.arange(points) + 0.5))
    quartile = above[math.floor(count / 4 + 0.5) - 1]
    rate = grid[:, None] / (SCALE * quartile) + 1.0 / above[-1]
    shape = np.log1p(-rate[:, None] * above).mean(axis=1)
    worth = count * (np.log(-rate / shape) - shape - 1.0)
    share = np.exp(worth - logsumexp(worth, axis=0))
    best = np.sum(rate * share, axis=0)
    k = np.log1p(-best * above).mean(axis=0)
    return (count * k + NEAR * 0.5) / (count + NEAR), -k / best

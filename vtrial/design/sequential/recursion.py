"""The law of a statistic that is looked at again and again.

At information I the score S has mean theta I and variance I, and its increments are
independent; Z = S / sqrt(I) is compared with bounds at every look. What has not crossed
before a look is carried forward as a density on quadrature nodes, under no drift. A
drift multiplies that density by exp(theta s - theta^2 I / 2) and changes nothing else,
so one pass serves every drift.

References
----------
Armitage P, McPherson CK, Rowe BC (1969) J R Stat Soc A 132:235-244.
Jennison C, Turnbull BW (2000) Group Sequential Methods, chapter 19.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from vtrial.design.sequential.given import Array, ArrayLike

REACH = 9.0  # standard deviations after which less than 1e-18 is left
_LARGEST_DRIFT = 30.0  # z at which every bound in use is crossed but for 1e-100
_RULE = 256  # nodes of the largest rule that is made in one piece
_BATCH = 4_000_000  # kernel values held at once


class Going(NamedTuple):
    """What has not stopped yet: scores, their weights and the information so far.

    The weight of a node is its density under no drift times its share of the integral.
    """

    score: Array  # (*batch, node)
    weight: Array  # (*batch, node)
    information: Array  # (*batch)


class Crossing(NamedTuple):
    """Probabilities to stop at each look, (*drift, *batch, look).

    `upper` and `lower` are those of the outer bounds, `inner` that of the region
    between the bounds of futility of a two-sided test.
    """

    upper: Array
    lower: Array
    inner: Array


@lru_cache(maxsize=64)
def _rule(count: int) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss and Legendre on (-1, 1)."""
    pieces = -(-count // _RULE)
    node, weight = np.polynomial.legendre.leggauss(-(-count // pieces))
    left = -1 + 2 * np.arange(pieces) / pieces
    node = (left[:, None] + (node + 1) / pieces).ravel()
    weight = np.tile(weight / pieces, pieces)
    return node, weight


def begin(batch: tuple[int, ...] = ()) -> Going:
    """Return the state before the first look: no information, a score of zero."""
    zero = np.zeros((*batch, 1))
    return Going(zero, zero + 1, np.zeros(batch))


def _tilted(going: Going, drift: ArrayLike) -> Array:
    """Return the weights under a drift, (*drift, *batch, node)."""
    drift = np.asarray(drift, float)
    if not drift.any():
        return np.broadcast_to(going.weight, (*drift.shape[:-1], *going.weight.shape))
    drift = drift[..., None]
    power = drift * going.score - drift**2 * going.information[..., None] / 2
    return going.weight * np.exp(power)


def mass(going: Going, drift: ArrayLike = 0.0) -> Array:
    """Return the probability not to have stopped yet."""
    return np.asarray(_tilted(going, drift).sum(axis=-1))


def beyond(
    going: Going,
    information: ArrayLike,
    bound: ArrayLike,
    drift: ArrayLike = 0.0,
    *,
    below: bool = False,
) -> Array:
    """Return the probability to go on until a look and then be beyond a bound on Z.

    Parameters
    ----------
    information
        Information at the look; its shape is that of the batch.
    drift
        Mean of the score per unit of information; broadcast against the batch.
    below
        Whether to ask for Z below the bound instead of above it.
    """
    information = np.asarray(information, float)
    drift = np.asarray(drift, float)
    step = np.asarray(information - going.information)[..., None]
    at = np.asarray(np.asarray(bound, float) * np.sqrt(information))[..., None]
    gap = (going.score + drift[..., None] * step - at) / np.sqrt(step)
    share = ndtr(-gap if below else gap)
    return np.asarray((_tilted(going, drift) * share).sum(axis=-1))


def density(
    going: Going, information: ArrayLike, z: ArrayLike, drift: ArrayLike = 0.0
) -> Array:
    """Return the density of Z at a look among what has gone on until then."""
    information = np.asarray(information, float)
    drift = np.asarray(drift, float)
    step = np.asarray(information - going.information)[..., None]
    at = np.asarray(np.asarray(z, float) * np.sqrt(information))[..., None]
    gap = (at - going.score - drift[..., None] * step) / np.sqrt(step)
    kernel = np.exp(-(gap**2) / 2) / np.sqrt(2 * np.pi * step)
    height = (_tilted(going, drift) * kernel).sum(axis=-1)
    return np.asarray(height * np.sqrt(information))


def go_on(
    going: Going,
    information: ArrayLike,
    regions: Sequence[tuple[ArrayLike, ArrayLike]],
    following: ArrayLike,
    reach: tuple[float, float] = (0.0, 0.0),
) -> Going:
    """Carry the density through a look.

    Parameters
    ----------
    regions
        Intervals of Z in which the trial goes on, as (low, high).
    following
        Information at the next look, which decides how fine the nodes must be.
    reach
        Least and largest drift that will be asked for, in units of Z at this look.

    Notes
    -----
    The integrand is a product of Gaussians; n nodes of Gauss and Legendre on a length L
    resolve a standard deviation s to 1e-13 where n is about 3.75 L / s + 16.
    """
    information = np.asarray(information, float)
    root = np.sqrt(information)
    step = information - going.information
    ahead = np.asarray(following, float) - information
    with np.errstate(divide="ignore", invalid="ignore"):
        sharp = np.sqrt(
            information / step + np.where(ahead > 0, information / ahead, 0)
        )
    low_end, high_end = min(reach[0], 0) - REACH, max(reach[1], 0) + REACH
    scores, shares = [], []
    for low, high in regions:
        low = np.clip(np.broadcast_to(low, information.shape), low_end, high_end)
        high = np.maximum(np.clip(high, low_end, high_end), low)
        need = 3.75 * np.max((high - low) * sharp, initial=0.0) + 16
        node, share = _rule(16 * int(np.ceil(need / 16)))
        middle, half = (root * (high + low) / 2), (root * (high - low) / 2)
        scores.append(middle[..., None] + half[..., None] * node)
        shares.append(half[..., None] * share)
    score = np.concatenate(scores, axis=-1)
    height = _convolved(going, score, step)
    return Going(score, np.concatenate(shares, axis=-1) * height, information)


def _convolved(going: Going, score: Array, step: Array) -> Array:
    """Return the density at new scores, a part of the batch at a time."""
    batch = step.shape
    old = going.score.reshape(-1, going.score.shape[-1])
    weight = going.weight.reshape(old.shape)
    new = score.reshape(-1, score.shape[-1])
    spread = np.broadcast_to(np.sqrt(step), batch).reshape(-1)
    made = np.empty(new.shape)
    some = max(1, _BATCH // (old.shape[1] * new.shape[1]))
    for first in range(0, len(new), some):
        part = slice(first, first + some)
        width = spread[part, None, None]
        gap = (new[part, :, None] - old[part, None, :]) / width
        np.square(gap, out=gap)
        gap *= -0.5
        np.exp(gap, out=gap)
        total = np.einsum("bij,bj->bi", gap, weight[part])
        made[part] = total / (width[..., 0] * np.sqrt(2 * np.pi))
    return made.reshape(score.shape)


def crossing(
    information: ArrayLike,
    upper: ArrayLike,
    lower: ArrayLike = -np.inf,
    drift: ArrayLike = 0.0,
    *,
    inner: ArrayLike | None = None,
    aligned: bool = False,
) -> Crossing:
    """Return the probabilities to cross each bound first at each look.

    Parameters
    ----------
    information
        Information at the looks, (*batch, look), increasing along the last axis.
    upper, lower
        Bounds on Z, broadcast to the looks; infinite where a look has none. Where
        `lower` is above `upper` a trial stops at `upper` or below.
    drift
        Mean of the score per unit of information, of any shape.
    inner
        Bounds of futility of a two-sided test: it stops where |Z| is below them. Not
        positive or NaN where a look has none.
    aligned
        Whether the last axes of the drift are those of the batch, instead of axes of
        their own before them.

    Examples
    --------
    >>> found = crossing([0.5, 1.0], [2.7965, 1.9774], drift=[0.0, 3.0])
    >>> [round(float(p), 4) for p in found.upper.sum(axis=-1)]
    [0.025, 0.8482]
    """
    information = np.asarray(information, float)
    core = np.zeros(1) if inner is None else np.nan_to_num(np.asarray(inner, float))
    shape = np.broadcast_shapes(
        information.shape, np.shape(upper), np.shape(lower), np.shape(core)
    )
    information = np.broadcast_to(information, shape)
    upper = np.broadcast_to(np.asarray(upper, float), shape)
    lower = np.minimum(np.broadcast_to(np.asarray(lower, float), shape), upper)
    core = np.minimum(
        np.broadcast_to(np.maximum(core, 0.0), shape), np.maximum(upper, 0.0)
    )
    drift = np.asarray(drift, float)
    batch = shape[:-1]
    furthest = _LARGEST_DRIFT / np.sqrt(np.max(information, initial=1e-300))
    drift = np.clip(drift, -furthest, furthest)
    tilt = drift if aligned else drift.reshape(drift.shape + (1,) * len(batch))
    ends = (float(np.min(drift, initial=0.0)), float(np.max(drift, initial=0.0)))
    going = begin(batch)
    above, below, within = [], [], []
    looks = shape[-1]
    for look in range(looks):
        now = information[..., look]
        top, bottom, middle = upper[..., look], lower[..., look], core[..., look]
        above.append(beyond(going, now, top, tilt))
        below.append(
            np.zeros(np.shape(above[-1]))
            if np.all(np.isneginf(bottom))
            else beyond(going, now, bottom, tilt, below=True)
        )
        within.append(
            beyond(going, now, -middle, tilt) - beyond(going, now, middle, tilt)
            if middle.any()
            else np.zeros(np.shape(above[-1]))
        )
        if look + 1 < looks:
            regions = (
                [(bottom, -middle), (middle, top)] if middle.any() else [(bottom, top)]
            )
            widest = float(np.sqrt(np.max(now, initial=0.0)))
            reach = (ends[0] * widest, ends[1] * widest)
            going = go_on(going, now, regions, information[..., look + 1], reach)
    made = [np.stack(np.broadcast_arrays(*part), -1) for part in (above, below, within)]
    return Crossing(*made)

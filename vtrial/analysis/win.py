"""Wins and losses over a hierarchy of endpoints: ratio, odds and net benefit.

Every treated subject is compared with every other one of the same trial on the first
endpoint; if neither wins there, on the next one, and so on.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy import special

from vtrial.analysis.contrast import Contrast, contrast_of, normal_effect
from vtrial.analysis.order import Side, sides_of
from vtrial.analysis.statistic import Numbers, Values

WinMeasure = Literal["win ratio", "win odds", "net benefit"]

PAIRS_AT_ONCE = 2_000_000


class Tier(NamedTuple):
    """One endpoint of a hierarchy.

    Fields
    ------
    value
        A number or a time; NaN compares with nobody.
    event
        Given for times: 1 where the time is that of the event, 0 where it is censored.
        Who is known to have had the event first loses. At the same time censoring
        comes after the event.
    higher
        Whether a larger number (a later event) is better.
    margin
        By how much at least values must differ: more than this wins.
    """

    value: Values
    event: Values | None = None
    higher: bool = True
    margin: float = 0.0


class _Bounds(NamedTuple):
    """What is known of a subject's value: it is at least `low` and at most `high`.

    One side wins where its `low` is above the other's `high`.
    """

    low: np.ndarray
    high: np.ndarray


def win_contrast(
    measure: WinMeasure,
    tiers: Sequence[Tier],
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    level: float = 0.95,
) -> Contrast:
    r"""Compare two arms by the pairs that the treated win (W), lose (L) and tie (T).

    The win ratio is W/L, the win odds (W + T/2)/(L + T/2) and the net benefit W - L, of
    shares of all pairs. Their variance is that of two-sample U-statistics,

    $$ \mathrm{Cov}(W, L) = \mathrm{cov}_i(W_i, L_i)/n_1 +
       \mathrm{cov}_j(W_j, L_j)/n_0, $$

    from the shares of pairs that subject i wins and loses; ratios are taken to be
    normal on the logarithm.

    Parameters
    ----------
    tiers
        The hierarchy, the most important endpoint first. Who has no value in any of
        them takes no part.

    Returns
    -------
    NaN where an arm is empty, or a ratio has no wins or no losses; with one subject
    alone in an arm there is an estimate, but no error.

    References
    ----------
    Pocock SJ et al. (2012) Eur Heart J 33:176-182.
    Bebu I, Lachin JM (2016) Biostatistics 17:178-187.
    Dong G et al. (2020) Stat Biopharm Res 12:99-106 (win odds).
    Buyse M (2010) Stat Med 29:3245-3257 (net benefit).
    """
    arm, other = sides_of(_present(tiers), treated)
    shares = _tallies(tiers, arm, other)
    with np.errstate(invalid="ignore", divide="ignore"):
        wins, losses = shares.wins, shares.losses
        spread = [_covariance(shares, *pair) for pair in ((0, 0), (1, 1), (0, 1))]
        gain = np.maximum(spread[0] + spread[1] - 2 * spread[2], 0.0)
        if measure == "net benefit":
            return contrast_of(normal_effect(wins - losses, np.sqrt(gain)), level=level)
        if measure == "win odds":
            share = (1 + wins - losses) / 2
            sound = (share > 0) & (share < 1)
            share = np.where(sound, share, np.nan)
            estimate = np.log(share / (1 - share))
            error = np.sqrt(gain / 4) / (share * (1 - share))
        else:
            sound = (wins > 0) & (losses > 0)
            wins, losses = (np.where(sound, x, np.nan) for x in (wins, losses))
            estimate = np.log(wins / losses)
            variance = spread[0] / wins**2 + spread[1] / losses**2
            variance -= 2 * spread[2] / (wins * losses)
            error = np.sqrt(np.maximum(variance, 0.0))
    return contrast_of(normal_effect(estimate, error), ratio=True, level=level)


def finkelstein_schoenfeld(
    tiers: Sequence[Tier], treated: Bool[np.ndarray, "replicate subject"]
) -> Numbers:
    """Return the two-sided p-value of Finkelstein and Schoenfeld's test.

    Every subject is scored by its wins less its losses against all others of the
    trial; the treated subjects' sum is compared with its permutation variance.

    References
    ----------
    Finkelstein DM, Schoenfeld DA (1999) Stat Med 18:1341-1354.
    """
    present = _present(tiers)
    everybody, _ = sides_of(present, np.ones_like(treated))
    score = np.zeros(everybody.here.shape)
    for rows, result in _compared(tiers, everybody, everybody):
        score[rows] = result.sum(axis=2, dtype=float)
    size = everybody.size
    inside = everybody.arrange(treated.astype(float)) == 1
    count = inside.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = count * (size - count) / (size * (size - 1))
        spread = spread * (score**2).sum(axis=1)
        total = np.where(inside, score, 0.0).sum(axis=1)
        score = np.where(total == 0, 0.0, np.abs(total) / np.sqrt(spread))
    both = (count > 0) & (count < size)
    return np.where(both, 2 * special.ndtr(-score), np.nan)


def _present(tiers: Sequence[Tier]) -> np.ndarray:
    """Say who has a value in any tier."""
    return np.any([np.isfinite(tier.value) for tier in tiers], axis=0)


class _Tallies(NamedTuple):
    """Shares of pairs won and lost: of all, and of every subject of both sides."""

    wins: Numbers
    losses: Numbers
    arm: tuple[np.ndarray, np.ndarray]
    other: tuple[np.ndarray, np.ndarray]
    sides: tuple[Side, Side]


def _tallies(tiers: Sequence[Tier], arm: Side, other: Side) -> _Tallies:
    """Count the wins and losses of every subject."""
    rows_of = [np.zeros((2, *side.here.shape)) for side in (arm, other)]
    for rows, result in _compared(tiers, arm, other):
        for place, hit in enumerate((result > 0, result < 0)):
            rows_of[0][place, rows] = hit.sum(axis=2)
            rows_of[1][place, rows] = hit.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = arm.size * other.size
        wins, losses = (rows_of[0][place].sum(axis=1) / pairs for place in (0, 1))
        mine = tuple(rows_of[0][place] / other.size[:, None] for place in (0, 1))
        theirs = tuple(rows_of[1][place] / arm.size[:, None] for place in (0, 1))
    return _Tallies(wins, losses, mine, theirs, (arm, other))  # type: ignore[arg-type]


def _covariance(shares: _Tallies, first: int, second: int) -> Numbers:
    """Return the covariance of the shares of pairs won (0) or lost (1)."""
    means = (shares.wins, shares.losses)
    total = np.zeros(len(shares.wins))
    for own, side in zip((shares.arm, shares.other), shares.sides, strict=True):
        parts = (
            np.where(side.here, own[which] - means[which][:, None], 0.0)
            for which in (first, second)
        )
        product = np.prod(list(parts), axis=0).sum(axis=1)
        freedom = np.where(side.size > 1, side.size - 1, np.nan)
        total += product / freedom / side.size
    return total


def _compared(
    tiers: Sequence[Tier], arm: Side, other: Side
) -> Iterator[tuple[slice, np.ndarray]]:
    """Compare every pair, some trials at a time: 1 is a win, -1 a loss, 0 a tie."""
    bounds = [(_bounds(tier, arm), _bounds(tier, other)) for tier in tiers]
    pairs = arm.here.shape[1] * other.here.shape[1]
    most = max(1, PAIRS_AT_ONCE // pairs)
    for start in range(0, len(arm.here), most):
        rows = slice(start, start + most)
        result = np.zeros((), np.int8)
        for (mine, theirs), tier in zip(bounds, tiers, strict=True):
            up = mine.low[rows, :, None] > theirs.high[rows, None, :] + tier.margin
            down = theirs.low[rows, None, :] > mine.high[rows, :, None] + tier.margin
            here = up.view(np.int8) - down.view(np.int8)
            here = here if tier.higher else -here
            result = here if result.ndim == 0 else np.where(result, result, here)
        yield rows, result


def _bounds(tier: Tier, side: Side) -> _Bounds:
    """Return what is known of the side's values; a censored time has no upper bound.

    A censored time is moved by the least possible amount, so that it comes after an
    event at the same time.
    """
    value = side.arrange(tier.value)
    if tier.event is None:
        return _Bounds(value, value)
    seen = side.arrange(tier.event) == 1
    low = np.where(seen, value, np.nextafter(value, np.inf))
    return _Bounds(low, np.where(seen, value, np.inf))

"""Wins and losses over a hierarchy of endpoints: ratio, odds and net benefit.

Every treated subject is compared with every other one of the same trial on the first
endpoint; if neither wins there, on the next one, and so on.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy import special

from vtrial.measure.contrast import Contrast, contrast_of, normal_effect
from vtrial.measure.groups import Tier
from vtrial.measure.risk_set import Side, Strata, by_stratum, sides_of
from vtrial.measure.statistic import Numbers

WinMeasure = Literal["win ratio", "win odds", "net benefit"]

PAIRS_AT_ONCE = 2_000_000


class _Bounds(NamedTuple):
    """Bounds of a subject's value: it is at least `low` and at most `high`.

    One side wins where its `low` is above the other's `high`.
    """

    low: np.ndarray
    high: np.ndarray


def win_contrast(
    measure: WinMeasure,
    tiers: Sequence[Tier],
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    strata: Strata | None = None,
    level: float = 0.95,
) -> Contrast:
    r"""Compare two arms by the pairs that the treated win (W), lose (L) and tie (T).

    The win ratio is W/L, the win odds (W + T/2)/(L + T/2) and the net benefit W - L, of
    shares of all pairs. Their variance is that of two-sample U-statistics,

    $$ \mathrm{Cov}(W, L) = \mathrm{cov}_i(W_i, L_i)/n_1 +
       \mathrm{cov}_j(W_j, L_j)/n_0, $$

    from the shares of pairs that subject i wins and loses; ratios are taken to be
    normal on the logarithm. With strata only pairs within one are compared, and their
    numbers are weighted by one over the stratum's size, as Mantel and Haenszel did: the
    shares of stratum m count with the weight n1m n0m / (n1m + n0m).

    Parameters
    ----------
    tiers
        The hierarchy, the most important endpoint first. Who has no value in any of
        them takes no part.
    strata
        A subject's stratum from 0; whoever has a negative one is left out.

    Returns
    -------
    NaN where an arm is empty (in every stratum), or a ratio has no wins or no losses;
    with one subject alone in an arm (of a stratum that has the other) there is an
    estimate, but no error.

    References
    ----------
    Pocock SJ et al. (2012) Eur Heart J 33:176-182.
    Bebu I, Lachin JM (2016) Biostatistics 17:178-187.
    Dong G et al. (2020) Stat Biopharm Res 12:99-106 (win odds).
    Buyse M (2010) Stat Med 29:3245-3257 (net benefit).
    Dong G et al. (2018) J Biopharm Stat 28:778-796 (strata).
    """
    present = _present(tiers)
    if strata is None:
        strata = np.zeros(treated.shape, int)
    present &= strata >= 0
    shares = _tallies(tiers, *sides_of(present, treated), strata)
    with np.errstate(invalid="ignore", divide="ignore"):
        wins, losses = ((shares.weight * part).sum(axis=1) for part in shares.won)
        wins, losses = (np.where(shares.paired, x, np.nan) for x in (wins, losses))
        spread = [_covariance(shares, *pair) for pair in ((0, 0), (1, 1), (0, 1))]
        gain = np.maximum(spread[0] + spread[1] - 2 * spread[2], 0.0)
        if measure == "net benefit":
            return contrast_of(normal_effect(wins - losses, np.sqrt(gain)), level=level)
        if measure == "win odds":
            # W + T/2 with T = 1 - W - L; the error by the delta method on its logit.
            share = (1 + wins - losses) / 2
            sound = (share > 0) & (share < 1)
            share = np.where(sound, share, np.nan)
            estimate = np.log(share / (1 - share))
            error = np.sqrt(gain / 4) / (share * (1 - share))
        else:
            sound = (wins > 0) & (losses > 0)
            wins, losses = (np.where(sound, x, np.nan) for x in (wins, losses))
            estimate = np.log(wins / losses)
            # The delta method on log(W/L).
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
        # The permutation variance of a sum drawn without replacement; scores sum to 0.
        spread = count * (size - count) / (size * (size - 1))
        spread = spread * (score**2).sum(axis=1)
        total = np.where(inside, score, 0.0).sum(axis=1)
        score = np.where(total == 0, 0.0, np.abs(total) / np.sqrt(spread))
    both = (count > 0) & (count < size)
    return np.where(both, 2 * special.ndtr(-score), np.nan)


def _present(tiers: Sequence[Tier]) -> np.ndarray:
    """Return which subjects have a value in any tier."""
    return np.any([np.isfinite(tier.value) for tier in tiers], axis=0)


class _Half(NamedTuple):
    """One side of a trial: strata, and the proportions of pairs that subjects won.

    Fields
    ------
    stratum
        (replicate, place); -1 where nobody is.
    size
        (replicate, stratum) subjects.
    own
        Shares of the other side's subjects of the stratum that each subject beats
        (first) and is beaten by (of the other side: is beaten by, and beats).
    """

    stratum: np.ndarray
    size: np.ndarray
    own: tuple[np.ndarray, np.ndarray]


class _Tallies(NamedTuple):
    """Proportions of pairs won and lost, by stratum and by subject, and weights.

    `paired` says which trials have a pair.
    """

    won: tuple[np.ndarray, np.ndarray]
    weight: np.ndarray
    paired: Bool[np.ndarray, " replicate"]
    halves: tuple[_Half, _Half]


def _tallies(tiers: Sequence[Tier], arm: Side, other: Side, strata: Strata) -> _Tallies:
    """Count the wins and losses of every subject within its stratum."""
    rows_of = [np.zeros((2, *side.here.shape)) for side in (arm, other)]
    for rows, result in _compared(tiers, arm, other, strata):
        for place, hit in enumerate((result > 0, result < 0)):
            rows_of[0][place, rows] = hit.sum(axis=2)
            rows_of[1][place, rows] = hit.sum(axis=1)
    count = int(strata.max(initial=0)) + 1
    stratum = [_stratum(side, strata) for side in (arm, other)]
    size = [_by(np.ones(s.shape), s, count) for s in stratum]
    with np.errstate(invalid="ignore", divide="ignore"):
        won = [
            np.nan_to_num(_by(rows_of[0][place], stratum[0], count) / np.prod(size, 0))
            for place in (0, 1)
        ]
        weight = np.nan_to_num(size[0] * size[1] / (size[0] + size[1]))
        total = weight.sum(axis=1, keepdims=True)
        weight = np.nan_to_num(weight / total)
        halves = [
            _Half(s, n, tuple(hits / np.take_along_axis(o, np.maximum(s, 0), 1)))
            for s, n, o, hits in zip(stratum, size, size[::-1], rows_of, strict=True)
        ]
    return _Tallies(tuple(won), weight, total[:, 0] > 0, tuple(halves))  # type: ignore[arg-type]


def _stratum(side: Side, strata: Strata) -> np.ndarray:
    """Return the stratum at every place of a side; -1 where nobody is."""
    placed = np.take_along_axis(strata, side.subject, axis=1)
    return np.where(side.here, placed, -1)


def _by(value: np.ndarray, stratum: np.ndarray, count: int) -> np.ndarray:
    """Sum what is by place over each stratum's places; (replicate, stratum)."""
    total = by_stratum(value, stratum)
    return np.pad(total, ((0, 0), (0, count - total.shape[1])))


def _covariance(shares: _Tallies, first: int, second: int) -> Numbers:
    """Return the covariance of the proportions of pairs won (0) or lost (1)."""
    weight = shares.weight
    total = np.zeros(weight.shape)
    for stratum, size, own in shares.halves:
        inside, place = stratum >= 0, np.maximum(stratum, 0)
        parts = [
            own[which] - np.take_along_axis(shares.won[which], place, axis=1)
            for which in (first, second)
        ]
        product = np.where(inside, parts[0] * parts[1], 0.0)
        product = _by(np.nan_to_num(product), stratum, weight.shape[1])
        freedom = np.where(size > 1, size - 1, np.nan)
        total += product / freedom / size
    total = np.where(weight > 0, weight**2 * total, 0.0).sum(axis=1)
    return np.where(shares.paired, total, np.nan)


def _compared(
    tiers: Sequence[Tier], arm: Side, other: Side, strata: Strata | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Compare every pair, some trials at a time: 1 is a win, -1 a loss, 0 a tie.

    Those who are in different strata tie.
    """
    groups: list[np.ndarray] = []
    if strata is not None and (strata != strata[:, :1]).any():
        groups = [_stratum(side, strata) for side in (arm, other)]
    bounds = [(_bounds(tier, arm), _bounds(tier, other)) for tier in tiers]
    pairs = arm.here.shape[1] * other.here.shape[1]
    most = max(1, PAIRS_AT_ONCE // pairs)
    for start in range(0, len(arm.here), most):
        rows = slice(start, start + most)
        result = np.zeros((), np.int8)
        for (mine, theirs), tier in zip(bounds, tiers, strict=True):
            up = mine.low[rows, :, None] > theirs.high[rows, None, :] + tier.margin
            down = theirs.low[rows, None, :] > mine.high[rows, :, None] + tier.margin
            # A byte a pair, for pairs are the largest arrays.
            here = up.view(np.int8) - down.view(np.int8)
            here = here if tier.higher else -here
            # A tier decides only pairs that tie on all before it.
            result = here if result.ndim == 0 else np.where(result, result, here)
        if groups:
            mine, theirs = (group[rows] for group in groups)
            result = np.where(mine[:, :, None] == theirs[:, None, :], result, 0)
        yield rows, result


def _bounds(tier: Tier, side: Side) -> _Bounds:
    """Return bounds of a side's values; a censored time has no upper one.

    A censored time is moved by the least possible amount, so that it comes after an
    event at the same time.
    """
    value = side.arrange(tier.value)
    if tier.event is None:
        return _Bounds(value, value)
    seen = side.arrange(tier.event) == 1
    low = np.where(seen, value, np.nextafter(value, np.inf))
    return _Bounds(low, np.where(seen, value, np.inf))

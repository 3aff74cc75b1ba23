"""Closed tests of several arms over stages, decided for all replicates at once.

An arm's hypothesis is rejected when every intersection that holds it is. The stages of
an intersection are combined by weights that are fixed in advance, so arms may be chosen
between stages by any rule.

References
----------
Marcus R, Peritz E, Gabriel KR (1976) Biometrika 63:655-660 (closed tests).
Bretz F, Schmidli H, König F, Racine A, Maurer W (2006) Biom J 48:623-634.
Wassmer G, Brannath W (2016) Group Sequential and Confirmatory Adaptive Designs in
Clinical Trials, chapter 11.
"""

from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from vtrial.design.sequential.combination import (
    inverse_normal,
    normal_score,
    stage_weights,
)
from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.many_arms import dunnett_p
from vtrial.errors import ProtocolError

Intersection = Literal["Dunnett", "Bonferroni", "Simes", "Sidak", "hierarchical"]
_MOST_ARMS = 10


def intersection_p(
    z: ArrayLike,
    members: ArrayLike,
    *,
    test: Intersection = "Dunnett",
    ratio: float = 1.0,
) -> Array:
    """Return the p-value of an intersection of arms' hypotheses.

    Parameters
    ----------
    z
        Statistics, (*replicate, arm); NaN where an arm has no data in the stage.
    members
        Which arms the intersection holds, (arm).
    test
        `hierarchical` tests by the first member, in the order of the arms.
    ratio
        Size of an arm over that of the control, for `Dunnett`.

    Returns
    -------
    (*replicate); 1 where no member has data.
    """
    z = np.asarray(z, float)
    held = np.asarray(members, bool) & ~np.isnan(z)
    count = held.sum(axis=-1)
    largest = np.max(np.where(held, z, -np.inf), axis=-1)
    if test == "Dunnett":
        return dunnett_p(largest, count, ratio=ratio)
    least = np.where(count > 0, ndtr(-largest), 0.5)
    if test == "Bonferroni":
        return np.where(count > 0, np.minimum(count * least, 1.0), 1.0)
    if test == "Sidak":
        return np.where(count > 0, -np.expm1(count * np.log1p(-least)), 1.0)
    p = np.where(held, ndtr(-np.where(held, z, 0.0)), 2.0)
    if test == "hierarchical":
        first = int(np.argmax(members))
        return np.where(held[..., first], p[..., first], 1.0)
    ordered = np.sort(p, axis=-1)
    rank = np.arange(1, z.shape[-1] + 1)
    scaled = np.where(rank <= count[..., None], ordered / rank, np.inf)
    return np.minimum(count * np.min(scaled, axis=-1, initial=1e9), 1.0) + (count == 0)


def closed_test(
    z: ArrayLike,
    upper: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    test: Intersection = "Dunnett",
    ratio: float | ArrayLike = 1.0,
) -> Array:
    """Return which arms are rejected by which stage.

    Parameters
    ----------
    z
        Statistics of each stage's own data against control, (*replicate, stage, arm);
        NaN where an arm was dropped or has not begun.
    upper
        Critical values of the combined statistics at the stages, as of `boundaries`;
        infinite where a stage does not test.
    weights
        Weights of the stages; equal by default.
    ratio
        Size of an arm over that of the control, one for all stages or each.

    Returns
    -------
    (*replicate, stage, arm), rejected at that stage or before. A hypothesis whose arm
    was dropped stays as it was.

    Raises
    ------
    ProtocolError
        If there are more than ten arms, whose intersections are too many.
    """
    z = np.asarray(z, float)
    stages, arms = z.shape[-2:]
    if arms > _MOST_ARMS:
        raise ProtocolError(
            at="arms",
            found=f"{arms} arms",
            allowed=f"at most {_MOST_ARMS} in a closed test",
            write="",
        )
    weights = np.ones(stages) if weights is None else np.asarray(weights, float)
    ratios = np.broadcast_to(np.asarray(ratio, float), (stages,))
    rejected = np.ones(z.shape, bool)
    for code in range(1, 2**arms):
        members = (code >> np.arange(arms)) % 2 == 1
        p = [
            intersection_p(z[..., s, :], members, test=test, ratio=float(ratios[s]))
            for s in range(stages)
        ]
        combined = inverse_normal(normal_score(np.stack(p, axis=-1)), weights)
        whole = combined >= np.asarray(upper, float)
        ever = np.maximum.accumulate(whole, axis=-1)
        rejected[..., members] &= ever[..., None]
    seen = np.maximum.accumulate(~np.isnan(z), axis=-2)
    fresh = rejected & ~np.isnan(z)
    return np.maximum.accumulate(fresh, axis=-2) & seen


def closed_dunnett(
    z_stage1: ArrayLike,
    z_stage2: ArrayLike,
    *,
    information: float = 0.5,
    alpha: float = 0.025,
    ratio: float = 1.0,
) -> Array:
    """Return which arms a trial of two stages rejects at its end, (*replicate, arm).

    Parameters
    ----------
    z_stage1, z_stage2
        Statistics of each stage's own data, (*replicate, arm); NaN for arms that were
        dropped after the first.
    information
        Share of the first stage, whose root is its weight.

    Examples
    --------
    >>> print(closed_dunnett([[2.0, 0.5]], [[2.0, np.nan]]))
    [[ True False]]
    """
    z = np.stack([np.asarray(z_stage1, float), np.asarray(z_stage2, float)], axis=-2)
    upper = np.array([np.inf, -ndtri(alpha)])
    weights = stage_weights([information, 1.0])
    found = closed_test(z, upper, weights=weights, ratio=ratio)
    return found[..., -1, :]

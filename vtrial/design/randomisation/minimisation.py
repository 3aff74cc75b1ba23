r"""Minimisation: balance over many factors at once, one subject after the other.

For the next subject and each arm $k$ it is asked how the numbers of subjects who share
its level of factor $i$ would be spread over the arms, if it went to $k$: a measure
$d_{ik}$ of that spread, weighed and added up, is the imbalance

$$ G_k = \sum_i w_i d_{ik} . $$

The arms are ranked by it, and the best one is assigned with probability $p$. Numbers
are divided by the arms' ratio first.

References
----------
Pocock SJ, Simon R (1975) Biometrics 31:103-115.
Taves DR (1974) Clin Pharmacol Ther 15:443-453 (marginal sum).
Han B, Enas NH, McEntegart D (2009) Stat Med 28:3329-3346 (unequal ratios).
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.design.randomisation.restricted import picked
from vtrial.design.randomisation.ticket import MAKERS
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

Spread = Literal["range", "variance", "deviation", "marginal sum"]
SPREADS: tuple[Spread, ...] = ("range", "variance", "deviation", "marginal sum")
PLACE = "randomisation.minimisation"
ALIKE = 1e-9  # imbalances that differ by less are equal


def minimise(
    tickets: Float[np.ndarray, "replicate subject"],
    levels: Int[np.ndarray, "replicate subject factor"],
    *,
    ratio: Sequence[int] = (1, 1),
    spread: Spread = "range",
    probability: float = 0.8,
    weights: Sequence[float | int] | None = None,
) -> Int[np.ndarray, "replicate subject"]:
    """Assign subjects, one after the other, so that factors are balanced.

    Parameters
    ----------
    tickets
        A uniform number of each subject, in the order of enrolment.
    levels
        Each subject's level of every factor, whole numbers from 0; -1 throughout for
        who is not enrolled.
    ratio
        Of the arms.
    spread
        How the numbers of an arm are compared: `range`, `variance`, `deviation` (the
        standard deviation) or `marginal sum`, the arm's own number.
    probability
        Of the arm that leaves the least imbalance; the others share the rest by their
        ratio. Of arms that leave the same, by their ratio.
    weights
        Of the factors; 1 each if not given.

    Returns
    -------
    Each subject's arm, from 0; -1 for who is not enrolled.

    Raises
    ------
    ProtocolError
        If the probability is less than chance would give or above 1, a ratio or weight
        is not positive, the spread has another name, or there is not one weight a
        factor.

    Examples
    --------
    >>> levels = np.array([[[0, 0], [0, 1], [0, 0], [1, 1]]])
    >>> tickets = np.array([[0.1, 0.1, 0.6, 0.1]])
    >>> minimise(tickets, levels, probability=1.0).tolist()
    [[0, 1, 1, 0]]
    """
    ratio_, weights_ = _checked(ratio, spread, probability, weights, levels.shape[-1])
    most = int(levels.max(initial=0)) + 1
    made = _assigned(
        spread,
        most,
        jnp.asarray(tickets),
        jnp.asarray(levels),
        jnp.asarray(ratio_),
        jnp.asarray(float(probability)),
        jnp.asarray(weights_),
    )
    return np.asarray(made).astype(int)


def imbalances(
    counts: Float[np.ndarray, "factor level arm"],
    levels: Int[np.ndarray, " factor"],
    *,
    ratio: Sequence[int] = (1, 1),
    spread: Spread = "range",
    weights: Sequence[float | int] | None = None,
) -> Float[np.ndarray, " arm"]:
    """Return the imbalance that each arm would leave for one more subject.

    Parameters
    ----------
    counts
        Subjects so far, by factor, level and arm.
    levels
        The next subject's level of each factor.
    ratio, spread, weights
        As in `minimise`.

    Examples
    --------
    >>> counts = np.array([[[4, 2], [3, 5]], [[4, 4], [3, 3]]])
    >>> imbalances(counts * 1.0, np.array([1, 1])).tolist()
    [2.0, 4.0]
    """
    ratio_, weights_ = _checked(ratio, spread, 1.0, weights, len(levels))
    parts = (jnp.asarray(counts, float), jnp.asarray(levels))
    made = _imbalance(spread, *parts, jnp.asarray(ratio_), jnp.asarray(weights_))
    return np.asarray(made)


def _imbalance(
    spread: Spread,
    counts: Float[Array, "factor level arm"],
    levels: Int[Array, " factor"],
    ratio: Float[Array, " arm"],
    weights: Float[Array, " factor"],
) -> Float[Array, " arm"]:
    """Return the weighted spread over the arms that each choice would leave."""
    arms, factors = ratio.shape[0], jnp.arange(weights.shape[0])
    own = counts[factors, levels]
    after = (own[None] + jnp.eye(arms)[:, None]) / ratio[None, None]
    if spread == "marginal sum":
        each = jnp.moveaxis(jnp.diagonal(after, axis1=0, axis2=2), 0, 1)
        return weights @ each.T
    if spread == "range":
        each = after.max(axis=2) - after.min(axis=2)
    else:
        square = ((after - after.mean(axis=2, keepdims=True)) ** 2).sum(axis=2)
        each = square / (arms - 1)
        each = jnp.sqrt(each) if spread == "deviation" else each
    return each @ weights


def _walk(
    spread: Spread,
    most: int,
    tickets: Float[Array, "replicate subject"],
    levels: Int[Array, "replicate subject factor"],
    ratio: Float[Array, " arm"],
    probability: Float[Array, ""],
    weights: Float[Array, " factor"],
) -> Int[Array, "replicate subject"]:
    """Assign one subject after the other in each trial."""
    factors, arms = weights.shape[0], ratio.shape[0]
    place = jnp.arange(factors)

    def step(counts: Array, shown: tuple[Array, Array]) -> tuple[Array, Array]:
        ticket, own = shown
        there = (own >= 0).all()
        level = jnp.maximum(own, 0)
        left = _imbalance(spread, counts, level, ratio, weights)
        best = left <= left.min() + ALIKE
        first = jnp.where(best, ratio, 0.0)
        rest = jnp.where(best, 0.0, ratio)
        other = rest.sum()
        shared = rest / jnp.where(other > 0, other, 1.0)
        share = jnp.where(other > 0, probability, 1.0)
        chance = share * first / first.sum() + (1 - share) * shared
        arm = jnp.where(there, picked(chance, ticket), -1)
        one = (jnp.arange(arms) == arm).astype(counts.dtype)
        added = counts.at[place, level].add(jnp.broadcast_to(one, (factors, arms)))
        return added, arm

    def one(tickets: Array, levels: Array) -> Array:
        nobody = jnp.zeros((factors, most, arms))
        return jax.lax.scan(step, nobody, (tickets, levels))[1]

    return jax.vmap(one)(tickets, levels)


_assigned = kept(_walk, static=2, makers=MAKERS)


def _checked(
    ratio: Sequence[int],
    spread: str,
    probability: float,
    weights: Sequence[float | int] | None,
    factors: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ratio and weights as numbers; refuse what cannot be."""
    shares = np.asarray(ratio, float)
    if shares.size < 2 or not (shares > 0).all():
        allowed = "a positive number for each of two arms or more"
        raise ProtocolError(f"{PLACE}.ratio", str(tuple(ratio)), allowed, "")
    if spread not in SPREADS:
        allowed = ", ".join(SPREADS)
        raise ProtocolError(f"{PLACE}.spread", repr(spread), allowed, "spread: range")
    least = shares.max() / shares.sum()
    if not least <= probability <= 1:
        allowed = f"from {least:g}, which is chance, to 1"
        raise ProtocolError(f"{PLACE}.probability", f"{probability:g}", allowed, "")
    weight = np.ones(factors) if weights is None else np.asarray(weights, float)
    if weight.shape != (factors,) or not (weight > 0).all():
        allowed = f"a positive number for each of {factors} factors"
        raise ProtocolError(f"{PLACE}.weights", str(weight), allowed, "")
    return shares, weight

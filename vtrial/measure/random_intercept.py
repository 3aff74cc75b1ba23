r"""A random intercept of each cluster, by restricted likelihood, in many trials.

Values of a cluster $i$ (a site's subjects, a person's periods) have

$$ y_{ij} = x_{ij}^\top \beta + b_i + \varepsilon_{ij}, \qquad
   b_i \sim N(0, \tau), \quad \varepsilon_{ij} \sim N(0, \sigma^2). $$

Turned so that one of a cluster's $n_i$ values is $\sqrt{n_i}$ times its mean, with
the variance $v_i = \sigma^2 + n_i \tau$, all others have the variance $\sigma^2$ and
all are independent. So with $z = (x, y)$ and its sums $s_i$ over clusters all is in

$$ N = \sigma^{-2} \Big( \sum z z^\top - \sum_i s_i s_i^\top / n_i \Big)
     + \sum_i v_i^{-1} s_i s_i^\top / n_i, $$

which costs the same for clusters of any size. Where only the ratio $\tau / \sigma^2$ is
sought, $\sigma^2$ is known by it, and the search has one dimension.

References
----------
Patterson HD, Thompson R (1971) Biometrika 58:545-554.
Harville DA (1977) J Am Stat Assoc 72:320-338.
Kenward MG, Roger JH (1997) Biometrics 53:983-997.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vtrial.measure.degrees_of_freedom import adjusted_covariance, satterthwaite
from vtrial.measure.groups import Effect, Numbers
from vtrial.measure.mmrm_design import Basis, express, lay_out

By = Literal["kenward-roger", "satterthwaite"]
# Ratios of the variances, times the mean size of clusters, among which it is sought.
GRID = np.concatenate([[0.0], 10.0 ** np.arange(-3, 8.5, 0.5)])
STEPS = 60
NEAR = 1e-12  # of the ratio: its last step


class RandomIntercept(NamedTuple):
    """Models with a random intercept of each cluster; NaN where there is no fit.

    Attributes
    ----------
    within, between
        Variances within and between clusters, the second never below 0.
    basis, effect, covariance
        Coefficients of the design's orthonormal columns, as a `Fit` has them.
    slope, curved, bent, spread
        See `vtrial.measure.likelihood.FixedEffects`; the parameters are both variances.
        One between clusters that is 0 has no part in `spread`.
    """

    within: Numbers
    between: Numbers
    basis: Basis
    effect: Float[np.ndarray, "trial column"]
    covariance: Float[np.ndarray, "trial column column"]
    slope: Float[np.ndarray, "trial parameter column column"]
    curved: Float[np.ndarray, "trial column column"]
    bent: Float[np.ndarray, "trial column column"]
    spread: Float[np.ndarray, "trial parameter parameter"]


def fit_random_intercept(
    value: Float[np.ndarray, "trial row"],
    design: Float[np.ndarray, "trial row column"],
    cluster: Int[np.ndarray, "trial row"],
    *,
    expected: bool = False,
) -> RandomIntercept:
    """Fit a random intercept of each cluster to every trial (REML).

    Parameters
    ----------
    value
        NaN for what is missing; so is a row with NaN in its design.
    design
        Columns of the fixed effects, an intercept included; what depends on columns
        before it is dropped.
    cluster
        The place of each row's cluster from 0; below 0 for who takes no part.
    expected
        Whether the variances' covariance is of their expected information, as Kenward
        and Roger have it, and pbkrtest; else the observed, as SAS and lmerTest.

    Notes
    -----
    The variance between clusters is 0 where the likelihood falls from there on. It is
    then known, and all is as in least squares: SAS's PROC MIXED does the same.
    """
    sums = _sums(value, design, cluster)
    ratio = _search(sums)
    return _finish(ratio, sums, expected)


def treatment_effect(fit: RandomIntercept, *, column: int = 1, by: By) -> Effect:
    """Return the coefficient of a column of the design, its error and its freedom.

    It is that of the second column, after the intercept, if no other is named; NaN
    where a trial's design cannot tell it.
    """
    own = express(fit.basis, np.eye(fit.effect.shape[1])[column][None])
    covariance = fit.covariance
    if by == "kenward-roger":
        covariance = adjusted_covariance(fit, second=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.vecdot(own @ covariance, own))
        freedom = satterthwaite(fit, own)
    return Effect(np.vecdot(own, fit.effect[:, None])[:, 0], error[:, 0], freedom[:, 0])


class _Sums(NamedTuple):
    """What the likelihood of each trial is made of; columns are values last.

    `total` are sums over clusters over the root of their size; `inner` is what of all
    products they leave. `first` is the least-squares fit that is taken off.
    """

    total: Float[np.ndarray, "trial cluster columns"]
    inner: Float[np.ndarray, "trial columns columns"]
    size: Float[np.ndarray, "trial cluster"]
    spare: Numbers
    first: Float[np.ndarray, "trial column"]
    basis: Basis

    @property
    def there(self) -> Bool[np.ndarray, "trial cluster"]:
        """Which clusters have values."""
        return self.size > 0

    @property
    def others(self) -> Numbers:
        """How many values vary within clusters alone: all, less the clusters."""
        return self.size.sum(axis=1) - self.there.sum(axis=1)


def _sums(value: np.ndarray, design: np.ndarray, cluster: np.ndarray) -> _Sums:
    """Sum columns and values over clusters."""
    none = np.where(cluster >= 0, value, np.nan)
    panel = lay_out(none[:, :, None], design[:, :, None, :])
    seen = panel.seen[:, :, 0]
    both = np.concatenate([panel.columns[:, :, 0], panel.value], axis=2)
    trials, many = len(value), int(cluster.max(initial=0)) + 1
    row = (np.arange(trials)[:, None] * many + np.maximum(cluster, 0))[seen]

    def summed(values: np.ndarray) -> np.ndarray:
        found = np.bincount(row, values[seen], minlength=trials * many)
        return found.reshape(trials, many)

    size = summed(np.ones(seen.shape))
    total = np.stack([summed(both[..., c]) for c in range(both.shape[2])], axis=2)
    total /= np.sqrt(np.maximum(size, 1.0))[..., None]
    inner = both.mT @ both - total.mT @ total
    spare = size.sum(axis=1) - panel.rank
    return _Sums(total, inner, size, spare, panel.first, panel.basis)


def _weighed(weight: Float[np.ndarray, "trial cluster"], sums: _Sums) -> np.ndarray:
    """Sum products of clusters' totals, each by its weight."""
    return (sums.total * weight[..., None]).mT @ sums.total


class _Parts(NamedTuple):
    """Coefficients at some weights: the inverse of X'WX, and what they leave of all."""

    inverse: Float[np.ndarray, "trial column column"]
    effect: Float[np.ndarray, "trial column"]
    left: Float[np.ndarray, "trial columns"]
    rest: Numbers
    spread: Numbers


def _solve(whole: np.ndarray, sums: _Sums) -> _Parts:
    """Solve for the coefficients; one that is dropped is 0, and nothing to log|A|."""
    dropped = np.where(sums.basis.kept, 0.0, 1.0)
    inner = whole[:, :-1, :-1] + np.eye(dropped.shape[1]) * dropped[:, None]
    good = np.isfinite(inner).all(axis=(1, 2), keepdims=True)
    inner = np.where(good, inner, np.eye(dropped.shape[1]))
    inverse = np.linalg.inv(inner)
    effect = np.matvec(inverse, whole[:, :-1, -1])
    left = np.concatenate([-effect, np.ones((len(effect), 1))], axis=1)
    rest = whole[:, -1, -1] - np.vecdot(whole[:, :-1, -1], effect)
    inverse *= sums.basis.kept[:, :, None] & sums.basis.kept[:, None, :]
    return _Parts(inverse, effect, left, rest, np.linalg.slogdet(inner)[1])


class _Curve(NamedTuple):
    """-2 log restricted likelihood along the ratio of variances, and its slopes."""

    value: Numbers
    first: Numbers
    second: Numbers


def _curve(ratio: Numbers, sums: _Sums) -> _Curve:
    r"""Return minus twice the log likelihood at ratios of variances, less a constant.

    It is $f \log r + \sum \log(1 + n_i \lambda) + \log|A|$ with the residual squares
    $r$ and their degrees of freedom $f$.
    """
    size = sums.size
    share = 1 / (1 + size * ratio[:, None])
    fall = size * share
    whole = sums.inner + _weighed(share, sums)
    down = -_weighed(share * fall, sums)
    twice = 2 * _weighed(share * fall**2, sums)
    at = _solve(whole, sums)
    turned = at.inverse @ down[:, :-1, :-1]
    moved = np.matvec(down, at.left)
    rest = np.vecdot(moved, at.left)
    cross = moved[:, :-1]
    bent = np.vecdot(np.matvec(twice, at.left), at.left)
    bent -= 2 * np.vecdot(np.matvec(at.inverse, cross), cross)
    value = sums.spare * np.log(at.rest) - np.log(share).sum(axis=1) + at.spread
    first = sums.spare * rest / at.rest + fall.sum(axis=1) + _trace(turned)
    second = sums.spare * (bent / at.rest - (rest / at.rest) ** 2)
    second += -(fall**2).sum(axis=1) + _trace(at.inverse @ twice[:, :-1, :-1])
    return _Curve(value, first, second - _trace(turned @ turned))


def _trace(matrix: np.ndarray) -> np.ndarray:
    """Return the trace of the last two axes."""
    return np.trace(matrix, axis1=-2, axis2=-1)


def _search(sums: _Sums) -> Numbers:
    """Return the ratio of variances with the greatest likelihood; NaN if it has none.

    From the best of a grid by Newton's steps, or halves, between its neighbours.
    """
    many = np.maximum(sums.there.sum(axis=1), 1)
    usual = np.maximum(sums.size.sum(axis=1) / many, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.stack([_curve(one / usual, sums).value for one in GRID])
        known = np.isfinite(found).all(axis=0) & (sums.spare > 0) & (sums.others > 0)
        known &= many < sums.size.sum(axis=1)
        best = np.where(known, found, 0.0).argmin(axis=0)
        known &= best < len(GRID) - 1
        low = GRID[np.maximum(best - 1, 0)] / usual
        high = GRID[np.minimum(best + 1, len(GRID) - 1)] / usual
        ratio = GRID[best] / usual
        bound = (best == 0) & (_curve(ratio, sums).first >= 0)
        for _ in range(STEPS):
            at = _curve(ratio, sums)
            low = np.where(at.first < 0, ratio, low)
            high = np.where(at.first < 0, high, ratio)
            step = -at.first / at.second
            inside = (at.second > 0) & (ratio + step > low) & (ratio + step < high)
            step = np.where(inside, step, (low + high) / 2 - ratio)
            step = np.where(known & ~bound, step, 0.0)
            ratio = ratio + step
            if (np.abs(step) <= NEAR * (ratio + 1e-3 / usual)).all():
                break
    return np.where(known, np.where(bound, 0.0, ratio), np.nan)


def _finish(ratio: Numbers, sums: _Sums, expected: bool) -> RandomIntercept:
    """Return the fit at a ratio of variances, and the matrices that tests need.

    The covariance is linear in both variances: its second derivatives are 0.
    """
    there = sums.there
    share = np.where(there, 1 / (1 + sums.size * ratio[:, None]), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = _solve(sums.inner + _weighed(share, sums), sums).rest / sums.spare
        weight = share / within[:, None]  # of a cluster's mean: 1 / v
        own = 1 / within
        at = _solve(sums.inner * own[:, None, None] + _weighed(weight, sums), sums)
        rises = np.stack([np.where(there, 1.0, 0.0), sums.size], axis=1)
        inner = np.stack([sums.inner, np.zeros_like(sums.inner)], axis=1)
        down = -inner * own[:, None, None, None] ** 2 - np.stack(
            [_weighed(weight**2 * rise, sums) for rise in rises.swapaxes(0, 1)], axis=1
        )
        pairs = rises[:, :, None] * rises[:, None]
        twice = np.stack(
            [_weighed(weight**3 * pair, sums) for pair in _pairs(pairs)], axis=1
        ).reshape(len(ratio), 2, 2, *sums.inner.shape[1:])
        twice[:, 0, 0] += sums.inner * own[:, None, None] ** 3
        both = (weight[:, None, None] ** 2 * pairs).sum(axis=-1)
        both[:, 0, 0] += sums.others * own**2
        hessian = _hessian(at, down, 2 * twice, both, expected)
    spread = _inverse(hessian, ratio > 0)
    curved = np.einsum("rkl,rklab->rab", spread, twice[..., :-1, :-1])
    known = np.isfinite(spread).all(axis=(1, 2)) & (within > 0)
    none = np.where(known, 0.0, np.nan)
    slope = down[:, :, :-1, :-1]
    return RandomIntercept(
        within=within + none,
        between=ratio * within + none,
        basis=sums.basis,
        effect=at.effect + sums.first + none[:, None],
        covariance=at.inverse + none[:, None, None],
        slope=slope,
        curved=curved,
        bent=np.zeros_like(curved),
        spread=spread,
    )


def _pairs(pairs: np.ndarray) -> np.ndarray:
    """Put the pairs of parameters first."""
    return np.moveaxis(pairs.reshape(len(pairs), 4, -1), 1, 0)


def _hessian(
    at: _Parts, down: np.ndarray, twice: np.ndarray, both: np.ndarray, expected: bool
) -> np.ndarray:
    r"""Return second derivatives of -2 log L in both variances, observed or expected.

    `down` and `twice` are the derivatives of N, `both` is $tr(W V_k W V_l)$.
    """
    inverse = at.inverse[:, None]
    turned = inverse @ down[..., :-1, :-1]
    products = np.einsum("rkab,rlba->rkl", turned, turned)
    traces = _trace(inverse[:, None] @ twice[..., :-1, :-1])
    if expected:
        return both - traces + products
    moved = np.matvec(down, at.left[:, None])
    cross = moved[..., :-1]
    squares = np.vecdot(
        np.matvec(twice, at.left[:, None, None]), at.left[:, None, None]
    )
    squares -= 2 * cross @ at.inverse @ cross.mT
    return -both + squares + traces - products


def _inverse(
    hessian: Float[np.ndarray, "trial 2 2"], inside: Bool[np.ndarray, " trial"]
) -> Float[np.ndarray, "trial 2 2"]:
    """Return twice the inverse of a Hessian; of its first cell at the bound.

    NaN where it is not positive definite: there the likelihood has no maximum.
    """
    first, last = hessian[:, 0, 0], hessian[:, 1, 1]
    cross = hessian[:, 0, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.where(inside, first * last - cross**2, first)
        size = np.where((size > 0) & (first > 0), size, np.nan)
        made = np.stack(
            [
                np.stack([np.where(inside, last, 1.0), -cross * inside], axis=-1),
                np.stack([-cross * inside, first * inside], axis=-1),
            ],
            axis=-2,
        )
        return 2 * made / size[:, None, None]

"""Cox's hazard ratio in each of many trials at once."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vtrial.measure.contrast import Contrast, contrast_of, normal_effect
from vtrial.measure.exact import Discrete
from vtrial.measure.newton import SETTLED, Likelihood, climb, inverse, told
from vtrial.measure.risk_set import Order, Strata, order_of
from vtrial.measure.statistic import Numbers, Values

Ties = Literal["Efron", "Breslow", "exact"]
Test = Literal["Wald", "score", "likelihood ratio"]

MOST = 12.0  # no logarithm of a hazard ratio is larger: the likelihood is monotone
VAGUE = 100.0  # no standard error of it is larger: it is so with the covariates


class _Risk(NamedTuple):
    """Data of Cox's partial likelihood, by place; columns are standardised."""

    order: Order
    columns: np.ndarray  # column, replicate, place
    event: np.ndarray
    earlier: np.ndarray  # share of the tied events that come before (Efron); else 0

    def rows(self, chosen: np.ndarray) -> "_Risk":
        """Return some of the trials."""
        parts = (self.columns[:, chosen], self.event[chosen], self.earlier[chosen])
        return _Risk(self.order.rows(chosen), *parts)

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Evaluate the partial likelihood of every trial at its own coefficients."""
        return _partial(self, slopes)


def hazard_ratio(
    time: Values,
    event: Values,
    treated: Bool[np.ndarray, "replicate subject"],
    *,
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None,
    strata: Strata | None = None,
    ties: Ties = "Efron",
    test: Test = "Wald",
    level: float = 0.95,
) -> Contrast:
    """Return the hazard ratio of the treated to the others by Cox's regression.

    Newton's method from no effect, for all trials at once; a step that lowers the
    likelihood is halved. The interval is Wald's.

    Parameters
    ----------
    covariates
        Adjusted for; a subject without one is left out. One that does not vary is
        ignored.
    strata
        A subject's stratum from 0, each with its own baseline hazard; whoever has a
        negative one is left out.
    ties
        How events at the same time are told apart: `exact` takes times to be discrete
        (R's `exact`, SAS's `DISCRETE`), and the ratio for one of odds.
    test
        Which of the three tests of no effect of treatment gives the p-value. The
        score and the likelihood-ratio test compare with the fit of the covariates.

    Returns
    -------
    NaN where there is no finite estimate: no event, events in one arm only while the
    other is at risk (a monotone likelihood), or a treatment that the covariates tell.

    References
    ----------
    Cox DR (1972) J R Stat Soc B 34:187-220.
    Efron B (1977) J Am Stat Assoc 72:557-565.
    Breslow N (1974) Biometrics 30:89-99.
    Gail MH, Lubin JH, Rubinstein LV (1981) Biometrika 68:703-707.
    """
    columns = treated[None].astype(float)
    if covariates is not None:
        columns = np.concatenate([columns, np.moveaxis(covariates, 2, 0)])
    complete = np.isfinite(columns).all(axis=0)
    order = order_of(np.where(complete, time, np.nan), strata)
    happened = order.arrange(event)
    placed, scale = _standardised(order, columns)
    if ties == "exact":
        risk: _Risk | Discrete = Discrete.of(order, placed, happened)
    else:
        risk = _Risk(order, placed, happened, _earlier(order, happened, ties))
    start = np.zeros((len(scale), len(columns)))
    fit = climb(risk, start)
    spread = inverse(fit.at.information)[:, 0, 0]
    slope = fit.slopes[:, 0] / scale
    settled = (fit.step[:, 0] < np.sqrt(SETTLED)) & (np.abs(slope) < MOST)
    settled &= (np.sqrt(spread) < VAGUE * scale) & told(risk.at(start).information)
    slope, error = (
        np.where(settled, part, np.nan) for part in (slope, np.sqrt(spread) / scale)
    )
    made = contrast_of(normal_effect(slope, error), ratio=True, level=level)
    if test == "Wald":
        return made
    square = _square(risk, fit.at.value, test)
    p = np.where(settled, special.chdtrc(1, np.maximum(square, 0.0)), np.nan)
    return made._replace(p=p)


def _square(risk: _Risk | Discrete, value: np.ndarray, test: Test) -> Numbers:
    """Return the score or likelihood-ratio statistic, on one degree of freedom."""
    without = np.zeros((risk.columns.shape[1], risk.columns.shape[0]))
    if risk.columns.shape[0] > 1:
        rest = risk._replace(columns=risk.columns[1:])
        without[:, 1:] = climb(rest, without[:, 1:]).slopes
    there = risk.at(without)
    if test == "likelihood ratio":
        return 2 * (value - there.value)
    return there.score[:, 0] ** 2 * inverse(there.information)[:, 0, 0]


def _standardised(order: Order, columns: np.ndarray) -> tuple[np.ndarray, Numbers]:
    """Place, centre and scale the columns; return the scale of the first, too."""
    count = np.maximum(order.here.sum(axis=1), 1)[:, None]
    placed = np.empty((len(columns), *order.here.shape))
    scale = np.empty((len(columns), len(order.here), 1))
    for number, column in enumerate(columns):
        one = order.arrange(column)
        size = np.abs(one).max(axis=1, initial=0.0)[:, None]
        mean = one.sum(axis=1)[:, None] / count
        one = np.where(order.here, one - mean, 0.0)
        spread = np.sqrt((one**2).sum(axis=1)[:, None] / count)
        # A constant column leaves rounding only, which must not count as variation.
        varies = spread > 1e-12 * size
        scale[number] = np.where(varies, spread, 1.0)
        placed[number] = np.where(varies, one / scale[number], 0.0)
    return placed, scale[0, :, 0]


def _earlier(order: Order, event: np.ndarray, ties: Ties) -> np.ndarray:
    """Return (l - 1)/d for the l-th of d tied events; 0 for Breslow's ties."""
    if ties == "Breslow":
        return np.zeros_like(event)
    before = np.cumsum(event, axis=1) - event
    first = np.take_along_axis(before, order.first, axis=1)
    return event * (before - first) / np.maximum(order.tied(event), 1.0)


def _partial(risk: _Risk, slopes: np.ndarray) -> Likelihood:
    """Return the partial likelihood, its gradient and its information."""
    order, columns, event = risk.order, risk.columns, risk.event
    tied = bool(risk.earlier.any())
    predictor = np.einsum("crp,rc->rp", columns, slopes)
    weight = np.where(order.here, np.exp(predictor), 0.0)

    def total(value: np.ndarray) -> np.ndarray:
        """Sum over the risk set, less the part of the tied events that is gone."""
        at_risk = order.from_here(value)
        return at_risk - risk.earlier * order.tied(event * value) if tied else at_risk

    # Nobody is at less risk than the one with the event, whatever sums may have lost.
    least = weight * (1 - risk.earlier)
    risks = np.where(event > 0, np.maximum(total(weight), least), 1.0)
    value = (event * (predictor - np.log(risks))).sum(axis=1)
    over = event / risks
    means = [total(weight * column) * over for column in columns]
    score = [
        (event * column - mean).sum(axis=1)
        for column, mean in zip(columns, means, strict=True)
    ]
    size = len(columns)
    information = np.empty((len(event), size, size))
    for i in range(size):
        for j in range(i, size):
            second = total(weight * columns[i] * columns[j]) * over
            spread = (second - means[i] * means[j]).sum(axis=1)
            information[:, i, j] = information[:, j, i] = spread
    return Likelihood(value, np.stack(score, axis=1), information)

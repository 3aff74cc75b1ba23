r"""Test fixed effects of mixed models, with as many degrees of freedom as they have.

| `by` | covariance of the estimates | degrees of freedom |
|---|---|---|
| `kenward-roger` | corrected, with second derivatives | Kenward and Roger |
| `kenward-roger linear` | corrected, without them | the same |
| `satterthwaite` | model-based | Satterthwaite; Fai and Cornelius for several rows |
| `between-within` | model-based | subjects, or values within them |
| `residual` | model-based | values less the rank |
| `normal` | model-based | infinite |

The last four go with the empirical (sandwich) covariance as well. The correction is

$$ \Phi + 2\Phi \Big\{ \sum_{ij} C_{ij} \big( Q_{ij} - P_i \Phi P_j - \tfrac14 R_{ij}
   \big) \Big\} \Phi, $$

with $C$ the covariance of the covariance parameters from the observed information, and
$R_{ij}$ of second derivatives with respect to the parameters that SAS reports: these
two choices are SAS's, and the estimates' covariance depends on them, the degrees of
freedom on the first only.

References
----------
Satterthwaite FE (1946) Biometrics Bull 2:110-114.
Fai AHT, Cornelius PL (1996) J Stat Comput Simul 54:363-378.
Kenward MG, Roger JH (1997) Biometrics 53:983-997; (2009) Comput Stat Data Anal
53:2583-2595 (why a linear covariance needs no second derivatives).
Liang KY, Zeger SL (1986) Biometrika 73:13-22 (sandwich).
Schluchter MD, Elashoff JT (1990) J Stat Comput Simul 37:69-87 (between-within).
"""

from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy import special

from vtrial.errors import ProtocolError
from vtrial.measure.mixed import Fit
from vtrial.measure.mmrm_design import express
from vtrial.sheets.words import listed, nearest

Freedom = Literal[
    "kenward-roger",
    "kenward-roger linear",
    "satterthwaite",
    "between-within",
    "residual",
    "normal",
]
Error = Literal["model", "empirical"]
Contrasts = Float[np.ndarray, "row column"]
Numbers = Float[np.ndarray, "replicate row"]
Covariances = Float[np.ndarray, "replicate column column"]


@runtime_checkable
class Curvature(Protocol):
    """What Satterthwaite, Kenward and Roger ask of a fit.

    See `vtrial.measure.likelihood.FixedEffects`.
    """

    @property
    def covariance(self) -> Covariances:
        """Return the model-based covariance of the coefficients."""
        ...

    @property
    def slope(self) -> Float[np.ndarray, "replicate natural column column"]:
        """Return derivatives of its inverse in the covariance's parameters."""
        ...

    @property
    def curved(self) -> Covariances:
        """Return what products of first derivatives add."""
        ...

    @property
    def bent(self) -> Covariances:
        """Return what second derivatives add."""
        ...

    @property
    def spread(self) -> Float[np.ndarray, "replicate natural natural"]:
        """Return the covariance of the covariance's parameters."""
        ...


class Tests(NamedTuple):
    """Contrasts of each trial: estimate, standard error and Student's test of zero."""

    estimate: Numbers
    error: Numbers
    freedom: Numbers
    t: Numbers
    p: Numbers


class JointTest(NamedTuple):
    """A test in each trial that several contrasts are zero at once.

    `f` is scaled (for Kenward and Roger) and has `rows` and `freedom` degrees.
    """

    f: Float[np.ndarray, " replicate"]
    rows: int
    freedom: Float[np.ndarray, " replicate"]
    p: Float[np.ndarray, " replicate"]


def contrast(
    fit: Fit,
    rows: Contrasts,
    *,
    by: Freedom = "kenward-roger",
    error: Error = "model",
) -> Tests:
    """Estimate contrasts of the design's coefficients, each tested on its own.

    A contrast that a trial's design cannot tell is NaN. So is the error of one whose
    variance Kenward's and Roger's correction makes negative, as it may where visits go
    closely together: that trial has no test.

    Raises
    ------
    ProtocolError
        If there is no such test: Kenward's and Roger's correction is of the
        model-based covariance.
    """
    own = express(fit.basis, rows)
    estimate = np.vecdot(own, fit.effect[:, None, :])
    covariance = covariance_by(fit, by, error)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(_form(own, covariance))
        match by:
            case "kenward-roger" | "kenward-roger linear" | "satterthwaite":
                freedom = satterthwaite(fit, own)
            case _:
                freedom = _counted(fit, rows, by)
        t = estimate / spread
        p = 2 * special.stdtr(np.maximum(freedom, 1e-9), -np.abs(t))
    return Tests(estimate, spread, freedom, t, np.where(np.isnan(t), np.nan, p))


def joint_test(
    fit: Fit,
    rows: Contrasts,
    *,
    by: Freedom = "kenward-roger",
    error: Error = "model",
) -> JointTest:
    """Test that several contrasts, none a combination of the others, are all zero.

    By Fai and Cornelius the degrees of freedom depend a little on which contrasts
    stand for a hypothesis, in SAS as here; by Kenward and Roger they do not.
    """
    own = express(fit.basis, rows)
    count = len(rows)
    estimate = np.vecdot(own, fit.effect[:, None, :])
    inner = own @ covariance_by(fit, by, error) @ own.mT
    good = np.isfinite(inner).all(axis=(1, 2)) & np.isfinite(estimate).all(axis=1)
    eye = np.eye(count)[None]
    inverse = np.linalg.inv(np.where(good[:, None, None], inner, eye))
    f = np.vecdot(estimate, np.matvec(inverse, estimate)) / count
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.ones(len(f))
        match by:
            case "kenward-roger" | "kenward-roger linear":
                scale, freedom = _kenward_roger(fit, own)
            case "satterthwaite":
                freedom = _fai_cornelius(fit, own, good)
            case _:
                freedom = _counted(fit, rows, by).min(axis=1)
        f = np.where(good, scale * f, np.nan)
        freedom = np.where(good, freedom, np.nan)
        p = special.fdtrc(count, np.minimum(freedom, 1e15), f)
    return JointTest(f, count, freedom, p)


def adjusted_covariance(fit: Curvature, *, second: bool = True) -> Covariances:
    """Return Kenward's and Roger's covariance of the orthonormal coefficients.

    `second` says whether second derivatives of the covariance count.
    """
    size = fit.slope.shape[1]
    middle = fit.curved - (0.25 * fit.bent if second else 0.0)
    flat = fit.slope.reshape(len(fit.slope), size, -1)
    mixed = (fit.spread @ flat).reshape(fit.slope.shape)
    middle = middle - (mixed @ fit.covariance[:, None] @ fit.slope).sum(axis=1)
    return fit.covariance + 2 * fit.covariance @ middle @ fit.covariance


def empirical_covariance(fit: Fit) -> Covariances:
    """Return the sandwich covariance of the orthonormal coefficients, by subject."""
    panel = fit.panel
    both = panel.mask[:, :, :, None] & panel.mask[:, :, None, :]
    eye = np.eye(both.shape[2])[None, None]
    weight = np.linalg.inv(np.where(both, fit.matrix, eye)) * both
    place = panel.kind.clip(0)[:, :, None, None]
    weight = np.take_along_axis(weight, place, axis=1)
    change = fit.effect - panel.first
    rest = panel.value - np.matvec(panel.columns, change[:, None, :])
    score = np.vecmat(np.matvec(weight, rest), panel.columns)
    score = np.where((panel.kind >= 0)[:, :, None], score, 0.0)
    return fit.covariance @ (score.mT @ score) @ fit.covariance


def covariance_by(fit: Fit, by: Freedom, error: Error) -> Covariances:
    """Return the orthonormal coefficients' covariance that a test is made with.

    Raises
    ------
    ProtocolError
        If there is no such test.
    """
    _check(by, error)
    if error == "empirical":
        return empirical_covariance(fit)
    if by.startswith("kenward-roger"):
        return adjusted_covariance(fit, second=by == "kenward-roger")
    return fit.covariance


def _check(by: Freedom, error: Error) -> None:
    """Refuse tests that do not exist."""
    if by not in get_args(Freedom):
        raise ProtocolError(
            at="by",
            found=f"`{by}`",
            allowed=listed(get_args(Freedom)),
            write=nearest(by, get_args(Freedom)),
        )
    allowed = ("model",) if by.startswith("kenward-roger") else get_args(Error)
    if error not in allowed:
        raise ProtocolError(
            at="error",
            found=f"`{error}` with {by}",
            allowed=listed(allowed),
            write='error="model"',
        )


def _form(
    own: Float[np.ndarray, "replicate row column"], covariance: Covariances
) -> Numbers:
    """Return each row's variance."""
    return np.vecdot(own @ covariance, own)


def satterthwaite(
    fit: Curvature, own: Float[np.ndarray, "replicate row column"]
) -> Numbers:
    """Return Satterthwaite's degrees of freedom, which are Kenward's and Roger's too.

    Each row is one of the orthonormal coefficients. The variance of an estimated
    variance is its gradient's quadratic form.
    """
    across = own @ fit.covariance
    gradient = -np.einsum("rla,rkab,rlb->rlk", across, fit.slope, across, optimize=True)
    variance = np.vecdot(gradient @ fit.spread, gradient)
    return 2 * _form(own, fit.covariance) ** 2 / variance


def _fai_cornelius(
    fit: Fit, own: Float[np.ndarray, "replicate row column"], good: np.ndarray
) -> Float[np.ndarray, " replicate"]:
    """Match the mean of an F to those of the independent tests it is the sum of."""
    count = own.shape[1]
    inner = np.where(
        good[:, None, None], own @ fit.covariance @ own.mT, np.eye(count)[None]
    )
    _, axes = np.linalg.eigh(inner)
    each = satterthwaite(fit, axes.mT @ own)
    if count == 1:
        return each[:, 0]
    mean = np.where(each > 2, each / (each - 2), 0.0).sum(axis=1)
    return np.where(mean > count, 2 * mean / (mean - count), 1.0)


def _kenward_roger(
    fit: Fit, own: Float[np.ndarray, "replicate row column"]
) -> tuple[Float[np.ndarray, " replicate"], Float[np.ndarray, " replicate"]]:
    """Return the scale of F and its degrees of freedom (1997, section 3)."""
    count = own.shape[1]
    inner = own @ fit.covariance @ own.mT
    good = np.isfinite(inner).all(axis=(1, 2), keepdims=True)
    inverse = np.linalg.inv(np.where(good, inner, np.eye(count)[None]))
    across = own @ fit.covariance
    turned = across[:, None] @ fit.slope @ across.mT[:, None]
    turned = inverse[:, None] @ turned
    trace = np.trace(turned, axis1=2, axis2=3)
    first = np.vecdot(np.matvec(fit.spread, trace), trace)
    pairs = np.einsum("rkab,rlba->rkl", turned, turned)
    second = (fit.spread * pairs).sum(axis=(1, 2))
    if count == 1:
        return np.ones_like(first), 2 / second
    b = (first + 6 * second) / (2 * count)
    g = ((count + 1) * first - (count + 4) * second) / ((count + 2) * second)
    bottom = 3 * count + 2 * (1 - g)
    c1, c2, c3 = g / bottom, (count - g) / bottom, (count + 2 - g) / bottom
    mean = 1 / (1 - second / count)
    variance = 2 / count * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    ratio = variance / (2 * mean**2)
    freedom = 4 + (count + 2) / (count * ratio - 1)
    return freedom / (mean * (freedom - 2)), freedom


def _counted(fit: Fit, rows: Contrasts, by: Freedom) -> Numbers:
    """Return degrees of freedom that are counted, for each row.

    Between-within: a row has the fewest of its columns; a column that varies within
    subjects has the values less the subjects and such columns, any other the
    subjects less these others.
    """
    panel = fit.panel
    seen = panel.seen
    values = seen.sum(axis=(1, 2)).astype(float)
    subjects = seen.any(axis=2).sum(axis=1).astype(float)
    shape = (len(values), len(rows))
    if by == "normal":
        return np.full(shape, np.inf)
    if by == "residual":
        return np.broadcast_to((values - panel.rank)[:, None], shape)
    kept = panel.basis.kept
    within = (kept & panel.varies).sum(axis=1)
    between = subjects - (panel.rank - within)
    each = np.where(
        panel.varies, (values - subjects - within)[:, None], between[:, None]
    )
    used = np.where((rows != 0)[None, :, :], each[:, None, :], np.inf)
    return used.min(axis=2)

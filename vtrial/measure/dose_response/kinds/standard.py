r"""The shapes that are usual in MCP-Mod.

With the highest dose $D$ of the trial, $o = D / 100$ and $s = 1.2 D$:

linear $d$; linlog $\log(d + o)$; emax $d / (E + d)$; sigEmax $d^h / (E^h + d^h)$;
exponential $e^{d / \delta} - 1$; quadratic $d + \delta d^2$;
logistic $1 / (1 + e^{(E - d) / \delta})$;
betaMod $B (d / s)^{a} (1 - d / s)^{b}$ with $B = (a + b)^{a + b} / (a^a b^b)$;
step $d \ge E$.

References
----------
Bretz F, Pinheiro JC, Branson M (2005) Biometrics 61:738-748.
Bornkamp B, Pinheiro J, Bretz F (2009) J Stat Softw 29(7).
"""

import numpy as np
from scipy import special

from vtrial.measure.dose_response.shape import Doses, Shape

OFF, SCALE = 0.01, 1.2  # of the highest dose


def _linear(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return dose + 0.0


def _linlog(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return np.log(dose + OFF * highest)


def _emax(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return dose / (theta[..., :1] + dose)


def _sigmoid(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    half, power = theta[..., :1], theta[..., 1:2]
    with np.errstate(divide="ignore"):
        return special.expit(power * (np.log(dose) - np.log(half)))


def _exponential(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return np.expm1(dose / theta[..., :1])


def _quadratic(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return dose + theta[..., :1] * dose**2


def _logistic(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return special.expit((dose - theta[..., :1]) / theta[..., 1:2])


def _beta(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    first, second = theta[..., :1], theta[..., 1:2]
    part = dose / (SCALE * highest)
    both = first + second
    top = special.xlogy(both, both) - special.xlogy(first, first)
    top = top - special.xlogy(second, second)
    return np.exp(top + special.xlogy(first, part) + special.xlog1py(second, -part))


def _step(dose: Doses, theta: np.ndarray, highest: float) -> np.ndarray:
    return (dose >= theta[..., :1]).astype(float)


def _positive(theta: tuple[float, ...], doses: Doses) -> str:
    return "" if min(theta) > 0 else "positive"


def _between(theta: tuple[float, ...], doses: Doses) -> str:
    inside = doses.min() < theta[0] <= doses.max()
    return "" if inside else "above the lowest and at most the highest dose"


def _halfway(highest: float) -> tuple[float, float]:
    return 0.001 * highest, 1.5 * highest


KINDS = (
    Shape(
        word="linear",
        place=10,
        says="rises with the dose",
        parameters=(),
        curve=_linear,
        linear=lambda dose, highest: dose[:, None],
    ),
    Shape(
        word="linlog",
        place=20,
        says="rises with the logarithm of the dose and a hundredth of the highest one",
        parameters=(),
        curve=_linlog,
        linear=lambda dose, highest: np.log(dose + OFF * highest)[:, None],
    ),
    Shape(
        word="emax",
        place=30,
        says="half of the way to its maximum at a dose",
        parameters=("ed50",),
        curve=_emax,
        bounds=lambda highest: (_halfway(highest),),
        allowed=_positive,
    ),
    Shape(
        word="sigEmax",
        place=40,
        says="the same with a steepness",
        parameters=("ed50", "hill"),
        curve=_sigmoid,
        bounds=lambda highest: (_halfway(highest), (0.5, 10.0)),
        allowed=_positive,
    ),
    Shape(
        word="exponential",
        place=50,
        says="rises ever faster",
        parameters=("delta",),
        curve=_exponential,
        bounds=lambda highest: ((0.1 * highest, 2 * highest),),
        allowed=_positive,
    ),
    Shape(
        word="quadratic",
        place=60,
        says="rises and falls",
        parameters=("delta",),
        curve=_quadratic,
        linear=lambda dose, highest: np.stack([dose, dose**2], axis=1),
    ),
    Shape(
        word="logistic",
        place=70,
        says="rises steepest at a dose",
        parameters=("ed50", "delta"),
        curve=_logistic,
        bounds=lambda highest: (_halfway(highest), (0.01 * highest, 0.5 * highest)),
        allowed=_positive,
    ),
    Shape(
        word="betaMod",
        place=80,
        says="rises to a maximum and falls, as a beta density",
        parameters=("delta1", "delta2"),
        curve=_beta,
        bounds=lambda highest: ((0.05, 4.0), (0.05, 4.0)),
        allowed=_positive,
    ),
    Shape(
        word="step",
        place=90,
        says="nothing below a dose, all from it on",
        parameters=("from",),
        curve=_step,
        allowed=_between,
    ),
)

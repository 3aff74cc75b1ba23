r"""Logistic models of two parameters: BLRM with overdose control, and EWOC.

In the Bayesian logistic regression model

$$ \mathrm{logit}\, p(d) = \log\alpha + \beta \log(d / d^*), \qquad
   (\log\alpha, \log\beta) \sim N(\mu, \Sigma) . $$

Escalation with overdose control writes the same curve by its values: $\rho$, the
probability at the lowest dose, and $\gamma$, the dose at the target $\theta$,

$$ \mathrm{logit}\, p(d) = \mathrm{logit}\,\rho
   + (\mathrm{logit}\,\theta - \mathrm{logit}\,\rho) \frac{d - d_1}{\gamma - d_1}, $$

both uniform before the trial.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special

from vtrial.design.escalation.kind import Course, Data, Decision, Kind
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import (
    choice,
    level,
    numbers,
    positive,
    probability,
    real,
    rising,
)
from vtrial.design.escalation.quadrature import line, normalised, share_up_to

REACH, NODES = 6.0, 49  # prior standard deviations of each parameter, nodes over them
PANEL, CURVE = 8, 24  # Gauss-Legendre nodes between two doses, and over rho


def _prepare_blrm(method: Method, most: int) -> Data:
    """Lay a grid over the standardised parameters: of log alpha given log beta.

    For each log beta a dose's probability crosses a limit at one log alpha, so that
    the probability of an interval is a sum with the weights of `share_up_to`.
    """
    mean, spread = np.asarray(method["mean"]), np.asarray(method["deviation"])
    rho = method["correlation"]
    unit = line(REACH, NODES)
    slope = mean[1] + spread[1] * unit
    center = mean[0] + rho * spread[0] * unit
    width = spread[0] * np.sqrt(1 - rho**2)
    heights = center[:, None] + width * unit
    scale = np.log(np.asarray(method["amounts"], float) / method["reference"])
    linear = heights[None] + (np.exp(slope)[:, None] * scale[:, None, None])
    up_to = []
    for limit in (method["low"], method["high"]):
        crossing = special.logit(limit) - np.exp(slope) * scale[:, None]
        standard = (crossing - center) / width
        up_to.append(share_up_to(standard.ravel(), unit).reshape(linear.shape))
    prior = -0.5 * (unit[:, None] ** 2 + unit**2)
    return _data(
        method,
        linear.reshape(len(scale), -1),
        np.broadcast_to(prior, linear.shape[1:]).ravel(),
        up_to[0].reshape(len(scale), -1),
        (1 - up_to[1]).reshape(len(scale), -1),
    )


def _prepare_ewoc(method: Method, most: int) -> Data:
    """Lay Gauss-Legendre nodes between doses, where the tolerated dose may lie."""
    doses = np.asarray(method["amounts"], float)
    far = method["farthest"]
    last = doses[0] + far * (doses[-1] - doses[0])
    ends = np.unique(np.append(doses[doses < last], last))
    at, weight = np.polynomial.legendre.leggauss(PANEL)
    half = np.diff(ends)[:, None] / 2
    gamma = (ends[:-1, None] + half * (1 + at)).ravel()
    share = (half * weight).ravel()
    at, weight = np.polynomial.legendre.leggauss(CURVE)
    rho = method["target"] * (1 + at) / 2
    rise = special.logit(method["target"]) - special.logit(rho)
    part = (doses[:, None, None] - doses[0]) / (gamma[:, None] - doses[0])
    linear = special.logit(rho) + rise * part
    over = np.broadcast_to((gamma < doses[:, None])[..., None], linear.shape)
    prior = np.log(share[:, None] * weight).ravel()
    shape = (len(doses), -1)
    none = np.zeros_like(linear).reshape(shape)
    return _data(
        method, linear.reshape(shape), prior, none, over.reshape(shape).astype(float)
    )


def _data(
    method: Method,
    linear: np.ndarray,
    prior: np.ndarray,
    under: np.ndarray,
    over: np.ndarray,
) -> Data:
    """Return what the methods look up, by dose and node."""
    options = dict(method.options)
    nearest = options.get("choose") == "nearest mean"
    return {
        "yes": -np.logaddexp(0, -linear),
        "no": -np.logaddexp(0, linear),
        "prior": prior,
        "under": under,
        "over": over,
        "overdose": np.float64(method["overdose"]),
        "target": np.float64(method["target"]),
        **({"highest": np.asarray(True)} if method.word == "EWOC" else {}),
        **({"nearest": np.asarray(True)} if nearest else {}),
    }


def judged(
    data: Data, course: Course
) -> tuple[Float[Array, " dose"], Float[Array, " dose"], Float[Array, " dose"]]:
    """Return each dose's mean probability, that of being right, and of too high."""
    seen = data["yes"].T @ course.toxic + data["no"].T @ (course.treated - course.toxic)
    weight = normalised(seen + data["prior"])
    mean = jnp.exp(data["yes"]) @ weight
    under, over = data["under"] @ weight, data["over"] @ weight
    return mean, 1 - under - over, over


def _found(data: Data, course: Course) -> Int[Array, ""]:
    """Return the best dose that is not too high, or -1."""
    mean, right, over = judged(data, course)
    allowed = over <= data["overdose"]
    if "highest" in data:
        worth = jnp.arange(mean.shape[0]).astype(mean.dtype)
    elif "nearest" in data:
        worth = -jnp.abs(mean - data["target"])
    else:
        worth = right
    best = jnp.argmax(jnp.where(allowed, worth, -jnp.inf))
    return jnp.where(allowed.any(), best, -1)


def decide(data: Data, course: Course) -> Decision:
    """Say which dose is next; the trial ends where all are too high.

    EWOC takes the lowest dose for tolerated, and learns nothing of the tolerated one
    from toxicity there: so it does not escalate right after too much of it.
    """
    found = _found(data, course)
    if "highest" in data:
        share = course.fresh_toxic / jnp.maximum(course.fresh, 1.0)
        held = jnp.minimum(found, course.dose)
        found = jnp.where(share > data["target"], held, found)
    return Decision(found, course.eliminated)


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Select the best dose among those that were given."""
    found = _found(data, course)
    place = jnp.arange(course.treated.shape[0])
    given = jnp.max(jnp.where(course.treated > 0, place, -1))
    return jnp.minimum(found, given)


def _conflict(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find an interval without the target."""
    low, target, high = (options[name] for name in ("low", "target", "high"))
    if not low < target < high:
        return "target", f"{target:g}", f"between low, {low:g}, and high, {high:g}"
    if not -1 < options["correlation"] < 1:
        found = f"{options['correlation']:g}"
        return "correlation", found, "between -1 and 1"
    if min(options["deviation"]) <= 0:
        return "deviation", str(options["deviation"]), "two positive numbers"
    return _no_amounts(options)


def _no_amounts(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find amounts that are none."""
    if min(options["amounts"]) <= 0:
        return "amounts", str(options["amounts"]), "positive, one for each dose"
    return None


_AMOUNTS = rising("[10, 20, 40, 80]")

KINDS = (
    Kind(
        word="BLRM",
        place=80,
        says="logistic regression of two parameters, with a bound on the probability "
        "of overdosing",
        sentence=(
            "BLRM at {amounts}: rates from {low} to {high} are right; a dose may be "
            "given while its rate is above {high} with probability up to {overdose}; "
            "of those by {choose}"
        ),
        options={
            "target": probability(0.25),
            "amounts": _AMOUNTS,
            "reference": positive(None, "40"),
            "mean": numbers((0.0, 0.0), "means of log alpha and log beta"),
            "deviation": numbers((2.0, 1.0), "standard deviations of both"),
            "correlation": real(0.0),
            "low": probability(0.16),
            "high": probability(0.33),
            "overdose": level(0.25),
            "choose": choice("target interval", "target interval", "nearest mean"),
        },
        conflict=_conflict,
        prepare=_prepare_blrm,
        decide=decide,
        select=select,
        sources=(
            "Neuenschwander B, Branson M, Gsponer T (2008) Stat Med 27:2420-2439",
        ),
    ),
    Kind(
        word="EWOC",
        place=90,
        says="the highest dose that is too high with a bounded probability",
        sentence=(
            "EWOC at {amounts} with target {target}: the highest dose that is above "
            "the one with the target with probability up to {overdose}"
        ),
        options={
            "target": probability(None, "0.33"),
            "amounts": _AMOUNTS,
            "overdose": level(0.25),
            "farthest": positive(1.5),
        },
        conflict=_no_amounts,
        prepare=_prepare_ewoc,
        decide=decide,
        select=select,
        sources=(
            "Babb J, Rogatko A, Zacks S (1998) Stat Med 17:1103-1120",
            "Tighiouart M, Rogatko A (2010) Stat Sci 25:217-226",
        ),
    ),
)

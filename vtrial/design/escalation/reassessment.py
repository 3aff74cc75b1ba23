r"""The continual reassessment method with one parameter, and its skeletons.

With the skeleton $s_1 < s_2 < \dots$ and $x_i = \mathrm{logit}(s_i) - c$ the
probability of toxicity at a dose is

$$ p_i(\beta) = s_i^{\exp \beta} \quad\text{(empiric)}, \qquad
   \mathrm{logit}\, p_i(\beta) = c + e^{\beta} x_i \quad\text{(logistic)} $$

with $\beta \sim N(0, \sigma^2)$. A subject of weight $w$ without toxicity has the
likelihood $1 - w p_i$. Doses are judged by $p_i$ at the posterior mean of $\beta$, or
at its maximum likelihood estimate.

References
----------
O'Quigley J, Pepe M, Fisher L (1990) Biometrics 46:33-48.
Cheung YK, Chappell R (2000) Biometrics 56:1177-1182 (weights).
Lee SM, Cheung YK (2009) Clin Trials 6:227-238 (skeletons).
Cheung YK (2011) Dose Finding by the Continual Reassessment Method.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import special

from vtrial.design.escalation.kind import Late
from vtrial.design.escalation.quadrature import line, normalised, share_up_to
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

Model = Literal["empiric", "logistic"]

VARIANCE, INTERCEPT = 1.34, 3.0
REACH, NODES = 7.0, 141  # prior standard deviations, and nodes over them
FARTHEST, BRACKETS, HALVINGS = 10.0, 401, 60  # of the maximum likelihood estimate
MAKERS = ("design/escalation",)


@dataclass(frozen=True)
class Reassessed:
    """What is known after some subjects, of each of many trials.

    Parameters
    ----------
    estimate, variance
        Of the parameter: posterior mean and variance, or the maximum likelihood
        estimate and the inverse of its observed information. NaN where there is none.
    probability
        Of toxicity at each dose, at the estimate.
    dose
        The dose, from 0, whose probability is nearest to the target; -1 without an
        estimate.
    """

    estimate: Float[np.ndarray, "*trial"]
    variance: Float[np.ndarray, "*trial"]
    probability: Float[np.ndarray, "*trial dose"]
    dose: Int[np.ndarray, "*trial"]


def skeleton(
    target: float,
    *,
    doses: int,
    guess: int,
    halfwidth: float,
    model: Model = "empiric",
    intercept: float = INTERCEPT,
) -> Float[np.ndarray, " dose"]:
    r"""Return initial guesses of toxicity by indifference intervals.

    Where one dose has $\theta + \delta$, the one below has $\theta - \delta$: with
    $g$ the logarithm, or logit less the intercept,

    $$ g(s_i) = g(\theta)
       \left(\frac{g(\theta + \delta)}{g(\theta - \delta)}\right)^{i - \nu} . $$

    Parameters
    ----------
    target
        The probability of toxicity that is aimed at.
    doses
        How many there are.
    guess
        The dose, from 0, that is thought to have the target.
    halfwidth
        Of the interval of probabilities that are as good as the target.
    model, intercept
        As above.

    Raises
    ------
    ProtocolError
        If the interval leaves the probabilities, or the guess is none of the doses.

    Examples
    --------
    >>> skeleton(0.2, doses=5, guess=2, halfwidth=0.05).round(3).tolist()
    [0.049, 0.111, 0.2, 0.308, 0.423]
    """
    if not 0 < target - halfwidth < target + halfwidth < 1:
        allowed = "positive, and so small that target and halfwidth stay within 0 and 1"
        raise ProtocolError("escalation.halfwidth", f"{halfwidth:g}", allowed, "")
    if not 0 <= guess < doses:
        raise ProtocolError(
            "escalation.guess", str(guess), f"from 0 to {doses - 1}", "guess: 0"
        )
    if model == "logistic" and special.logit(target + halfwidth) >= intercept:
        raise ProtocolError(
            "escalation.intercept",
            f"{intercept:g}",
            "above the logit of target and halfwidth",
            "",
        )
    shift = intercept if model == "logistic" else 0.0
    link = special.logit if model == "logistic" else np.log
    back = special.expit if model == "logistic" else np.exp
    ends = [link(target + sign * halfwidth) - shift for sign in (1, -1)]
    ratio = ends[0] / ends[1]
    return back(shift + (link(target) - shift) * ratio ** (np.arange(doses) - guess))


def crm_data(
    guesses: Float[np.ndarray, " dose"],
    *,
    target: float,
    model: Model = "empiric",
    by: Literal["bayes", "mle"] = "bayes",
    variance: float = VARIANCE,
    intercept: float = INTERCEPT,
) -> Mapping[str, Any]:
    """Return what the method looks up: the model, and the grid of its parameter.

    There is an `intercept` if the model is logistic, and a `prior` if it is used; what
    is there says which program is compiled.
    """
    logistic = model == "logistic"
    guesses = np.asarray(guesses, float)
    scaled = special.logit(guesses) - intercept if logistic else np.log(guesses)
    bayes = by == "bayes"
    scale = np.sqrt(variance)
    nodes = line(REACH * scale, NODES) if bayes else line(FARTHEST, BRACKETS)
    goal = special.logit(target) - intercept if logistic else np.log(target)
    crossing = np.log(np.maximum(goal / scaled[:1], 1e-300))
    return {
        "scaled": scaled,
        "target": np.float64(target),
        "nodes": nodes,
        **({"intercept": np.float64(intercept)} if logistic else {}),
        **({"prior": -0.5 * (nodes / scale) ** 2} if bayes else {}),
        **({"lowest": share_up_to(crossing, nodes)[0]} if bayes else {}),
    }


def probabilities(
    data: Mapping[str, Any], beta: Float[Array, "*node"]
) -> Float[Array, "*node dose"]:
    """Return the probability of toxicity at each dose."""
    return jnp.exp(log_terms(data, beta)[0])


def log_terms(
    data: Mapping[str, Any], beta: Float[Array, "*node"]
) -> tuple[Float[Array, "*node dose"], Float[Array, "*node dose"]]:
    """Return the logarithms of the probabilities of toxicity and of none."""
    slope = jnp.exp(beta)[..., None]
    scaled = slope * jnp.asarray(data["scaled"]).reshape((1,) * beta.ndim + (-1,))
    if "intercept" in data:
        linear = data["intercept"] + scaled
        return jax.nn.log_sigmoid(linear), jax.nn.log_sigmoid(-linear)
    return scaled, jnp.log(-jnp.expm1(scaled))


def of_counts(
    data: Mapping[str, Any],
    treated: Float[Array, " dose"],
    toxic: Float[Array, " dose"],
    beta: Float[Array, "*node"],
) -> Float[Array, "*node"]:
    """Return the log-likelihood of complete outcomes."""
    yes, no = log_terms(data, beta)
    return yes @ toxic + no @ (treated - toxic)


def of_late(
    data: Mapping[str, Any], late: Late, beta: Float[Array, "*node"]
) -> Float[Array, "*node"]:
    """Return the log-likelihood of outcomes of which some are pending.

    What is complete is counted by dose. Pending subjects are multiplied, which costs
    one logarithm for all: a factor is at least 1 less its weight.
    """
    yes, no = log_terms(data, beta)
    doses = jnp.arange(yes.shape[-1])[None]
    at = late.dose[:, None] == doses
    without = (late.weight >= 1) & ~late.toxic
    toxic, free = (
        (at & some[:, None]).sum(axis=0).astype(yes.dtype)
        for some in (late.toxic, without)
    )
    weight = jnp.where(late.toxic | without, 0.0, late.weight)
    factor = 1 - weight.reshape((1,) * beta.ndim + (-1,)) * jnp.exp(yes)[..., late.dose]
    return yes @ toxic + no @ free + jnp.log(jnp.prod(factor, axis=-1))


def estimated(
    data: Mapping[str, Any], likelihood: Any, mixed: Bool[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " node"]]:
    """Return estimate, variance and the posterior's weights on the nodes.

    By maximum likelihood there is an estimate where outcomes are `mixed`.
    """
    nodes = data["nodes"]
    values = likelihood(nodes) + data.get("prior", jnp.zeros(nodes.shape))
    weight = normalised(values)
    if "prior" in data:
        mean = weight @ nodes
        return mean, weight @ (nodes - mean) ** 2, weight
    peak = _peak(likelihood, nodes, values)
    information = -jax.grad(jax.grad(likelihood))(peak)
    found = jnp.where(mixed, peak, jnp.nan)
    return found, jnp.where(mixed, 1 / information, jnp.nan), weight


def _peak(
    likelihood: Any, nodes: Float[Array, " node"], values: Float[Array, " node"]
) -> Float[Array, ""]:
    """Find where the slope changes sign, about the highest node."""
    step = nodes[1] - nodes[0]
    top = nodes[jnp.argmax(values)]
    slope = jax.grad(likelihood)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        rising = slope(middle) > 0
        return jnp.where(rising, middle, ends[0]), jnp.where(rising, ends[1], middle)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (top - step, top + step))
    return (low + high) / 2


def nearest(data: Mapping[str, Any], chance: Float[Array, " dose"]) -> Int[Array, ""]:
    """Return the dose whose probability is nearest to the target, of two the lower."""
    return jnp.argmin(jnp.abs(chance - data["target"]))


def crm_update(
    guesses: Float[np.ndarray, " dose"],
    given: Int[np.ndarray, "*trial subject"],
    toxic: Bool[np.ndarray, "*trial subject"],
    *,
    target: float,
    weights: Float[np.ndarray, "*trial subject"] | None = None,
    model: Model = "empiric",
    by: Literal["bayes", "mle"] = "bayes",
    variance: float = VARIANCE,
    intercept: float = INTERCEPT,
) -> Reassessed:
    """Return what the continual reassessment method knows after some subjects.

    Parameters
    ----------
    guesses
        The skeleton: initial guesses of the probability of toxicity, rising.
    given
        The dose that each subject was given, from 0; -1 for who is not there.
    toxic
        Whether it had a toxicity.
    target
        The probability of toxicity that is aimed at.
    weights
        Share of the time of observation that has passed without toxicity, where
        toxicity may come late (TITE-CRM); 1 if not given.
    model
        `empiric` (power) or `logistic`.
    by
        `bayes` or `mle`; the latter has no estimate until outcomes differ.
    variance
        Of the parameter's normal prior.
    intercept
        Of the logistic model.

    Raises
    ------
    ProtocolError
        If the skeleton does not rise within 0 and 1, or a dose is none of its doses.

    Examples
    --------
    >>> found = crm_update(
    ...     np.array([0.05, 0.1, 0.2, 0.35, 0.5]),
    ...     np.array([2, 2, 2]),
    ...     np.array([False, False, True]),
    ...     target=0.2,
    ... )
    >>> int(found.dose), found.probability.round(3).tolist()
    (1, [0.128, 0.206, 0.332, 0.487, 0.622])
    """
    guesses, given = np.asarray(guesses, float), np.asarray(given)
    if not (np.diff(guesses) > 0).all() or guesses.min() <= 0 or guesses.max() >= 1:
        allowed = "rising probabilities, one for each dose"
        raise ProtocolError("escalation.skeleton", str(guesses), allowed, "")
    if given.max(initial=-1) >= len(guesses):
        allowed = f"from 0 to {len(guesses) - 1}, or -1"
        raise ProtocolError("escalation.given", str(given.max()), allowed, "")
    data = crm_data(
        guesses,
        target=target,
        model=model,
        by=by,
        variance=variance,
        intercept=intercept,
    )
    there = given >= 0
    weight = np.where(there, 1.0 if weights is None else weights, 0.0)
    weight = np.where(there & toxic, 1.0, weight)
    many = given.shape[:-1]
    flat = [part.reshape(-1, given.shape[-1]) for part in (given, toxic, weight)]
    made = _updated(data, np.maximum(flat[0], 0), *flat[1:])
    parts = [np.asarray(part) for part in made]
    return Reassessed(
        parts[0].reshape(many),
        parts[1].reshape(many),
        parts[2].reshape(*many, -1),
        parts[3].astype(int).reshape(many),
    )


def _update(
    data: Mapping[str, Any],
    given: Int[Array, "trial subject"],
    toxic: Bool[Array, "trial subject"],
    weight: Float[Array, "trial subject"],
) -> tuple[Array, ...]:
    """Update the parameter in each trial."""

    def one(given: Array, toxic: Array, weight: Array) -> tuple[Array, ...]:
        late = Late(given, toxic, weight)
        there = weight > 0
        mixed = (toxic & there).any() & (~toxic & there).any()
        mean, spread, _ = estimated(data, lambda beta: of_late(data, late, beta), mixed)
        chance = probabilities(data, mean)
        dose = jnp.where(jnp.isnan(mean), -1, nearest(data, chance))
        return mean, spread, chance, dose

    return jax.vmap(one)(given, toxic, weight)


_updated = kept(_update, static=0, makers=MAKERS)

"""The continual reassessment method (CRM), also with pending outcomes (TITE-CRM)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.design.escalation import reassessment as crm
from vtrial.design.escalation.kind import Course, Data, Decision, Kind, Late, Option
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import (
    choice,
    level,
    positive,
    probability,
    real,
    rising,
    switch,
)


def _prepare(method: Method, most: int) -> Data:
    data = crm.crm_data(
        np.asarray(method["skeleton"]),
        target=method["target"],
        model=method["model"],
        by=method["by"],
        variance=method["variance"],
        intercept=method["intercept"],
    )
    safety = {"coherent": np.asarray(method["coherent"])}
    return {**data, **safety, "stop": np.float64(_certain(method["stop"]))}


def _certain(level: float) -> float:
    """Return a level that no rounding reaches, if it is 1."""
    return level if level < 1 else np.inf


def _complete(options: Mapping[str, Any], doses: int) -> dict[str, Any]:
    """Return the skeleton by indifference intervals where none is given."""
    if options["skeleton"] is not None:
        return {}
    guess = (doses - 1) // 2 if options["guess"] is None else options["guess"]
    guesses = crm.skeleton(
        options["target"],
        doses=doses,
        guess=guess,
        halfwidth=options["halfwidth"],
        model=options["model"],
        intercept=options["intercept"],
    )
    return {"skeleton": tuple(guesses.tolist()), "guess": guess}


def _decided(
    data: Data, course: Course, likelihood: Callable[[Array], Array]
) -> Decision:
    """Say which dose is next, for a likelihood of the parameter."""
    mixed = _mixed(course)
    estimate, _, weight = crm.estimated(data, likelihood, mixed)
    found = crm.nearest(data, crm.probabilities(data, estimate))
    if "prior" not in data:
        found = jnp.where(mixed, found, _stepped(course))
    share = course.fresh_toxic / jnp.maximum(course.fresh, 1.0)
    held = data["coherent"] & (share > data["target"])
    chosen = jnp.where(held, jnp.minimum(found, course.dose), found)
    toxic = _lowest_toxic(data, weight)
    return Decision(jnp.where(toxic, -1, chosen), course.eliminated | toxic)


def _selected(
    data: Data, course: Course, likelihood: Callable[[Array], Array]
) -> Int[Array, ""]:
    """Select the dose whose probability is nearest to the target."""
    mixed = _mixed(course)
    estimate, _, weight = crm.estimated(data, likelihood, mixed)
    found = crm.nearest(data, crm.probabilities(data, estimate))
    if "prior" not in data:  # without an estimate nothing, or everything, was toxic
        end = jnp.where(course.toxic.sum() > 0, -1, course.dose)
        found = jnp.where(mixed, found, end)
    return jnp.where(_lowest_toxic(data, weight), -1, found)


def _stepped(course: Course) -> Int[Array, ""]:
    """Go one dose up until the first toxicity, down while there is nothing else."""
    move = jnp.where(course.toxic.sum() > 0, -1, 1)
    return jnp.clip(course.dose + move, 0, course.treated.shape[0] - 1)


def _mixed(course: Course) -> Bool[Array, ""]:
    """Say whether some had a toxicity and some had none."""
    toxic = course.toxic.sum()
    return (toxic > 0) & (toxic < course.treated.sum())


def _lowest_toxic(data: Data, weight: Float[Array, " node"]) -> Bool[Array, ""]:
    """Say whether the lowest dose is surely too toxic; likelihoods alone do not."""
    if "lowest" not in data:
        return jnp.asarray(False)
    return weight @ data["lowest"] > data["stop"]


def _counted(data: Data, course: Course) -> Callable[[Array], Array]:
    return lambda beta: crm.of_counts(data, course.treated, course.toxic, beta)


def _pending(data: Data, late: Late) -> Callable[[Array], Array]:
    return lambda beta: crm.of_late(data, late, beta)


def decide(data: Data, course: Course) -> Decision:
    """Say which dose is next."""
    return _decided(data, course, _counted(data, course))


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Select a dose from what all have shown."""
    return _selected(data, course, _counted(data, course))


def decide_late(data: Data, course: Course, late: Late) -> Decision:
    """Say which dose is next while some outcomes are pending."""
    return _decided(data, course, _pending(data, late))


def select_late(data: Data, course: Course, late: Late) -> Int[Array, ""]:
    """Select a dose while some outcomes are pending."""
    return _selected(data, course, _pending(data, late))


def _optional(usual: Any, allowed: str) -> Option:
    return Option(usual, allowed, lambda value: isinstance(value, int) and value >= 0)


KINDS = (
    Kind(
        word="CRM",
        place=70,
        says="the dose whose probability of toxicity is nearest to the target, by a "
        "model of one parameter that all doses share",
        sentence=(
            "CRM with target {target}: {model} model with skeleton {skeleton}, by {by}"
        ),
        options={
            "target": probability(None, "0.25"),
            "skeleton": rising("", shares=True),
            "halfwidth": probability(0.05),
            "guess": _optional(None, "a dose, from 0"),
            "model": choice("empiric", "empiric", "logistic"),
            "by": choice("bayes", "bayes", "mle"),
            "variance": positive(crm.VARIANCE),
            "intercept": real(crm.INTERCEPT),
            "coherent": switch(True),
            "stop": level(1.0),
        },
        complete=_complete,
        prepare=_prepare,
        decide=decide,
        select=select,
        decide_late=decide_late,
        select_late=select_late,
        sources=(
            "O'Quigley J, Pepe M, Fisher L (1990) Biometrics 46:33-48",
            "Cheung YK, Chappell R (2000) Biometrics 56:1177-1182",
            "Goodman SN, Zahurak ML, Piantadosi S (1995) Stat Med 14:1149-1161",
        ),
    ),
)

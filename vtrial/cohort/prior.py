"""The joint prior of a subject, as one NumPyro program.

Everything random is a standard normal score of its own name (`WT.score`,
`eta.CL.score`), except population parameters without a joint covariance, which are
log-normal or normal sites; what is made of the scores are deterministic sites. A new
covariate, random effect or occasion adds sites and changes none that is there.
"""

import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import ndtr
from jaxtyping import Array, ArrayLike, Float, Int, Shaped

from vtrial.cohort.cohort import Cohort, Trait
from vtrial.cohort.marginal import quantile
from vtrial.cohort.subjects import Draw
from vtrial.model.covariance import mixed, root
from vtrial.model.model import Model, Parameter, RandomBlock
from vtrial.model.tree import evaluate
from vtrial.units import factor

REPLICATE, ATTEMPT, SUBJECT = "replicate", "attempt", "subject"


def program(
    cohort: Cohort,
    model: Model | None = None,
    *,
    occasions: int = 1,
    uncertainty: bool = True,
    subject: Int[ArrayLike, ""] = 0,
    replicate: Int[ArrayLike, ""] = 0,
) -> Draw:
    """Declare one subject: parameters, covariates, random effects, eligibility.

    This is a NumPyro model: `numpyro.handlers.trace`, `numpyro.infer.Predictive` and
    `numpyro.render_model` take it as it is. Covariates are in the model's units.
    The factor `eligibility` is 0 for an eligible subject and -infinity for any other,
    so that the density is that of the people who are let in.

    Parameters
    ----------
    cohort, model
        Who takes part, and what asks for them; without a model only covariates.
    occasions
        How often the random effects of level `occasion` are drawn; they have the
        shape (occasions,), or () for one.
    uncertainty
        Whether population parameters are drawn from their prior or are their values.
    subject, replicate
        Numbers of the subject and of the trial; only tables that are drawn in order
        ask for them, of people and of parameters.
    """
    parameters = {}
    if model:
        parameters = population(model, uncertainty=uncertainty, replicate=replicate)
    covariates, eligible = people(cohort, model, subject=subject)
    effects = {}
    if model:
        effects = between(model, occasions=occasions, uncertainty=uncertainty)
        effects |= _brought(cohort, subject)
    if cohort.eligibility is not None:
        numpyro.factor("eligibility", jnp.where(eligible > 0, 0.0, -jnp.inf))
    return Draw(parameters, covariates, effects, eligible, {})


def population(
    model: Model, *, uncertainty: bool, replicate: Int[ArrayLike, ""] = 0
) -> dict[str, Float[Array, ""]]:
    """Declare the population parameters, with their uncertainty or without.

    Those that were drawn elsewhere are a row of their table, and the others their
    values.
    """
    if uncertainty and model.drawn:
        return _given(model, replicate)
    if uncertainty and model.population:
        return _joint(model)
    return {
        parameter.name: _parameter(parameter, uncertainty=uncertainty)
        for parameter in model.parameters
    }


def people(
    cohort: Cohort, model: Model | None = None, *, subject: Int[ArrayLike, ""] = 0
) -> tuple[dict[str, Float[Array, ""]], Float[Array, ""]]:
    """Declare the covariates, and whether the subject is eligible (1 or 0)."""
    values: dict[str, Float[Array, ""]] = {}
    if cohort.table:
        row = _row(len(cohort.table.rows), cohort.table.draw, subject)
        for name in cohort.table.names:
            column = np.asarray(cohort.table.column(name), float)
            values[name] = jnp.asarray(column)[row]
    scores = _scores(cohort)
    for trait in cohort.traits:
        values[trait.name] = _trait(trait, scores[trait.name], values)
    for derived in cohort.derived:
        value = evaluate(derived.statement.expression, values)
        values[derived.name] = jnp.asarray(value, float)
    eligible = jnp.ones(())
    if cohort.eligibility is not None:
        passed = evaluate(cohort.eligibility, values) != 0
        eligible = passed.astype(eligible.dtype)
    factors = conversions(cohort, model)
    for name, value in values.items():
        size = factors.get(name, 1.0)
        converted = value if size == 1.0 else value * size
        values[name] = _known(name, converted)
    return values, eligible


def derived_anew(
    cohort: Cohort, model: Model, covariates: Mapping[str, Array]
) -> dict[str, Array]:
    """Recompute the derived covariates of subjects whose others have changed."""
    factors = conversions(cohort, model)
    values = {
        name: value / factors.get(name, 1.0) for name, value in covariates.items()
    }
    anew = dict(covariates)
    for derived in cohort.derived:
        value = evaluate(derived.statement.expression, values)
        like = covariates[derived.name]
        values[derived.name] = jnp.broadcast_to(
            jnp.asarray(value, like.dtype), like.shape
        )
        anew[derived.name] = values[derived.name] * factors.get(derived.name, 1.0)
    return anew


def between(
    model: Model, *, occasions: int, uncertainty: bool = True
) -> dict[str, Float[Array, " *occasion"]]:
    """Declare the random effects, block by block."""
    effects: dict[str, Float[Array, " *occasion"]] = {}
    for block in model.random:
        effects |= _block(block, occasions, uncertainty=uncertainty)
    return effects


def conversions(cohort: Cohort, model: Model | None) -> dict[str, float]:
    """Return what covariates are multiplied by to be in the model's units."""
    known = set(cohort.names)
    wanted = [c for c in (model.covariates if model else ()) if c.name in known]
    return {c.name: factor(cohort.unit(c.name), c.unit) for c in wanted}


def _parameter(parameter: Parameter, *, uncertainty: bool) -> Float[Array, ""]:
    """Declare one parameter with a prior of its own."""
    name, value, error = parameter.name, parameter.value, parameter.error
    if not (uncertainty and error > 0):
        return _known(name, jnp.asarray(value, float))
    by = {"by": REPLICATE}
    if parameter.scale == "identity" or value == 0:
        return numpyro.sample(name, dist.Normal(value, error), infer=by)  # type: ignore
    if value > 0:
        prior = dist.LogNormal(math.log(value), error / value)
        return numpyro.sample(name, prior, infer=by)  # type: ignore[return-value]
    moved = _normal(name, REPLICATE) * (error / -value)
    return _known(name, value * jnp.exp(moved))


def _given(model: Model, replicate: Int[ArrayLike, ""]) -> dict[str, Float[Array, ""]]:
    """Take the parameters of a replicate from the table of draws, in order."""
    table = np.asarray(model.draws, float)
    row = jnp.asarray(table)[jnp.asarray(replicate) % len(table)]
    places = {name: place for place, name in enumerate(model.drawn)}
    return {
        p.name: _known(
            p.name,
            row[places[p.name]] if p.name in places else jnp.asarray(p.value, float),
        )
        for p in model.parameters
    }


def _joint(model: Model) -> dict[str, Float[Array, ""]]:
    """Declare parameters that are uncertain together, each on its scale."""
    lower = root(model.population)
    scores = [
        _normal(parameter.name, REPLICATE) if any(weights) else None
        for weights, parameter in zip(lower.T, model.parameters, strict=True)
    ]
    values = {}
    for parameter, row in zip(model.parameters, lower, strict=True):
        shift = mixed(row, scores)
        value = jnp.asarray(parameter.value, float)
        if shift is not None:
            moved = parameter.scale == "identity"
            value = value + shift if moved else value * jnp.exp(shift)
        values[parameter.name] = _known(parameter.name, value)
    return values


def _scores(cohort: Cohort) -> dict[str, Float[Array, ""]]:
    """Declare the normal scores of the traits, correlated as the cohort says."""
    free = {
        trait.name: _normal(trait.name, ATTEMPT)
        for trait in cohort.traits
        if any(marginal.kind != "constant" for marginal in trait.marginals)
    }
    scores = {t.name: free.get(t.name, jnp.zeros(())) for t in cohort.traits}
    mixing = [free[name] for name in cohort.correlated]
    for name, row in zip(cohort.correlated, root(cohort.correlation), strict=True):
        total = mixed(row, mixing)
        scores[name] = jnp.zeros(()) if total is None else total
    return scores


def _trait(
    trait: Trait, score: Float[Array, ""], values: dict[str, Float[Array, ""]]
) -> Float[Array, ""]:
    """Return the value of a trait from its normal score, by the inverse CDF."""
    if trait.shares:
        chosen = ndtr(_normal(f"{trait.name}.component", ATTEMPT))
        edges = np.cumsum(np.asarray(trait.shares, float))[:-1]
        every = [quantile(marginal, score) for marginal in trait.marginals]
        value = every[-1]
        for edge, other in reversed(list(zip(edges, every[:-1], strict=True))):
            value = jnp.where(chosen < edge, other, value)
        return value
    value = quantile(trait.marginals[-1], score)
    for case, marginal in zip(trait.cases[:-1], trait.marginals[:-1], strict=True):
        value = jnp.where(values[trait.by] == case, quantile(marginal, score), value)
    return value


def _row(count: int, draw: str, subject: Int[ArrayLike, ""]) -> Int[Array, ""]:
    """Declare which row of the table a subject takes."""
    if draw == "in order":
        return _known("row", jnp.asarray(subject) % count)
    uniform = dist.DiscreteUniform(0, count - 1)
    return numpyro.sample("row", uniform, infer={"by": ATTEMPT})  # type: ignore


def _brought(
    cohort: Cohort, subject: Int[ArrayLike, ""]
) -> dict[str, Float[Array, ""]]:
    """Return the random effects that people of a table bring along."""
    table = cohort.table
    if table is None or not table.effects:
        return {}
    rows = jnp.asarray(np.asarray(table.effect_rows, float))
    mine = rows[jnp.asarray(subject) % len(table.effect_rows)]
    return {name: mine[place] for place, name in enumerate(table.effects)}


def _block(
    block: RandomBlock, occasions: int, *, uncertainty: bool
) -> dict[str, Float[Array, " *occasion"]]:
    """Declare the random effects of one block: eta = L score, L L' the covariance."""
    shape = (occasions,) if block.level == "occasion" and occasions > 1 else ()
    by = REPLICATE if block.level == "study" else SUBJECT
    lower = root(block.covariance)
    scores = [
        _normal(f"eta.{name}", by, shape) if any(weights) else None
        for weights, name in zip(lower.T, block.names, strict=True)
    ]
    if block.freedom and uncertainty:
        scores = _spread(block, scores)
    heavy = 1.0
    if block.student:
        half = 0.5 * block.student
        mixing = _gamma(f"eta.{block.names[0]}.mixing", by, half, half, shape)
        heavy = 1.0 / jnp.sqrt(mixing)
    effects = {}
    for name, row in zip(block.names, lower, strict=True):
        total = mixed(row, scores)
        value = jnp.zeros(shape) if total is None else total
        if block.student:
            value = value * heavy
        if block.box_cox:
            value = jnp.expm1(block.box_cox * value) / block.box_cox
        effects[f"eta.{name}"] = _known(f"eta.{name}", value)
    return effects


def _spread(
    block: RandomBlock, scores: Sequence[Float[Array, " *n"] | None]
) -> list[Float[Array, " *n"] | None]:
    r"""Return scores x such that L x has a covariance that a replicate has drawn.

    With L L' the covariance C and A the Bartlett factor of a Wishart matrix of n
    degrees of freedom, $\sqrt n L A^{-T}$ is a root of a draw from the inverse Wishart
    distribution of n and n C; so $x = \sqrt n A^{-T} z$ is found from the last on.

    References
    ----------
    Smith WB, Hocking RR (1972) Appl Stat 21:341-345 (Bartlett's decomposition).
    """
    drawn = [
        (name, score)
        for name, score in zip(block.names, scores, strict=True)
        if score is not None
    ]
    solved: dict[str, Float[Array, " *n"]] = {}
    for place in reversed(range(len(drawn))):
        name, rest = drawn[place]
        for below, _ in drawn[place + 1 :]:
            slope = _normal(f"eta.{name}.{below}.spread", REPLICATE)
            rest = rest - slope * solved[below]
        half = 0.5 * (block.freedom - place)
        squared = _gamma(f"eta.{name}.spread", REPLICATE, half, 0.5)
        solved[name] = rest / jnp.sqrt(squared)
    size = math.sqrt(block.freedom)
    every = zip(block.names, scores, strict=True)
    return [None if score is None else size * solved[name] for name, score in every]


def _gamma(
    name: str, by: str, shape: float, rate: float, many: tuple[int, ...] = ()
) -> Float[Array, " *n"]:
    """Declare gamma variates."""
    law = dist.Gamma(jnp.full(many, shape), jnp.full(many, rate))
    return numpyro.sample(name, law, infer={"by": by})  # type: ignore[return-value]


def _normal(name: str, by: str, shape: tuple[int, ...] = ()) -> Float[Array, " *n"]:
    """Declare a standard normal score."""
    standard = dist.Normal(jnp.zeros(shape), jnp.ones(shape))
    return numpyro.sample(f"{name}.score", standard, infer={"by": by})  # type: ignore


def _known(name: str, value: Shaped[Array, " *n"]) -> Shaped[Array, " *n"]:
    """Declare something that is computed from what was drawn."""
    return jnp.asarray(numpyro.deterministic(name, value))

r"""What a design is expected to tell, over all that is not known beforehand.

Before a study its unknowns $z$ are standard normal scores: of the population parameters
that are uncertain (`about="population"`), or of these and the random effects of the one
person who is measured (`about="person"`). The expected information gain is the mean of
Kullback and Leibler's divergence of what is believed afterwards from what was before,

$$ U = E\left[\log p(y \mid z) - \log p(y)\right]. $$

By Laplace the belief afterwards is normal with precision $I + F(z)$, with Fisher's
information $F$ of the design at $z$, so that

$$ U \approx E_z\left[\tfrac12 \log\det(I + F(z))\right], $$

which is exact where measurements are normal with means linear in $z$. By nested Monte
Carlo $p(y)$ is the mean of $p(y \mid z)$ over draws: without the draw that $y$ is of
the result is too high in the mean, with it too low, so that the two embrace the truth.

Of a population, measurements of one subject are normal to first order around random
effects of zero, at every draw of the parameters.

References
----------
Huan X, Marzouk YM (2013) J Comput Phys 232:288-317 (nested Monte Carlo).
Foster A, Jankowiak M, O'Meara M, Teh YW, Rainforth T (2020) AISTATS (both bounds).
Ryan EG, Drovandi CC, McGree JM, Pettitt AN (2016) Int Stat Rev 84:128-154.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from vtrial.dosing.doses import Doses
from vtrial.errors import Fault, ModelError
from vtrial.keys import purpose_key
from vtrial.model.covariance import root
from vtrial.model.model import Model
from vtrial.optimise.fisher import (
    check_group,
    estimated,
    laid_out,
    omega_of,
    seen,
)
from vtrial.protocol.sampling import Group
from vtrial.sheets.validate import raise_faults
from vtrial.solver.program import Program

About = Literal["population", "person"]
DRAWS = 64
INNER = 4  # draws that each study is held against, for each study
MOST_AT_ONCE = 64  # studies that are held against all draws side by side


class Cloud(NamedTuple):
    """What is not known, and draws of it.

    Fields
    ------
    about
        The population, or one person.
    names
        Of what is not known: parameters, then random effects.
    scores
        Standard normal.
    """

    about: About
    names: tuple[str, ...]
    scores: Float[np.ndarray, "draw unknown"]


class Gain(NamedTuple):
    """An expected information gain [nats].

    Fields
    ------
    laplace, error
        By Laplace, and its Monte Carlo error.
    low, high
        Nested Monte Carlo's two estimates, of which the first is too low in the mean,
        the second too high; NaN if not asked for.
    nested_error
        The larger of their Monte Carlo errors, of the outer draws.
    """

    laplace: float
    error: float
    low: float = math.nan
    high: float = math.nan
    nested_error: float = math.nan


class Seen(NamedTuple):
    """What a group of subjects shows at each draw, and how it goes with the scores.

    Fields
    ------
    mean, variance
        Of one subject's measurements.
    by_score, spread_by_score
        How both go with the scores.
    """

    mean: Float[np.ndarray, "draw row"]
    variance: Float[np.ndarray, "draw row row"]
    by_score: Float[np.ndarray, "draw row unknown"]
    spread_by_score: Float[np.ndarray, "draw row row unknown"]

    def information(
        self, places: Sequence[int]
    ) -> Float[np.ndarray, "draw unknown unknown"]:
        """Return Fisher's information of one subject measured at some rows."""
        rows = np.array(places, int)
        inverse = np.linalg.inv(self.variance[:, rows[:, None], rows])
        slope = self.by_score[:, rows]
        change = self.spread_by_score[:, rows[:, None], rows]
        moved = np.einsum("dij,djku->diku", inverse, change, optimize=True)
        found = np.einsum("diu,dij,djv->duv", slope, inverse, slope, optimize=True)
        both = np.einsum("diju,djiv->duv", moved, moved, optimize=True)
        return found + 0.5 * both


def draw_cloud(
    model: Model,
    *,
    about: About = "population",
    known: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
) -> Cloud:
    """Draw what is not known from its prior, as scores.

    Raises
    ------
    ModelError
        If nothing is uncertain, or a prior is of another kind than normal scores.
    """
    names = _uncertain(model, estimated(model, known))
    odd = [
        block.names[0]
        for block in model.random
        if about == "person" and (block.student or block.box_cox)
    ]
    faults = [
        Fault(f"random of {name}", "not normal", "normal, to be a score", "")
        for name in odd
    ]
    if model.drawn:
        found = "given by draws"
        faults.append(Fault("uncertainty", found, "an error each, or a covariance", ""))
    if about == "person":
        names = (*names, *model.etas)
    if not names:
        allowed = "with parameters that are uncertain, such as `rse: 20 %`"
        faults.append(Fault(f"model {model.name}", "known exactly", allowed, ""))
    raise_faults(ModelError, faults)
    key = purpose_key(jax.random.key(seed), "expected gain")
    scores = jax.random.normal(key, (draws, len(names)), float)
    return Cloud(about, names, np.asarray(scores))


def expected_information(
    model: Model,
    groups: Sequence[Group],
    *,
    about: About = "population",
    known: Sequence[str] = (),
    draws: int = DRAWS,
    nested: int = 0,
    seed: int = 0,
) -> Gain:
    """Return the expected information gain of a design.

    Parameters
    ----------
    draws
        From the prior, for Laplace's approximation.
    nested
        Studies of nested Monte Carlo, each held against four times as many draws;
        0 leaves it out.
    """
    for group in groups:
        check_group(model, group)
    cloud = draw_cloud(model, about=about, known=known, draws=draws, seed=seed)
    total = np.zeros((draws, len(cloud.names), len(cloud.names)))
    for group in groups:
        shown = cloud_of(model, group, cloud)
        total += group.subjects * shown.information(range(shown.mean.shape[1]))
    laplace, error = gain_in(total)
    if not nested:
        return Gain(laplace, error)
    how = {"about": about, "known": known, "seed": seed}
    return Gain(laplace, error, *nested_gain(model, groups, studies=nested, **how))


def gain_in(
    information: Float[np.ndarray, "draw unknown unknown"],
) -> tuple[float, float]:
    """Return the gain [nats] by Laplace over draws, and its Monte Carlo error."""
    _, size = np.linalg.slogdet(np.eye(information.shape[-1]) + information)
    return float(0.5 * size.mean()), float(0.5 * size.std() / math.sqrt(size.size))


def cloud_of(model: Model, group: Group, cloud: Cloud) -> Seen:
    """Return what a group shows at each draw, with derivatives."""
    return Seen(*_solved(model, group, cloud, slopes=True))


def _solved(
    model: Model, group: Group, cloud: Cloud, *, slopes: bool
) -> tuple[np.ndarray, ...]:
    """Solve a group at each draw."""
    laid = laid_out(model, group)
    go = _shown(laid.program, cloud.about, cloud.names, slopes)
    given = {n: jnp.asarray(float(value)) for n, value in laid.typical.items()}
    rows = laid.doses, laid.line, laid.place, laid.output
    return tuple(map(np.asarray, go(jnp.asarray(cloud.scores), given, *rows)))


@functools.lru_cache(maxsize=32)
def _shown(program: Program, about: About, names: tuple[str, ...], slopes: bool) -> Any:
    """Compile what is shown at draws; times, doses and values are data."""
    model = program.model
    inputs_of = _inputs(model, about, names)
    omega = np.asarray(omega_of(model)[0])

    def one(
        score: Float[Array, " unknown"],
        typical: dict[str, Array],
        doses: Doses,
        line: Float[Array, " row"],
        place: Int[Array, " row"],
        output: Int[Array, " row"],
    ) -> tuple[Array, Array]:
        inputs = inputs_of(score, typical)

        def mean(eta: Float[Array, " effect"]) -> Float[Array, " row"]:
            moved = {n: inputs[n] + eta[k] for k, n in enumerate(model.etas)}
            return seen(program, inputs | moved, doses, line, place, output)

        still = jnp.zeros(len(model.etas))
        middle = mean(still)
        variance = jnp.diag(_residual(model, middle, output))
        if about == "population" and model.etas:
            slope = jax.jacfwd(mean)(still)
            variance = variance + slope @ jnp.asarray(omega) @ slope.T
        return middle, variance

    def every(scores: Float[Array, "draw unknown"], *rest: Any) -> tuple[Array, ...]:
        def each(score: Float[Array, " unknown"]) -> tuple[Array, ...]:
            shown = one(score, *rest)
            return (*shown, *jax.jacfwd(one)(score, *rest)) if slopes else shown

        return lax.map(each, scores)

    return jax.jit(every)


def _residual(
    model: Model, mean: Float[Array, " row"], output: Int[Array, " row"]
) -> Float[Array, " row"]:
    """Return the variances of residual errors."""
    sizes = np.array(
        [[one.error.additive, one.error.proportional] for one in model.outputs], float
    )
    mine = jnp.asarray(sizes)[output]
    return mine[:, 0] ** 2 + (mine[:, 1] * mean) ** 2


def _inputs(model: Model, about: About, names: tuple[str, ...]) -> Any:
    """Return how inputs are made of scores and typical values."""
    lower = np.zeros((len(model.parameters), len(model.parameters)))
    if model.population:
        lower = root(model.population)
    by_name = {one.name: place for place, one in enumerate(model.parameters)}
    own = [n for n in names if n in by_name]
    effects = _effects_root(model)

    def inputs(
        score: Float[Array, " unknown"], typical: dict[str, Array]
    ) -> dict[str, Array]:
        values = dict(typical)
        mine = {name: score[names.index(name)] for name in own}
        for name in own:
            parameter = model.parameters[by_name[name]]
            if model.population:
                row = lower[by_name[name]]
                shift = sum(row[by_name[other]] * mine[other] for other in own)
                relative = parameter.scale == "log"
            else:
                relative = parameter.scale == "log" and parameter.value != 0
                size = abs(parameter.value) if relative else 1.0
                shift = mine[name] * (parameter.error / size)
            value = typical[name]
            values[name] = value * jnp.exp(shift) if relative else value + shift
        if about == "person":
            scores = score[len(own) :]
            moved = jnp.asarray(effects) @ scores
        else:
            moved = jnp.zeros(len(model.etas))
        return values | {name: moved[k] for k, name in enumerate(model.etas)}

    return inputs


def _effects_root(model: Model) -> Float[np.ndarray, "effect effect"]:
    """Return L with L L' the covariance of all random effects."""
    found = np.zeros((len(model.etas), len(model.etas)))
    begin = 0
    for block in model.random:
        end = begin + len(block.names)
        found[begin:end, begin:end] = root(block.covariance)
        begin = end
    return found


def _uncertain(model: Model, names: Sequence[str]) -> tuple[str, ...]:
    """Name the parameters that have a prior."""
    if model.population:
        varies = np.diag(np.array(model.population)) > 0
        mine = [p.name for p, one in zip(model.parameters, varies, strict=True) if one]
    else:
        mine = [one.name for one in model.parameters if one.error > 0]
    return tuple(name for name in mine if name in names)


def nested_gain(
    model: Model,
    groups: Sequence[Group],
    *,
    about: About,
    known: Sequence[str] = (),
    studies: int,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return both estimates of nested Monte Carlo, the lower first, and their error.

    Each study is held against four times as many draws as there are studies.
    """
    more = (1 + INNER) * studies
    cloud = draw_cloud(model, about=about, known=known, draws=more, seed=seed + 1)
    draws = len(cloud.scores)
    own = np.zeros(studies)
    other = np.zeros((studies, draws - studies))
    for place, group in enumerate(groups):
        key = purpose_key(jax.random.key(seed), f"studies of group {place}")
        mean, variance = _solved(model, group, cloud, slopes=False)
        lower = np.linalg.cholesky(variance)
        shape = (studies, group.subjects, mean.shape[1])
        noise = np.asarray(jax.random.normal(key, shape, float))
        values = mean[:studies, None] + np.einsum(
            "dij,dsj->dsi", lower[:studies], noise, optimize=True
        )
        middle = values.mean(axis=1)
        apart = values - middle[:, None]
        scatter = np.einsum("dsi,dsj->dij", apart, apart, optimize=True)
        likely = functools.partial(_likelihood, middle, scatter, group.subjects)
        for begin in range(0, studies, MOST_AT_ONCE):
            which = slice(begin, min(begin + MOST_AT_ONCE, studies))
            own[which] += np.diagonal(likely(mean[which], lower[which], which=which))
            other[which] += likely(mean[studies:], lower[studies:], which=which)
    without = np.logaddexp.reduce(other, axis=1) - math.log(other.shape[1])
    both = np.concatenate([own[:, None], other], axis=1)
    along = np.logaddexp.reduce(both, axis=1) - math.log(both.shape[1])
    high, low = own - without, own - along
    error = max(high.std(), low.std()) / math.sqrt(studies)
    return float(low.mean()), float(high.mean()), float(error)


def _likelihood(
    middle: Float[np.ndarray, "study row"],
    scatter: Float[np.ndarray, "study row row"],
    subjects: int,
    mean: Float[np.ndarray, "draw row"],
    lower: Float[np.ndarray, "draw row row"],
    *,
    which: slice,
) -> Float[np.ndarray, "some draw"]:
    """Return log-likelihoods of studies at draws, but for what all have in common."""
    inverse = np.linalg.inv(lower)
    precision = np.swapaxes(inverse, 1, 2) @ inverse
    spread = np.einsum("dij,sji->sd", precision, scatter[which], optimize=True)
    shift = np.einsum("dij,sj->sdi", inverse, middle[which], optimize=True)
    shift = shift - np.einsum("dij,dj->di", inverse, mean, optimize=True)
    size = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    whole = spread + subjects * (shift**2).sum(axis=2)
    return -subjects * size - 0.5 * whole

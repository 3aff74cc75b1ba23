r"""What is probable of a person: sampling, importance weighting, resampling (SIR).

Proposals for a person's random effects come from Student's t about the mode, with
Laplace's covariance; each is weighted by the joint density over the proposal's,

$$ w_m = \frac{p(y \mid \eta_m)\, p(\eta_m)}{q(\eta_m)}, $$

and draws are taken from them by these weights. The mean weight is the likelihood of
what was measured. How many independent draws the weights are worth is

$$ ESS = \frac{(\sum_m w_m)^2}{\sum_m w_m^2}. $$

Row i of everything is of subject i, whose draws are keyed by the seed and its ID, and
so by no company.

References
----------
Rubin DB (1988) Using the SIR algorithm to simulate posterior distributions. Bayesian
Statistics 3:395-402. Kitagawa G (1996) J Comput Graph Stat 5:1-25 (systematic
resampling). Kong A, Liu JS, Wong WH (1994) JASA 89:278-288 (effective sample size).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Int, Key, Shaped

from vtrial.errors import DataError, Fault, FitError
from vtrial.fit.likelihood import LOG_2_PI, Likelihood, likelihood_of
from vtrial.fit.mode import Modes, Outcome, modes, taken
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values, values_of
from vtrial.keys import purpose_key, subject_key, subject_number
from vtrial.model.model import Model
from vtrial.model.resampling import resample
from vtrial.program_cache import kept
from vtrial.sheets.words import listed, nearest
from vtrial.types import Numerics
from vtrial.units import factor

DRAWS = 1000
OVER = 4  # proposals a draw
FREEDOM = 6  # of the proposal's t; even, so that its chi square is a sum of logarithms
MOST_DRAWS = 100_000
ROWS = 2**17  # solutions in one call: subjects times draws
MAKERS = ("twin", "fit", "model", "dosing", "solver")
FILTERING = Numerics(rtol=1e-6, atol=1e-8)


@dataclass(frozen=True)
class Posterior:
    """What is probable of each person after what was measured.

    Fields
    ------
    model, study, values
        What it was made of.
    likelihood
        With `effects`, which says what the columns of `draws` are.
    modes
        The most probable effects, with Laplace's covariance.
    draws
        (subject, draw, effect) Equally probable.
    size
        [draws] How many independent draws the weights of all proposals are worth.
    log_likelihood
        log p(y) of each subject, its random effects integrated out.
    seed
        Of everything that is drawn.
    """

    model: Model
    study: Study
    values: Values
    likelihood: Likelihood
    modes: Modes
    draws: Float[np.ndarray, "subject draw effect"]
    size: Float[np.ndarray, " subject"]
    log_likelihood: Float[np.ndarray, " subject"]
    seed: int

    @property
    def identity(self) -> Shaped[np.ndarray, " subject"]:
        """The IDs."""
        return self.study.identity

    @property
    def sound(self) -> np.ndarray:
        """Whether a subject's mode was found, and draws have a density."""
        found = np.asarray(self.modes.outcome) == Outcome.CONVERGED
        return found & np.isfinite(self.log_likelihood)

    def place(self, person: object = None) -> int:
        """Find a person by ID; the first if none is asked for.

        Raises
        ------
        DataError
            If there is no such person.
        """
        if person is None:
            return 0
        known = [str(one) for one in self.identity]
        if str(person) not in known:
            found, allowed = f"`{person}`", f"an ID of the data: {listed(known, 10)}"
            raise DataError("person", found, allowed, nearest(str(person), known))
        return known.index(str(person))

    def quality(self) -> pd.DataFrame:
        """Return how good each subject's draws are: a row a subject.

        Columns are ID, `observations`, `effective` (independent draws that the weights
        are worth), `log_likelihood`, and `search`: how that of the mode ended.
        """
        return pd.DataFrame(
            {
                "ID": self.identity,
                "observations": self.study.data.real.sum(axis=1),
                "effective": self.size,
                "log_likelihood": self.log_likelihood,
                "search": [Outcome(code).words for code in self.modes.outcome],
            }
        )

    def observed(self, person: object = None) -> pd.DataFrame:
        """Return what was measured of a person: TIME, and a column an output.

        What is only known to be below a limit is left out.
        """
        place, data = self.place(person), self.study.data
        real = data.real[place] & ~data.below[place]
        time = np.asarray(data.times.time)[place][real]
        rows = {"TIME": time * factor("h", self.model.time)}
        for number, output in enumerate(self.model.outputs):
            mine = data.output[place][real] == number
            if mine.any():
                rows[output.name] = np.where(mine, data.values[place][real], np.nan)
        return pd.DataFrame(rows)


def posterior(
    model: Model,
    study: Study,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    values: Values | None = None,
    numerics: Numerics = FILTERING,
) -> Posterior:
    """Find what is probable of every subject of a study: one, or ten thousand.

    Parameters
    ----------
    draws
        How many of each subject; four times as many are proposed.
    seed
        The same seed gives a subject of the same ID and data the same draws.
    values
        Population values; the model's own unless given.
    numerics
        Of the draws' solutions; those of the mode are tighter.

    Raises
    ------
    ModelError
        If no likelihood of the model is known here, with all that stands in the way.
    FitError
        If nothing differs between people, or draws are too few or too many.
    """
    tight = likelihood_of(model, study)
    _refuse(model, tight, draws)
    values = values_of(model) if values is None else values
    best = modes(model, study, values=values, likelihood=tight)
    likelihood = likelihood_of(model, study, numerics)
    omega = np.asarray(tight.effects.covariance(values))
    lost = np.asarray(~np.isfinite(best.covariance).all(axis=(1, 2)))
    spread = np.where(lost[:, None, None], omega, best.covariance)
    centre = np.where(np.isfinite(best.eta), best.eta, 0.0)
    number = numbers_of(study)

    one = jnp.asarray(seed)

    def compute(part: Data, at: np.ndarray, wide: np.ndarray, who: np.ndarray) -> Any:
        return _resampled(likelihood, draws, one, values, part, at, wide, who)

    parts = (centre, spread, number)
    taken_, worth, total = in_parts(compute, study.data, OVER * draws, *parts)
    return Posterior(model, study, values, likelihood, best, taken_, worth, total, seed)


def numbers_of(study: Study) -> Int[np.ndarray, " subject"]:
    """Return the number by which each subject's draws are keyed."""
    return np.array([subject_number(str(one)) for one in study.identity], np.int64)


def _refuse(model: Model, likelihood: Likelihood, draws: int) -> None:
    faults = []
    if not len(likelihood.effects):
        allowed = "with random effects, by which people differ"
        such = "random: [{of: CL, cv: 30 %}]"
        faults.append(Fault(model.name, "without random effects", allowed, such))
    if not 10 <= draws <= MOST_DRAWS:
        allowed = f"10 to {MOST_DRAWS}"
        faults.append(Fault("draws", str(draws), allowed, str(DRAWS)))
    if faults:
        raise FitError.of(faults)


def in_parts(compute: Callable[..., Any], data: Data, rows: int, *others: Any) -> Any:
    """Apply a program to parts of the subjects, and join what it gives.

    A subject counts `rows` solutions. The last part is filled up with its last subject.
    `others` are arrays, or trees of them, whose first axis is subjects.
    """
    count = len(data.begin)
    most = max(ROWS // rows, 1)
    size = 1 if count == 1 else min(most, 1 << (count - 1).bit_length())
    places = np.minimum(np.arange(math.ceil(count / size) * size), count - 1)

    def one(mine: np.ndarray) -> Any:
        given = jax.tree.map(lambda leaf: np.asarray(leaf)[mine], others)
        return jax.tree.map(np.asarray, compute(taken(data, mine), *given))

    found = [one(mine) for mine in places.reshape(-1, size)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *found)


def spread_out(data: Data, count: int) -> Data:
    """Repeat each subject for its draws; what is one row stays one for the solver."""

    def each(leaf: Any) -> Any:
        return leaf if leaf.shape[0] == 1 else jnp.repeat(leaf, count, axis=0)

    def always(leaf: Any) -> Array:
        return jnp.repeat(jnp.asarray(leaf), count, axis=0)

    wide = jax.tree.map(each, data)
    return wide._replace(
        occasion=always(data.occasion),
        values=always(data.values),
        output=always(data.output),
        below=always(data.below),
        real=always(data.real),
    )


@functools.partial(kept, static=2, makers=MAKERS)
def _resampled(
    likelihood: Likelihood,
    draws: int,
    seed: Int[Array, ""],
    values: Values,
    data: Data,
    centre: Float[Array, "subject effect"],
    spread: Float[Array, "subject effect effect"],
    number: Int[Array, " subject"],
) -> tuple[Array, Array, Array]:
    """Propose, weigh and resample for some subjects."""
    count, size = centre.shape
    many = OVER * draws
    keys = keys_of(seed, number, "posterior")
    normal, mixing, start = jax.vmap(functools.partial(_variates, many, size))(keys)
    factor = jnp.linalg.cholesky(spread)
    eta = centre[:, None, :] + mixing[:, :, None] * jnp.einsum(
        "skl,sml->smk", factor, normal
    )
    wide = spread_out(data, many)
    joint = likelihood.joint(values, eta.reshape(count * many, size), wide)
    real = jnp.asarray(data.real) & ~jnp.asarray(data.below)
    seen = jnp.sum(real.astype(float), axis=1)
    density = -0.5 * (joint.reshape(count, many) + LOG_2_PI * (seen[:, None] + size))
    distance = mixing**2 * jnp.sum(normal**2, axis=2)
    shape = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)), axis=1)
    half = 0.5 * (FREEDOM + size)
    constant = gammaln(half) - gammaln(0.5 * FREEDOM)
    constant = constant - 0.5 * size * math.log(FREEDOM * math.pi)
    proposed = constant - shape[:, None] - half * jnp.log1p(distance / FREEDOM)
    weight = jnp.where(jnp.isfinite(density), density - proposed, -jnp.inf)
    total = logsumexp(weight, axis=1)
    share = jnp.exp(weight - jnp.where(jnp.isfinite(total), total, 0.0)[:, None])
    place = jax.vmap(functools.partial(resample, count=draws))(share, start)
    taken_ = jnp.take_along_axis(eta, place[:, :, None], axis=1)
    squared = jnp.sum(share**2, axis=1)
    worth = jnp.where(squared > 0, 1.0 / jnp.where(squared > 0, squared, 1.0), 0.0)
    return taken_, worth, total - math.log(many)


def keys_of(
    seed: Int[Array, ""], number: Int[Array, " subject"], purpose: str
) -> Key[Array, " subject"]:
    """Return a key a subject, for a purpose."""
    return jax.vmap(lambda one: purpose_key(subject_key(seed, 0, one), purpose))(number)


def _variates(
    many: int, size: int, key: Key[Array, ""]
) -> tuple[Float[Array, "draw effect"], Float[Array, " draw"], Float[Array, ""]]:
    """Draw normal variates, what makes them Student's t, and resampling's start."""
    one, two, three = jax.random.split(key, 3)
    normal = jax.random.normal(one, (many, size), float)
    uniform = jax.random.uniform(
        two, (many, FREEDOM // 2), float, minval=np.finfo(float).tiny
    )
    square = -2.0 * jnp.sum(jnp.log(uniform), axis=1)
    return normal, jnp.sqrt(FREEDOM / square), jax.random.uniform(three, (), float)

r"""What is learned of a subject inside its course: weighted draws of who it may be.

Who a subject may be is a cloud of draws of its random effects, as standard normal
scores z. Draws come from Student's t, at first about the population's middle, then
about the weighted mean and covariance of the draws before; each is weighted by

$$ w = \frac{p(y \mid z)\, \varphi(z)}{q(z)}, $$

with the values y that are known by now, predicted under the doses that were given. In
between, weights are flattened to a power below one, as far as it takes that a part of
the draws counts (adaptive importance sampling). What the twin knows of people is the
model's sheet and the subject's covariates: population values are those of the sheet,
whatever the replicate drew or the arm sets.

References
----------
Cappé O, Douc R, Guillin A, Marin JM, Robert CP (2008) Stat Comput 18:447-459 (adaptive
importance sampling). Kong A, Liu JS, Wong WH (1994) JASA 89:278-288.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from vtrial.dosing.doses import BEFORE_DOSE, Times
from vtrial.model.covariance import mixed, root
from vtrial.model.model import Model
from vtrial.model.residual import log_density
from vtrial.observe.frame import Frame
from vtrial.observe.realised import Rows, as_doses
from vtrial.observe.stages import Brought
from vtrial.protocol.rules import Learning
from vtrial.solver.program import Program
from vtrial.solver.trajectory import State
from vtrial.types import Status

ROUNDS = 4  # of draws, the last of which counts
FREEDOM = 6  # of the proposals' t; even, so that its chi square is a sum of logarithms
COUNTED = 0.25  # of the draws, which weights are worth at least between rounds
HALVINGS = 30
RIDGE = 1e-9

Inputs = dict[str, Array]


class Known(NamedTuple):
    """What is known of one subject.

    Fields
    ------
    now
        [h] When it is.
    key
        From which its draws are.
    inputs
        What its equations ask for.
    given
        The doses until now.
    values, time, known
        What was measured by output, when [h], and whether it is known.
    """

    now: Float[Array, "*subject"]
    key: Key[Array, "*subject"]
    inputs: Inputs
    given: Rows
    values: dict[str, Float[Array, "*subject place"]]
    time: Float[Array, "*subject place"]
    known: Bool[Array, "*subject place"]


class Cloud(NamedTuple):
    """Draws of who a subject may be, and where they stand now."""

    scores: Float[Array, "draw score"]
    weight: Float[Array, " draw"]
    end: State


@dataclass(frozen=True, eq=False)
class Learner:
    """A frame with a rule that learns; `program` solves the model with areas beside."""

    frame: Frame
    brought: Brought
    learning: Learning
    program: Program

    @property
    def _turns(self) -> int:
        """How many occasions there are."""
        return self.frame.plan.occasions.size

    def cloud(self, who: Known) -> Cloud:
        """Draw, weigh and draw anew who a subject may be."""
        size = len(_scores(self.frame.protocol.model, self._turns))
        many = self.learning.particles

        def weighed(
            key: Key[Array, ""],
            mean: Float[Array, " score"],
            lower: Float[Array, "score score"],
        ) -> tuple[Float[Array, "draw score"], Float[Array, " draw"], State]:
            z, proposed = _proposed(key, mean, lower, many)
            density, end = self._density(who, z)
            weight = density - 0.5 * jnp.sum(z**2, axis=1) - proposed
            return z, jnp.where(jnp.isfinite(weight), weight, -jnp.inf), end

        def turn(carry: Any, key: Key[Array, ""]) -> tuple[Any, None]:
            (mean, lower), _ = carry
            z, weight, end = weighed(key, mean, lower)
            return (_moments(z, weight), (z, weight, end)), None

        keys = jax.vmap(jax.random.fold_in, (None, 0))(who.key, jnp.arange(ROUNDS))
        begin = jnp.zeros(size), jnp.eye(size)
        like = jax.eval_shape(weighed, keys[0], *begin)
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        (_, (z, weight, end)), _ = lax.scan(turn, (begin, blank), keys)
        return Cloud(z, _shares(weight), end)

    def _density(
        self, who: Known, z: Float[Array, "draw score"]
    ) -> tuple[Float[Array, " draw"], State]:
        """Return how probable what is known is for every draw, and where they stand."""
        frame, plan = self.frame, self.frame.plan
        many = z.shape[0]
        rank = np.full(who.time.shape, BEFORE_DOSE)
        rank[: plan.planned.size] = plan.rank[: plan.planned.size]
        time = who.time[None]
        path = self.program.solve(
            self.inputs(who, z),
            as_doses(Rows(*(part[None] for part in who.given))),
            Times(time, jnp.asarray(rank)[None], plan.occasion(time)),
            periods=self.brought.periods,
            begin=jnp.full(many, frame.begin),
            until=jnp.full(many, who.now),
        )
        total = jnp.zeros(many)
        for name in self.learning.outputs:
            output, value = frame.output(name), who.values[name]
            counts = who.known & jnp.isfinite(value)
            each = log_density(
                output,
                path.outputs[name].astype(float),
                jnp.broadcast_to(jnp.where(counts, value, 1.0), (many, value.size)),
                computed={n: path.outputs[n] for n in output.error.computed},
            )
            total += jnp.sum(jnp.where(counts[None], each, 0.0), axis=1)
        solved = path.status == Status.SOLVED
        assert path.end is not None, "a solution stands somewhere"
        return jnp.where(solved, total, -jnp.inf), path.end

    def inputs(self, who: Known, z: Float[Array, "draw score"]) -> Inputs:
        """Return what the equations ask for, of every draw."""
        model = self.frame.protocol.model
        typical = {p.name: p.value for p in model.parameters}
        drawn = _effects(model, self._turns, z)
        found: Inputs = {}
        for name, value in who.inputs.items():
            mine = jnp.full_like(value, typical[name]) if name in typical else value
            if name in drawn:
                mine = drawn[name]
                if value.ndim and mine.ndim == 1:
                    mine = jnp.broadcast_to(mine[:, None], (z.shape[0], value.size))
            elif name.startswith("eta."):
                mine = jnp.zeros_like(value)
            if name not in drawn:
                mine = jnp.broadcast_to(mine[None], (z.shape[0], *value.shape))
            found[name] = mine.astype(value.dtype)
        return found


def _scores(model: Model, turns: int) -> list[tuple[int, int, int]]:
    """List block, column and occasion of every score; -1: once a subject.

    Effects of an occasion that has not begun stay as their law has them.
    """
    return [
        (place, column, turn)
        for place, block in enumerate(model.random)
        if block.level != "study"
        for turn in (range(turns) if block.level == "occasion" else (-1,))
        for column, weights in enumerate(root(block.covariance).T)
        if any(weights)
    ]


def _effects(model: Model, turns: int, z: Float[Array, "draw score"]) -> Inputs:
    """Return random effects made of scores; with a column an occasion, if any."""
    places = {key: at for at, key in enumerate(_scores(model, turns))}
    found: dict[str, list[Array]] = {}
    for number, block in enumerate(model.random):
        if block.level == "study":
            continue
        lower = root(block.covariance)
        for turn in range(turns) if block.level == "occasion" else (-1,):
            keys = [(number, column, turn) for column in range(len(block.names))]
            parts = [z[:, places[key]] if key in places else None for key in keys]
            for name, row in zip(block.names, lower, strict=True):
                total = mixed(row, parts)
                value = jnp.zeros(z.shape[0]) if total is None else total
                if block.box_cox:
                    value = jnp.expm1(block.box_cox * value) / block.box_cox
                found.setdefault(f"eta.{name}", []).append(value)
    return {
        name: jnp.stack(values, axis=1) if len(values) > 1 else values[0]
        for name, values in found.items()
    }


def _proposed(
    key: Key[Array, ""],
    mean: Float[Array, " score"],
    lower: Float[Array, "score score"],
    many: int,
) -> tuple[Float[Array, "draw score"], Float[Array, " draw"]]:
    """Draw from Student's t, and return its log-density but for a constant."""
    one, two = jax.random.split(key)
    size = mean.size
    normal = jax.random.normal(one, (many, size), float)
    tiny = np.finfo(float).tiny
    uniform = jax.random.uniform(two, (many, FREEDOM // 2), float, minval=tiny)
    square = -2.0 * jnp.sum(jnp.log(uniform), axis=1)
    wide = normal * jnp.sqrt(FREEDOM / square)[:, None]
    z = jnp.broadcast_to(mean[None], wide.shape) + jnp.sum(
        lower[None] * wide[:, None, :], axis=2
    )
    distance = jnp.sum(wide**2, axis=1)
    shape = jnp.sum(jnp.log(jnp.diagonal(lower)))
    return z, -shape - 0.5 * (FREEDOM + size) * jnp.log1p(distance / FREEDOM)


def _shares(weight: Float[Array, " draw"]) -> Float[Array, " draw"]:
    """Return weights that add up to one, of their logarithms; equal where none is."""
    most = jnp.max(weight)
    share = jnp.where(
        jnp.isfinite(most),
        jnp.exp(weight - jnp.where(jnp.isfinite(most), most, 0.0)),
        1.0,
    )
    return share / jnp.sum(share)


def _moments(
    z: Float[Array, "draw score"], weight: Float[Array, " draw"]
) -> tuple[Float[Array, " score"], Float[Array, "score score"]]:
    """Return the mean of draws, and a root of their covariance.

    By weights to the highest power at which enough of the draws count.
    """
    wanted = COUNTED * weight.size

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = ends
        middle = 0.5 * (low + high)
        enough = 1.0 / jnp.sum(_shares(middle * weight) ** 2) >= wanted
        return (jnp.where(enough, middle, low), jnp.where(enough, high, middle)), None

    ends = jnp.zeros(()), jnp.full((), 2.0)
    (power, _), _ = lax.scan(halve, ends, None, length=HALVINGS)
    share = _shares(jnp.minimum(power, 1.0) * weight)[:, None]
    mean = jnp.sum(share * z, axis=0)
    off = z - jnp.broadcast_to(mean[None], z.shape)
    spread = jnp.sum(share[:, :, None] * off[:, :, None] * off[:, None, :], axis=0)
    size = mean.size
    return mean, jnp.linalg.cholesky(spread + RIDGE * jnp.eye(size))

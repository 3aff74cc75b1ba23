"""States with noise: steps along a Brownian path of each subject's own.

The path is a function of the subject's key, the state's name and the time, and of
nothing else: smaller steps, another observation or an event follow the same path.
Steps end at the multiples of the model's step, and at events.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.dosing.schedule import FINEST
from vtrial.keys import purpose_number
from vtrial.solver.field import Field
from vtrial.solver.key_parts import keys_in
from vtrial.solver.method import AbstractMethod, Amounts, Span, Step
from vtrial.types import Status

FIRST, LENGTH = -8192.0, 2.0**21  # [h] where paths are defined: 230 years
WITHIN = 1024.0  # parts of a step in which a path is a straight line

Real = Float[Array, " lane"]


class _Stand(NamedTuple):
    """How far each lane has come in an interval."""

    time: Real
    amounts: Amounts
    paths: dict[str, Real]
    tried: Int[Array, " lane"]


def path(
    keys: Key[Array, " lane"], name: str, time: Real, *, step: float
) -> Float[Array, " lane"]:
    """Return where the Brownian path of a state is at a time [h].

    It is a tree: the middle of an interval is drawn by a key of its own between the
    ends (Levy's bridge), and then the middle of the half that holds the time, down to
    a thousandth of `step`; a finer tree has the same numbers above that.

    References
    ----------
    Li X et al. (2020) Scalable gradients for stochastic differential equations.
    AISTATS, PMLR 108:3870-3882.
    """
    levels = math.ceil(math.log2(LENGTH / (step / WITHIN)))
    number = purpose_number(f"noise {name}")

    def one(key: Key[Array, ""], time: Float[Array, ""]) -> Float[Array, ""]:
        own = jax.random.fold_in(key, number)
        share = (time - FIRST) / LENGTH  # of the interval so far, from 0 to 1
        whole = math.sqrt(LENGTH) * jax.random.normal(own, (), float)

        def halve(level: Array, so_far: tuple[Array, ...]) -> tuple[Array, ...]:
            key, share, low, high = so_far
            spread = 0.5 * jnp.sqrt(LENGTH * 2.0 ** -level.astype(float))
            key = jax.random.fold_in(key, 2)
            middle = 0.5 * (low + high)
            middle += spread * jax.random.normal(key, (), float)
            right = share >= 0.5
            key = jax.random.fold_in(key, right.astype(int))
            low, high = jnp.where(right, middle, low), jnp.where(right, high, middle)
            return key, 2.0 * share - right.astype(float), low, high

        begun = (own, share, jnp.zeros(()), whole)
        _, share, low, high = lax.fori_loop(0, levels, halve, begun)
        return low + share * (high - low)

    return jax.vmap(one)(keys, time.astype(float))


@dataclass(frozen=True)
class Brownian(AbstractMethod):
    """Milstein's method for noise in the sense of Itô.

    A step of length h makes of a state x, whose noise is g(x),

        x + f(x) h + g W + g g' (W^2 - h) / 2,

    with W the increment of its path. It is of strong order 1 if the noise of each state
    depends on no other state, and of order 1/2 otherwise.
    """

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> dict[str, Float[Array, "lane period"]]:
        """Keep all individual parameters, for noise may read any."""
        return dict(individual)

    def advance(
        self,
        prepared: dict[str, Real],
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: object,
    ) -> Step:
        """Step along the paths up to the end of an interval."""
        stop = jnp.broadcast_to(span.stop, span.start.shape)
        moves = span.active & (stop > span.start)
        keys = keys_in(prepared)
        field = Field(self.model, prepared, span, rates, range(len(amounts)))

        def goes_on(stand: _Stand) -> Bool[Array, " lane"]:
            return moves & (stand.time < stop) & (stand.tried < span.left)

        def step(stand: _Stand) -> _Stand:
            here = goes_on(stand)
            grid = jnp.floor((stand.time + FINEST) / self.model.step) + 1.0
            after = jnp.minimum(grid * self.model.step, stop)
            after = jnp.where(here, after, stand.time)
            paths = self._paths(keys, after)
            moved = self._stepped(field, stand, after, paths)
            chosen = tuple(
                jnp.where(here, new, old)
                for new, old in zip(moved, stand.amounts, strict=True)
            )
            return _Stand(after, chosen, paths, stand.tried + here.astype(int))

        none = jnp.zeros(stop.shape, int)
        begun = _Stand(span.start, amounts, self._paths(keys, span.start), none)
        end = lax.while_loop(lambda stand: jnp.any(goes_on(stand)), step, begun)
        finite = jnp.all(jnp.stack([jnp.isfinite(a) for a in end.amounts]), axis=0)
        status = jnp.where(finite, int(Status.SOLVED), int(Status.NON_FINITE))
        late = moves & (end.time < stop)
        status = jnp.where(late, int(Status.STEP_LIMIT), status)
        return Step(end.amounts, memory, jnp.where(moves, status, 0), end.tried)

    def _paths(self, keys: Key[Array, " lane"], time: Real) -> dict[str, Real]:
        """Return where the paths of all states with noise are."""
        step = self.model.step
        return {name: path(keys, name, time, step=step) for name in self.model.noisy}

    def _stepped(
        self, field: Field, stand: _Stand, after: Real, paths: dict[str, Real]
    ) -> list[Array]:
        """Return the amounts after one step."""
        real = stand.amounts[0].dtype
        length = (after - stand.time).astype(real)
        inside = (stand.time - field.span.start).astype(real)
        slopes = field(inside, stand.amounts)
        clock, since = field.clocks(inside)
        found = []
        for place, (name, amount) in enumerate(
            zip(self.model.states, stand.amounts, strict=True)
        ):
            drifted = amount + slopes[place] * length
            if name not in self.model.noisy:
                found.append(drifted)
                continue

            def noise(value: Array, place: int = place) -> Array:
                whole = [*stand.amounts]
                whole[place] = value
                all_ = self.model.noise(
                    clock, whole, field.individual, after_dose=since
                )
                return jnp.broadcast_to(all_[place], value.shape).astype(real)

            size, curve = jax.jvp(noise, (amount,), (jnp.ones_like(amount),))
            moved = (paths[name] - stand.paths[name]).astype(real)
            bent = 0.5 * size * curve * (moved**2 - length)
            found.append(drifted + size * moved + bent)
        return found

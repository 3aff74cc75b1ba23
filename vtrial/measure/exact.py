r"""Cox's exact partial likelihood with ties: which of those at risk had the events.

Times are taken to be discrete. If d of those at risk have the event at one time, the
likelihood of that time is that it was these d, among all sets of d,

$$ \frac{\exp(\sum_{i \in D} \eta_i)}{E_d}, \qquad
   E_d = \sum_{|S| = d} \exp(\sum_{i \in S} \eta_i) . $$

The sums grow by one person at a time, from the last to the first,

$$ E_k \leftarrow E_k + e^{\eta} E_{k-1}, $$

so that one walk serves all times. With them go the mean of the columns' sum over a set,
and of its square, which make score and information: both are averages with positive
weights, and lose no digits.

References
----------
Cox DR (1972) J R Stat Soc B 34:187-220.
Gail MH, Lubin JH, Rubinstein LV (1981) Biometrika 68:703-707.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from vtrial.measure.newton import Likelihood
from vtrial.measure.risk_set import Order


class Discrete(NamedTuple):
    """Data of the exact partial likelihood, by place; at most `most` events tie."""

    order: Order
    columns: np.ndarray  # column, replicate, place
    event: np.ndarray
    most: int

    @classmethod
    def of(cls, order: Order, columns: np.ndarray, event: np.ndarray) -> "Discrete":
        """Make it of what stands at each place."""
        most = int(order.tied(event).max(initial=0.0))
        return cls(order, columns, event, _rounded(most))

    def rows(self, chosen: np.ndarray) -> "Discrete":
        """Return some of the trials."""
        parts = (self.order.rows(chosen), self.columns[:, chosen], self.event[chosen])
        return Discrete(*parts, self.most)

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Evaluate the partial likelihood of every trial at its own coefficients."""
        order, size = self.order, len(slopes)
        places = np.broadcast_to(np.arange(order.here.shape[1]), order.here.shape)
        begins = places == order.stop - 1
        marks = (order.here, order.leads, order.here & begins)
        parts = (
            slopes,
            np.moveaxis(self.columns, 0, 2),
            self.event,
            order.tied(self.event).astype(int),
            np.stack(marks, axis=2),
        )
        found = _likelihoods(*(_padded(part) for part in parts), self.most)
        return Likelihood(*(np.asarray(part)[:size].copy() for part in found))


class _SetSums(NamedTuple):
    """Of sets of 0, 1, ... subjects: log E, mean of the sum, and of its square."""

    size: Float[Array, "set"]
    mean: Float[Array, "set column"]
    square: Float[Array, "set column column"]


@functools.partial(jax.jit, static_argnums=5)
def _likelihoods(
    slopes: Float[Array, "replicate column"],
    columns: Float[Array, "replicate place column"],
    event: Float[Array, "replicate place"],
    tied: Array,
    marks: Bool[Array, "replicate place mark"],
    most: int,
) -> tuple[Array, Array, Array]:
    """Return value, score and information of every trial."""
    one = functools.partial(_likelihood, most=most)
    return jax.vmap(one)(slopes, columns, event, tied, marks)


def _likelihood(
    slopes: Array, columns: Array, event: Array, tied: Array, marks: Array, *, most: int
) -> tuple[Array, Array, Array]:
    """Walk over one trial's places from the last to the first."""
    width = columns.shape[1]
    none = _SetSums(
        jnp.full(most + 1, -jnp.inf, columns.dtype).at[0].set(0.0),
        jnp.zeros((most + 1, width), columns.dtype),
        jnp.zeros((most + 1, width, width), columns.dtype),
    )
    total = (jnp.zeros(()), jnp.zeros(width), jnp.zeros((width, width)))

    def step(carry: tuple, place: tuple) -> tuple[tuple, None]:
        sums, total = carry
        column, happened, count, (here, first, begins) = place
        sums = jax.tree.map(lambda old, new: jnp.where(begins, new, old), sums, none)
        predictor = column @ slopes
        joined = _joined(sums, predictor, column)
        sums = jax.tree.map(lambda old, new: jnp.where(here, new, old), sums, joined)
        own = here & (happened > 0)
        closed = here & first & (count > 0)
        size, mean, square = (part[count] for part in sums)
        value = jnp.where(own, predictor, 0.0) - jnp.where(closed, size, 0.0)
        score = jnp.where(own, column, 0.0) - jnp.where(closed, mean, 0.0)
        spread = jnp.where(closed, square - jnp.outer(mean, mean), 0.0)
        made = (total[0] + value, total[1] + score, total[2] + spread)
        return (sums, made), None

    places = (columns, event, tied, tuple(jnp.moveaxis(marks, 1, 0)))
    (_, made), _ = jax.lax.scan(step, (none, total), places, reverse=True)
    return made


def _joined(sums: _SetSums, predictor: Array, column: Array) -> _SetSums:
    """Let sets hold one subject more, or not."""
    with_one = jnp.concatenate([jnp.array([-jnp.inf]), predictor + sums.size[:-1]])
    size = jnp.logaddexp(sums.size, with_one)
    possible = jnp.isfinite(size)
    total = jnp.where(possible, size, 0.0)
    without, share = (jnp.exp(part - total) for part in (sums.size, with_one))
    without, share = without[:, None], share[:, None]
    before = jax.tree.map(lambda part: jnp.roll(part, 1, axis=0), sums)
    moved = before.mean + column[None]
    cross = before.mean[:, :, None] * column[None, None]
    square = before.square + cross + jnp.swapaxes(cross, 1, 2)
    square = square + jnp.outer(column, column)[None]
    return _SetSums(
        size,
        without * sums.mean + share * moved,
        without[..., None] * sums.square + share[..., None] * square,
    )


def _rounded(most: int) -> int:
    """Round up to a power of two, so that other data seldom need another program."""
    return 1 << max(most - 1, 0).bit_length()


def _padded(part: np.ndarray) -> np.ndarray:
    """Repeat the first trial until their number is a power of two."""
    more = _rounded(len(part)) - len(part)
    return np.concatenate([part, np.repeat(part[:1], more, axis=0)])

r"""Choose people so that means among them are those of weights.

Each person is chosen as often as their expected number $n w_i$ says, rounded up or
down at random with that expectation, and so that the sums of all features over those
chosen are the expected ones, as far as whole people can have them (the cube method: a
walk in the cube of probabilities along directions that change no sum, until every
probability is 0 or 1).

References
----------
Deville JC, Tillé Y (2004) Biometrika 91:893-912.
Chauvet G, Tillé Y (2006) Comput Stat 21:53-62 (a few people at a time).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

EDGE = 1e-9  # a probability so near to 0 or 1 is there
HEIGHT = 4096  # people are walked through in multiples of it


def choose(
    key: Key[Array, ""],
    expected: Float[np.ndarray, " person"],
    feature: Float[np.ndarray, "person row"],
) -> Int[np.ndarray, " person"]:
    """Return how often each person is chosen.

    Parameters
    ----------
    expected
        How often; a whole number in all.
    feature
        Whose sums are kept. The sum of the first ones is kept to the last.
    """
    sure = np.floor(expected + EDGE)
    rest = np.clip(expected - sure, 0.0, 1.0)
    open_ = np.flatnonzero((rest > EDGE) & (rest < 1 - EDGE))
    chosen = np.where(rest >= 1 - EDGE, 1.0, 0.0)
    balance = np.concatenate([np.ones((expected.size, 1)), feature], axis=1)
    walk, land = jax.random.split(key)
    width = balance.shape[1] + 1
    part, mine = rest[open_], balance[open_]
    if open_.size > width:
        # Who fills up has no probability, is met first and left at once: few sizes are
        # compiled, and no sum is touched.
        spare = -open_.size % HEIGHT
        filled = np.pad(part, (spare, 0)), np.pad(mine, ((spare, 0), (0, 0)))
        part = np.array(_flight(walk, *map(jnp.asarray, filled)))[spare:]
    chosen[open_] = _landed(land, part, mine)
    return (sure + np.round(chosen)).astype(int)


@jax.jit
def _flight(
    key: Key[Array, ""],
    part: Float[Array, " person"],
    balance: Float[Array, "person row"],
) -> Float[Array, " person"]:
    """Walk until no direction changes nothing, one person taken in after another."""
    count, rows = balance.shape
    width = rows + 1
    draws = jax.random.uniform(key, (count - width + 1,), part.dtype)

    def step(
        state: tuple[Array, Array], given: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        part, window = state
        draw, incoming = given
        mine = part[window]
        moved = _moved(mine, balance[window], draw)
        part = part.at[window].set(moved)
        done = jnp.argmin(jnp.minimum(moved, 1 - moved))
        return (part, window.at[done].set(incoming)), None

    # The last step takes nobody in: it comes back to who is there already.
    incoming = jnp.minimum(jnp.arange(width, count + 1), count - 1)
    (part, _), _ = lax.scan(step, (part, jnp.arange(width)), (draws, incoming))
    return part


def _moved(
    part: Float[Array, " person"],
    balance: Float[Array, "person row"],
    draw: Float[Array, ""],
) -> Float[Array, " person"]:
    """Go along a direction that changes no sum, to one end or the other by chance."""
    whole, _ = jnp.linalg.qr(balance, mode="complete")
    way = whole[:, -1]
    ahead = _room(part, way)
    behind = _room(part, -way)
    forward = draw * (ahead + behind) < behind
    found = part + jnp.where(forward, ahead, -behind) * way
    found = jnp.where(found < EDGE, 0.0, found)
    return jnp.where(found > 1 - EDGE, 1.0, found)


def _room(
    part: Float[Array, " person"], way: Float[Array, " person"]
) -> Float[Array, ""]:
    """Return how far one can go before a probability leaves the cube."""
    still = jnp.abs(way) < 1e-14
    safe = jnp.where(still, 1.0, way)
    far = jnp.where(way > 0, (1 - part) / safe, -part / safe)
    return jnp.min(jnp.where(still, jnp.inf, jnp.maximum(far, 0.0)))


def _landed(
    key: Key[Array, ""],
    part: Float[np.ndarray, " person"],
    balance: Float[np.ndarray, "person row"],
) -> Float[np.ndarray, " person"]:
    """Round the few that are left, giving up one sum after another, the last first."""
    most = balance.shape[1]
    draws = jax.random.uniform(key, (part.size,), float)
    for draw in draws[: most + 2]:
        some = np.flatnonzero((part > EDGE) & (part < 1 - EDGE))[: most + 1]
        if not some.size:
            break
        mine = jnp.asarray(balance[some][:, : some.size - 1])
        part[some] = np.asarray(_moved(jnp.asarray(part[some]), mine, draw))
    return part

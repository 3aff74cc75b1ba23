"""Servers of a station, whose number may change from one piece of the day to the next.

Who serves when a number falls goes on until done: whoever is done first goes then.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Rota(NamedTuple):
    """How many servers there are from when on; the last for ever.

    Fields
    ------
    begins
        [h] When each piece begins; the first holds from ever.
    number
        Servers in it.
    """

    begins: Float[Array, " piece"]
    number: Int[Array, " piece"]


Busy = Float[Array, " server"]  # [h] when servers are done, ascending


def nobody_served(most: int, like: Array) -> Busy:
    """Return servers who have not begun."""
    return jnp.full(most, -jnp.inf, like.dtype)


def free_at(rota: Rota, busy: Busy, time: Float[Array, ""]) -> Float[Array, ""]:
    """Return when a server is free first, at a time [h] or later.

    Fewer than c are busy from when the c-th from the last is done; infinite if never.
    """
    place = jnp.clip(busy.shape[0] - rota.number, 0, busy.shape[0] - 1)
    begins = jnp.maximum(jnp.maximum(rota.begins, time), busy[place])
    ends = jnp.append(rota.begins[1:], jnp.inf)
    fits = (rota.number > 0) & (begins < ends)
    return jnp.min(jnp.where(fits, begins, jnp.inf))


def taken(busy: Busy, until: Float[Array, ""]) -> Busy:
    """Let the server who was done first be busy until a time [h]."""
    rest = jnp.append(busy[1:], jnp.inf)
    before = jnp.append(-jnp.inf, busy[1:])
    return jnp.where(rest <= until, rest, jnp.maximum(before, until))

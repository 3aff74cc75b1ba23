"""Several queues before the same servers, and people who give up: a masked scan.

Each step takes one person out of a queue, who is served or turns out to have gone: so
there are as many steps as people, whatever happens.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from vtrial.solver.queue.servers import Busy, Rota, free_at, nobody_served, taken


class _Lines(NamedTuple):
    """The queues, one after another on one axis: who stands where.

    `begins` is where each queue begins, `size` how many are in it in all.
    """

    who: Int[Array, " person"]
    begins: Int[Array, " rank"]
    size: Int[Array, " rank"]


def begun_by_rank(
    rota: Rota,
    joined: Float[Array, " person"],
    service: Float[Array, " person"],
    most: int,
    *,
    rank: Int[Array, " person"],
    ranks: int,
    patience: Float[Array, " person"],
) -> Float[Array, " person"]:
    """Return when the service of each begins [h]; infinite for who gives up before.

    A server who is free takes who came first of the lowest rank, and interrupts nobody.

    Parameters
    ----------
    joined
        [h] In any order; infinite where there is nobody.
    service
        [h] How long each is served.
    most
        The highest number of servers.
    rank
        From 0 on, of `ranks`.
    patience
        [h] How long each waits at most.
    """
    count = joined.shape[0]
    who = jnp.lexsort((joined, rank))
    here = jnp.isfinite(joined)
    size = jnp.zeros(ranks, int).at[rank].add(here.astype(int))
    whole = jnp.zeros(ranks, int).at[rank].add(1)
    lines = _Lines(who, jnp.cumsum(whole) - whole, size)

    def step(
        carry: tuple[Int[Array, " rank"], Busy], _: None
    ) -> tuple[tuple[Int[Array, " rank"], Busy], tuple[Array, Array]]:
        gone, busy = carry
        first = lines.who[jnp.minimum(lines.begins + gone, count - 1)]
        waits = gone < lines.size
        since = jnp.where(waits, joined[first], jnp.inf)
        now = free_at(rota, busy, jnp.min(since))
        # Who is there when a server is free: by rank. At infinity, nobody ever is.
        there = waits & (since <= now)
        line = jnp.argmax(there)
        one = first[line]
        served = there[line] & (now <= joined[one] + patience[one]) & jnp.isfinite(now)
        busy = jnp.where(served, taken(busy, now + service[one]), busy)
        gone = gone.at[line].add(there[line].astype(gone.dtype))
        at = jnp.where(served, now, jnp.inf)
        return (gone, busy), (jnp.where(there[line], one, count), at)

    begin = (jnp.zeros(ranks, int), nobody_served(most, joined))
    _, (taken_out, at) = lax.scan(step, begin, None, length=count)
    nowhere = jnp.full(count, jnp.inf, joined.dtype)
    return nowhere.at[taken_out].set(at, mode="drop")

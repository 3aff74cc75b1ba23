"""One queue, who comes first is served first: a scan over those who come."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.solver.queue.servers import Busy, Rota, free_at, nobody_served, taken


def begun_in_order(
    rota: Rota,
    joined: Float[Array, " person"],
    service: Float[Array, " person"],
    most: int,
) -> Float[Array, " person"]:
    r"""Return when the service of each begins [h].

    Parameters
    ----------
    joined
        [h] Ascending; infinite where there is nobody.
    service
        [h] How long each is served.
    most
        The highest number of servers.

    Notes
    -----
    With the times $F_{(1)} \le \dots \le F_{(c)}$ at which servers are done, who comes
    at A begins at $\max(A, F_{(1)})$, and one of them is done then, and service, later.
    Where the number of servers changes, it is the first such time at which fewer are
    busy than there are.

    References
    ----------
    Kiefer J, Wolfowitz J. (1955) Trans. Am. Math. Soc. 78:1-18.
    """

    def serve(busy: Busy, one: tuple[Array, Array]) -> tuple[Busy, Array]:
        comes, lasts = one
        begins = free_at(rota, busy, comes)
        there = jnp.isfinite(begins)
        return jnp.where(there, taken(busy, begins + lasts), busy), begins

    _, begins = lax.scan(serve, nobody_served(most, joined), (joined, service))
    return begins

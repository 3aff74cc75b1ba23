r"""Randomisation that leans towards the arm with fewer subjects.

With so many subjects of each arm so far, the next one goes to an arm with a probability
that depends on these numbers alone, and its ticket decides.

References
----------
Efron B (1971) Biometrika 58:403-417 (biased coin).
Wei LJ (1977) J Am Stat Assoc 72:382-386; Wei LJ, Lachin JM (1988) Control Clin Trials
9:345-364 (urn).
Soares JF, Wu CFJ (1983) Commun Stat Theory Methods 12:2017-2034 (big stick).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.design.randomisation.ticket import MAKERS
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

Tickets = Float[np.ndarray, "replicate subject"]
Arms = Int[np.ndarray, "replicate subject"]
PLACE = "randomisation"


def biased_coin(tickets: Tickets, *, probability: float = 2 / 3) -> Arms:
    """Assign subjects to two arms by Efron's biased coin.

    The arm with fewer subjects is assigned with the probability, either with one half
    where they have as many.

    Parameters
    ----------
    tickets
        A uniform number of each subject, in the order of enrolment.
    probability
        Of the arm with fewer, from 1/2 to 1.

    Raises
    ------
    ProtocolError
        If the probability is another.

    Examples
    --------
    >>> biased_coin(np.array([[0.7, 0.6, 0.9, 0.1]])).tolist()
    [[1, 0, 1, 0]]
    """
    if not 0.5 <= probability <= 1:
        allowed = "from 0.5 to 1"
        raise ProtocolError(f"{PLACE}.probability", f"{probability:g}", allowed, "")
    return _walked("biased coin", 2, tickets, (probability,))


def urn(
    tickets: Tickets, *, arms: int = 2, begin: float = 0.0, add: float = 1.0
) -> Arms:
    r"""Assign subjects by Wei's urn design $UD(\alpha, \beta)$.

    The urn begins with $\alpha$ balls of each arm; after each assignment $\beta$ balls
    of every other arm are added. An empty urn gives every arm alike.

    Parameters
    ----------
    tickets
        A uniform number of each subject, in the order of enrolment.
    arms
        How many there are.
    begin, add
        Balls: alpha and beta.

    Raises
    ------
    ProtocolError
        If there are fewer than two arms, or a number of balls is negative.

    Examples
    --------
    >>> urn(np.array([[0.2, 0.9, 0.4, 0.4]])).tolist()
    [[0, 1, 0, 1]]
    """
    if arms < 2:
        raise ProtocolError(f"{PLACE}.arms", str(arms), "at least 2", "arms: 2")
    for name, balls in (("begin", begin), ("add", add)):
        if not balls >= 0:
            raise ProtocolError(f"{PLACE}.{name}", f"{balls:g}", "0 or more balls", "")
    return _walked("urn", arms, tickets, (begin, add))


def big_stick(tickets: Tickets, *, most: int = 3) -> Arms:
    """Assign subjects to two arms by a fair coin, but never let them differ by more.

    Parameters
    ----------
    tickets
        A uniform number of each subject, in the order of enrolment.
    most
        By how many subjects the arms may differ.

    Raises
    ------
    ProtocolError
        If they may not differ at all.

    Examples
    --------
    >>> big_stick(np.array([[0.1, 0.1, 0.1, 0.1]]), most=2).tolist()
    [[0, 0, 1, 0]]
    """
    if most < 1:
        raise ProtocolError(f"{PLACE}.most", str(most), "at least 1", "most: 3")
    return _walked("big stick", 2, tickets, (float(most),))


def _coin(
    counts: Float[Array, " arm"], options: Float[Array, " option"]
) -> Float[Array, " arm"]:
    apart = counts[0] - counts[1]
    first = jnp.where(apart < 0, options[0], jnp.where(apart > 0, 1 - options[0], 0.5))
    return jnp.stack([first, 1 - first])


def _balls(
    counts: Float[Array, " arm"], options: Float[Array, " option"]
) -> Float[Array, " arm"]:
    balls = options[0] + options[1] * (counts.sum() - counts)
    whole = balls.sum()
    fair = jnp.full(counts.shape, 1 / counts.shape[0])
    return jnp.where(whole > 0, balls / jnp.where(whole > 0, whole, 1.0), fair)


def _stick(
    counts: Float[Array, " arm"], options: Float[Array, " option"]
) -> Float[Array, " arm"]:
    apart = counts[0] - counts[1]
    first = jnp.where(apart >= options[0], 0.0, 0.5)
    first = jnp.where(apart <= -options[0], 1.0, first)
    return jnp.stack([first, 1 - first])


_CHANCES: dict[str, Callable[[Array, Array], Array]] = {
    "biased coin": _coin,
    "urn": _balls,
    "big stick": _stick,
}


def _walked(word: str, arms: int, tickets: Tickets, options: tuple[float, ...]) -> Arms:
    """Assign one subject after the other in each trial."""
    made = _assigned(word, arms, jnp.asarray(tickets), jnp.asarray(options))
    return np.asarray(made).astype(int)


def _walk(
    word: str,
    arms: int,
    tickets: Float[Array, "replicate subject"],
    options: Float[Array, " option"],
) -> Int[Array, "replicate subject"]:
    chances = _CHANCES[word]

    def one(tickets: Array) -> Array:
        def step(counts: Array, ticket: Array) -> tuple[Array, Array]:
            arm = picked(chances(counts, options), ticket)
            return counts + (jnp.arange(arms) == arm).astype(counts.dtype), arm

        return jax.lax.scan(step, jnp.zeros(arms), tickets)[1]

    return jax.vmap(one)(tickets)


_assigned = kept(_walk, static=2, makers=MAKERS)


def picked(chance: Float[Array, " arm"], ticket: Float[Array, ""]) -> Int[Array, ""]:
    """Return the arm whose part of the line from 0 to 1 the ticket falls into."""
    limits = jnp.cumsum(chance)
    last = jnp.max(jnp.where(chance > 0, jnp.arange(chance.shape[0]), 0))
    return jnp.minimum((ticket >= limits).sum(), last)

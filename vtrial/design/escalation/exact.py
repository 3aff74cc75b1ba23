"""All that can happen in an escalation trial, each with its probability.

What a method does next depends on counts alone, so that trials that have come to the
same counts go on alike: they are one state. States are followed from cohort to cohort;
there is no chance in it, and so no Monte Carlo error.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from vtrial.design.escalation.enact import MAKERS, begun, check, limits_of, step_of
from vtrial.design.escalation.kind import Data
from vtrial.design.escalation.method import Method, escalation_method
from vtrial.design.escalation.registry import methods
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

MOST_STATES = 2_000_000

Shares = Float[np.ndarray, " dose"]


@dataclass(frozen=True)
class Exact:
    """Operating characteristics without Monte Carlo error.

    Parameters
    ----------
    selected
        Probability that each dose is selected.
    none
        Probability that none is.
    treated, toxic
        Expected numbers of subjects and of toxicities at each dose.
    size
        Expected number of subjects.
    stopped
        Probability that the method ends the trial before all are enrolled.
    """

    selected: Shares
    none: float
    treated: Shares
    toxic: Shares
    size: float
    stopped: float


class _States(NamedTuple):
    """Distinct states of trials that go on, with their probabilities."""

    treated: np.ndarray
    toxic: np.ndarray
    eliminated: np.ndarray
    dose: np.ndarray
    probability: np.ndarray


def exact_escalation(
    method: Method,
    probabilities: Shares,
    *,
    cohort: int = 3,
    start: int = 0,
    most: int,
    enough: int | None = None,
    skipping: bool = False,
) -> Exact:
    """Return the exact operating characteristics of a method.

    Parameters
    ----------
    method
        One that looks at toxicity alone.
    probabilities
        True probabilities of toxicity, by dose.
    cohort, start, most, enough, skipping
        As in `enact_escalation`.

    Raises
    ------
    ProtocolError
        As in `enact_escalation`; or if the method looks at responses, or there are too
        many states.

    Examples
    --------
    >>> method = escalation_method("BOIN", doses=2, target=0.3)
    >>> found = exact_escalation(method, np.array([0.1, 0.3]), most=12)
    >>> round(float(found.selected.sum() + found.none), 12)
    1.0
    """
    truth = np.asarray(probabilities, float)
    _refuse(method, truth, cohort, start, most)
    data = method.kind.prepare(method, most)
    limits = limits_of(start, np.inf if enough is None else enough, skipping)
    zero = np.zeros((1, method.doses))
    states = _States(zero, zero, zero > 0, np.array([start]), np.ones(1))
    ended: list[_States] = []
    stopped = 0.0
    for begin in range(0, most, cohort):
        size = min(cohort, most - begin)
        after = _after(method.word, data, limits, states, truth, size)
        over = after.dose < 0
        ended.append(_States(*(part[over] for part in after)))
        stopped += ended[-1].probability.sum()
        states = _States(*(part[~over] for part in after))
        if not len(states.dose):
            break
    last = _merged(
        *(np.concatenate(parts) for parts in zip(*ended, states, strict=True))
    )
    return _summary(method, data, last, stopped)


def exact_three_plus_three(probabilities: Shares, *, back: bool = False) -> Exact:
    """Return the exact operating characteristics of the 3+3 design.

    Parameters
    ----------
    probabilities
        True probabilities of toxicity, by dose.
    back
        Whether the dose below one that fails has to pass with six subjects.

    Examples
    --------
    >>> found = exact_three_plus_three(np.array([0.05, 0.1, 0.2, 0.3, 0.5]))
    >>> round(found.none, 4), found.selected.round(4).tolist()
    (0.0266, [0.0914, 0.257, 0.3161, 0.2558, 0.0531])
    """
    doses = len(probabilities)
    method = escalation_method("3+3", doses=doses, back=back)
    return exact_escalation(method, probabilities, most=6 * doses)


def _after(
    word: str,
    data: Data,
    limits: tuple[Array, Array, Array],
    states: _States,
    truth: np.ndarray,
    size: int,
) -> _States:
    """Return the states after another cohort."""
    count = len(states.dose)
    padded = max(64, 1 << (count - 1).bit_length())
    filled = [
        np.concatenate([part, np.repeat(part[:1], padded - count, axis=0)])
        for part in states[:4]
    ]
    made = _branched(word, size, data, limits, *map(jnp.asarray, filled))
    seen = np.arange(size + 1)
    lots = made[0].shape[1]
    chance = stats.binom.pmf(seen, size, truth[states.dose][:, None]) / lots
    weight = np.repeat((states.probability[:, None] * chance)[:, None], lots, axis=1)
    parts = [np.asarray(part)[:count] for part in made]
    flat = [part.reshape(weight.size, *part.shape[3:]) for part in parts]
    possible = weight.ravel() > 0
    return _merged(*(part[possible] for part in (*flat, weight.ravel())))


def _branch(
    word: str,
    size: int,
    data: Data,
    limits: tuple[Array, Array, Array],
    treated: Array,
    toxic: Array,
    eliminated: Array,
    dose: Array,
) -> tuple[Array, Array, Array, Array]:
    """Go on from each state with each number of toxicities that a cohort can show.

    Ties are of two doses, so that two lots are all that can be drawn.
    """
    kind = methods()[word]
    step = step_of(kind, data, limits[1], limits[2])
    lots = jnp.asarray([0.25, 0.75] if kind.combined else [0.5])
    doses = treated.shape[1]
    place = jnp.arange(size)

    def one(
        treated: Array,
        toxic: Array,
        eliminated: Array,
        dose: Array,
        lot: Array,
        seen: Array,
    ) -> tuple[Array, Array, Array, Array]:
        course = begun(doses, dose)._replace(
            treated=treated, toxic=toxic, eliminated=eliminated
        )
        who = jnp.broadcast_to((place < seen)[:, None], (size, doses)).astype(float)
        shown = (who, jnp.zeros((size, 0)), lot)
        (after, following, _), _ = step((course, dose, jnp.asarray(False)), shown)
        return after.treated, after.toxic, after.eliminated, following

    each = jax.vmap(one, in_axes=(None, None, None, None, None, 0))
    either = jax.vmap(each, in_axes=(None, None, None, None, 0, None))
    along = jax.vmap(either, in_axes=(0, 0, 0, 0, None, None))
    return along(treated, toxic, eliminated, dose, lots, jnp.arange(size + 1))


_branched = kept(_branch, static=2, makers=MAKERS)


def _merged(
    treated: np.ndarray,
    toxic: np.ndarray,
    eliminated: np.ndarray,
    dose: np.ndarray,
    probability: np.ndarray,
) -> _States:
    """Make one of all states with the same counts."""
    doses = treated.shape[1]
    rows = np.column_stack([treated, toxic, eliminated, dose]).astype(np.int16)
    unique, which = np.unique(rows, axis=0, return_inverse=True)
    if len(unique) > MOST_STATES:
        raise ProtocolError(
            "escalation.most",
            f"so large that a trial can come to {len(unique)} states",
            f"one with at most {MOST_STATES}; or enact trials by simulation",
            "",
        )
    weight = np.bincount(which.ravel(), probability, minlength=len(unique))
    return _States(
        unique[:, :doses].astype(float),
        unique[:, doses : 2 * doses].astype(float),
        unique[:, 2 * doses : 3 * doses] > 0,
        unique[:, -1].astype(int),
        weight,
    )


def _summary(method: Method, data: Data, last: _States, stopped: float) -> Exact:
    """Average over the states in which trials end."""
    count = len(last.dose)
    padded = max(64, 1 << (count - 1).bit_length())
    filled = [
        np.concatenate([part, np.repeat(part[:1], padded - count, axis=0)])
        for part in (last.treated, last.toxic, last.eliminated)
    ]
    picked = np.asarray(_selected(method.word, data, *filled))[:count]
    share = np.bincount(picked + 1, last.probability, minlength=method.doses + 1)
    treated = last.probability @ last.treated
    toxic = last.probability @ last.toxic
    size = float(treated.sum())
    return Exact(share[1:], float(share[0]), treated, toxic, size, float(stopped))


def _select(
    word: str, data: Data, treated: Array, toxic: Array, eliminated: Array
) -> Array:
    """Return what is selected in each state."""
    kind, doses = methods()[word], treated.shape[1]

    def one(treated: Array, toxic: Array, eliminated: Array) -> Array:
        course = begun(doses, jnp.asarray(0))._replace(
            treated=treated, toxic=toxic, eliminated=eliminated
        )
        return kind.select(data, course)

    return jax.vmap(one)(treated, toxic, eliminated)


_selected = kept(_select, static=1, makers=MAKERS)


def _refuse(
    method: Method, truth: np.ndarray, cohort: int, start: int, most: int
) -> None:
    """Refuse what cannot be followed."""
    if not ((truth >= 0) & (truth <= 1)).all():
        allowed = "probabilities, one for each dose"
        raise ProtocolError("escalation.probabilities", str(truth), allowed, "")
    if method.kind.responses:
        raise ProtocolError(
            "escalation.method", method.word, "one that looks at toxicity alone", ""
        )
    check(method, np.zeros((1, most, len(truth))), None, cohort, start, most)

"""One step of a trial by itself: which dose is next, which one would be selected."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from vtrial.design.escalation.enact import MAKERS, begun
from vtrial.design.escalation.kind import Course, Data
from vtrial.design.escalation.method import PLACE, Method
from vtrial.design.escalation.registry import methods
from vtrial.errors import ProtocolError
from vtrial.program_cache import kept

Counts = Num[np.ndarray, "*trial dose"]


class Next(NamedTuple):
    """The next dose, from 0, or -1 to stop; and which doses are eliminated."""

    dose: Int[np.ndarray, "*trial"]
    eliminated: Bool[np.ndarray, "*trial dose"]


def next_dose(
    method: Method,
    treated: Counts,
    toxic: Counts,
    dose: Int[np.ndarray, "*trial"],
    *,
    responded: Counts | None = None,
    cohort: Num[np.ndarray, "*trial"] | None = None,
    cohort_toxic: Num[np.ndarray, "*trial"] | None = None,
    lot: Num[np.ndarray, "*trial"] | None = None,
) -> Next:
    """Return which dose is next after what has been seen, in each of many trials.

    Parameters
    ----------
    method
        From `escalation_method`.
    treated, toxic, responded
        Subjects at each dose, those with a toxicity, those with a response.
    dose
        The dose given last, from 0.
    cohort, cohort_toxic
        Size of the last cohort and its toxicities, for methods that do not escalate
        right after toxicity; without them nothing holds them back.
    lot
        A number from 0 to 1, for methods for combinations: of two moves that are
        equally good, up to 0.5 that of the first drug is made, as without it.

    Raises
    ------
    ProtocolError
        If there are more toxicities or responses than subjects, or numbers for other
        doses than the method's.

    Examples
    --------
    >>> from vtrial.design.escalation import escalation_method
    >>> method = escalation_method("BOIN", doses=3, target=0.3)
    >>> found = next_dose(
    ...     method, np.array([3, 3, 0]), np.array([0, 2, 0]), dose=np.array(1)
    ... )
    >>> int(found.dose), found.eliminated.tolist()
    (0, [False, False, False])
    """
    counts, most = _counts(method, treated, toxic, responded)
    many = counts[0].shape[:-1]
    last = [
        np.zeros(many) if part is None else part for part in (cohort, cohort_toxic, lot)
    ]
    extra = [np.broadcast_to(part, many).ravel() for part in (dose, *last)]
    data = method.kind.prepare(method, most)
    flat = [part.reshape(-1, method.doses) for part in counts]
    rest = (extra[0].astype(int), *(part.astype(float) for part in extra[1:]))
    chosen, gone = _decided(method.word, data, *flat, *rest)
    return Next(
        np.asarray(chosen).astype(int).reshape(many),
        np.asarray(gone).reshape(*many, method.doses),
    )


def select_dose(
    method: Method, treated: Counts, toxic: Counts, *, responded: Counts | None = None
) -> Int[np.ndarray, "*trial"]:
    """Return the dose, from 0, that a method selects in each trial; -1 for none.

    Parameters and errors as in `next_dose`.

    Examples
    --------
    >>> from vtrial.design.escalation import escalation_method
    >>> method = escalation_method("BOIN", doses=3, target=0.3)
    >>> int(select_dose(method, np.array([3, 12, 6]), np.array([0, 3, 4])))
    1
    """
    counts, most = _counts(method, treated, toxic, responded)
    data = method.kind.prepare(method, most)
    flat = [part.reshape(-1, method.doses) for part in counts]
    chosen = np.asarray(_selected(method.word, data, *flat))
    return chosen.astype(int).reshape(counts[0].shape[:-1])


def _counts(
    method: Method, treated: Counts, toxic: Counts, responded: Counts | None
) -> tuple[list[Float[np.ndarray, "*trial dose"]], int]:
    """Return counts as they are computed with, and how many subjects there are."""
    given = [treated, toxic, np.zeros_like(treated) if responded is None else responded]
    counts = [np.asarray(part, float) for part in given]
    for name, part in zip(("treated", "toxic", "responded"), counts, strict=True):
        if part.shape[-1] != method.doses:
            allowed = f"of {method.doses} doses"
            found = f"of {part.shape[-1]} doses"
            raise ProtocolError(f"{PLACE}.{name}", found, allowed, "")
        if not ((part >= 0) & (part <= counts[0])).all():
            allowed = "from 0 to the number treated, at each dose"
            raise ProtocolError(f"{PLACE}.{name}", str(part), allowed, "")
    return counts, int(counts[0].sum(axis=-1).max(initial=1))


def _of_each(
    found: Callable[[Course], tuple[Array, ...] | Array], *parts: Array
) -> tuple[Array, ...] | Array:
    """Apply a function of a course to each trial."""

    def one(*parts: Array) -> tuple[Array, ...] | Array:
        treated, toxic, responded, *rest = parts
        course = begun(treated.shape[0], jnp.asarray(0))._replace(
            treated=treated, toxic=toxic, responded=responded
        )
        if rest:
            dose, fresh, fresh_toxic, lot = rest
            course = course._replace(
                dose=dose, fresh=fresh, fresh_toxic=fresh_toxic, lot=lot
            )
        return found(course)

    return jax.vmap(one)(*parts)


def _decide(word: str, data: Data, *parts: Array) -> tuple[Array, Array]:
    made = _of_each(lambda course: tuple(methods()[word].decide(data, course)), *parts)
    return made[0], made[1]


def _select(word: str, data: Data, *parts: Array) -> Array:
    made = _of_each(lambda course: methods()[word].select(data, course), *parts)
    assert not isinstance(made, tuple)
    return made


_decided = kept(_decide, static=1, makers=MAKERS)
_selected = kept(_select, static=1, makers=MAKERS)

"""Draw subjects by identity from the cohort's program.

Every site of the program draws with a key of its own, folded from who the subject is
and what the site is called; nothing else decides what comes out. Subjects are drawn
`WIDTH` at a time by one compiled function, whatever the block, so that not even the
last bit depends on the company.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int, Key

from vtrial.cohort.check import refuse_conflicts
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.keyed import TRACING, Keys, draw
from vtrial.cohort.prior import Draw, program
from vtrial.cohort.screen import MAX_SCREENED, WIDTH, keys_of, passes, scarce
from vtrial.cohort.subjects import Subjects
from vtrial.errors import CohortError
from vtrial.model.model import Model


class Drawn(NamedTuple):
    """What one compiled call gives for `WIDTH` subjects."""

    draw: Draw
    screened: Int[Array, " subject"]


def sample(
    cohort: Cohort,
    model: Model | None,
    *,
    seed: int,
    replicate: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    subject: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    occasions: int = 1,
    uncertainty: bool = True,
) -> Subjects:
    """Draw subjects, each by replicate and number: always the same person.

    Covariates that the model knows are in its units, others in the cohort's. The
    population parameters are one draw for each replicate. Random effects that change
    between occasions have a column an occasion if there is more than one.

    Raises
    ------
    CohortError
        If the cohort and the model contradict each other, or if somebody is not
        eligible after ten thousand attempts.
    """
    refuse_conflicts(cohort, model)
    find = _compiled(cohort, model, occasions, uncertainty)
    who = np.stack([np.asarray(replicate, np.int64), np.asarray(subject, np.int64)])
    count = who.shape[1]
    padded = np.pad(who, ((0, 0), (0, -count % WIDTH if count else WIDTH)))
    key = np.int64(seed)
    starts = range(0, padded.shape[1], WIDTH)
    with TRACING:
        parts = [find(key, *padded[:, at : at + WIDTH]) for at in starts]
    whole = jax.tree.map(lambda *arrays: _joined(arrays, count), *parts)
    _refuse_unfit(cohort, whole.screened)
    parameters = [p.name for p in model.parameters] if model else []
    effects = list(model.etas) if model else []
    return Subjects(
        replicate=jnp.asarray(who[0]),
        subject=jnp.asarray(who[1]),
        screened=whole.screened,
        covariates={name: whole.draw.covariates[name] for name in cohort.names},
        parameters={name: whole.draw.parameters[name] for name in parameters},
        effects={name: whole.draw.effects[name] for name in effects},
    )


@functools.lru_cache(32)
def _compiled(
    cohort: Cohort, model: Model | None, occasions: int, uncertainty: bool
) -> Callable[..., Drawn]:
    """Compile the draw of `WIDTH` subjects, once for a cohort and a model."""

    def one(
        seed: Int[Array, ""], replicate: Int[Array, ""], subject: Int[Array, ""]
    ) -> Drawn:
        keys = keys_of(seed, replicate, subject)
        attempt = _attempt(cohort, keys, subject)
        declare = functools.partial(
            program,
            cohort,
            model,
            occasions=occasions,
            uncertainty=uncertainty,
            subject=subject,
        )
        return Drawn(draw(declare, Keys(**keys, attempt=attempt)), attempt + 1)

    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))


def _attempt(
    cohort: Cohort, keys: dict[str, Key[Array, ""]], subject: Int[Array, ""]
) -> Int[Array, ""]:
    """Find the first attempt, from 0, at which the subject is eligible."""
    first = jnp.zeros((), int)
    if cohort.eligibility is None:
        return first

    def unfit(attempt: Int[Array, ""]) -> Bool[Array, ""]:
        fit = passes(cohort, keys, subject, attempt)
        return ~fit & (attempt < MAX_SCREENED)

    return lax.while_loop(unfit, lambda attempt: attempt + 1, first)


def _joined(arrays: tuple[Array, ...], count: int) -> Array:
    """Put the parts of a block together and drop what filled the last one up."""
    whole = arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays)
    return whole[:count]


def _refuse_unfit(cohort: Cohort, screened: Int[Array, " subject"]) -> None:
    """Refuse a cohort in which somebody was never found eligible."""
    if len(screened) and int(screened.max()) > MAX_SCREENED:
        raise CohortError.of([scarce(cohort)])

"""The program of a cohort, drawn from for subjects side by side."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.keyed import Keys, draw
from vtrial.cohort.prior import program
from vtrial.cohort.screen import keys_of, passes
from vtrial.cohort.subjects import MAX_SCREENED, Asked, Drawn


def drawn(
    asked: Asked,
    seed: Int[Array, ""],
    replicate: Int[Array, " subject"],
    subject: Int[Array, " subject"],
) -> Drawn:
    """Draw subjects, each at the first attempt at which it is eligible."""

    def one(replicate: Int[Array, ""], subject: Int[Array, ""]) -> Drawn:
        keys = keys_of(seed, replicate, subject)
        attempt = _attempt(asked.cohort, keys, subject)
        declare = functools.partial(
            program,
            asked.cohort,
            asked.model,
            occasions=asked.occasions,
            uncertainty=asked.uncertainty,
            subject=subject,
            replicate=replicate,
        )
        return Drawn(draw(declare, Keys(**keys, attempt=attempt)), attempt + 1)

    return jax.vmap(one)(replicate, subject)


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

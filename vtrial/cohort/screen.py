"""Screen candidates for a cohort's condition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.keyed import Keys, draw
from vtrial.cohort.prior import people
from vtrial.cohort.subjects import MAX_SCREENED, TRACING, WIDTH
from vtrial.errors import Fault
from vtrial.keys import replicate_key, subject_key
from vtrial.model.grammar import write_expression

PILOT = 5
LEAST = 10


@functools.lru_cache(256)
def share_eligible(cohort: Cohort) -> tuple[int, int]:
    """Screen some thousand candidates; return how many were eligible, of how many.

    Everybody is, if the cohort has no condition.
    """
    if cohort.eligibility is None:
        return PILOT * WIDTH, PILOT * WIDTH

    @jax.jit
    def screen(subject: Int[Array, " subject"]) -> Bool[Array, " subject"]:
        return jax.vmap(lambda number: passes(cohort, keys_of(0, 0, number), number))(
            subject
        )

    numbers = np.arange(PILOT * WIDTH).reshape(PILOT, WIDTH)
    with TRACING:
        found = sum(int(screen(jnp.asarray(row)).sum()) for row in numbers)
    return found, numbers.size


def scarcity(cohort: Cohort) -> list[Fault]:
    """Find a condition that (almost) no candidate meets; empty if enough do."""
    found, screened = share_eligible(cohort)
    return [scarce(cohort)] if found < LEAST else []


def scarce(cohort: Cohort) -> Fault:
    """Describe a condition that (almost) no candidate meets."""
    found, screened = share_eligible(cohort)
    assert cohort.eligibility is not None
    return Fault(
        at=f"eligibility of cohort `{cohort.name}`",
        found=f"`{write_expression(cohort.eligibility)}`, met by {found} of "
        f"{screened} people screened ({found / screened:.2%})",
        allowed=f"met by more than {LEAST / screened:.1%}, "
        f"so that nobody is screened more than {MAX_SCREENED} times",
        write="",
    )


def keys_of(
    seed: Int[Array, ""] | int,
    replicate: Int[Array, ""] | int,
    subject: Int[Array, ""] | int,
) -> dict[str, Key[Array, ""]]:
    """Return the keys of a subject and of the replicate that it is in."""
    return {
        "replicate": replicate_key(seed, replicate),
        "subject": subject_key(seed, replicate, subject),
    }


def passes(
    cohort: Cohort,
    keys: dict[str, Key[Array, ""]],
    subject: Int[Array, ""],
    attempt: Int[Array, ""] | int = 0,
) -> Bool[Array, ""]:
    """Return whether a subject is eligible at an attempt."""
    who = Keys(**keys, attempt=jnp.asarray(attempt))
    return draw(lambda: people(cohort, subject=subject)[1] > 0, who)

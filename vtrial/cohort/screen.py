"""Screen candidates for a cohort's condition."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Int

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.subjects import MAKERS, MAX_SCREENED, TRACING, WIDTH
from vtrial.errors import Fault
from vtrial.model.grammar import write_expression
from vtrial.program_cache import kept

PILOT = 5
LEAST = 10


@functools.lru_cache(256)
def share_eligible(cohort: Cohort) -> tuple[int, int]:
    """Screen some thousand candidates; return how many were eligible, of how many.

    Everybody is, if the cohort has no condition.
    """
    if cohort.eligibility is None:
        return PILOT * WIDTH, PILOT * WIDTH

    numbers = np.arange(PILOT * WIDTH).reshape(PILOT, WIDTH)
    with TRACING:
        found = sum(int(_screen(cohort, row).sum()) for row in numbers)
    return found, numbers.size


@functools.partial(kept, static=1, makers=MAKERS)
def _screen(
    cohort: Cohort, subject: Int[ArrayLike, " subject"]
) -> Bool[Array, " subject"]:
    """Return who of some candidates is eligible; compiled once for a cohort."""
    from vtrial.cohort.trace import screened  # NumPyro is slow to import

    return screened(cohort, jnp.asarray(subject))


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

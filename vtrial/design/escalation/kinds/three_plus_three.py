"""The 3+3 design, with and without de-escalation.

A dose passes with no toxicity in 3 subjects, or at most 1 in 6. With one in 3, three
more get it. Without de-escalation the first dose that fails ends the trial, and the
dose below is the maximum tolerated one. With it, that dose has to pass with 6 subjects.
"""

import jax.numpy as jnp
from jaxtyping import Array, Int

from vtrial.design.escalation.kind import Course, Data, Decision, Kind
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import switch

SMALL, FULL = 3, 6


def _prepare(method: Method, most: int) -> Data:
    return {"back": jnp.asarray(method["back"])}


def decide(data: Data, course: Course) -> Decision:
    """Say which dose is next after 3 or 6 subjects at the last one."""
    place = jnp.arange(course.treated.shape[0])
    dose, top = course.dose, course.treated.shape[0] - 1
    treated, toxic = course.treated[dose], course.toxic[dose]
    failed = toxic >= 2
    again = (treated < FULL) & (toxic == 1)
    gone = course.eliminated | (failed & (place >= dose))
    higher = jnp.minimum(dose + 1, top)
    ended = (dose == top) | gone[higher]
    full = treated >= FULL
    # At the last dose that may be given, those who go back want six subjects.
    stay = jnp.where(data["back"] & ~full, dose, -1)
    passed = jnp.where(ended, stay, higher)
    lower = jnp.maximum(dose - 1, 0)
    known = (dose == 0) | ~data["back"] | (course.treated[lower] >= FULL)
    falls = jnp.where(known, -1, lower)
    chosen = jnp.where(failed, falls, jnp.where(again, dose, passed))
    return Decision(chosen, gone)


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Return the highest dose below any that failed which has passed, or -1."""
    failed = jnp.cumsum((course.toxic >= 2).astype(jnp.int32)) > 0
    six = (course.treated >= FULL) & (course.toxic <= 1)
    three = (course.treated >= SMALL) & (course.toxic == 0) & ~data["back"]
    passed = (six | three) & ~failed
    place = jnp.arange(course.treated.shape[0])
    return jnp.max(jnp.where(passed, place, -1))


KINDS = (
    Kind(
        word="3+3",
        place=10,
        says="three subjects at a dose, three more after one toxicity; two end it",
        sentence="3+3 (going back to a dose that is to pass with six subjects: {back})",
        options={"back": switch(False)},
        prepare=_prepare,
        decide=decide,
        select=select,
        cohort=SMALL,
        sources=("Storer BE (1989) Biometrics 45:925-937",),
    ),
)

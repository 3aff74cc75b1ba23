"""Designs by intervals: what to do is read from a table of subjects and toxicities.

Escalate, stay, de-escalate and eliminate depend on what was seen at the dose given last
alone, so that the whole design is two tables.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import special

from vtrial.design.escalation.isotonic import nearest_rate
from vtrial.design.escalation.kind import Course, Data, Decision

Move = Callable[[np.ndarray, np.ndarray], np.ndarray]


def above(
    limit: float, treated: np.ndarray, toxic: np.ndarray, prior: float = 1.0
) -> np.ndarray:
    """Return the posterior probability of a rate above a limit, under a beta prior."""
    return special.betaincc(toxic + prior, treated - toxic + prior, limit)


def tables(
    move: Move,
    most: int,
    *,
    target: float,
    eliminate: float,
    least: int,
    prior: float = 1.0,
    estimate: float = 0.005,
) -> Data:
    """Return a design's data for up to so many subjects at a dose.

    Parameters
    ----------
    move
        1 to escalate, 0 to stay, -1 to de-escalate, by subjects and toxicities.
    most
        Subjects at a dose.
    target
        The rate of toxicity that is aimed at.
    eliminate
        A dose and those above are eliminated where the rate is above the target with
        more than this probability.
    least
        Of so many subjects at least.
    prior
        Of the beta posterior of that probability, `Beta(prior, prior)`.
    estimate
        The same of the rates by which a dose is selected.
    """
    treated, toxic = np.meshgrid(
        np.arange(most + 1), np.arange(most + 1), indexing="ij"
    )
    possible = (toxic <= treated) & (treated > 0)
    shown = np.where(possible, toxic, 0).astype(float)
    number = np.where(possible, treated, 1).astype(float)
    sure = above(target, number, shown, prior) > eliminate
    return {
        "move": np.where(possible, move(number, shown), 0).astype(np.int32),
        "eliminate": possible & sure & (treated >= least),
        "target": np.float64(target),
        "estimate": np.float64(estimate),
    }


def decide(data: Data, course: Course) -> Decision:
    """Look up what to do after the last cohort."""
    dose, doses = course.dose, course.treated.shape[0]
    place = jnp.arange(doses)
    at = counts(course, dose)
    gone = course.eliminated | (data["eliminate"][at] & (place >= dose))
    move = jnp.where(gone[dose], -1, data["move"][at])
    higher = jnp.minimum(dose + 1, doses - 1)
    up = jnp.where(gone[higher], dose, higher)
    down = jnp.maximum(dose - 1, 0)
    chosen = jnp.where(move > 0, up, jnp.where(move < 0, down, dose))
    return Decision(jnp.where(gone[0], -1, chosen), gone)


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Select the dose with the isotonic rate nearest to the target, or -1."""
    return nearest_rate(
        course.treated,
        course.toxic,
        ~gone(data, course),
        target=data["target"],
        prior=data["estimate"],
    )


def gone(data: Data, course: Course) -> Bool[Array, " dose"]:
    """Return the doses that what was seen eliminates, and all above them."""
    seen = data["eliminate"][
        course.treated.astype(jnp.int32), course.toxic.astype(jnp.int32)
    ]
    return jnp.cumsum(seen.astype(jnp.int32)) > 0


def counts(
    course: Course, dose: Int[Array, ""]
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Return subjects and toxicities at a dose as places in the tables."""
    pair: tuple[Float[Array, ""], Float[Array, ""]]
    pair = (course.treated[dose], course.toxic[dose])
    return pair[0].astype(jnp.int32), pair[1].astype(jnp.int32)

r"""BOIN12: the dose of the best trade of efficacy against toxicity.

A subject is worth 100 with a response and no toxicity, 0 with toxicity and none,
$u$ with neither and $100 - u$ with both. Then the worth of $n$ subjects is
$100 x = u (n - n_T) + (100 - u) n_E$, and with quasi-binomial data a dose is desirable
with

$$ P(q > q_b), \quad q \sim \mathrm{Beta}(1 + x, 1 + n - x), \qquad
   q_b = \bar q + (1 - \bar q) / 2, $$

where $\bar q$ is the worth of a dose with the highest rate of toxicity and the lowest
rate of response that are acceptable.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int
from scipy import special

from vtrial.design.escalation.interval import above
from vtrial.design.escalation.isotonic import nearest_rate
from vtrial.design.escalation.kind import Course, Data, Decision, Kind
from vtrial.design.escalation.kinds.boin import boundaries
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import between, level, probability, whole


def _prepare(method: Method, most: int) -> Data:
    share, limit, least = (method[name] for name in ("worth", "target", "response"))
    share = share / 100
    count = np.arange(most + 1.0)
    treated, toxic, responded = np.meshgrid(count, count, count, indexing="ij")
    possible = (toxic <= treated) & (responded <= treated)
    worth = share * (treated - toxic) + (1 - share) * responded
    worth = np.where(possible, worth, 0.0)
    standard = share * (1 - limit) + (1 - share) * least
    border = standard + (1 - standard) / 2
    desirable = special.betaincc(
        1 + worth, 1 + np.maximum(treated, worth) - worth, border
    )
    treated, seen = treated[..., 0], np.minimum(toxic[..., 0], treated[..., 0])
    enough = treated >= method["least"]
    too_toxic = enough & (above(limit, treated, seen) > method["eliminate"])
    futile = enough & (1 - above(least, treated, seen) > method["futile"])
    # Rates for BOIN's limits stand around the target of the escalation.
    low, high = boundaries(limit, 0.6 * limit, 1.4 * limit)
    return {
        "desirable": desirable,
        "mean": (1 + worth) / (2 + treated[..., None]),
        "toxic": too_toxic,
        "futile": futile,
        "low": np.float64(low),
        "high": np.float64(high),
        "full": np.float64(method["full"]),
        "target": np.float64(limit),
        "estimate": np.float64(0.05),
    }


def _allowed(
    data: Data, course: Course
) -> tuple[Bool[Array, " dose"], Bool[Array, " dose"], tuple[Array, Array, Array]]:
    """Return which doses are not too toxic, which not futile, and places in tables."""
    parts = (course.treated, course.toxic, course.responded)
    n, toxic, responded = (part.astype(jnp.int32) for part in parts)
    safe = jnp.cumsum(data["toxic"][n, toxic].astype(jnp.int32)) == 0
    return safe, ~data["futile"][n, responded], (n, toxic, responded)


def decide(data: Data, course: Course) -> Decision:
    """Say which of the neighbouring doses is next."""
    safe, useful, at = _allowed(data, course)
    safe = safe & ~course.eliminated
    open_ = safe & useful
    place = jnp.arange(safe.shape[0])
    dose = course.dose
    rate = course.toxic[dose] / jnp.maximum(course.treated[dose], 1.0)
    high, full = rate >= data["high"], course.treated[dose] >= data["full"]
    middle = (rate > data["low"]) & ~high
    upper = jnp.where(high, dose - 1, jnp.where(middle & full, dose, dose + 1))
    upper = jnp.maximum(upper, 0)
    near = (place >= dose - 1) & (place <= upper) & open_
    worth = jnp.where(near, data["desirable"][at], -1.0)
    below = jnp.max(jnp.where(open_ & (place <= dose), place, -1))
    chosen = jnp.where(near.any(), jnp.argmax(worth), below)
    return Decision(chosen, ~safe)


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Select the dose of the highest mean worth up to the maximum tolerated one."""
    safe, useful, at = _allowed(data, course)
    tolerated = nearest_rate(
        course.treated,
        course.toxic,
        safe,
        target=data["target"],
        prior=data["estimate"],
    )
    place = jnp.arange(safe.shape[0])
    open_ = safe & useful & (course.treated > 0) & (place <= tolerated)
    best = jnp.argmax(jnp.where(open_, data["mean"][at], -1.0))
    return jnp.where(open_.any(), best, -1)


def _conflict(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find a limit of toxicity that BOIN has no boundaries for."""
    if 1.4 * options["target"] >= 1:
        return "target", f"{options['target']:g}", "below 0.714"
    return None


KINDS = (
    Kind(
        word="BOIN12",
        place=100,
        says="the most desirable of the neighbouring doses, by efficacy and toxicity",
        sentence=(
            "BOIN12: at most {target} with toxicity and at least {response} with a "
            "response; neither is worth {worth} of 100"
        ),
        options={
            "target": probability(None, "0.35"),
            "response": probability(None, "0.25"),
            "worth": between(40.0, 0.0, 100.0),
            "eliminate": level(0.95),
            "futile": level(0.9),
            "least": whole(3, 1),
            "full": whole(6, 1),
        },
        conflict=_conflict,
        prepare=_prepare,
        decide=decide,
        select=select,
        responses=True,
        sources=("Lin R, Zhou Y, Yan F, Li D, Yuan Y (2020) JCO Precis Oncol 4:1393",),
    ),
)

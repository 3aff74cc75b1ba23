r"""The Bayesian optimal interval design for combinations of two drugs.

Boundaries are those of one drug. What is next is a neighbour with one drug a level
higher (or lower): of the two the one whose rate is more probably between the
boundaries,

$$ P(\lambda_e < p < \lambda_d), \quad
   p \sim \mathrm{Beta}(\tfrac12 + y, \tfrac12 + n - y), $$

with a lot where both are as good. Rates of the selection are rounded to whole per cent
before they are compared, as by the R package; of combinations that are as near, below
the target those of higher levels are taken and above it those of lower ones, and then
that with less of the second drug.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vtrial.design.escalation.grid import (
    MOST_SETS,
    at_or_above,
    count_lower_sets,
    isotonic_on_grid,
    levels,
    lower_sets,
    neighbours,
)
from vtrial.design.escalation.interval import above, counts
from vtrial.design.escalation.kind import Course, Data, Decision, Kind, Option
from vtrial.design.escalation.kinds import boin
from vtrial.design.escalation.method import Method

JEFFREYS = 0.5
PRIOR = 0.05  # of the rates by which one is selected
FAMILIAR = 5e-4  # what a subject at a neighbour adds to its probability, as in BOIN 2.7
HIGHER = 1e-5  # what a level adds to a rate, so that of pooled ones one is the nearest


def _prepare(method: Method, most: int) -> Data:
    shape = int(method["rows"]), int(method["columns"])
    low, high = boin.boundaries(method["target"], method["safe"], method["toxic"])
    treated, toxic = np.indices((most + 1, most + 1)).astype(float)
    toxic = np.minimum(toxic, treated)
    over = [above(limit, treated, toxic, JEFFREYS) for limit in (low, high)]
    return {
        **boin.prepare(method, most),
        "promise": over[0] - over[1] + FAMILIAR * treated,
        "above": at_or_above(*shape),
        "up": neighbours(*shape, 1),
        "down": neighbours(*shape, -1),
        "height": levels(*shape).sum(axis=1) + 2.0,
        "column": levels(*shape)[:, 1],
        "sets": lower_sets(*shape),
    }


def decide(data: Data, course: Course) -> Decision:
    """Say which neighbour is next, if any."""
    dose = course.dose
    gone = course.eliminated | _gone(data, course)
    move = jnp.where(gone[dose], -1, data["move"][counts(course, dose)])
    towards = jnp.where(move > 0, data["up"][dose], data["down"][dose])
    there = jnp.maximum(towards, 0)
    open_ = (towards >= 0) & ~((move > 0) & gone[there])
    seen = (part[there].astype(jnp.int32) for part in (course.treated, course.toxic))
    first, second = jnp.where(open_, data["promise"][tuple(seen)], -1.0)
    tie = course.lot > 0.5
    other = jnp.where(first == second, tie, second > first)
    moved = jnp.where(other, towards[1], towards[0])
    chosen = jnp.where((move != 0) & open_.any(), moved, dose)
    return Decision(jnp.where(gone[0], -1, chosen), gone)


def select(data: Data, course: Course) -> Int[Array, ""]:
    """Select the combination with the rising rate nearest to the target, or -1."""
    weight = course.treated + 2 * PRIOR
    fitted = isotonic_on_grid((course.toxic + PRIOR) / weight, weight, data["sets"])
    rate = jnp.round(fitted, 2) + HIGHER * data["height"]
    used = ~_gone(data, course) & (course.treated > 0)
    distance = jnp.where(used, jnp.abs(rate - data["target"]), jnp.inf)
    near = distance == distance.min()
    column = jnp.where(near, data["column"], data["column"].max() + 1)
    return jnp.where(used.any(), jnp.argmin(column), -1)


def _gone(data: Data, course: Course) -> Bool[Array, " dose"]:
    """Return what any combination has eliminated by what it has shown."""
    n, toxic = (part.astype(jnp.int32) for part in (course.treated, course.toxic))
    return (data["eliminate"][n, toxic][:, None] & data["above"]).any(axis=0)


def _complete(options: Mapping[str, Any], doses: int) -> dict[str, Any]:
    """Return usual rates, and how many columns so many rows make, 0 if they do not."""
    rows = int(options["rows"])
    columns = 0 if doses % rows else doses // rows
    return {**boin.usual_rates(options, doses), "columns": columns}


def _conflict(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find a number of rows that makes no grid, or one that is too large."""
    rows, columns = int(options["rows"]), options["columns"]
    if columns < 2:
        return "rows", str(rows), "a number that divides doses into rows of at least 2"
    if count_lower_sets(rows, columns) > MOST_SETS:
        return (
            "rows",
            f"{rows} rows of {columns}",
            "a grid of at most 7 x 7, or like it",
        )
    return boin.rates_conflict(options)


def _rows(value: Any) -> bool:
    """Say whether it is a number of rows."""
    return isinstance(value, int | float) and value == int(value) and value >= 2


KINDS = (
    Kind(
        word="BOIN-comb",
        place=65,
        says="BOIN for combinations of two drugs: a step changes one of them, to the "
        "neighbour whose rate is more probably right",
        sentence=(
            "BOIN for {rows} x {columns} combinations with target {target}: rates of "
            "{safe} and {toxic} are told from it; a combination and all above it are "
            "eliminated where its rate is above the target with probability over "
            "{eliminate}"
        ),
        options={
            "rows": Option(None, "a whole number, at least 2", _rows, example="3"),
            **boin.OPTIONS,
        },
        combined=True,
        complete=_complete,
        conflict=_conflict,
        prepare=_prepare,
        decide=decide,
        select=select,
        sources=(
            "Lin R, Yin G (2017) Stat Methods Med Res 26:2155-2167",
            "Yan F, Zhang L, Zhou Y, Pan H, Liu S, Yuan Y (2020) J Stat Softw 94(13)",
        ),
    ),
)

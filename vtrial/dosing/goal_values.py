"""Goals in numbers: areas as states beside a model's own, and what a course gives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.dosing.goal import Goal, Measure
from vtrial.model.calculus import substitute
from vtrial.model.model import Model, Output
from vtrial.model.tree import Expression, Name, Statement, evaluate

GRID = 240  # stretches in which the highest and the lowest value are looked for
COURSE_GRID = 60  # the same inside a course, where each subject has a cloud of its own


def with_integrals(model: Model, measures: Sequence[Measure]) -> Model:
    """Add a state for each area or mean, which begins at 0 with the course."""
    named = {output.name: Name(output.equals) for output in model.outputs}
    rates, outputs = [], []
    for expression in dict.fromkeys(
        one.of for one in measures if one.kind in ("AUC", "mean")
    ):
        name = _integral(expression)
        rates.append(Statement("derivative", name, substitute(expression, named)))
        outputs.append(Output(name, name))
    return replace(
        model,
        statements=(*model.statements, *rates),
        outputs=(*model.outputs, *outputs),
    )


def measured(
    measure: Measure, block: tuple[int, int], found: Mapping[str, Array]
) -> Float[Array, "*draw"]:
    """Return a measure of every draw; the last axis of what was found is time.

    `block` says which of the times are the measure's: from and to.
    """
    first, last = block
    if measure.kind in ("AUC", "mean"):
        area = found[_integral(measure.of)][..., first:last]
        span = measure.window or measure.at
        total = area[..., 1] - area[..., 0]
        return total / span if measure.kind == "mean" else total
    own = {name: value[..., first:last] for name, value in found.items()}
    values = evaluate(measure.of, own)
    if measure.kind == "peak":
        return jnp.max(values, axis=-1)
    return jnp.min(values, axis=-1)


def holds(goal: Goal, value: Float[Array, "*draw"]) -> Bool[Array, "*draw"]:
    """Say of every draw whether a condition holds."""
    if goal.strict:
        return (value > goal.low) & (value < goal.high)
    return (value >= goal.low) & (value <= goal.high)


def _integral(expression: Expression) -> str:
    """Name the state that integrates, as no sheet can name one."""
    return f"integral of {expression!r}"

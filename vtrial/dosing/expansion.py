"""Expand a regimen: from rules to one padded array of doses."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.dosing.doses import DOSE, Doses, no_doses
from vtrial.dosing.regimen import Regimen, Step
from vtrial.model.tree import Number, evaluate

RANK = 1


class Written(NamedTuple):
    """Doses of a regimen as they are written: times [h], states, order of the steps.

    `lasts` are infusions of a given duration: their rate goes with the amount, while
    others keep their rate, whatever the amount.
    """

    time: Float[np.ndarray, " dose"]
    into: Int[np.ndarray, " dose"]
    lasts: Bool[np.ndarray, " dose"]
    order: Int[np.ndarray, " dose"]


def expand(
    regimen: Regimen | None, values: Mapping[str, Float[Array, " subject"]]
) -> Doses:
    """Write out every dose, sorted by time: (subject, dose), or (1, dose) if shared.

    `values` holds at least the covariates that `regimen.needs` names; where it needs
    none, all subjects share one row. Only numbers of subjects are traced: times and
    compartments are known beforehand, so this may be called under `jax.jit`. A
    computed amount below zero or that is not a number becomes NaN, and its subject
    is one with a missing dose.
    """
    if regimen is None:
        return no_doses()
    shape = (1,)
    if regimen.needs:
        shape = jnp.broadcast_shapes(*(jnp.shape(values[n]) for n in regimen.needs))
    times, into, _, order = written(regimen)
    amounts, rates = zip(
        *(_given(s, values, shape) for s in regimen.steps), strict=True
    )
    whole = [_told(step) for step in regimen.steps]
    steady, interval = (
        np.concatenate(column)[order] for column in zip(*whole, strict=True)
    )

    def laid(row: np.ndarray) -> Array:
        kind = float if row.dtype.kind == "f" else int
        return jnp.broadcast_to(jnp.asarray(row, kind)[None, :], (*shape, len(row)))

    count = times.size
    return Doses(
        time=laid(times),
        amount=jnp.concatenate(amounts, axis=1)[:, order],
        compartment=laid(into),
        rate=jnp.concatenate(rates, axis=1)[:, order],
        interval=laid(interval),
        steady=laid(steady),
        event=laid(np.full(count, DOSE)),
        rank=laid(np.full(count, RANK)),
    )


def written(regimen: Regimen) -> Written:
    """Return what all subjects share of a regimen's doses, in the order of `expand`."""
    times = np.concatenate([np.zeros(0), *(step.times() for step in regimen.steps)])
    order = np.argsort(times, kind="stable")
    lasts = [np.full(s.count, s.duration is not None) for s in regimen.steps]
    into = [np.full(s.count, s.compartment) for s in regimen.steps]
    return Written(
        times[order],
        np.concatenate([np.zeros(0, int), *into])[order],
        np.concatenate([np.zeros(0, bool), *lasts])[order],
        order,
    )


def _told(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Return what all subjects share: steady state and its interval."""
    steady = np.zeros(step.count, int)
    interval = np.zeros(step.count)
    if step.steady:
        steady[0], interval[0] = 1, step.inner_interval
    return steady, interval


def _given(
    step: Step, values: Mapping[str, Float[Array, " subject"]], shape: tuple[int, ...]
) -> tuple[Float[Array, "#subject dose"], Float[Array, "#subject dose"]]:
    """Return the amounts and rates of a step's doses."""
    each = [evaluate(level.amount, values).astype(float) for level in step.levels]
    levels = jnp.stack([jnp.broadcast_to(amount, shape) for amount in each], axis=1)
    levels = jnp.where(levels >= 0, levels, jnp.nan)
    amounts = levels[:, step.levels_of_doses()]
    if step.duration is None:
        rate = jnp.broadcast_to(evaluate(step.rate, values).astype(float), shape)
        if not isinstance(step.rate, Number):
            rate = jnp.where(rate > 0, rate, jnp.nan)
        return amounts, jnp.broadcast_to(rate[:, None], amounts.shape)
    duration = jnp.broadcast_to(evaluate(step.duration, values).astype(float), shape)
    duration = jnp.where(duration > 0, duration, jnp.nan)
    return amounts, amounts / duration[:, None]

"""Doses: padded event arrays with NONMEM's meaning."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

DOSE, OTHER, RESET, RESET_DOSE = 1, 2, 3, 4
BEFORE_DOSE, AT_DOSE, AFTER_DOSE = 0, 1, 2


class Doses(NamedTuple):
    """Administrations, sorted by time; the first axis is subjects, or 1 if shared.

    Every field is (subject or 1, dose); padding has time infinity. Each dose is one
    administration: repeats are written out.

    Fields
    ------
    time
        [h] When it was given; the effect begins at time + lag.
    amount
        [the model's amount] 0 for a constant infusion at steady state.
    compartment
        Position in the model's states, from 0.
    rate
        [amount/h] 0 bolus, above 0 infusion, -1 the model's `rate(x)`, -2 the model's
        `duration(x)`.
    interval
        [h] II, needed where `steady` is not 0.
    steady
        SS: 0 none, 1 reset to steady state, 2 add steady state.
    event
        EVID: 1 dose, 2 other, 3 reset, 4 reset and dose.
    rank
        Order among events and observations at the same time. A trial's doses have
        rank 1, its observations rank 0 (before the dose) or 2 (after); in an event
        table the rank is the row.
    period
        Which column of the inputs holds at this dose, where inputs change in time;
        None: the one in whose period the dose's time falls.
    """

    time: Float[Array, "#subject dose"]
    amount: Float[Array, "#subject dose"]
    compartment: Int[Array, "#subject dose"]
    rate: Float[Array, "#subject dose"]
    interval: Float[Array, "#subject dose"]
    steady: Int[Array, "#subject dose"]
    event: Int[Array, "#subject dose"]
    rank: Int[Array, "#subject dose"]
    period: Int[Array, "#subject dose"] | None = None


class Times(NamedTuple):
    """When subjects are observed: (subject or 1, time); padding has time infinity.

    `rank` and `period` are as in `Doses`.
    """

    time: Float[Array, "#subject time"]
    rank: Int[Array, "#subject time"]
    period: Int[Array, "#subject time"] | None = None


def no_doses() -> Doses:
    """Return the doses of an untreated arm."""
    real, whole = np.zeros((1, 0)), np.zeros((1, 0), int)
    return Doses(real, real, whole, real, real, whole, whole, whole)  # type: ignore


def times(time: object, *, rank: int = BEFORE_DOSE) -> Times:
    """Make observation times from a list, or one row a subject; [h].

    `rank` says on which side of a dose at the same time they stand: 0 before (as a
    trough is taken), 2 after.
    """
    array = jnp.atleast_2d(jnp.asarray(time, float))
    return Times(array, jnp.full((1, array.shape[1]), rank))

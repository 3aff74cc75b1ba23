"""Trajectory: what `simulate` gives, and State: where a next stage begins."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int


class State(NamedTuple):
    """Where every subject stands at the end of a stage, before any dose at that time.

    Fields
    ------
    time
        [h] End of the stage.
    amounts
        The states, in the model's order and units.
    rates
        [amount/h] Infusions still running, summed by compartment.
    running
        How many these are.
    last_dose
        [h] When the last dose was given; NaN before the first.
    status
        Status so far; a failed subject stays failed.
    """

    time: Float[Array, " subject"]
    amounts: Float[Array, "subject state"]
    rates: Float[Array, "subject state"]
    running: Int[Array, "subject state"]
    last_dose: Float[Array, " subject"]
    status: Int[Array, " subject"]


class Trajectory(NamedTuple):
    """True outputs at the observation times; NaN from a subject's failure on.

    Fields
    ------
    time
        [h] (subject or 1, time) Observation times as asked for.
    outputs
        Every output of the model by name, (subject, time), in the outputs' units.
    states
        (subject, time, state) The states themselves, if asked for; else None.
    status, steps
        Status and number of steps tried, by subject.
    fallback
        By which of `FALLBACKS` a subject was solved, from 1 on, whom the method that
        was chosen had failed on; 0 for all others.
    end
        Where a next stage would begin.
    """

    time: Float[Array, "#subject time"]
    outputs: dict[str, Float[Array, "subject time"]]
    states: Float[Array, "subject time state"] | None
    status: Int[Array, " subject"]
    steps: Int[Array, " subject"]
    fallback: Int[Array, " subject"]
    end: State

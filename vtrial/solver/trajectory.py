"""Trajectory: what `simulate` gives, and State: where a next stage begins."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int


class Past(NamedTuple):
    """What is kept of a solution's past, for equations that look back.

    Rings of the latest so many entries, of all the `steps` and `marks` that ever were.

    Fields
    ------
    begun
        [h] When each step began; the first, before the start, at minus infinity.
    course
        A step's dense output: one over its size [1/h], and the coefficients of each
        delayed state by rising power of the part of the step that is done.
    mark, order
        [h] Where the solution is not smooth, and the order of the derivative that
        jumps there.
    """

    begun: Float[Array, "subject step"]
    course: Float[Array, "subject step part"]
    steps: Int[Array, " subject"]
    mark: Float[Array, "subject step"]
    order: Int[Array, "subject step"]
    marks: Int[Array, " subject"]


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
    past
        What a model that looks back has to know; None for any other, and at the end of
        a solution that was not told where it ends (`until`).
    """

    time: Float[Array, " subject"]
    amounts: Float[Array, "subject state"]
    rates: Float[Array, "subject state"]
    running: Int[Array, "subject state"]
    last_dose: Float[Array, " subject"]
    status: Int[Array, " subject"]
    past: Past | None = None


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

"""The stages of a course: from one moment to the next, with chance or without it."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.dosing.doses import Doses, Times, no_doses
from vtrial.observe.decisions import People
from vtrial.observe.departure import Left, Risk
from vtrial.observe.frame import Frame
from vtrial.observe.realised import Tables
from vtrial.solver.by_chance import solve_by_chance, ticks_of
from vtrial.solver.program import Program
from vtrial.solver.standing import Standing as ByChance
from vtrial.solver.trajectory import State, Trajectory

Stands = State | ByChance
Inputs = dict[str, Array]


class Brought(NamedTuple):
    """What subjects bring to a course.

    Fields
    ------
    inputs
        Of the model.
    people
        What rules may ask beside what is measured, and keys.
    tables
        All regimens.
    taken
        [h] When visits are held, had nothing been delayed.
    left
        When they leave at a constant hazard, and why.
    risk
        What decides when they leave at hazards that follow equations; None: none does.
    attends
        Which visits they come to; None: all.
    periods
        [h] When columns of inputs begin to hold; None: there is one.
    alike
        Of each twin in the frame, who its particles are: inputs of the model.
    """

    inputs: dict[str, Array]
    people: People
    tables: Tables
    taken: Float[Array, "subject visit"]
    left: Left
    risk: Risk | None
    attends: Bool[Array, "subject visit"] | None
    periods: Float[Array, "1 period"] | None
    alike: tuple[dict[str, Float[Array, "subject particle"]], ...] = ()


@dataclass(frozen=True)
class Stages:
    """Solve stage after stage of a model in which nothing is left to chance."""

    frame: Frame
    program: Program
    brought: Brought

    def start(self, begin: Float[Array, " subject"]) -> Stands:
        """Return how subjects stand before anything has happened."""
        return self.program.start(
            self.brought.inputs, begin, periods=self.brought.periods
        )

    def solve(
        self,
        inputs: Inputs,
        doses: Doses,
        times: Times,
        start: Stands,
        until: Float[Array, " subject"],
    ) -> tuple[Trajectory, Stands]:
        """Solve from where subjects stand to a time [h]; say how they stand then."""
        path = self.program.solve(
            inputs,
            doses,
            times,
            periods=self.brought.periods,
            start=self.state(start),
            until=until,
        )
        return path, path.end

    def state(self, stands: Stands) -> State:
        """Return time, states and status."""
        return stands.state if isinstance(stands, ByChance) else stands

    def amounts(self, stands: Stands) -> Float[Array, "subject state"]:
        """Return everything that rules may assign to, in the order of `names_of`."""
        return self.state(stands).amounts

    def changed(self, stands: Stands, amounts: Float[Array, "subject state"]) -> Stands:
        """Return how subjects stand with other values of it."""
        return self.state(stands)._replace(amounts=amounts)


@dataclass(frozen=True)
class StagesByChance(Stages):
    """Solve stage after stage of a model with ticks, events or noise."""

    def start(self, begin: Float[Array, " subject"]) -> Stands:
        """Return how subjects stand before anything has happened."""
        first = Times(begin[:1, None], jnp.zeros((1, 1), int))
        _, stands = solve_by_chance(
            self.program,
            self.brought.inputs,
            no_doses(),
            first,
            keys=self.brought.people.keys,
            ticks=1,
            until=begin,
            periods=self.brought.periods,
        )
        return stands

    def solve(
        self,
        inputs: Inputs,
        doses: Doses,
        times: Times,
        start: Stands,
        until: Float[Array, " subject"],
    ) -> tuple[Trajectory, Stands]:
        """Solve from where subjects stand to a time [h]; say how they stand then."""
        assert isinstance(start, ByChance), "it began so"
        return solve_by_chance(
            self.program,
            inputs,
            doses,
            times,
            keys=self.brought.people.keys,
            ticks=ticks_of(self.frame.protocol.model, 0.0, self.frame.longest) + 1,
            start=start,
            until=until,
            periods=self.brought.periods,
        )

    def amounts(self, stands: Stands) -> Float[Array, "subject state"]:
        """Return everything that rules may assign to, in the order of `names_of`."""
        assert isinstance(stands, ByChance), "it began so"
        return jnp.concatenate([stands.state.amounts, stands.held], axis=1)

    def changed(self, stands: Stands, amounts: Float[Array, "subject state"]) -> Stands:
        """Return how subjects stand with other values of it."""
        assert isinstance(stands, ByChance), "it began so"
        size = stands.state.amounts.shape[1]
        state = stands.state._replace(amounts=amounts[:, :size])
        return stands._replace(state=state, held=amounts[:, size:])


def stages_of(frame: Frame, program: Program, brought: Brought) -> Stages:
    """Return what solves the stages of a frame."""
    by_chance = frame.protocol.model.chance is not None
    return (StagesByChance if by_chance else Stages)(frame, program, brought)

"""The contract of a method: prepare once, then advance from event to event."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.model.model import Model
from vtrial.solver.trajectory import Past
from vtrial.types import Numerics, Status

Amounts = tuple[Float[Array, "..."], ...]
Individual = Mapping[str, Float[Array, " lane"]]


class Span(NamedTuple):
    """From where to where each lane advances; idle lanes stay as they are.

    `left` is the number of steps that a lane may still try, `last_dose` when its last
    dose was given [h], for models that ask for the time since.
    """

    start: Float[Array, " lane"]
    stop: Float[Array, "#lane"]
    last_dose: Float[Array, " lane"]
    active: Bool[Array, " lane"]
    left: Int[Array, " lane"]


class Step(NamedTuple):
    """Where the lanes arrived, what the method remembers, and how it went."""

    amounts: Amounts
    memory: Any
    status: Int[Array, " lane"]
    tried: Int[Array, " lane"]


@dataclass(frozen=True)
class AbstractMethod(abc.ABC):
    """A method that solves a model for lanes, one subject each, side by side.

    States are tuples of (lane) vectors: elementwise work then compiles to long vector
    instructions, and each lane keeps a step size of its own.
    """

    model: Model
    numerics: Numerics
    forced: bool = True

    @property
    def is_linear(self) -> bool:
        """Whether `transition` can be asked for."""
        return False

    @property
    def is_closed(self) -> bool:
        """Whether `between` can be asked for."""
        return False

    @abc.abstractmethod
    def prepare(self, individual: Mapping[str, Float[Array, "lane period"]]) -> Any:
        """Compute, for every column of the inputs, what `advance` needs.

        The result is a tree of (lane, period, ...) arrays, of which `advance` is given
        the column that holds.
        """

    def absolute(self, prepared: Any) -> Amounts:
        """Return the absolute tolerances of all states."""
        del prepared
        return (jnp.asarray(self.numerics.atol),) * len(self.model.states)

    def begin(self, like: Float[Array, " lane"]) -> Any:
        """Return what the method remembers between events, at the start."""
        del like
        return ()

    @abc.abstractmethod
    def advance(
        self, prepared: Any, span: Span, amounts: Amounts, rates: Amounts, memory: Any
    ) -> Step:
        """Solve from `span.start` to `span.stop` with constant infusion `rates`."""

    def recalled(
        self, prepared: Any, time: Float[Array, " lane"], memory: Any
    ) -> Amounts:
        """Return what outputs read of the past at a time [h]; nothing, as a rule."""
        del prepared, time, memory
        return ()

    def resumed(self, memory: Any, past: Past) -> Any:
        """Return what the method remembers, with the past of a State."""
        raise TypeError(f"{type(self).__name__} does not look back")

    def past(self, memory: Any) -> Past | None:
        """Return what a next stage has to know of the past; None, as a rule."""
        del memory
        return None

    def transition(
        self, prepared: Any, duration: Float[Array, " lane"]
    ) -> Float[Array, "lane state state"]:
        """Return the matrix by which amounts at the start enter those at the end."""
        raise TypeError(f"{type(self).__name__} does not know transitions")

    def between(
        self,
        prepared: Any,
        start: Float[Array, "..."],
        elapsed: Float[Array, "..."],
        amounts: Amounts,
        rates: Amounts,
    ) -> Amounts:
        """Return amounts some time after `start` [h], without events in between."""
        raise TypeError(f"{type(self).__name__} steps from event to event")


def arrived(span: Span, before: Amounts, after: Amounts, memory: Any) -> Step:
    """Report an exact solution: one step for each interval of some length."""
    moves = span.active & (span.stop > span.start)
    amounts = tuple(jnp.where(moves, b, a) for a, b in zip(before, after, strict=True))
    finite = jnp.all(jnp.stack([jnp.isfinite(a) for a in amounts]), axis=0)
    fails = span.active & ~finite
    status = jnp.where(fails, int(Status.NON_FINITE), int(Status.SOLVED))
    return Step(amounts, memory, status, moves.astype(int))


def after_dose(
    time: Float[Array, "..."], last_dose: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the time since the last dose [h]; 0 before the first."""
    known = jnp.isfinite(last_dose)
    return jnp.where(known, time - jnp.where(known, last_dose, 0.0), 0.0)

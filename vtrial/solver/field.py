"""What is integrated: the derivatives of an interval between two events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.model.model import Model
from vtrial.model.tree import names_in
from vtrial.solver.method import Amounts, Span, after_dose

Drive = Callable[[Array], dict[int, Array]]


class Field:
    """The derivatives of an interval: the model's, and the infusions'.

    Times are counted from the start of the interval. Amounts and derivatives are of
    the states at the positions `stepped`; `drive` gives the others at a time.
    """

    def __init__(
        self,
        model: Model,
        individual: Any,
        span: Span,
        rates: Amounts,
        stepped: Sequence[int],
        drive: Drive | None = None,
    ) -> None:
        self.model, self.individual = model, individual
        self.span, self.rates = span, rates
        self.stepped, self.drive = tuple(stepped), drive

    def __call__(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return d/dt of every stepped state [amount/h]."""
        clock, since = self.clocks(time)
        whole = self.whole(time, amounts)
        slopes = self.model.derivative(clock, whole, self.individual, after_dose=since)
        return tuple(
            jnp.broadcast_to(slopes[i], self.rates[i].shape).astype(self.rates[i].dtype)
            + self.rates[i]
            for i in self.stepped
        )

    def whole(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return the amounts of all states."""
        found = {} if self.drive is None else self.drive(time)
        found |= dict(zip(self.stepped, amounts, strict=True))
        return tuple(found[place] for place in range(len(found)))

    @property
    def is_autonomous(self) -> bool:
        """Whether the derivatives are the same at all times of the interval."""
        structure = self.model.structure
        clock = structure.uses_time or structure.uses_after_dose
        return self.drive is None and not clock

    def clocks(
        self, time: Float[Array, "*any"]
    ) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
        """Return the time and the time after the last dose [h]."""
        clock = self.span.start + time.astype(self.span.start.dtype)
        since = after_dose(clock, self.span.last_dose)
        return clock.astype(time.dtype), since.astype(time.dtype)


def read_by_derivatives(
    model: Model, individual: Mapping[str, Float[Array, "lane period"]]
) -> dict[str, Float[Array, "lane period"]]:
    """Keep the individual parameters that derivatives and Jacobian read."""
    structure = model.structure
    statements = (*structure.dynamic, *structure.derivatives, *structure.slopes)
    expressions = [s.expression for s in statements]
    expressions += [e for row in structure.jacobian for e in row if e is not None]
    read = {name.name for e in expressions for name in names_in(e)}
    return {name: value for name, value in individual.items() if name in read}

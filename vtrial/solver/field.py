"""The vector field: derivatives in an interval between two events."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vtrial.model.model import Model
from vtrial.model.tree import evaluate, names_in
from vtrial.solver.method import Amounts, Span, after_dose
from vtrial.solver.switch import Flags, IntervalClock, flags_after, over_places

Drive = Callable[[Array], dict[int, Array]]
Recall = Callable[[Array], dict[str, Array]]


class Field:
    """The vector field of an interval: the model's derivatives plus infusion rates.

    Times are counted from the start of the interval. Amounts and derivatives are of
    the states at the positions `stepped`; `drive` gives the others at a time, `atol` is
    their absolute tolerance. `held` are flags that stand still, by name; `recall` tells
    of the states' past at a time, by name, where the equations look back.
    """

    def __init__(
        self,
        model: Model,
        individual: Any,
        span: Span,
        rates: Amounts,
        stepped: Sequence[int],
        drive: Drive | None = None,
        atol: Amounts = (),
    ) -> None:
        self.model, self.individual = model, individual
        self.span, self.rates = span, rates
        self.stepped, self.drive, self.atol = tuple(stepped), drive, atol
        self.held: Mapping[str, Array] = {}
        self.recall: Recall | None = None

    def __call__(self, time: Float[Array, "*any"], amounts: Amounts) -> Amounts:
        """Return d/dt of every stepped state [amount/h]."""
        clock, since = self.clocks(time)
        whole = self.whole(time, amounts)
        slopes = self.model.derivative(
            clock, whole, self.known_at(time), after_dose=since, held=self.held
        )
        return tuple(
            jnp.broadcast_to(slopes[i], self.rates[i].shape).astype(self.rates[i].dtype)
            + self.rates[i]
            for i in self.stepped
        )

    def known_at(self, time: Float[Array, "*any"]) -> Mapping[str, Array]:
        """Return what the equations read beside states and clocks."""
        if self.recall is None:
            return self.individual
        return {**self.individual, **self.recall(time)}

    def recalling(self, recall: Recall) -> "Field":
        """Return the vector field with another past."""
        field = copy.copy(self)
        field.recall = recall
        return field

    def holding(self, flags: Mapping[str, Array]) -> "Field":
        """Return the vector field with more flags held constant."""
        field = copy.copy(self)
        field.held = {**self.held, **flags}
        return field

    def holding_until_switch(self, flags: Flags | None) -> "Field":
        """Return the vector field with the clock's flags held as they are now."""
        if flags is None:
            return self
        names = [switch.flag for switch in self.model.structure.switches]
        return self.holding(dict(zip(names, flags.held, strict=True)))

    def flags_after(
        self, time: Float[Array, " lane"], length: Float[Array, " lane"]
    ) -> Flags | None:
        """Return the clock's flags just after a time; None if it switches nothing."""
        switches = self.model.structure.switches
        if not switches:
            return None
        clock = IntervalClock(self.span.start, self.span.last_dose)
        return flags_after(switches, self.individual, clock, time, length)

    def driven_by(self, drive: Drive) -> "Field":
        """Return the vector field under another driver."""
        field = copy.copy(self)
        field.drive = drive
        return field

    def still(self) -> "Field":
        """Return the vector field detached from differentiation."""
        field = copy.copy(self)
        field.individual = lax.stop_gradient(self.individual)
        field.rates, field.atol = lax.stop_gradient((self.rates, self.atol))
        field.held = lax.stop_gradient(dict(self.held))
        field.span = lax.stop_gradient(self.span)
        drive = self.drive
        if drive is not None:
            field.drive = lambda when: lax.stop_gradient(drive(when))
        recall = self.recall
        if recall is not None:
            field.recall = lambda when: lax.stop_gradient(recall(when))
        return field

    def drives_at(self, time: Float[Array, "place lane"]) -> list[Array]:
        """Return the drives (functions of the clock alone), with flags held."""
        clock = IntervalClock(self.span.start, self.span.last_dose)
        exact = self.span.start.dtype
        # In the clock's 64 bits: 32 would round a narrow pulse late in a trial away.
        values = dict(self.individual) | dict(self.held)
        values = {name: value.astype(exact) for name, value in values.items()}
        clock, values = over_places((clock, values))
        values |= clock.at(time.astype(exact))
        return [
            jnp.asarray(evaluate(drive.value, values)).astype(time.dtype)
            for drive in self.model.structure.drives
        ]

    def conditions(
        self, time: Float[Array, "*any"], amounts: Amounts
    ) -> dict[str, Array]:
        """Return the flags of conditions on states."""
        clock, since = self.clocks(time)
        found = self.model.conditions(
            clock,
            self.whole(time, amounts),
            self.known_at(time),
            after_dose=since,
            held=self.held,
        )
        return {name: jnp.asarray(value) for name, value in found.items()}

    def jacobian(
        self, time: Float[Array, "*any"], amounts: Amounts
    ) -> list[list[Array | None]]:
        """Return the Jacobian of the stepped states [1/h]; None: a structural zero."""
        clock, since = self.clocks(time)
        whole = self.whole(time, amounts)
        full = self.model.jacobian(
            clock, whole, self.individual, after_dose=since, held=self.held
        )
        return [[full[i][j] for j in self.stepped] for i in self.stepped]

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
        return self.drive is None and not clock and not structure.delays

    def clocks(
        self, time: Float[Array, "*any"]
    ) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
        """Return the time and the time after the last dose [h]."""
        # Summed in the type of the start: time in the interval may have 32 bits.
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
    for switch in structure.switches:
        expressions += [switch.value, switch.distance, switch.slope, *switch.phases]
    # The stiff method's Jacobian may read what the derivatives do not.
    expressions += [e for row in structure.jacobian for e in row if e is not None]
    expressions += structure.rhythms
    expressions += [drive.value for drive in structure.drives]
    read = {name.name for e in expressions for name in names_in(e)}
    return {name: value for name, value in individual.items() if name in read}

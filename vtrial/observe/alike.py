"""Arms that differ in amounts alone: one compiled program for all of them.

The numbers of an arm's doses, and those that it sets, are data; what is left is the
shape of the arm, which many arms of a dose-finding trial share. A number that stands
elsewhere (an exponent, a cap) stays where it is, so that what is computed of it is
computed alike.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.dosing.regimen import Level, Regimen, Step
from vtrial.model.tree import Call, Expression, Name, Number
from vtrial.protocol.protocol import Arm

NUMBER = "number {}"  # no name of a sheet has a space


class ArmShape(NamedTuple):
    """An arm without its numbers, which stand in the order of their names."""

    arm: Arm
    numbers: tuple[float, ...]

    def values(self) -> dict[str, Float[Array, " 1"]]:
        """Return the numbers by name, the same for all subjects."""
        return {
            NUMBER.format(place): jnp.full(1, number)
            for place, number in enumerate(self.numbers)
        }


@functools.lru_cache(maxsize=4096)
def shape_of(arm: Arm) -> ArmShape:
    """Take the numbers out of an arm.

    Examples
    --------
    >>> low, high = (Arm("", set=(("CL", Number(v)),)) for v in (1.0, 2.0))
    >>> shape_of(low).arm == shape_of(high).arm, shape_of(high).numbers
    (True, (2.0,))
    """
    numbers: list[float] = []

    def named(number: Number) -> Name:
        numbers.append(number.value)
        return Name(NUMBER.format(len(numbers) - 1))

    regimen = None if arm.regimen is None else _bare(arm.regimen, named)

    def bare(
        values: tuple[tuple[str, Expression], ...],
    ) -> tuple[tuple[str, Expression], ...]:
        return tuple((name, _without(value, named)) for name, value in values)

    shape = Arm(
        "",
        regimen=regimen,
        set=bare(arm.set),
        rules=arm.rules,
        adherence=arm.adherence,
        by_occasion=tuple(map(bare, arm.by_occasion)),
    )
    return ArmShape(shape, tuple(numbers))


def _bare(regimen: Regimen, named: Callable[[Number], Name]) -> Regimen:
    """Return a regimen without the numbers of its amounts and without its words."""

    def level(one: Level) -> Level:
        return Level(_without(one.amount, named), one.doses)

    def step(one: Step) -> Step:
        return replace(one, levels=tuple(map(level, one.levels)), words="")

    return replace(regimen, steps=tuple(map(step, regimen.steps)))


def _without(amount: Expression, named: Callable[[Number], Name]) -> Expression:
    """Take the number out of an amount that is one, or so much of something."""
    if isinstance(amount, Number):
        return named(amount)
    if isinstance(amount, Call) and amount.function == "*":
        first, *rest = amount.arguments
        if isinstance(first, Number):
            return Call("*", (named(first), *rest))
    return amount

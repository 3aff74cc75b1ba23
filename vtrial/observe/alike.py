"""Arms that differ in amounts alone: one compiled program for all of them.

The numbers of an arm's doses, those that it sets, and the limits, factors, amounts and
ladders of its rules are data; what is left is the shape of the arm, which many arms of
a dose-finding trial share. A number that stands elsewhere (an exponent, a cap) stays
where it is, so that what is computed of it is computed alike; so do numbers that decide
at which moments there is a question: delays, counts, what is compared with the plan.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.dosing.regimen import Level, Regimen, Step
from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.protocol.design import NUMBER, without_numbers
from vtrial.protocol.protocol import Arm
from vtrial.protocol.rules import Action, Condition, Learning, Rule

PLANNED = {"cycle", "day_of_cycle"}  # what a rule may name that is known beforehand
DATA = ("scale", "add", "fix", "assign", "hold")  # actions whose number is data


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

    bare = functools.lru_cache(functools.partial(_bare, named=named))
    regimen = None if arm.regimen is None else bare(arm.regimen)
    rules = tuple(_rule(rule, bare, named) for rule in arm.rules)

    def without(
        values: tuple[tuple[str, Expression], ...],
    ) -> tuple[tuple[str, Expression], ...]:
        return tuple((name, _without(value, named)) for name, value in values)

    shape = Arm(
        "",
        regimen=regimen,
        set=without(arm.set),
        rules=rules,
        adherence=arm.adherence,
        by_occasion=tuple(map(without, arm.by_occasion)),
    )
    return ArmShape(shape, tuple(numbers))


def _bare(regimen: Regimen, named: Callable[[Number], Name]) -> Regimen:
    """Return a regimen without the numbers of its amounts and without its words."""

    def level(one: Level) -> Level:
        return Level(_without(one.amount, named), one.doses)

    def step(one: Step) -> Step:
        return replace(one, levels=tuple(map(level, one.levels)), words="")

    return replace(regimen, steps=tuple(map(step, regimen.steps)))


def _rule(
    rule: Rule, bare: Callable[[Regimen], Regimen], named: Callable[[Number], Name]
) -> Rule:
    """Return a rule without the numbers that are data, and without its words."""

    def lifted(expression: Expression | None) -> Expression | None:
        return None if expression is None else without_numbers(expression, named)

    def action(one: Action) -> Action:
        return replace(
            one,
            number=lifted(one.number) if one.kind in DATA else one.number,
            regimen=None if one.regimen is None else bare(one.regimen),
        )

    return replace(
        rule,
        when=None if rule.when is None else _condition(rule.when, named),
        do=tuple(map(action, rule.do)),
        floor=lifted(rule.floor),
        ceiling=lifted(rule.ceiling),
        ladder=tuple(without_numbers(rung, named) for rung in rule.ladder),
        learning=rule.learning and _learning(rule.learning, named),
        title="",
        words="",
    )


def _learning(learning: Learning, named: Callable[[Number], Name]) -> Learning:
    """Return how a rule learns, without the amounts that it chooses from."""
    doses = tuple(without_numbers(dose, named) for dose in learning.doses)
    return replace(learning, doses=doses)


def _condition(when: Condition, named: Callable[[Number], Name]) -> Condition:
    """Return a condition without its numbers, unless the plan decides by them."""
    names = {name.name for name in names_in(when.expression)}
    if not names or names & PLANNED:
        return when
    limits = [
        one.limit and replace(one, limit=without_numbers(one.limit, named))
        for one in when.histories
    ]
    histories = zip(when.histories, limits, strict=True)
    return Condition(
        without_numbers(when.expression, named),
        tuple(limited or one for one, limited in histories),
        when.forecasts,
    )


def _without(amount: Expression, named: Callable[[Number], Name]) -> Expression:
    """Take the number out of an amount that is one, or so much of something."""
    if isinstance(amount, Number):
        return named(amount)
    if isinstance(amount, Call) and amount.function == "*":
        first, *rest = amount.arguments
        if isinstance(first, Number):
            return Call("*", (named(first), *rest))
    return amount

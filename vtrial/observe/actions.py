"""Actions: what a rule does to a subject's doses, equations and part in the study."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vtrial.dosing.expansion import expand
from vtrial.dosing.regimen import Regimen
from vtrial.model.tree import Expression, evaluate
from vtrial.observe.realised import (
    Plan,
    Rows,
    Tables,
    beside,
    next_amounts,
    no_rows,
)
from vtrial.protocol.rules import Action, Rule, delay_of

CLOSE = 1e-9  # of a dose, within which two are the same

Values = Mapping[str, Float[Array, " subject"]]


class Standing(NamedTuple):
    """What actions may change of subjects.

    Fields
    ------
    plan
        Where they stand in their regimens.
    shift
        [h] How far what is planned was delayed.
    left
        [h] When they left the study; infinite if they did not.
    inputs
        Values of the inputs that rules assign to.
    amounts
        (subject, state) Of the equations.
    again
        [h] When the visit is held again; infinite if it is not.
    assigned
        (subject, state) What was assigned at this moment, NaN: nothing; None where
        nobody asks.
    """

    plan: Plan
    shift: Float[Array, " subject"]
    left: Float[Array, " subject"]
    inputs: dict[str, Float[Array, " subject"]]
    amounts: Float[Array, "subject state"]
    again: Float[Array, " subject"]
    assigned: Float[Array, "subject state"] | None = None


class Dosed(NamedTuple):
    """What an arm doses: all its regimens, their tables, and the states dosed.

    Fields
    ------
    regimens
        The arm's own, if it has one, and those that rules switch to.
    states
        Names of the model's states.
    groups
        Positions of those that regimens dose, in the order of `Tables.group`.
    """

    regimens: tuple[Regimen, ...]
    states: tuple[str, ...]
    groups: tuple[int, ...]

    def into(self, rule: Rule) -> Bool[Array, " group"]:
        """Return which of the dosed states a rule is about."""
        mine = [rule.into is None or group == rule.into for group in self.groups]
        return jnp.asarray(mine, bool)


def assigned(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Name everything that rules assign to, inputs and states."""
    targets = [a.target for rule in rules for a in rule.do if a.kind == "assign"]
    return tuple(dict.fromkeys(targets))


def given_extra(rules: Sequence[Rule]) -> list[Regimen]:
    """List what rules give beside the regimens."""
    actions = [action for rule in rules for action in rule.do]
    return [a.regimen for a in actions if a.kind == "give" and a.regimen]


def switched_to(rules: Sequence[Rule]) -> list[Regimen]:
    """List the regimens that rules switch to, each once."""
    actions = [action for rule in rules for action in rule.do]
    found = [a.regimen for a in actions if a.kind == "switch" and a.regimen]
    return list(dict.fromkeys(found))


def act(
    rule: Rule,
    acts: Bool[Array, " subject"],
    now: Float[Array, " subject"],
    values: Values,
    standing: Standing,
    *,
    dosed: Dosed,
    tables: Tables,
) -> Standing:
    """Do everything that a rule says to those on whom it acts."""
    for action in rule.do:
        standing = _act(rule, action, acts, now, values, standing, dosed, tables)
    return standing


def _act(
    rule: Rule,
    action: Action,
    acts: Bool[Array, " subject"],
    now: Float[Array, " subject"],
    values: Values,
    standing: Standing,
    dosed: Dosed,
    tables: Tables,
) -> Standing:
    """Do one thing."""
    plan, here = standing.plan, acts[:, None] & dosed.into(rule)[None]
    if action.kind in ("hold", "resume"):
        until = jnp.full_like(now, -jnp.inf if action.kind == "resume" else jnp.inf)
        if action.number is not None:
            until = now + evaluate(action.number, values)
        held = jnp.where(here, until[:, None], plan.held)
        return standing._replace(plan=plan._replace(held=held))
    if action.kind == "delay":
        by = jnp.where(acts, delay_of(action), 0.0)
        again = jnp.where(acts, now + delay_of(action), standing.again)
        plan = plan._replace(origin=plan.origin + by)
        return standing._replace(plan=plan, shift=standing.shift + by, again=again)
    if action.kind == "stop":
        return standing._replace(plan=plan._replace(stopped=plan.stopped | acts))
    if action.kind == "leave":
        left = jnp.where(acts, jnp.minimum(standing.left, now), standing.left)
        return standing._replace(left=left)
    if action.kind == "assign":
        return _assign(action, acts, values, standing, dosed)
    if action.kind == "switch":
        assert action.regimen is not None, "it says to what"
        place = dosed.regimens.index(action.regimen)
        return standing._replace(plan=_switched(plan, acts, now, place))
    if action.kind == "give":
        assert action.regimen is not None, "it says what"
        rows = _extra(action.regimen, acts, now, values)
        width = plan.extra.time.shape[1]
        extra = beside(rows, plan.extra)
        order = jnp.argsort(jnp.isinf(extra.time), axis=1, stable=True)[:, :width]
        kept = Rows(*(jnp.take_along_axis(part, order, axis=1) for part in extra))
        return standing._replace(plan=plan._replace(extra=kept))
    amounts = next_amounts(plan, tables)
    wanted = _changed(rule, action, values, amounts)
    here &= jnp.isfinite(wanted)
    if action.kind == "scale":  # whatever doses are to come, each by as much
        ratio = wanted / jnp.where(amounts > 0, amounts, 1.0)
        factor = jnp.where(here & (amounts > 0), plan.factor * ratio, plan.factor)
        return standing._replace(plan=plan._replace(factor=factor))
    plan = plan._replace(
        fixed=jnp.where(here, wanted, plan.fixed),
        factor=jnp.where(here, 1.0, plan.factor),
    )
    return standing._replace(plan=plan)


def _changed(
    rule: Rule, action: Action, values: Values, now: Float[Array, "subject group"]
) -> Float[Array, "subject group"]:
    """Return the amount of the next dose from now on."""
    number = _column(action.number, values, now)
    if action.kind == "scale":
        wanted = now * number
    elif action.kind == "add":
        wanted = jnp.maximum(now + number, 0.0)
    elif action.kind == "step":
        wanted = _stepped(rule, action, values, now)
    else:
        wanted = jnp.broadcast_to(number, now.shape)
    if rule.floor is not None:
        floor = _column(rule.floor, values, now)
        wanted = jnp.maximum(wanted, jnp.minimum(floor, now))
    if rule.ceiling is not None:
        ceiling = _column(rule.ceiling, values, now)
        wanted = jnp.minimum(wanted, jnp.maximum(ceiling, now))
    return wanted


def _stepped(
    rule: Rule, action: Action, values: Values, now: Float[Array, "subject group"]
) -> Float[Array, "subject group"]:
    """Go along a ladder, from wherever the dose is; no further than to its ends."""
    steps = _column(action.number, values, now).astype(int)
    rungs = jnp.stack([_column(one, values, now)[:, 0] for one in rule.ladder], axis=1)
    rungs = jnp.broadcast_to(rungs[:, None, :], (*now.shape, len(rule.ladder)))
    slack = CLOSE * jnp.abs(now)
    below = jnp.sum(rungs < (now - slack)[..., None], axis=2)
    above = jnp.sum(rungs <= (now + slack)[..., None], axis=2)
    place = jnp.where(steps > 0, above + steps - 1, below + steps)
    place = jnp.clip(place, 0, len(rule.ladder) - 1)
    found = jnp.take_along_axis(rungs, place[..., None], axis=2)[..., 0]
    # Beyond an end of the ladder a dose stays where it is.
    farther = jnp.where(steps > 0, found > now, found < now)
    return jnp.where(farther, found, now)


def _assign(
    action: Action,
    acts: Bool[Array, " subject"],
    values: Values,
    standing: Standing,
    dosed: Dosed,
) -> Standing:
    """Give a state or an input another value."""
    assert action.number is not None, "it says which"
    number = jnp.broadcast_to(evaluate(action.number, values), acts.shape)
    if action.target in dosed.states:
        place = dosed.states.index(action.target)
        before = standing.amounts[:, place]
        value = jnp.where(acts, number.astype(before.dtype), before)
        amounts = standing.amounts.at[:, place].set(value)
        told = standing.assigned
        if told is not None:
            told = told.at[:, place].set(jnp.where(acts, value, told[:, place]))
        return standing._replace(amounts=amounts, assigned=told)
    before = standing.inputs[action.target]
    value = jnp.where(acts, number.astype(before.dtype), before)
    return standing._replace(inputs={**standing.inputs, action.target: value})


def _switched(
    plan: Plan, acts: Bool[Array, " subject"], now: Float[Array, " subject"], place: int
) -> Plan:
    """Begin a regimen now."""
    each = acts[:, None]
    return plan._replace(
        regimen=jnp.where(acts, place, plan.regimen),
        next=jnp.where(acts, 0, plan.next),
        origin=jnp.where(acts, now, plan.origin),
        factor=jnp.where(each, 1.0, plan.factor),
        fixed=jnp.where(each, jnp.nan, plan.fixed),
    )


def _extra(
    regimen: Regimen,
    acts: Bool[Array, " subject"],
    now: Float[Array, " subject"],
    values: Values,
) -> Rows:
    """Return doses that are given at once."""
    doses = expand(regimen, values)
    shape = (acts.size, doses.time.shape[1])
    blank = no_rows(*shape)
    rows = Rows(
        *(
            jnp.broadcast_to(getattr(doses, name), shape).astype(like.dtype)
            for name, like in zip(Rows._fields, blank, strict=True)
        )
    )
    time = jnp.where(acts, now, jnp.inf)
    return rows._replace(time=jnp.broadcast_to(time[:, None], shape))


def _column(
    expression: Expression | None, values: Values, like: Float[Array, "subject group"]
) -> Float[Array, "subject 1"]:
    """Compute an amount, a number a subject."""
    assert expression is not None, "the action has a number"
    number = jnp.broadcast_to(evaluate(expression, values), like.shape[:1])
    return number.astype(like.dtype)[:, None]

"""Decisions: of a subject's rules the first that holds at a moment acts."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt

from vtrial.endpoint.equation import called
from vtrial.keys import purpose_key
from vtrial.model.tree import evaluate
from vtrial.observe.actions import CLOSE, Dosed, Standing, act
from vtrial.observe.hindsight import (
    HOURS_PER_DAY,
    NEAR,
    Marks,
    Seen,
    Values,
    holds,
    latest,
)
from vtrial.observe.realised import Tables, next_amounts
from vtrial.protocol.rules import Rule, Watch


class Past(NamedTuple):
    """What rules did to subjects so far.

    Fields
    ------
    acts, agreed, row
        (subject, rule) How often each acted, how often that was decided, done yet or
        not, and at how many decisions in a row it held.
    latest
        (subject, rule) [h] When it was last to act, heeded or not; -inf: never.
    due
        (subject, slot) [h] When what was put off is to be done; inf: nothing is.
    changes, changed
        How often the dose was changed, and when last [h].
    """

    acts: Int[Array, "subject rule"]
    agreed: Int[Array, "subject rule"]
    row: Int[Array, "subject rule"]
    latest: Float[Array, "subject rule"]
    due: Float[Array, "subject slot"]
    changes: Int[Array, " subject"]
    changed: Float[Array, " subject"]


class Moment(NamedTuple):
    """One moment: which rules are decided or done, its name, and where it is.

    `slot` is where it is noted what is put off, and until when.
    `cycle` and `day_of_cycle` are those of the plan, `began` [h] when the cycle does.
    """

    decides: Bool[Array, "*stage rule"]
    does: Bool[Array, "*stage rule"]
    slot: Int[Array, "*stage rule"]
    token: UInt[Array, "*stage"]
    cycle: Float[Array, "*stage"]
    day_of_cycle: Float[Array, "*stage"]
    began: Float[Array, "*stage"]


class People(NamedTuple):
    """What is known of subjects beside what is measured, and their keys."""

    known: dict[str, Float[Array, " subject"]]
    keys: Key[Array, " subject"]


class Choice(NamedTuple):
    """The amount that was chosen, NaN: none; and what is told of it."""

    amount: Float[Array, "*subject"]
    told: Float[Array, "*subject number"]


Choosing = Callable[..., Choice]  # `vtrial.observe.choosing.Chooser.choose`
Foretold = Mapping[Watch, Values]  # chances by their names, NaN where nobody asked
_NOTHING: Foretold = MappingProxyType({})


def chosen(standing: Standing, rule: Rule, choice: Choice, dosed: Dosed) -> Standing:
    """Give the amount that was chosen from the next dose on."""
    plan = standing.plan
    here = jnp.isfinite(choice.amount)[:, None] & dosed.into(rule)[None]
    plan = plan._replace(
        fixed=jnp.where(here, choice.amount[:, None], plan.fixed),
        factor=jnp.where(here, 1.0, plan.factor),
    )
    return standing._replace(plan=plan)


def nothing_past(count: int, rules: int, slots: int) -> Past:
    """Return the past of subjects of whom nothing was decided yet."""
    none = jnp.zeros((count, rules), int)
    never = jnp.full((count, rules), -jnp.inf)
    due, nobody = jnp.full((count, slots + 1), jnp.inf), jnp.zeros(count, int)
    return Past(none, none, none, never, due, nobody, jnp.full(count, -jnp.inf))


def decide(
    rules: tuple[Rule, ...],
    moment: Moment,
    now: Float[Array, " subject"],
    here: Bool[Array, " subject"],
    seen: Seen,
    people: People,
    past: Past,
    standing: Standing,
    *,
    dosed: Dosed,
    tables: Tables,
    choose: Choosing | None = None,
    foretold: Foretold = _NOTHING,
) -> tuple[Past, Standing, Int[Array, " subject"], Float[Array, "subject number"]]:
    """Decide the rules of a moment for those who are `here`; do what they say.

    Also returns which rules acted, the sum of 2^place, and what was learned by the
    one that chooses, if there is one.
    """
    learned = jnp.zeros((now.size, 0))
    taken, acted = ~here, jnp.zeros(now.shape, int)
    standing = standing._replace(again=jnp.full_like(now, jnp.inf))
    marks = Marks(past.changed, moment.began + standing.shift)
    amounts = next_amounts(standing.plan, tables)
    for place, rule in enumerate(rules):
        dose = _dose(rule, dosed, amounts)
        values = _names(rules, moment, now, seen, people, past, dose)
        if rule.watch is not None:
            values = {**values, **foretold[rule.watch]}
        decides = moment.decides[place] & here
        found = decides & holds(rule.when, values, seen, now, marks)
        row = jnp.where(
            found, past.row[:, place] + 1, jnp.where(decides, 0, past.row[:, place])
        )
        past = past._replace(row=past.row.at[:, place].set(row))
        may = found & ~taken & _is_free(rule, place, past, now)
        if not rule.also:
            taken |= may
        times = jnp.where(may, now, past.latest[:, place])
        past = past._replace(latest=past.latest.at[:, place].set(times))
        may &= _is_heeded(rule, people.keys, moment.token)
        past = past._replace(agreed=past.agreed.at[:, place].add(may.astype(int)))
        if rule.after:
            past, may = _in_time(rule, place, moment, now, may, past)
        if rule.learning is not None and choose is not None:
            choice = choose(may, now, moment.token, seen, standing, values)
            standing, learned = chosen(standing, rule, choice, dosed), choice.told
        standing = act(rule, may, now, values, standing, dosed=dosed, tables=tables)
        after = next_amounts(standing.plan, tables)
        past = _noted(rule, place, may, now, past, amounts, after)
        amounts = after
        acted += jnp.where(may, 1 << place, 0)
    return past, standing, acted, learned


def _names(
    rules: tuple[Rule, ...],
    moment: Moment,
    now: Float[Array, " subject"],
    seen: Seen,
    people: People,
    past: Past,
    dose: Float[Array, " subject"],
) -> Values:
    """Return everything that equations of rules may name."""
    one = jnp.ones_like(now)
    own = {
        "t": now,
        "day": now / HOURS_PER_DAY,
        "cycle": moment.cycle * one,
        "day_of_cycle": moment.day_of_cycle * one,
        "dose": dose,
        "changes": past.changes.astype(float),
    }
    ladder = next((rule.ladder for rule in rules if rule.ladder), ())
    rungs = [evaluate(rung, people.known) for rung in ladder]
    passed = [(dose * (1 + CLOSE) >= rung).astype(float) for rung in rungs]
    own["level"] = sum(passed, 0.0 * one)
    acts = {
        called(rule.name): past.acts[:, place].astype(float)
        for place, rule in enumerate(rules)
    }
    return {**own, **acts, **people.known, **latest(seen, now)}


def _dose(
    rule: Rule, dosed: Dosed, amounts: Float[Array, "subject group"]
) -> Float[Array, " subject"]:
    """Return the dose that a rule is about, as it stands now; NaN without doses."""
    if not dosed.groups:
        return jnp.full(amounts.shape[:1], jnp.nan)
    into = dosed.groups[0] if rule.into not in dosed.groups else rule.into
    return amounts[:, dosed.groups.index(into)]


def _is_free(
    rule: Rule, place: int, past: Past, now: Float[Array, " subject"]
) -> Bool[Array, " subject"]:
    """Return on whom a rule may act: confirmed, not too often, not too soon."""
    free = past.row[:, place] >= rule.confirmed
    if rule.most:
        free &= past.agreed[:, place] < rule.most
    if rule.lockout:
        free &= now >= past.latest[:, place] + rule.lockout - NEAR
    return free


def _is_heeded(
    rule: Rule, keys: Key[Array, " subject"], token: UInt[Array, "*stage"]
) -> Bool[Array, " subject"]:
    """Draw whether a decision is acted on."""
    if rule.success >= 1.0:
        return jnp.ones(keys.shape, bool)

    def one(key: Key[Array, ""]) -> Float[Array, ""]:
        named = purpose_key(key, f"rule {rule.name}")
        return jax.random.uniform(jax.random.fold_in(named, token), (), float)

    return jax.vmap(one)(keys) < rule.success


def _in_time(
    rule: Rule,
    place: int,
    moment: Moment,
    now: Float[Array, " subject"],
    may: Bool[Array, " subject"],
    past: Past,
) -> tuple[Past, Bool[Array, " subject"]]:
    """Note what is to be done later; return for whom the time has come."""
    slot = moment.slot[place]
    due = past.due[:, slot]
    due = jnp.where(may, now + rule.after, due)
    come = moment.does[place] & (due <= now + NEAR)
    due = jnp.where(come, jnp.inf, due)
    return past._replace(due=past.due.at[:, slot].set(due)), come


def _noted(
    rule: Rule,
    place: int,
    acts: Bool[Array, " subject"],
    now: Float[Array, " subject"],
    past: Past,
    before: Float[Array, "subject group"],
    after: Float[Array, "subject group"],
) -> Past:
    """Note that a rule acted, and whether the dose is another one now."""
    past = past._replace(acts=past.acts.at[:, place].add(acts.astype(past.acts.dtype)))
    if not rule.changes:
        return past
    moved = jnp.abs(after - before) > CLOSE * jnp.abs(before)
    differs = acts & jnp.any(moved, axis=1)
    return past._replace(
        changes=past.changes + differs.astype(int),
        changed=jnp.where(differs, now, past.changed),
    )

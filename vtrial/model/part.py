"""The part of a model with chance that some of its outputs and events need."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vtrial.model.chance import Chance, Draw, Event, needs_of, told
from vtrial.model.model import Model
from vtrial.model.tree import TIME, TIME_AFTER_DOSE, Expression, Statement, names_in


def part_of(model: Model, outputs: Sequence[str], events: Sequence[str]) -> Model:
    """Return what some outputs and events of a model need, and nothing else.

    What is left draws and computes as it did in the whole. Of events that come, one
    time is kept. The model has no states that move between ticks.
    """
    chance = model.chance
    assert chance is not None  # it is asked of models with chance
    needed, wanted = _needed(model, outputs, events)
    kept = [event for event in chance.events if event.name in wanted]
    inside = replace(
        chance,
        steps=tuple(step for step in chance.steps if _place(step) in needed),
        held=tuple(name for name in chance.held if name in needed),
        events=tuple(_bare(event, needed) for event in kept),
    )
    statements = tuple(s for s in model.statements if s.name in needed)
    seen = tuple(one for one in model.outputs if one.name in outputs)
    return replace(model, statements=statements, outputs=seen, chance=inside)


def obstacle(model: Model, event: str) -> str:
    """Say why the chance of an event cannot be computed from tick to tick; else "".

    The hazard must stand still between ticks, and depend on no other event.
    """
    chance = model.chance
    assert chance is not None  # it is asked of models with chance
    own = next(one for one in chance.events if one.name == event)
    needs = [own.of, *(s.expression for s in needs_of(own.of, model.moved))]
    if _names(needs) & {TIME, TIME_AFTER_DOSE}:
        return "whose hazard looks at the clock between ticks"
    _, wanted = _needed(model, (), (event,))
    others = [name for name in wanted if name != event]
    return f"whose hazard depends on `{others[0]}`, too" if others else ""


def _needed(
    model: Model, outputs: Sequence[str], events: Sequence[str]
) -> tuple[set[str], list[str]]:
    """Return all names that are needed, and the events among them, in their order."""
    chance = model.chance
    assert chance is not None  # it is asked of models with chance
    seen = [one for one in model.outputs if one.name in outputs]
    needed = {name for one in seen for name in (one.equals, *one.error.computed)}
    wanted = {*events}
    size = -1
    while size < len(needed) + len(wanted):
        size = len(needed) + len(wanted)
        for event in chance.events:
            tells = {told(word, event.name) for word in ("count", "last")}
            changes = {step.name for step in event.then}
            if needed & (tells | changes):
                wanted.add(event.name)
            if event.name in wanted:
                needed |= _names([event.of])
        needed |= _names(_behind(model, chance, needed, wanted))
    return needed, [event.name for event in chance.events if event.name in wanted]


def _behind(
    model: Model, chance: Chance, needed: set[str], wanted: set[str]
) -> list[Expression]:
    """List what is computed for names that are needed."""
    found = [s.expression for s in model.statements if s.name in needed]
    for step in chance.steps:
        if _place(step) in needed:
            mine = step.arguments if isinstance(step, Draw) else (step.expression,)
            found += mine
    events = [event for event in chance.events if event.name in wanted]
    steps = [step for event in events for step in event.then]
    return found + [step.expression for step in steps if step.name in needed]


def _bare(event: Event, needed: set[str]) -> Event:
    """Leave out of an event what changes nothing that is needed."""
    then = tuple(step for step in event.then if step.name in needed)
    return replace(event, then=then, most=1)


def _place(step: Statement | Draw) -> str:
    """Return the name of what a step makes."""
    return step.place if isinstance(step, Draw) else step.name


def _names(expressions: Iterable[Expression]) -> set[str]:
    """Return all names in expressions."""
    return {name.name for one in expressions for name in names_in(one)}

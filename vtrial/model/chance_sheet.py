"""What a sheet says of chance: ticks and events, read, checked and brought to hours."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vtrial.errors import Fault, ModelError, UnitError
from vtrial.model.calculus import substitute
from vtrial.model.chance import (
    LAWS,
    Chance,
    Draw,
    Event,
    draws_in,
    gap_of,
    told,
)
from vtrial.model.grammar import parse_expression, parse_updates, unknown_names
from vtrial.model.shape import TICK, EventShape, ModelShape
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Call,
    Expression,
    Name,
    Number,
    Statement,
    names_in,
)
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import said
from vtrial.sheets.words import listed, nearest
from vtrial.units import hours

CLOCKS = (TIME, TIME_AFTER_DOSE)


@dataclass
class Happening:
    """An event as it is read; what could not be parsed is left out."""

    shape: EventShape
    of: Expression | None = None
    then: list[tuple[Path_, Statement]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of its cause."""
        return "when" if self.shape.when is not None else "hazard"


@dataclass
class ChanceText:
    """What a sheet says of chance, parsed: statements stand in the sheet's time."""

    at: Path_ = ("every",)
    every: float = 0.0
    steps: tuple[Statement, ...] = ()
    events: dict[str, Happening] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to chance."""
        return not (self.steps or self.events)

    @property
    def updates(self) -> list[Statement]:
        """The updates of ticks and events."""
        later = [s for event in self.events.values() for _, s in event.then]
        return [*(s for s in self.steps if s.kind == "update"), *later]

    def held(self, statements: Sequence[Statement]) -> tuple[str, ...]:
        """Name the held states: what ticks update, or a start is given of."""
        states = {s.name for s in statements if s.kind == "derivative"}
        started = {s.name for s in statements if s.kind == "initial"}
        ticked = {s.name for s in self.steps if s.kind == "update"}
        names = dict.fromkeys(s.name for s in self.updates)
        return tuple(n for n in names if n not in states and n in ticked | started)

    @property
    def told(self) -> tuple[str, ...]:
        """Name what equations may read of the events."""
        return tuple(told(w, name) for name in self.events for w in ("count", "last"))

    @property
    def read(self) -> Iterator[Expression]:
        """Yield every expression of ticks and events."""
        yield from (s.expression for s in self.steps)
        for event in self.events.values():
            yield from () if event.of is None else (event.of,)
            yield from (s.expression for _, s in event.then)


def read_chance(sheet: Sheet, shape: ModelShape) -> ChanceText:
    """Parse what a sheet says of chance, and find what is wrong in its text."""
    found = ChanceText()
    for key, text in shape.every.items():
        spelt = next((k for k in sheet.data if TICK.sub("", k) == key), None)
        found.at = (spelt,) if spelt else ("every", key)
        try:
            found.every = hours(key)
        except UnitError:
            found.every = 0.0
        if found.every <= 0:
            allowed = "a time above 0 between two ticks, such as `every 1 d: |`"
            found.faults.append(
                sheet.fault(found.at, found=said(key), allowed=allowed, write="")
            )
        found.steps, faults, found.doubtful = parse_updates(text)
        found.faults += [sheet.inside(found.at, fault) for fault in faults]
    for name, event in shape.events.items():
        found.events[name] = _happening(sheet, name, event, found)
    return found


def step_faults(
    sheet: Sheet, shape: ModelShape, statements: Sequence[Statement]
) -> list[Fault]:
    """Find noise without a step, and a step without noise."""
    noisy = [s.name for s in statements if s.kind == "noise"]
    if noisy and shape.step is None:
        found = f"missing, though `{noisy[0]}` has noise"
        such = "given, such as `step: 0.05 d`; halve it until nothing changes"
        return [sheet.fault(("step",), found=found, allowed=such, write="")]
    if shape.step is not None and not noisy:
        found = "given, though no state has noise"
        allowed = "left out, or with a line such as `noise(x) = 0.3`"
        return [sheet.fault(("step",), found=found, allowed=allowed, write="")]
    return []


def _happening(
    sheet: Sheet, name: str, shape: EventShape, found: ChanceText
) -> Happening:
    """Parse an event; what is wrong in it is added to the faults."""
    event = Happening(shape)
    path: Path_ = ("events", name, event.key)
    cause = shape.hazard if shape.when is None else shape.when
    if isinstance(cause, str):
        try:
            event.of = parse_expression(cause)
        except ModelError as error:
            found.faults += [sheet.inside(path, fault) for fault in error.faults]
    elif cause is not None:
        event.of = Number(float(cause))
    for index, text in enumerate(shape.then):
        path = ("events", name, "then", index)
        statements, faults, doubtful = parse_updates(text)
        found.doubtful |= doubtful
        found.faults += [sheet.inside(path, fault) for fault in faults]
        for statement in statements:
            event.then.append((path, statement))
    return event


def check_chance(
    sheet: Sheet,
    text: ChanceText,
    statements: Sequence[Statement],
    *,
    inputs: Collection[str],
    observed: Collection[str],
) -> list[Fault]:
    """Find what ticks and events read or change that is not there.

    `inputs` are parameters, covariates, random effects and classes, `observed` the
    names that outputs stand for.
    """
    assigned = {s.name for s in statements if s.kind == "assign"}
    states = {s.name for s in statements if s.kind == "derivative"}
    held = text.held(statements)
    known = {*inputs, *assigned, *states, *held, *text.told, *CLOCKS, *text.doubtful}
    check = _Check(sheet, known, frozenset(inputs), frozenset(assigned), held)
    faults = check.steps(text)
    for name, event in text.events.items():
        faults += check.event(name, event, [*states, *held])
    read = {n.name for s in statements for n in names_in(s.expression)}
    return faults + _unread(sheet, text, held, {*read, *observed})


@dataclass
class _Check:
    """What is known where ticks and events are checked."""

    sheet: Sheet
    known: set[str]
    inputs: frozenset[str]
    assigned: frozenset[str]
    held: tuple[str, ...]

    def steps(self, text: ChanceText) -> list[Fault]:
        """Check what is done at a tick, line by line."""
        faults: list[Fault] = []
        seen: dict[str, int] = {}
        local: set[str] = set()
        for step in text.steps:
            for draw in draws_in(step.expression):
                faults += _drawn_twice(draw, seen)
            faults += unknown_names(_without_draws(step.expression), self.known | local)
            taken = self.taken(step.name)
            if step.kind == "assign" and step.name in self.known | local:
                found = f"`{step.name} = ...`, though `{step.name}` is known already"
                write = f"`{step.name} <- ...`" if step.name in self.held else ""
                allowed = f"a new name, or an update {write}".rstrip()
                faults.append(_at(step, found, allowed))
            elif step.kind == "update" and taken:
                found = f"`{step.name} <- ...`, though `{step.name}` is {taken}"
                faults.append(_at(step, found, "a state or held state"))
            if step.kind == "assign":
                local.add(step.name)
        return [self.sheet.inside(text.at, fault) for fault in faults]

    def event(self, name: str, event: Happening, states: Sequence[str]) -> list[Fault]:
        """Check the cause of an event and what follows of it."""
        faults = []
        if event.of is not None:
            path = ("events", name, event.key)
            found = unknown_names(event.of, self.known)
            faults += [self.sheet.inside(path, fault) for fault in found]
        for path, step in event.then:
            found = unknown_names(_without_draws(step.expression), self.known)
            draws = [_late(draw) for draw in draws_in(step.expression)]
            if step.kind == "assign":
                words = f"`{step.name} = ...`"
                found = [_at(step, words, f"an update: `{step.name} <- ...`")]
            elif step.name not in states:
                found.append(self.no_state(step, states))
            faults += [self.sheet.inside(path, fault) for fault in (*found, *draws)]
        return faults

    def no_state(self, step: Statement, states: Sequence[str]) -> Fault:
        """Describe an update of what is no state."""
        near = nearest(step.name, states)
        taken = self.taken(step.name)
        found = f"`{step.name} <- ...`, but `{step.name}` is {taken or 'no state'}"
        there = listed(states, like=step.name) or "there is none"
        allowed = f"of a state or held state ({there})"
        if not near and not taken:
            allowed += f", or given a start: `init({step.name}) = 0`"
        fault = _at(step, found, allowed)
        return fault._replace(write=near, old=step.name if near else "", column=0)

    def taken(self, name: str) -> str:
        """Return what else a name is, if it cannot be updated."""
        if name in self.inputs:
            return "an input of the model"
        return "a variable of the equations" if name in self.assigned else ""


def _at(step: Statement, found: str, allowed: str) -> Fault:
    return Fault("every", found, allowed, "", line=step.line, column=1)


def _late(draw: Call) -> Fault:
    found = f"`{draw.function}(`, a draw"
    allowed = "in the block of a tick, `every 1 d: |`; elsewhere read what it made"
    return Fault("events", found, allowed, "", line=draw.line, column=draw.column)


def _drawn_twice(draw: Call, seen: dict[str, int]) -> list[Fault]:
    """Find a name by which two draws are keyed, which would be the same number."""
    name = draw.arguments[0] if draw.arguments else None
    if not isinstance(name, Name):
        return []
    if name.name not in seen:
        seen[name.name] = draw.line
        return []
    found = f"a draw `{name.name}` again (first on line {seen[name.name]})"
    allowed = f"keyed by a name of its own, such as `{name.name}2`"
    line, column = name.line, name.column
    write = f"{name.name}2"
    return [Fault("every", found, allowed, write, "", line, column, (), name.name)]


def _unread(
    sheet: Sheet, text: ChanceText, held: Sequence[str], read: Collection[str]
) -> list[Fault]:
    """Find held states that nothing reads but their own update."""
    faults = []
    causes = {
        n.name for e in text.events.values() if e.of is not None for n in names_in(e.of)
    }
    for name in held:
        others = [s for s in (*text.steps, *text.updates) if s.name != name]
        inner = {n.name for s in others for n in names_in(s.expression)}
        if name in {*read, *causes, *inner, *text.doubtful} or text.doubtful:
            continue
        step = next(s for s in text.updates if s.name == name)
        path = next(
            (p for e in text.events.values() for p, s in e.then if s is step), text.at
        )
        found = f"`{name}`, which nothing reads but its own update"
        allowed = "read by equations, outputs, events or other updates"
        faults.append(sheet.inside(path, _at(step, found, allowed)))
    return faults


def _without_draws(expression: Expression) -> Expression:
    """Leave out the names by which draws are keyed."""
    if not isinstance(expression, Call):
        return expression
    inner = expression.arguments
    if expression.function in LAWS:
        inner = inner[1:] or (Number(0.0),)
    return replace(expression, arguments=tuple(map(_without_draws, inner)))


def chance_of(
    text: ChanceText, statements: Sequence[Statement], unit: str
) -> Chance | None:
    """Make the Chance of a text without faults, in hours."""
    if text.is_empty and not any(s.kind == "noise" for s in statements):
        return None
    size = hours(f"1 {unit}")
    clocks: Mapping[str, Expression] = {
        clock: Call("/", (Name(clock), Number(size))) for clock in CLOCKS
    }
    clocks = clocks if size != 1.0 else {}

    def in_hours(step: Statement) -> Statement:
        tree = substitute(step.expression, clocks)
        return replace(step, expression=tree)

    steps: list[Statement | Draw] = []
    for step in map(in_hours, text.steps):
        tree, draws = _lifted(step.expression, step.line)
        steps += [*draws, replace(step, expression=tree)]
    events = []
    for name, event in text.events.items():
        assert event.of is not None  # the sheet is without faults
        by = "hazard" if event.key == "hazard" else "condition"
        of = substitute(event.of, clocks)
        if by == "condition":
            of = gap_of(of)
        elif size != 1.0:
            of = Call("/", (of, Number(size)))
        later = tuple(in_hours(step) for _, step in event.then)
        shape = event.shape
        events.append(Event(name, of, by, shape.recurrent, later, shape.at_most))
    held = text.held(statements)
    return Chance(text.every, tuple(steps), held, tuple(events), size)


def _lifted(tree: Expression, line: int) -> tuple[Expression, list[Draw]]:
    """Take the draws out of an expression; it reads their values by name."""
    if not isinstance(tree, Call):
        return tree, []
    draws: list[Draw] = []
    inner = []
    for argument in tree.arguments:
        lifted, more = _lifted(argument, line)
        inner.append(lifted)
        draws += more
    if tree.function not in LAWS:
        return replace(tree, arguments=tuple(inner)), draws
    name, *arguments = inner
    assert isinstance(name, Name)  # the grammar says so
    draw = Draw(name.name, tree.function, tuple(arguments), line)
    return Name(draw.place, tree.column, tree.line), [*draws, draw]

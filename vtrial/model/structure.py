"""The dependency structure of a model, from its expressions, before anything runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vtrial.errors import ModelError
from vtrial.model.calculus import differentiate, plus, simplify, substitute, times
from vtrial.model.compartments import Compartments, recognise
from vtrial.model.delays import Delay, part_delays
from vtrial.model.growth import Growth, recognise_growth
from vtrial.model.jumps import Drive, Parted, Switch, part_jumps
from vtrial.model.polynomial import expand
from vtrial.model.positivity import (
    Nonnegative,
    find_nonnegative,
    keep_powers_real,
)
from vtrial.model.rhythm import find_rhythms
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

PROPERTIES = ("F", "lag", "rate", "duration")
CLOCKS = (TIME, TIME_AFTER_DOSE)
MAX_SLOPES = 100_000
STEPPED = frozenset(
    ["<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "floor", "ceil", "mod"]
)

Entries = tuple[tuple[Expression | None, ...], ...]
Slopes = dict[str, Expression]  # by state


@dataclass(frozen=True)
class LinearBlock:
    """The leading block of states that is linear and time-invariant.

    `entries[i][j]` is the constant d(dx_i/dt)/dx_j [1/h] and `constants[i]` the part
    of dx_i/dt that needs no state; None is a structural zero. They need the individual
    parameters and `statements`, which are computed first.
    """

    states: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    entries: Entries = ()
    constants: tuple[Expression | None, ...] = ()


@dataclass(frozen=True)
class Dependence:
    """What an output depends on.

    `reads` are the states it is computed from, `states` those that drive it through
    the equations, `inputs` the parameters, covariates and random effects behind it
    all; `time` says whether it or its states look at the clock.
    """

    name: str
    reads: tuple[str, ...]
    states: tuple[str, ...]
    inputs: tuple[str, ...]
    time: bool


@dataclass(frozen=True)
class Structure:
    """The statements sorted by what they need, and the shape of the dynamics.

    `static` needs neither time nor states (individual parameters); `dynamic` is what
    the derivatives need beyond that, `observed` what the outputs need, each in an
    order in which they can be computed. `dynamic` and `derivatives` go by way of flags
    where they jump: `switches` tells of those that the clock switches, and
    `conditions` names those that look at states. `drives` are what moves with the clock
    alone. `nonnegative` are the states that the
    equations keep from below zero, `rhythms` the periods [h] that they go by.

    `jacobian[i][j]` is d(dx_i/dt)/dx_j, None where it is zero whatever the numbers;
    its entries need `dynamic` and then `slopes`. `constant[i][j]` says that an entry
    depends neither on states nor on time. `block` is the leading linear block,
    `compartments` its shape if it is one of the known ones, and `driver` that of the
    largest part of it that needs no other state and has a known shape. `growth` tells
    of all states beyond the driver, if each of them still has a closed form. `curved`
    are the states whose slope along themselves changes with them, as where elimination
    saturates. `delays` are what the equations read of states' past, by the names that
    stand for it in them.
    """

    states: tuple[str, ...]
    static: tuple[Statement, ...]
    dynamic: tuple[Statement, ...]
    observed: tuple[Statement, ...]
    derivatives: tuple[Statement, ...]
    initial: tuple[Statement, ...]
    properties: tuple[Statement, ...]
    uses_time: bool
    uses_after_dose: bool
    switches: tuple[Switch, ...] = ()
    conditions: tuple[str, ...] = ()
    drives: tuple[Drive, ...] = ()
    nonnegative: Nonnegative = Nonnegative()
    rhythms: tuple[Expression, ...] = ()
    slopes: tuple[Statement, ...] = ()
    jacobian: Entries = ()
    constant: tuple[tuple[bool, ...], ...] = ()
    curved: tuple[str, ...] = ()
    block: LinearBlock = LinearBlock()
    compartments: Compartments | None = None
    driver: Compartments | None = None
    growth: tuple[Growth, ...] = ()
    dependence: tuple[Dependence, ...] = ()
    delays: tuple[Delay, ...] = ()

    @property
    def pattern(self) -> tuple[tuple[bool, ...], ...]:
        """Which derivative (row) depends on which state (column)."""
        return tuple(tuple(e is not None for e in row) for row in self.jacobian)

    @property
    def linear(self) -> tuple[str, ...]:
        """The states of the leading linear, time-invariant, independent block."""
        return self.block.states

    @property
    def driven(self) -> tuple[str, ...]:
        """The states of the driver, if there is one."""
        return self.driver.states if self.driver else ()

    @property
    def is_closed(self) -> bool:
        """Whether every state has a closed form of a known kind."""
        known = len(self.growth) + len(self.driven)
        return bool(self.states) and known == len(self.states)

    @property
    def is_linear(self) -> bool:
        """Whether the whole model is linear and time-invariant."""
        return bool(self.states) and self.linear == self.states

    @property
    def is_algebra(self) -> bool:
        """Whether there is nothing to integrate."""
        return not self.states


def analyse(
    statements: Sequence[Statement],
    outputs: Sequence[str],
    nonnegative: Sequence[str] = (),
    moving: Sequence[str] = (),
) -> Structure:
    """Sort a model's statements by dependency and find the shape of its dynamics.

    Assignments are kept in the order in which they are written; a name may be
    assigned once. `outputs` are the names that are observed, `nonnegative` states that
    are said not to go below zero, `moving` names of no equation that change in time.
    """
    written = statements
    statements, delays = part_delays(statements)
    past = tuple(delay.name for delay in delays)
    derivatives = tuple(s for s in statements if s.kind == "derivative")
    states = tuple(s.name for s in derivatives)
    static, moved = _sorted_by_movement(statements, (*states, *past, *moving))
    _refuse_moving(delays, (*states, *moving, *(s.name for s in moved)))
    dynamic = _needed(moved, [s.expression for s in derivatives])
    observed = _needed(moved, [Name(name) for name in outputs])
    seen = {n.name for s in (*dynamic, *derivatives) for n in names_in(s.expression)}
    watched = {n.name for s in observed for n in names_in(s.expression)}
    kept = find_nonnegative(
        states, dynamic, derivatives, declared=nonnegative, delays=delays
    )
    if any(s.kind == "noise" for s in statements):
        kept = Nonnegative()  # noise leads anywhere
    parted = _parted(states, dynamic, derivatives, kept, delays)
    # Of the parted equations: flags stand still, so that slopes are those in between.
    slopes, jacobian = _jacobian(states, parted.dynamic, parted.derivatives)
    reach = _reaches(states, (*dynamic, *parted.dynamic, *slopes))
    # What looks back has no closed form, and is solved as a whole.
    block = (
        LinearBlock()
        if delays
        else _linear_block(states, dynamic, derivatives, slopes, jacobian)
    )
    driver = _driver(block)
    driven = driver.states if driver else ()
    whole = driver is not None and len(driven) == len(block.states)
    return Structure(
        states=states,
        static=tuple(static),
        dynamic=parted.dynamic,
        observed=observed,
        derivatives=parted.derivatives,
        initial=tuple(s for s in statements if s.kind == "initial"),
        properties=tuple(s for s in statements if s.kind in PROPERTIES),
        uses_time=TIME in seen,
        uses_after_dose=TIME_AFTER_DOSE in seen | watched | set(outputs),
        switches=parted.switches,
        conditions=parted.conditions,
        drives=parted.drives,
        nonnegative=kept,
        rhythms=find_rhythms(dynamic, derivatives),
        slopes=slopes,
        jacobian=jacobian,
        constant=_constant_entries(jacobian, reach),
        curved=_curved(derivatives, jacobian, reach, _jumping(dynamic, reach)),
        block=block,
        compartments=driver if whole else None,
        driver=driver,
        growth=() if delays else recognise_growth(derivatives, dynamic, driven) or (),
        dependence=_dependences(written, states, outputs),
        delays=delays,
    )


def needed(
    statements: Sequence[Statement], entries: Iterable[Expression | None]
) -> tuple[Statement, ...]:
    """Return the assignments that some expressions need, in order."""
    return _needed(statements, [entry for entry in entries if entry is not None])


def _parted(
    states: tuple[str, ...],
    dynamic: Sequence[Statement],
    derivatives: Sequence[Statement],
    kept: Nonnegative,
    delays: Sequence[Delay],
) -> Parted:
    """Split the equations where they jump; the past of a state moves as it does."""
    return part_jumps(
        (*states, *(delay.name for delay in delays)),
        keep_powers_real(dynamic, states, dynamic, kept, delays),
        keep_powers_real(derivatives, states, dynamic, kept, delays),
    )


def _constant_entries(
    jacobian: Entries, reach: Mapping[str, frozenset[str]]
) -> tuple[tuple[bool, ...], ...]:
    """Return which entries depend neither on states nor on time."""
    return tuple(
        tuple(e is None or not _reached(e, reach) for e in row) for row in jacobian
    )


def _sorted_by_movement(
    statements: Sequence[Statement], names: Sequence[str]
) -> tuple[list[Statement], list[Statement]]:
    """Split assignments into static ones and those that vary in time, as names do."""
    moving = {*CLOCKS, *names}
    static, moved = [], []
    for statement in statements:
        if statement.kind != "assign":
            continue
        if any(n.name in moving for n in names_in(statement.expression)):
            moving.add(statement.name)
            moved.append(statement)
        else:
            static.append(statement)
    return static, moved


def _refuse_moving(delays: Sequence[Delay], moving: Sequence[str]) -> None:
    """Refuse a delay that is no constant of a subject."""
    for delay in delays:
        clocks = {*CLOCKS, *moving}
        name = next((n.name for n in names_in(delay.by) if n.name in clocks), "")
        if name:
            raise ModelError(
                at="equations",
                found=f"`lag({delay.state}, ...)` by a time of `{name}`, which moves",
                allowed="constant in time for a subject",
                write="",
            )


def _needed(
    moved: Sequence[Statement], roots: Sequence[Expression]
) -> tuple[Statement, ...]:
    """Return the assignments that expressions need, in order."""
    wanted = {n.name for root in roots for n in names_in(root)}
    kept = []
    # Backwards, so that whatever needs an assignment is seen before it.
    for statement in reversed(moved):
        if statement.name in wanted:
            kept.append(statement)
            wanted |= {n.name for n in names_in(statement.expression)}
    return tuple(reversed(kept))


def _jacobian(
    states: Sequence[str],
    dynamic: Sequence[Statement],
    derivatives: Sequence[Statement],
) -> tuple[tuple[Statement, ...], Entries]:
    """Differentiate statement by statement, so that nothing is written out twice.

    The slope of variable `v` along state `x` becomes a variable `v|x` of its own,
    a name that no sheet can hold.
    """
    known: dict[str, Slopes] = {state: {state: Number(1.0)} for state in states}
    slopes: list[Statement] = []
    for statement in dynamic:
        found = _slopes(statement.expression, known)
        for state, slope in found.items():
            # Numbers and names need no variable: they are written where they are used.
            if isinstance(slope, Call):
                name = f"{statement.name}|{state}"
                slopes.append(Statement("assign", name, slope, statement.line))
                found[state] = Name(name)
        known[statement.name] = found
        _refuse_tangle(len(slopes), statement)
    rows = []
    for row in derivatives:
        found = _slopes(row.expression, known)
        rows.append(tuple(found.get(state) for state in states))
    return tuple(slopes), tuple(rows)


def _slopes(expression: Expression, known: Mapping[str, Slopes]) -> Slopes:
    """Differentiate along every state by the chain rule; zeros are left out."""
    total: Slopes = {}
    for name in dict.fromkeys(n.name for n in names_in(expression)):
        inner = known.get(name)
        if not inner:
            continue
        outer = differentiate(expression, name)
        for state, slope in inner.items():
            term = times(outer, slope)
            total[state] = plus(total[state], term) if state in total else term
    return {state: slope for state, slope in total.items() if slope != Number(0.0)}


def _refuse_tangle(slopes: int, statement: Statement) -> None:
    """Bound what comes of equations in which everything depends on everything."""
    if slopes > MAX_SLOPES:
        raise ModelError(
            at="equations",
            found=f"`{statement.name}`, too tangled: over {MAX_SLOPES} slopes so far",
            allowed="variables that depend on fewer states",
            write="",
            line=statement.line,
        )


def _reaches(
    states: Sequence[str], statements: Iterable[Statement]
) -> dict[str, frozenset[str]]:
    """Map each name to the states and clocks it depends on, directly or not."""
    reach = {name: frozenset({name}) for name in (*CLOCKS, *states)}
    for statement in statements:
        found = _reached(statement.expression, reach)
        if found:
            reach[statement.name] = found
    return reach


def _reached(
    expression: Expression, reach: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Collect the states and clocks that an expression depends on."""
    found = [reach.get(n.name, frozenset()) for n in names_in(expression)]
    return frozenset().union(*found)


def _linear_block(
    states: Sequence[str],
    dynamic: Sequence[Statement],
    derivatives: Sequence[Statement],
    slopes: Sequence[Statement],
    jacobian: Entries,
) -> LinearBlock:
    """Find the largest set of states that is linear, time-invariant and closed."""
    reach = _reaches(states, (*dynamic, *slopes))
    jumps = _jumping(dynamic, reach)
    rows = dict(zip(states, zip(derivatives, jacobian, strict=True), strict=True))
    # Linear and time-invariant: the row of the Jacobian reads no state and no clock.
    kept = {
        state
        for state, (row, entries) in rows.items()
        if not _reached(row.expression, reach) & set(CLOCKS)
        and not _jumps(row.expression, reach, jumps)
        and not any(_reached(e, reach) for e in entries if e is not None)
    }
    while True:
        # Who reads a state outside the set leaves it: repeat until none does.
        drop = {s for s in kept if _reached(rows[s][0].expression, reach) - kept}
        if not drop:
            break
        kept -= drop
    inside = [index for index, state in enumerate(states) if state in kept]
    entries = tuple(tuple(jacobian[i][j] for j in inside) for i in inside)
    origins, constants = _constants(dynamic, [derivatives[i] for i in inside], reach)
    roots = [e for row in entries for e in row] + list(constants)
    return LinearBlock(
        states=tuple(states[index] for index in inside),
        statements=needed((*slopes, *origins), roots),
        entries=entries,
        constants=constants,
    )


def _driver(block: LinearBlock) -> Compartments | None:
    """Recognise the block, or what is left of it without states that only take in."""
    kept = list(range(len(block.states)))
    while kept:
        shape = recognise(
            [block.states[i] for i in kept],
            [[block.entries[i][j] for j in kept] for i in kept],
            [block.constants[i] for i in kept],
            block.statements,
        )
        if shape is not None:
            return shape
        # An AUC or effect compartment gives nothing back: the rest may have a shape.
        sources = {
            j for i in kept for j in kept if i != j and block.entries[i][j] is not None
        }
        if len(sources) == len(kept):
            return None
        kept = [i for i in kept if i in sources]
    return None


def _curved(
    derivatives: Sequence[Statement],
    jacobian: Entries,
    reach: Mapping[str, frozenset[str]],
    jumps: Iterable[str],
) -> tuple[str, ...]:
    """Name the states that are nonlinear in themselves, or discontinuous in a state."""
    return tuple(
        row.name
        for place, row in enumerate(derivatives)
        if _jumps(row.expression, reach, jumps)
        or row.name in _reached(jacobian[place][place] or Number(0.0), reach)
    )


def _jumping(
    dynamic: Sequence[Statement], reach: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Name the variables that are discontinuous in a state."""
    jumps: set[str] = set()
    for statement in dynamic:
        if _jumps(statement.expression, reach, jumps):
            jumps.add(statement.name)
    return frozenset(jumps)


def _jumps(
    expression: Expression,
    reach: Mapping[str, frozenset[str]],
    jumps: Iterable[str],
) -> bool:
    """Return whether an expression is discontinuous, which its derivative hides."""
    stack, jumping = [expression], set(jumps)
    while stack:
        node = stack.pop()
        if isinstance(node, Name) and node.name in jumping:
            return True
        if isinstance(node, Call):
            steps = node.function in STEPPED or node.function == "if"
            # Its condition makes an `if` jump; branches are looked at by themselves.
            watched = node.arguments[:1] if node.function == "if" else node.arguments
            if steps and any(_reached(argument, reach) for argument in watched):
                return True
            stack.extend(node.arguments)
    return False


def _constants(
    dynamic: Sequence[Statement],
    rows: Sequence[Statement],
    reach: Mapping[str, frozenset[str]],
) -> tuple[tuple[Statement, ...], tuple[Expression | None, ...]]:
    """Return the constant terms of linear derivatives: their values at zero states."""
    at_zero: dict[str, Expression] = {}
    for name in reach:
        if name not in CLOCKS:
            at_zero[name] = Number(0.0)
    origins = []
    for statement in dynamic:
        at_zero.pop(statement.name, None)
        if statement.name not in reach:
            continue
        value = simplify(substitute(statement.expression, at_zero))
        if isinstance(value, Call):
            name = f"{statement.name}|0"
            origins.append(Statement("assign", name, value))
            value = Name(name)
        at_zero[statement.name] = value
    left = [simplify(substitute(row.expression, at_zero)) for row in rows]
    return tuple(origins), tuple(value if expand(value) else None for value in left)


def _dependences(
    statements: Sequence[Statement], states: Sequence[str], outputs: Sequence[str]
) -> tuple[Dependence, ...]:
    """Trace every output back through variables, then through the equations."""
    assigned = {s.name: s.expression for s in statements if s.kind == "assign"}
    behind: dict[str, list[Expression]] = {state: [] for state in states}
    for statement in statements:
        if statement.kind != "assign" and statement.name in behind:
            behind[statement.name].append(statement.expression)
    return tuple(_dependence(name, assigned, behind) for name in outputs)


def _dependence(
    output: str,
    assigned: Mapping[str, Expression],
    behind: Mapping[str, Sequence[Expression]],
) -> Dependence:
    """Return what one output depends on."""
    reads = _leaves([Name(output)], assigned)
    found, fresh = set(reads), {name for name in reads if name in behind}
    while fresh:
        roots = [root for state in fresh for root in behind[state]]
        # Breadth first through the equations, until no new state is found.
        leaves = _leaves(roots, assigned)
        fresh = {name for name in leaves if name in behind} - found
        found |= leaves
    return Dependence(
        name=output,
        reads=tuple(state for state in behind if state in reads),
        states=tuple(state for state in behind if state in found),
        inputs=tuple(sorted(found - set(behind) - set(CLOCKS))),
        time=bool(found & set(CLOCKS)),
    )


def _leaves(
    roots: Iterable[Expression], assigned: Mapping[str, Expression]
) -> set[str]:
    """Collect the unassigned names that expressions depend on."""
    leaves, seen, stack = set(), set(), list(roots)
    while stack:
        for name in names_in(stack.pop()):
            if name.name in seen:
                continue
            seen.add(name.name)
            if name.name in assigned:
                stack.append(assigned[name.name])
            else:
                leaves.add(name.name)
    return leaves

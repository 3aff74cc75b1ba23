"""Chance and events between visits: what is drawn each tick, and what happens when.

Time is parted by ticks. Between two of them the equations go on; held states stand
still. At a tick, statements give held states and states new values, from what stands
there and from draws. Events come by a hazard, or when a condition turns true; what
follows of them is statements of the same kind. Everything here is a pure function of
arrays, elementwise over subjects.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int, Key

from vtrial.keys import purpose_number
from vtrial.model.tree import (
    Call,
    Expression,
    Name,
    Number,
    Statement,
    evaluate,
    names_in,
)

MOST = 50  # events of a kind whose times are kept
_BEFORE = {"count": 0.0, "last": -math.inf}
EVENT_WORDS = tuple(_BEFORE)
Values = Mapping[str, ArrayLike]
Keys = Key[Array, " subject"]


@dataclass(frozen=True)
class Draw:
    """A draw of a tick: `name` is what it is keyed by, `law` how it is distributed.

    Statements read it by the name that `place` gives.
    """

    name: str
    law: str
    arguments: tuple[Expression, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def place(self) -> str:
        """The name of its value, which no sheet can hold."""
        return f"{self.law}({self.name})"


@dataclass(frozen=True)
class Event:
    """What happens to a subject, once or again and again.

    Fields
    ------
    of
        The hazard [1/h]; or the gap of a condition, which is true where that is 0 or
        above.
    by
        Which of the two.
    then
        What follows, one statement after another.
    most
        How many times are kept; counts go on.
    """

    name: str
    of: Expression
    by: Literal["hazard", "condition"]
    recurrent: bool = False
    then: tuple[Statement, ...] = ()
    most: int = MOST

    @property
    def gone(self) -> str:
        """The state that integrates the hazard, a name that no sheet can hold."""
        return f"gone({self.name})"

    @property
    def gap(self) -> str:
        """The variable that is the gap of a condition."""
        return f"gap({self.name})"


@dataclass(frozen=True)
class Chance:
    """What a model leaves to chance between visits.

    Fields
    ------
    every
        [h] From tick to tick, counted from time 0; 0: there are none.
    steps
        What is done at a tick, one after another: draws, assignments and updates.
    held
        The held states.
    events
        In the order of the sheet.
    clock
        [h] The model's unit of time, in which equations read `last(event)`.
    """

    every: float = 0.0
    steps: tuple[Statement | Draw, ...] = ()
    held: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    clock: float = 1.0

    @property
    def told(self) -> tuple[str, ...]:
        """Name what equations may read of events: `count(event)`, `last(event)`."""
        words = (
            told(word, event.name) for event in self.events for word in EVENT_WORDS
        )
        return tuple(words)

    @property
    def before(self) -> dict[str, float]:
        """What is told of events before any has come."""
        return {name: _BEFORE[name.partition("(")[0]] for name in self.told}

    @property
    def names(self) -> tuple[str, ...]:
        """Name all that stands still from stage to stage: held states, and `told`."""
        return (*self.held, *self.told)

    @property
    def most(self) -> int:
        """How many times are kept of an event, at most."""
        return max((event.most for event in self.events), default=0)

    @property
    def content(self) -> tuple[object, ...]:
        """All that counts, without lines and columns."""
        steps = [
            (s.name, s.law, *map(bare, s.arguments))
            if isinstance(s, Draw)
            else (s.kind, s.name, bare(s.expression))
            for s in self.steps
        ]
        events = [
            (e.name, e.by, e.recurrent, e.most, bare(e.of))
            + tuple((s.kind, s.name, bare(s.expression)) for s in e.then)
            for e in self.events
        ]
        return (self.every, steps, self.held, events, self.clock)


def told(word: str, event: str) -> str:
    """Return the name by which equations know something of an event."""
    return f"{word}({event})"


def bare(expression: Expression) -> object:
    """Strip an expression of lines and columns."""
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Name):
        return expression.name
    return (expression.function, *map(bare, expression.arguments))


def tick(
    chance: Chance,
    equations: Sequence[Statement],
    values: Values,
    *,
    keys: Keys,
    ordinal: Int[Array, " subject"],
    many: int = 0,
) -> dict[str, Array]:
    """Return what a tick makes of held states and states, by name.

    `values` holds all that the statements may read, as it stands before the tick:
    individual parameters, states, held states, what is told of events, and the time.
    `equations` are the assignments of the model that move; they are computed anew for
    each statement, so that it sees what stands above it. The draws of tick `ordinal`,
    counted from 1 at the first after time 0, are folded from the subject's key, the
    purpose "process", the name and the ordinal, and depend on nothing else.

    With `many`, `values` are (subject, particle), so many of them, for whom it is drawn
    side by side from their subject's key: faster than by keys of their own, and
    rounded as what stands beside it has it.
    """
    known, local, changed = dict(values), {}, {}
    apart = _beside if many else _alone
    ordinals = jnp.broadcast_to(ordinal[:, None], (ordinal.size, many))
    whom = ordinals if many else ordinal
    for step in chance.steps:
        alone = functools.partial(apart, equations, known | local, whom)
        if isinstance(step, Draw):
            draw = functools.partial(_drawn, step, keys, ordinal, many=many)
            local[step.place] = alone(step.arguments, draw)
            continue
        value = alone((step.expression,), lambda value: value)
        if step.kind == "assign":
            local[step.name] = value
        else:
            known[step.name] = changed[step.name] = value
    return changed


def _alone(
    equations: Sequence[Statement],
    values: Values,
    ordinal: Int[Array, " subject"],
    expressions: Sequence[Expression],
    then: Callable[..., Array],
) -> Float[Array, " subject"]:
    """Compute some expressions, and what is made of them, as a program of their own.

    What is compiled together may round otherwise because of what stands beside it; a
    branch is compiled by itself.
    """
    needs = [s for one in expressions for s in needs_of(one, equations)]
    trees = [*expressions, *(statement.expression for statement in needs)]
    names = {n.name for tree in trees for n in names_in(tree)}
    given = {name: jnp.asarray(values[name]) for name in names & values.keys()}

    def compute(given: dict[str, Array]) -> Array:
        found = then(*(read(one, equations, given) for one in expressions))
        return jnp.broadcast_to(found, ordinal.shape).astype(float)

    def nothing(given: dict[str, Array]) -> Array:
        del given
        return jnp.zeros(ordinal.shape)

    return lax.cond(jnp.any(ordinal > 0), compute, nothing, given)


def _beside(
    equations: Sequence[Statement],
    values: Values,
    like: Int[Array, "*any"],
    expressions: Sequence[Expression],
    then: Callable[..., Array],
) -> Float[Array, "*any"]:
    """Compute some expressions, and what is made of them, among everything else."""
    found = then(*(read(one, equations, values) for one in expressions))
    return jnp.broadcast_to(found, like.shape).astype(float)


def then(
    event: Event, equations: Sequence[Statement], values: Values
) -> dict[str, Array]:
    """Return what an event makes of held states and states, by name (see `tick`)."""
    known, changed = dict(values), {}
    for step in event.then:
        value = read(step.expression, equations, known)
        known[step.name] = changed[step.name] = value
    return changed


def read(
    expression: Expression, equations: Sequence[Statement], values: Values
) -> Array:
    """Compute an expression with all the assignments that it needs."""
    known = dict(values)
    for statement in needs_of(expression, equations):
        if statement.name not in known:
            known[statement.name] = evaluate(statement.expression, known)
    return evaluate(expression, known)


def needs_of(
    expression: Expression, equations: Sequence[Statement]
) -> tuple[Statement, ...]:
    """Return the assignments that an expression needs, in order."""
    wanted, kept = {n.name for n in names_in(expression)}, []
    for statement in reversed(equations):
        if statement.name in wanted:
            kept.append(statement)
            wanted |= {n.name for n in names_in(statement.expression)}
    return tuple(reversed(kept))


def threshold(
    event: Event, keys: Keys, ordinal: Int[Array, " subject"]
) -> Float[Array, " subject"]:
    """Draw the integrated hazard at which an event comes: Exp(1), by its ordinal."""
    own = _folded(keys, f"event {event.name}", ordinal)
    return jax.vmap(lambda key: jax.random.exponential(key, (), float))(own)


def gap_of(condition: Expression) -> Expression:
    """Return what is 0 or above where a condition is true, and crosses 0 where it can.

    Examples
    --------
    >>> from vtrial.model.grammar import parse_expression, write_expression
    >>> write_expression(gap_of(parse_expression("x >= 20 and not y > 1")))
    'min(x - 20, -(y - 1))'
    """
    if isinstance(condition, Call):
        inner = condition.arguments
        if condition.function in (">", ">="):
            return Call("-", inner)
        if condition.function in ("<", "<="):
            return Call("-", (inner[1], inner[0]))
        if condition.function in ("and", "or"):
            word = "min" if condition.function == "and" else "max"
            return Call(word, tuple(map(gap_of, inner)))
        if condition.function == "not":
            return Call("negative", (gap_of(inner[0]),))
    return Call("-", (condition, Number(0.5)))


def draws_in(expression: Expression) -> Iterator[Call]:
    """Yield the calls of an expression that draw."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Call):
            if node.function in LAWS:
                yield node
            stack.extend(reversed(node.arguments))


def _folded(keys: Keys, purpose: str, ordinal: Int[Array, " subject"]) -> Keys:
    """Fold a purpose and an ordinal into the keys of subjects."""
    number = purpose_number(purpose)

    def fold(key: Key[Array, ""], ordinal: Int[Array, ""]) -> Key[Array, ""]:
        return jax.random.fold_in(jax.random.fold_in(key, number), ordinal)

    return jax.vmap(fold)(keys, ordinal)


def _drawn(
    draw: Draw,
    keys: Keys,
    ordinal: Int[Array, " subject"],
    *arguments: Array,
    many: int = 0,
) -> Float[Array, "subject *particle"]:
    """Draw for every subject, or for so many particles of each."""
    own = _folded(keys, f"process {draw.name}", ordinal)
    shape = (many,) if many else ()
    whole = (*ordinal.shape, *shape)
    wide = [jnp.broadcast_to(one, whole).astype(float) for one in arguments]
    return jax.vmap(functools.partial(LAWS[draw.law].draw, shape))(own, *wide)


class Law(NamedTuple):
    """A law that a tick can draw from, and the arguments behind the draw's name.

    `draw` takes a shape, a key, and the arguments, of that shape. `whole`: it gives
    whole numbers.
    """

    draw: Callable[..., Array]
    arguments: tuple[str, ...] = ()
    whole: bool = False


Shape = tuple[int, ...]


def _gamma(size: Shape, key: Key[Array, ""], shape: Array, rate: Array) -> Array:
    return jax.random.gamma(key, shape, size) / rate


def _poisson(size: Shape, key: Key[Array, ""], mean: Array) -> Array:
    return jax.random.poisson(key, mean, size).astype(float)


def _bernoulli(size: Shape, key: Key[Array, ""], p: Array) -> Array:
    return jnp.where(jax.random.uniform(key, size, float) < p, 1.0, 0.0)


LAWS: dict[str, Law] = {
    "normal": Law(lambda size, key: jax.random.normal(key, size, float)),
    "uniform": Law(lambda size, key: jax.random.uniform(key, size, float)),
    "gamma": Law(_gamma, ("shape", "rate")),
    "poisson": Law(_poisson, ("mean",), whole=True),
    "bernoulli": Law(_bernoulli, ("p",), whole=True),
}

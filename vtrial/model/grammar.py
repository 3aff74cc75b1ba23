"""The equation language: text to tree and back.

Text is parsed by a fixed LALR grammar into the three kinds of node of
`vtrial.model.tree`; nothing in the language can name, call or reach Python. Size,
nesting and the number of names are bounded before and while parsing.
"""

import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from vtrial.errors import Fault, ModelError
from vtrial.model.chance import EVENT_WORDS, LAWS, told
from vtrial.model.delays import CALLS
from vtrial.model.syntax import (
    COMPARISONS,
    Wrong,
    depth_of,
    every_fault,
    left_of,
    spoken,
    wrong_calls,
)
from vtrial.model.tree import (
    FUNCTIONS,
    TIME,
    TIME_AFTER_DOSE,
    Call,
    Expression,
    Name,
    Number,
    Statement,
    names_in,
    table,
)
from vtrial.sheets.words import listed, nearest

MAX_BYTES = 100_000
MAX_STATEMENTS = 2_000
MAX_DEPTH = 60
MAX_CHAIN = 120
MAX_LINE = 10_000
MAX_NAMES = 2_000
MAX_ARGUMENTS = 30
MAX_STATES = 1_000
MAX_NAME = 64
NONE_MORE: Mapping[str, tuple[int, int]] = MappingProxyType({})
MOST_NAMES = 40  # of a sheet, that a message lists
PROPERTIES = ("F", "lag", "rate", "duration")
ETA = "eta."
RESERVED = frozenset({TIME, TIME_AFTER_DOSE, "and", "or", "not", "if", "eta"})

_GRAMMAR = r"""
line: target "=" test
    | test -> alone
target: _DDT "(" NAME ")" -> derivative
      | _INIT "(" NAME ")" -> initial
      | PROPERTY "(" NAME ")" -> property
      | NAME -> assign
?test: disjunction
?disjunction: conjunction | disjunction "or" conjunction -> or_
?conjunction: inversion | conjunction "and" inversion -> and_
?inversion: comparison | "not" inversion -> not_
?comparison: sum | sum COMPARE sum -> compare
?sum: product | sum SIGN product -> binary
?product: unary | product SCALE unary -> binary
?unary: power | SIGN unary -> signed
?power: atom | atom _POWER unary -> power
?atom: NUMBER -> number
     | NAME -> name
     | ETA -> name
     | "if" "(" test "," test "," test ")" -> choice
     | (NAME | PROPERTY) "(" [test ("," test)*] ")" -> call
     | OPEN test ("," test)* "]" "[" NAME "]" -> table
     | "(" test ")"
_DDT.3: /d\/dt(?=\s*\()/
_INIT.3: /init(?=\s*\()/
PROPERTY.3: /(F|lag|rate|duration|noise)(?=\s*\()/
COMPARE: "<=" | ">=" | "==" | "!=" | "<" | ">"
SIGN: "+" | "-"
SCALE: "*" | "/"
_POWER: "^" | "**"
OPEN: "["
ETA.2: /eta\.[A-Za-z][A-Za-z0-9_]*/
NUMBER: /(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
NAME: /[A-Za-z][A-Za-z0-9_]*/
%ignore /[ \t\r\n\f]+/
"""
_BEGINS = re.compile(
    r"\s*(?:(?:d/dt|init|F|lag|rate|duration|noise)\s*\(\s*\w+\s*\)|[A-Za-z]\w*)\s*=(?!=)"
)
_ARROW = re.compile(r"(\s*[A-Za-z]\w*\s*)<-")
_STRENGTH = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(COMPARISONS, 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "negative": 7,
    "^": 8,
}


def parse_model(text: str) -> tuple[Statement, ...]:
    """Parse a block of equations, a statement a line.

    A statement goes on over lines while a bracket is open; `#` begins a comment.

    Raises
    ------
    ModelError
        With every fault, each with line and column in the block.
    """
    statements, faults, _ = parse_leniently(text)
    if faults:
        raise ModelError.of(faults)
    return statements


def parse_leniently(text: str) -> tuple[tuple[Statement, ...], list[Fault], set[str]]:
    """Parse what can be parsed; return statements, faults, and names left in doubt.

    In doubt are the names on the left of lines with a fault: they may be meant as
    variables or states.
    """
    statements: list[Statement] = []
    faults: list[Fault] = []
    doubtful: set[str] = set()
    lines = _lines(text)
    while True:
        line, body = 0, ""
        try:
            line, body = next(lines, (0, ""))
            if not line:
                break
            statement, wrong = _statement(body, line, more=CALLS)
            statements.append(statement)
            faults += [one.fault() for one in wrong]
        except ModelError as error:
            faults += error.faults
            doubtful |= set(re.findall(r"[A-Za-z]\w*", body.partition("=")[0]))
    faults += _repeats(statements)
    return tuple(statements), faults, doubtful


def parse_updates(text: str) -> tuple[tuple[Statement, ...], list[Fault], set[str]]:
    """Parse a block of updates `x <- ...` and locals `r = ...`; see `parse_leniently`.

    Only here may something be drawn.
    """
    statements: list[Statement] = []
    faults: list[Fault] = []
    doubtful: set[str] = set()
    lines = _lines(text)
    while True:
        body = ""
        try:
            line, body = next(lines, (0, ""))
            if not line:
                break
            arrow = _ARROW.match(body)
            # Two signs for two, so that columns stay what they are.
            plain = f"{arrow[1]}= {body[arrow.end() :]}" if arrow else body
            statement, wrong = _statement(plain, line, _drawing())
            faults += [one.fault() for one in wrong]
            if statement.kind != "assign":
                found = f"`{left_of(statement)} = ...`"
                raise _raised(line, 1, found, "an update `x <- ...`, or `r = ...`")
            kind = "update" if arrow else "assign"
            statements.append(
                Statement(kind, statement.name, statement.expression, line)
            )
        except ModelError as error:
            faults += error.faults
            doubtful |= set(re.findall(r"[A-Za-z]\w*", re.split("=|<-", body)[0]))
    return tuple(statements), faults, doubtful


def reserved_words() -> frozenset[str]:
    """Name the words of the language, which no parameter or variable may be called."""
    return RESERVED | _functions()


def parse_assignments(text: str) -> tuple[Statement, ...]:
    """Parse a block that holds only `name = expression` lines.

    Raises
    ------
    ModelError
        With every fault, each with line and column in the block.
    """
    statements = parse_model(text)
    faults = [
        _fault(s.line, 1, f"`{left_of(s)} = ...`", f"an assignment: `{s.name} = ...`")
        for s in statements
        if s.kind != "assign"
    ]
    if faults:
        raise ModelError.of(faults)
    return statements


def parse_expression(
    text: str, *, more: Mapping[str, tuple[int, int]] = NONE_MORE
) -> Expression:
    """Parse one expression; `more` functions take from so many to so many arguments.

    Raises
    ------
    ModelError
        If it is not one, with line and column.
    """
    lines = list(_lines(text))
    if len(lines) != 1:
        count = "empty" if not lines else f"{len(lines)} lines"
        raise _raised(1, 1, count, "one expression, such as `WT / 70`")
    line, body = lines[0]
    target, tree, wrong = _parse(body, line, more=more)
    faults = [one.fault() for one in wrong]
    if target is not None:
        found, allowed = "an assignment", "an expression, in which `==` compares"
        faults.append(_fault(line, 1, found, allowed))
    if faults:
        raise ModelError.of(faults)
    return tree


def unknown_names(expression: Expression, known: Collection[str]) -> list[Fault]:
    """Find the names of an expression that are not known."""
    return [_unknown(n, known, ()) for n in names_in(expression) if n.name not in known]


def check_names(
    statements: Sequence[Statement],
    known: Collection[str],
    *,
    doubtful: Collection[str] = (),
    held: Collection[str] = (),
) -> list[Fault]:
    """Find names that nothing defines, or that are used before they are assigned.

    `known` are the parameters, covariates and random effects of the model; `doubtful`
    names, of lines that could not be parsed, are let pass as variable or state; `held`
    names are of no equation but may have a start.
    """
    states = [s.name for s in statements if s.kind == "derivative"]
    later = {s.name for s in statements if s.kind == "assign"}
    seen = {*known, *states, *doubtful, *held, TIME, TIME_AFTER_DOSE}
    faults = []
    for statement in statements:
        started = [*states, *held] if statement.kind == "initial" else states
        faults += _check_target(statement, started, known, doubtful)
        # Derivatives and initial values may look at anything assigned in the block.
        visible = seen if statement.kind == "assign" else seen | later
        for name in names_in(statement.expression):
            if name.name not in visible:
                faults.append(_unknown(name, visible, later))
        if statement.kind == "assign":
            seen.add(statement.name)
    return faults


def write_expression(expression: Expression) -> str:
    """Write an expression as text with no more brackets than it needs."""
    return _written(expression)[0]


def _written(node: Expression) -> tuple[str, int]:
    """Write a node, and say how strongly it binds."""
    if isinstance(node, Number):
        text = repr(node.value)
        text = text[:-2] if text.endswith(".0") and "e" not in text else text
        bare = text.replace("inf", "1e999")
        return bare, _STRENGTH["negative"] if bare.startswith("-") else 9
    if isinstance(node, Name):
        return node.name, 9
    strength = _STRENGTH.get(node.function, 0)
    if not strength:
        inner = ", ".join(_written(a)[0] for a in node.arguments)
        return f"{node.function}({inner})", 9
    if node.function in ("not", "negative"):
        sign = "not " if node.function == "not" else "-"
        return sign + _bracketed(node.arguments[0], strength), strength
    if node.function == "^":
        left, right = _bracketed(node.arguments[0], 9), node.arguments[1]
        return f"{left}^{_bracketed(right, 7)}", strength
    tight = strength + 1
    first = _bracketed(node.arguments[0], strength if strength != 4 else tight)
    space = "" if node.function in "*/" else " "
    second = _bracketed(node.arguments[1], tight)
    return f"{first}{space}{node.function}{space}{second}", strength


def _bracketed(node: Expression, least: int) -> str:
    """Write a node, in brackets if it binds more weakly than `least`."""
    text, strength = _written(node)
    return text if strength >= least else f"({text})"


class _Build(Transformer):
    """Build our tree while lark parses, so that no depth of text is a recursion."""

    def _at(self, token: Token) -> tuple[int, int]:
        return token.line or 1, token.column or 1

    def _name(self, token: Token) -> str:
        line, column = self._at(token)
        if len(token) > MAX_NAME:
            allowed = f"at most {MAX_NAME} letters"
            raise _raised(line, column, "a very long name", allowed)
        return str(token)

    def line(self, parts):
        return parts[0], parts[1]

    def alone(self, parts):
        return None, parts[0]

    def derivative(self, parts):
        return "derivative", self._name(parts[0]), self._at(parts[0])

    def initial(self, parts):
        return "initial", self._name(parts[0]), self._at(parts[0])

    def property(self, parts):
        return str(parts[0]), self._name(parts[1]), self._at(parts[1])

    def assign(self, parts):
        return "assign", self._name(parts[0]), self._at(parts[0])

    def number(self, parts):
        return Number(float(parts[0]))

    def name(self, parts):
        line, column = self._at(parts[0])
        return Name(self._name(parts[0]), column, line)

    def binary(self, parts):
        left, operator, right = parts
        line, column = self._at(operator)
        return Call(str(operator), (left, right), column, line)

    compare = binary

    def signed(self, parts):
        sign, value = parts
        line, column = self._at(sign)
        return value if sign == "+" else Call("negative", (value,), column, line)

    def power(self, parts):
        return Call("^", (parts[0], parts[1]))

    def or_(self, parts):
        return Call("or", (parts[0], parts[1]))

    def and_(self, parts):
        return Call("and", (parts[0], parts[1]))

    def not_(self, parts):
        return Call("not", (parts[0],))

    def choice(self, parts):
        return Call("if", tuple(parts))

    def table(self, parts):
        opened, *values, index = parts
        if len(values) > MAX_ARGUMENTS:
            allowed = f"at most {MAX_ARGUMENTS} values"
            raise _raised(*self._at(opened), f"a table of {len(values)}", allowed)
        return table(values, self.name([index]), self._at(opened))

    def call(self, parts):
        token, arguments = parts[0], tuple(p for p in parts[1:] if p is not None)
        line, column = self._at(token)
        if token in EVENT_WORDS and len(arguments) == 1:
            (of,) = arguments
            if isinstance(of, Name):
                return Name(told(str(token), of.name), column, line)
        return Call(str(token), arguments, column, line)


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="line", parser="lalr", transformer=_Build())


def _statement(
    body: str,
    line: int,
    functions: frozenset[str] | None = None,
    more: Mapping[str, tuple[int, int]] = NONE_MORE,
) -> tuple[Statement, list[Wrong]]:
    """Parse one statement; return it and the functions in it that are none."""
    target, tree, wrong = _parse(body, line, functions, more)
    if target is None:
        raise ModelError.of([_alone(body, line).fault(), *(w.fault() for w in wrong)])
    kind, name, (row, column) = target
    if name in reserved_words():
        found = f"`{name}`, a word of the language"
        raise _raised(row, column, found, "a name of your own")
    return Statement(kind, name, tree, line), wrong


def _alone(body: str, line: int) -> Wrong:
    """Describe an expression that is given to nothing, or by another sign."""
    arrow = re.match(r"\s*[A-Za-z]\w*\s*(<-|==)", body.split("\n")[0])
    if arrow:
        old, column = arrow[1], arrow.start(1) + 1
        return Wrong(line, column, f"`{old}`", "`=`, which gives a value", "=", old)
    return Wrong(line, 1, "an expression alone", "a statement, such as `name = ...`")


def _parse(
    body: str,
    line: int,
    functions: frozenset[str] | None = None,
    more: Mapping[str, tuple[int, int]] = NONE_MORE,
) -> tuple[tuple[str, str, tuple[int, int]] | None, Expression, list[Wrong]]:
    """Parse one statement's text, and bound what comes of it."""

    def parsed(text: str) -> object:
        try:
            return _parser().parse(text)
        except UnexpectedInput as error:
            return spoken(error, text, line)

    padded = "\n" * (line - 1) + body  # tokens then know their line in the block
    found = parsed(padded)
    if isinstance(found, Wrong):
        told = every_fault(padded, parsed)
        raise ModelError.of(one.fault() for one in told)
    target, tree = found  # type: ignore[misc]
    if depth_of(tree) > MAX_CHAIN:
        raise _raised(line, 1, "too long a chain", f"at most {MAX_CHAIN} long")
    known = functions or _functions()
    return target, tree, wrong_calls(tree, known, MAX_ARGUMENTS, more)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield statements with the number of their first line, comments cut."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _raised(1, 1, "too long", f"at most {MAX_BYTES} bytes")
    joined, first, depth, count = "", 0, 0, 0
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        body = raw.split("#", 1)[0]
        if not joined and not body.strip():
            continue
        if joined and _BEGINS.match(body):  # a bracket was left open above
            count += 1
            _bound(joined, first, count)
            yield first, joined
            joined, first, depth = "", 0, 0
        first = first or number
        joined += ("\n" if joined else "") + body
        depth += sum(map(body.count, "([")) - sum(map(body.count, ")]"))
        if depth > 0 and len(joined) <= MAX_LINE:
            continue
        count += 1
        _bound(joined, first, count)
        yield first, joined
        joined, first, depth = "", 0, 0
    if joined:
        _bound(joined, first, count + 1)
        yield first, joined


def _bound(body: str, line: int, count: int) -> None:
    """Refuse what would take long or deep to parse."""
    if len(body) > MAX_LINE:
        raise _raised(line, 1, "a very long line", f"at most {MAX_LINE} characters")
    if count > MAX_STATEMENTS:
        raise _raised(line, 1, "too many lines", f"at most {MAX_STATEMENTS}")
    depth = 0
    for character in body:
        depth += (character in "([") - (character in ")]")
        if depth > MAX_DEPTH:
            raise _raised(line, 1, "brackets too deep", f"at most {MAX_DEPTH} deep")
    runs = re.findall(r"(?:[-+]\s*|not\s+){2,}|(?:\^|\*\*)", body)
    if max(map(len, runs), default=0) > MAX_DEPTH or len(runs) > 20 * MAX_DEPTH:
        raise _raised(line, 1, "signs or powers too deep", "fewer of them")


def _repeats(statements: Sequence[Statement]) -> list[Fault]:
    """Find what is said twice, and what is said of no state."""
    seen: dict[tuple[str, str], int] = {}
    faults = []
    for statement in statements:
        key = (statement.kind, statement.name)
        if key in seen:
            faults.append(
                _fault(
                    statement.line,
                    1,
                    f"`{left_of(statement)}` again (first on line {seen[key]})",
                    "said once",
                )
            )
        seen.setdefault(key, statement.line)
    names = {s.name for s in statements} | {
        n.name for s in statements for n in names_in(s.expression)
    }
    states = sum(s.kind == "derivative" for s in statements)
    if states > MAX_STATES:
        faults.append(_fault(1, 1, f"{states} states", f"at most {MAX_STATES}"))
    if len(names) > MAX_NAMES:
        faults.append(_fault(1, 1, f"{len(names)} names", f"at most {MAX_NAMES}"))
    return faults


def _check_target(
    statement: Statement,
    states: Sequence[str],
    known: Collection[str],
    doubtful: Collection[str],
) -> list[Fault]:
    """Find a name that is two things, or a property of something that is no state."""
    name, left = statement.name, left_of(statement)
    if statement.kind in ("assign", "derivative"):
        taken = "an input of the model" if name in known else ""
        if statement.kind == "assign" and name in states:
            taken = "a state"
        found = f"`{left} =`, though `{name}` is {taken}"
        write = left_of(Statement(statement.kind, f"{name}_i", Number(0.0)))
        allowed = f"a new name, such as `{write} = ...`"
        return [_fault(statement.line, 1, found, allowed)] if taken else []
    if name in states or name in doubtful:
        return []
    near = nearest(name, states)
    there = listed(states, like=name) or "there is none"
    allowed = f"of a state with a d/dt equation ({there})"
    found = f"`{left}`, but `{name}` is no state"
    return [_fault(statement.line, 0, found, allowed, near, name if near else "")]


def _unknown(name: Name, visible: Collection[str], later: Collection[str]) -> Fault:
    """Describe a name that nothing defines here."""
    found = f"`{name.name}`, an unknown name"
    if name.name in later:
        found = f"`{name.name}`, used before it is assigned"
        return _fault(name.line, name.column, found, "assigned on an earlier line")
    if name.name.startswith(ETA):
        bare = name.name.removeprefix(ETA)
        effects = [v.removeprefix(ETA) for v in sorted(visible) if v.startswith(ETA)]
        near = nearest(bare, effects)
        allowed = "a random effect that a row of `random` declares"
        allowed += f": {listed([ETA + e for e in effects], like=name.name)}"
        if not near:
            allowed += f"; such a row is `{{of: {bare}, variance: 0.09}}`"
        write = ETA + near if near else ""
        return _fault(name.line, name.column, found, allowed, write, name.name)
    for other in (f"dxdt_{name.name}", f"ddt_{name.name}"):
        if other in later:
            allowed = f"a state: `d/dt({name.name}) = ...` for `{other} = ...`"
            return _fault(name.line, name.column, found, allowed)
    known = [v for v in sorted(visible) if not v.startswith(ETA)]
    near = nearest(name.name, known)
    allowed = "a parameter, covariate, random effect, state or earlier assignment: "
    allowed += listed(known, MOST_NAMES, like=name.name)
    return _fault(name.line, name.column, found, allowed, near, name.name)


def write_statement(statement: Statement) -> str:
    """Write a statement as a line of text.

    Examples
    --------
    >>> write_statement(parse_model("d/dt(central)=-(CL / V)*central")[0])
    'd/dt(central) = -(CL/V)*central'
    """
    return f"{left_of(statement)} = {write_expression(statement.expression)}"


@functools.cache
def _functions() -> frozenset[str]:
    """Name the functions that a text may call by name."""
    words = {name for name in FUNCTIONS if name.isidentifier()}
    return frozenset(words - RESERVED - {"negative"})


@functools.cache
def _drawing() -> frozenset[str]:
    """Name the functions that a tick may call: those that draw, too."""
    return _functions() | frozenset(LAWS)


def _fault(
    line: int, column: int, found: str, allowed: str, write: str = "", old: str = ""
) -> Fault:
    return Wrong(line, column, found, allowed, write, old).fault()


def _raised(line: int, column: int, found: str, allowed: str) -> ModelError:
    return ModelError.of([_fault(line, column, found, allowed)])

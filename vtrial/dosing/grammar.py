"""The grammar of the dosing words: text to parts, or what stands in the way.

An LALR grammar: time and memory grow with the length of the text, which is bounded.
Equations in brackets are cut out first, each leaving a hole of its length, so that
columns stay, and are read by the equation language of `vtrial.model.grammar`.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from vtrial.errors import DosingError, Fault
from vtrial.sheets.synonyms import hint, meant
from vtrial.sheets.words import listed, nearest

MAX_LENGTH = 20_000
MOST_FAULTS = 20  # of the words of a text, that are told at once
HOLE = "~"
CLAUSES = (
    *("every", "count", "lasting", "over", "model_duration", "model_rate", "steady"),
    *("least", "most", "round_near", "round_up", "round_down", "into", "from_"),
    "after",
)


class Quantity(NamedTuple):
    """A number, name or bracketed equation, and the unit behind it (or none)."""

    value: str
    kind: str
    unit: str
    column: int
    unit_column: int

    @property
    def text(self) -> str:
        """Write it as it stood there."""
        return f"{self.value} {self.unit}".strip()


class AmountRow(NamedTuple):
    """A row of a table of amounts: below a bound, or when one of some codes.

    `within`: the bound itself belongs to the row.
    """

    amount: Quantity
    below: float | None
    when: tuple[float, ...]
    column: int
    within: bool = False


class AmountTable(NamedTuple):
    """Amounts by the value of a covariate."""

    by: str
    rows: tuple[AmountRow, ...]
    other: Quantity
    column: int
    name_column: int


class Ladder(NamedTuple):
    """Amounts that climb (or descend) from one to another."""

    word: str
    first: Quantity
    by: Quantity
    doses: float
    last: Quantity
    column: int


class Clause(NamedTuple):
    """What is said of doses: a keyword and what follows it."""

    kind: str
    value: object
    column: int


class Part(NamedTuple):
    """An amount and its clauses; `follows` says that `then` stands before it."""

    head: Quantity | AmountTable | Ladder
    clauses: tuple[Clause, ...]
    follows: bool
    column: int
    words: str


_GRAMMAR = r"""
regimen: part ((THEN | AND) part)*
part: _head clause*
_head: quantity | table | ladder
quantity: value WORD?
?value: NUMBER | WORD | EQUATION
table: BY WORD ":" row+ "else" quantity
row: quantity "below" NUMBER "," -> below
   | quantity AT_MOST NUMBER "," -> within
   | quantity "when" NUMBER ("or" NUMBER)* "," -> when
ladder: (ESCALATING | TAPERING) quantity "by" quantity \
        "every" NUMBER ("doses" | "dose") "to" quantity ","?
clause: EVERY quantity -> every
      | TIMES NUMBER -> count
      | FOR quantity -> lasting
      | OVER quantity -> over
      | OVER "model" "duration" -> model_duration
      | AT instant ("," instant)* -> at
      | AT "model" "rate" -> model_rate
      | AT "steady" "state" -> steady
      | AT "least" quantity -> least
      | UP "to" quantity -> most
      | ROUNDED "to" quantity -> round_near
      | ROUNDED "up" "to" quantity -> round_up
      | ROUNDED "down" "to" quantity -> round_down
      | INTO WORD -> into
      | FROM instant -> from_
      | AFTER quantity -> after
instant: quantity | DAY NUMBER -> day
THEN: "then"
AND: "and"
BY: "by"
EVERY: "every"
FOR: "for"
OVER: "over"
AT: "at"
UP: "up"
ROUNDED: "rounded"
INTO: "into"
FROM: "from"
AFTER: "after"
DAY: "day"
ESCALATING: "escalating"
TAPERING: "tapering"
AT_MOST: "<=" | "≤"
TIMES.5: /[x×](?=\s*[-+.\d])/
EQUATION: /\(~*\)/
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
WORD: /(?!(KEYWORDS)(?![^\s,:;()]))[A-Za-z_µμ%\[{][^\s,:;()]*/
%ignore /\s+/
"""
KEYWORDS = (
    *("every", "over", "at", "into", "from", "after", "then", "and", "for", "up"),
    *("rounded", "escalating", "tapering", "by", "below", "when", "else"),
)
_SPOKEN = {
    "WORD": "a unit or name",
    "NUMBER": "a number",
    "EQUATION": "an equation in brackets",
    "TIMES": "`x`",
    "AT_MOST": "`<=`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "$END": "the end",
}


class _Build(Transformer):
    """Build the parts while lark parses."""

    def quantity(self, parts):
        value, unit = parts[0], parts[1] if len(parts) > 1 else None
        return Quantity(
            str(value),
            value.type,
            str(unit) if unit is not None else "",
            value.column,
            unit.column if unit is not None else value.column,
        )

    def below(self, parts):
        return AmountRow(parts[0], float(parts[1]), (), parts[1].column)

    def within(self, parts):
        amount, _, bound = parts
        return AmountRow(amount, float(bound), (), bound.column, within=True)

    def when(self, parts):
        codes = tuple(float(code) for code in parts[1:])
        return AmountRow(parts[0], None, codes, parts[1].column)

    def table(self, parts):
        by, name, *rows, other = parts
        return AmountTable(str(name), tuple(rows), other, by.column, name.column)

    def ladder(self, parts):
        word, first, by, doses, last = parts
        return Ladder(str(word), first, by, float(doses), last, word.column)

    def instant(self, parts):
        return parts[0]

    def day(self, parts):
        word, number = parts
        return Quantity(str(number), "NUMBER", "day", word.column, word.column)

    def part(self, parts):
        head, *clauses = parts
        return head, tuple(clauses)

    def regimen(self, parts):
        return parts

    def at(self, parts):
        return Clause("at", tuple(parts[1:]), parts[0].column)


def _clause(kind: str) -> Callable[[_Build, list], Clause]:
    def build(self: _Build, parts: list) -> Clause:
        keyword, *values = parts
        value = values[0] if values else None
        value = str(value) if isinstance(value, Token) else value
        return Clause(kind, value, keyword.column)

    return build


for _kind in CLAUSES:
    setattr(_Build, _kind, _clause(_kind))


class Lenient(NamedTuple):
    """What could be read of a text: its parts, its faults, and where words moved.

    Columns of parts are those of the text with its remedies in place; `moves` holds
    where, and by how many letters, they moved what stands behind.
    """

    parts: list[Part]
    faults: list[Fault]
    moves: tuple[tuple[int, int], ...] = ()

    def column(self, column: int) -> int:
        """Return the column of the text as it was written."""
        for at, by in reversed(self.moves):
            column -= by if column > at else 0
        return column


def parse_parts(text: str, *, at: str = "dose") -> list[Part]:
    """Parse a text of dosing words.

    Raises
    ------
    DosingError
        If the text is too long or no dosing words, with every fault and its column.
    """
    read = parse_leniently(text, at=at)
    if read.faults:
        raise DosingError.of(read.faults)
    return read.parts


def parse_leniently(text: str, *, at: str = "dose") -> Lenient:
    """Parse what can be parsed; what has a remedy is read as if it stood there.

    A word that nothing is known of is passed over once, if the rest can be read then.
    """
    faults: list[Fault] = []
    moves: list[tuple[int, int]] = []
    while True:
        parts = _parsed(text, at)
        if not isinstance(parts, Fault):
            return Lenient(parts, faults, tuple(moves))
        fault, lenient = parts, Lenient([], [], tuple(moves))
        there = lenient.column(fault.column)
        faults.append(fault._replace(column=there))
        place = fault.column - 1
        if not fault.old or len(faults) > MOST_FAULTS:
            return Lenient([], faults)
        words = fault.write or " " * len(fault.old)
        text = text[:place] + words + text[place + len(fault.old) :]
        moves.append((place + 1, len(words) - len(fault.old)))
        if not fault.write and isinstance(_parsed(text, at), Fault):
            return Lenient([], faults)


def _parsed(text: str, at: str) -> list[Part] | Fault:
    """Parse a text into parts, or into what is wrong first."""
    if len(text) > MAX_LENGTH:
        found = f"{len(text)} characters long"
        return Fault(at, found, f"at most {MAX_LENGTH} characters", "")
    try:
        cut, equations = _cut(text, at)
    except DosingError as error:
        return error.faults[0]
    try:
        pieces: Any = _parser().parse(cut)
    except UnexpectedInput as error:
        return _spoken(error, text, cut, at)
    starts = [head.column for head, _ in pieces[::2]]
    ends = [joiner.column - 1 for joiner in pieces[1::2]] + [len(text)]
    follows = [False, *(joiner == "then" for joiner in pieces[1::2])]
    return [
        Part(
            _filled(head, equations),
            tuple(_filled(clause, equations) for clause in clauses),
            after,
            start,
            " ".join(text[start - 1 : end].split()),
        )
        for (head, clauses), after, start, end in zip(
            pieces[::2], follows, starts, ends, strict=True
        )
    ]


def _cut(text: str, at: str) -> tuple[str, dict[int, str]]:
    """Cut out what stands in outer brackets; remember it by its column."""
    cut, equations = list(text), {}
    depth, begun = 0, 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
            begun = index if depth == 1 else begun
        elif character == ")" and depth:
            depth -= 1
            if depth == 0:
                equations[begun + 1] = text[begun + 1 : index]
        elif character == HOLE:
            raise DosingError(at, f"`{HOLE}`", "left out", "", column=index + 1)
        if depth and (depth > 1 or index != begun):
            cut[index] = HOLE
    if depth:
        found = "`(` without its `)`"
        allowed = "an equation in brackets, such as `(0.5*WT + 20) mg`"
        raise DosingError(at, found, allowed, "", column=begun + 1)
    return "".join(" " if c in "\n\r\f\v" else c for c in cut), equations


def _filled(node: Any, equations: dict[int, str]) -> Any:
    """Put the equations back into their holes."""
    if isinstance(node, Quantity):
        if node.kind == "EQUATION":
            return node._replace(value=f"({equations[node.column]})")
        return node
    if isinstance(node, tuple):
        values = [_filled(value, equations) for value in node]
        return type(node)(*values) if hasattr(node, "_fields") else tuple(values)
    return node


@functools.cache
def _parser() -> Lark:
    return Lark(
        _GRAMMAR.replace("KEYWORDS", "|".join(KEYWORDS)),
        start="regimen",
        parser="lalr",
        lexer="contextual",
        transformer=_Build(),
        maybe_placeholders=False,
    )


def _spoken(error: UnexpectedInput, text: str, cut: str, at: str) -> Fault:
    """Translate a parse error: what was found, and what was expected or is meant."""
    column, old = len(text.rstrip()) + 1, ""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        column, old = error.token.column or 1, str(error.token)
    elif isinstance(error, UnexpectedCharacters):
        column, old = error.column, text[error.column - 1 :].split(maxsplit=1)[0]
        old = re.split(r"(?<=[*+;&])", old)[0]
    found = f"`{old[:40]}`" if old else "the end"
    allowed, write = _meant(text, column, old)
    if not allowed:
        words, keywords = _expected(cut[: column - 1])
        allowed = listed(words, like=old)
        write = write or nearest(old, keywords)
    return Fault(at, found, allowed, write, column=column, old=old)


def _meant(text: str, column: int, old: str) -> tuple[str, str]:
    """Return what another program's word means here, told and to be written."""
    number = re.search(r"[\d.]*\d$", text[: column - 1])
    decimals = re.match(r",(\d+)", text[column - 1 :])
    if number and decimals:
        left, right = number[0], decimals[1]
        both = len(right) == 3
        thousands = f"{left}{right} if the comma parts thousands, " if both else ""
        return f"{thousands}{left}.{right} with a point before its decimals", ""
    every = re.fullmatch(r"[qQ](\d+)\s*([hHdDwW])", old)
    if every:
        unit = {"h": "h", "d": "d", "w": "wk"}[every[2].lower()]
        write = f"every {every[1]} {unit}"
    else:
        write = meant("dose", old)
    if write:
        return f"`{write}`", write
    return hint("dose", old), ""


def _expected(before: str) -> tuple[list[str], list[str]]:
    """Return what may stand behind a text, and the keywords among it."""
    state = _parser().parse_interactive(before)
    state.exhaust_lexer()
    expected = sorted(
        state.accepts(), key=lambda name: (name == "$END", not name.isalpha(), name)
    )
    spelt = {t.name: str(t.pattern.value) for t in _parser().terminals}
    words = [_SPOKEN.get(name, f"`{spelt.get(name, name)}`") for name in expected]
    return words, [spelt[name] for name in expected if spelt.get(name, "").isalpha()]

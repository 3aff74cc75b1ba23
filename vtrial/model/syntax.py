"""What stands where no equation can go on: in words, with what is meant by it.

Other programs' signs and spellings are told by what they mean; a remedy is the sign of
the language that says the same.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from vtrial.errors import Fault
from vtrial.model.chance import EVENT_WORDS, LAWS
from vtrial.model.tree import FUNCTIONS, Call, Expression, Name, Statement
from vtrial.sheets.choice import choice
from vtrial.sheets.synonyms import hint
from vtrial.sheets.words import listed

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_SPOKEN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "ETA": "a random effect",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "COMMA": "`,`",
    "OPEN": "a table `[`",
    "LSQB": "`[`, and the name that chooses,",
    "RSQB": "`]`",
    "EQUAL": "`=`",
    "SIGN": "`+` or `-`",
    "SCALE": "`*` or `/`",
    "_POWER": "`^`",
    "COMPARE": "a comparison",
    "AND": "`and`",
    "OR": "`or`",
    "NOT": "`not`",
    "IF": "`if(`",
    "$END": "the end of the line",
}
_FOREIGN = re.compile(
    r"&&?|\|\|?|<-|:=|=+|!|%%?|<>|;|\?|'|\[|×|·|−|\.(?:EQ|NE|GT|GE|LT|LE)\."
    r"|\.(?:AND|OR|NOT)\.|(?:AND|OR|NOT|THEN|ELSE|then|else)\b",
    re.ASCII,
)
_OURS = {
    **{"&&": "and", "&": "and", "||": "or", "|": "or", "<>": "!=", "×": "*", "·": "*"},
    **{"−": "-", ".EQ.": "==", ".NE.": "!=", ".GT.": ">", ".GE.": ">=", ".LT.": "<"},
    **{".LE.": "<=", ".AND.": " and ", ".OR.": " or ", ".NOT.": " not ", "!": "not "},
    **{"AND": "and", "OR": "or", "NOT": "not", "<-": "=", ":=": "=", "===": "=="},
}
_LEFT = (  # left-hand sides of other programs, and what they say here
    (r"(?:dxdt|ddt)_(\w+)", "d/dt({})"),
    (r"(\w+)'", "d/dt({})"),
    (r"D/DT\s*\(\s*(\w+)\s*\)", "d/dt({})"),
    (r"d\s*\(\s*(\w+)\s*\)\s*/\s*dt", "d/dt({})"),
    (r"d([A-Za-z]\w*)/dt", "d/dt({})"),
    (r"der\(\s*(\w+)\s*\)", "d/dt({})"),
    (r"d/dt\s+(\w+)", "d/dt({})"),
    (r"([A-Za-z]\w*)\(\s*0\s*\)", "init({})"),
    (r"f\(\s*(\w+)\s*\)", "F({})"),
    (r"(?:alag|ALAG|tlag|Tlag|lagt|LAG)\(\s*(\w+)\s*\)", "lag({})"),
    (r"(?:dur|DUR)\(\s*(\w+)\s*\)", "duration({})"),
    (r"(?:double|float|local|param)\s+(\w+)", "{}"),
)
_TOKEN = re.compile(r"\w+|[<>=!]=|\*\*|\S")
MOST_FAULTS = 10  # of one text
_NUMBERED = re.compile(r"(?:DADT|A_0|F|ALAG|R|D|S)\(?(\d+)\)?")


class Wrong(NamedTuple):
    """What is wrong in a text: from where, which words, what may stand there."""

    line: int
    column: int
    found: str
    allowed: str
    write: str = ""
    old: str = ""

    def fault(self, at: str = "equations") -> Fault:
        """Return it as a fault of a block of equations."""
        return Fault(
            at,
            self.found,
            self.allowed,
            self.write,
            line=self.line,
            column=self.column,
            old=self.old,
        )


def spoken(error: UnexpectedInput, text: str, line: int) -> Wrong:
    """Translate a parse error: where it is, what was found, what was expected."""
    row, column = max(error.line, line), max(error.column, 1)
    expected: Iterable[str] = ()
    found = "the end"
    if isinstance(error, UnexpectedToken):
        expected = error.expected
        if error.token.type != "$END":
            found = f"`{error.token}`"
    elif isinstance(error, UnexpectedCharacters):
        found, expected = f"`{error.char}`", error.allowed or ()
    rows = text.split("\n")
    if found == "the end":
        rows = text.rstrip().split("\n")
        row, column = len(rows), len(rows[-1]) + 1
    left = _left(rows[line - 1], line)
    if left is not None:
        return left
    before, behind = rows[row - 1][: column - 1], rows[row - 1][column - 1 :]
    foreign = _foreign(before, behind, row, column)
    if foreign is not None:
        return foreign
    if found.strip("`") in COMPARISONS and re.search(r"[<>]|[=!]=", before):
        joined = "two comparisons joined by `and`, such as `a < b and b < c`"
        return Wrong(row, column, f"{found}, a second comparison in a row", joined)
    words = sorted({_SPOKEN.get(token, "") for token in expected} - {""})
    allowed = listed(words) or "an expression"
    if re.search(r"\d\s*$", before) and re.match(r"[A-Za-z]", behind):
        allowed += "; numbers have no units in equations"
    return Wrong(row, column, found, allowed)


def _left(row: str, line: int) -> Wrong | None:
    """Find another program's left-hand side, which no equation begins with here."""
    left, sign, _ = row.partition("=")
    words = left.rstrip(":< -").strip()
    if not sign or not words:
        return None
    column = left.index(words) + 1
    for pattern, ours in _LEFT:
        found = re.fullmatch(pattern, words)
        if found:
            write = ours.format(found[1])
            return Wrong(line, column, f"`{words}`", f"`{write}`", write, words)
    numbered = _NUMBERED.fullmatch(words)
    if numbered:
        allowed = "a state by its name: `d/dt(depot)`, `init(depot)`, `F(depot)`, "
        return Wrong(line, column, f"`{words}`", allowed + "`lag(depot)`")
    return None


def _foreign(before: str, behind: str, row: int, column: int) -> Wrong | None:
    """Find another program's sign where the language has one of its own."""
    comma = re.match(r",(\d+)", behind)
    if comma and re.search(r"(?<![\w.])\d+$", before):
        allowed = "a point before decimals; commas part what stands in brackets"
        write = "" if len(comma[1]) == 3 else "."
        return Wrong(row, column, "`,`", allowed, write, ",")
    if behind.startswith("=") and before.endswith(("=", "<", ">", "!")):
        sign = re.search(r"[=<>!]+$", before)
        more = behind[: len(behind) - len(behind.lstrip("="))]
        old = (sign[0] if sign else "") + more
        column -= len(old) - 1
        return Wrong(row, column, f"`{old}`", "`==` or another comparison", "", old)
    sign = _FOREIGN.match(behind)
    if sign is None:
        return None
    old = sign[0]
    if old == "=" and "=" in before.replace("==", ""):
        old_write = "=="
        return Wrong(row, column, "`=`", "`==` to compare", old_write, old)
    write, near = _OURS.get(old, ""), hint("operator", old)
    if not write and not near:
        return None
    return Wrong(row, column, f"`{old}`", near or f"`{write.strip()}`", write, old)


def depth_of(tree: Expression) -> int:
    """Measure how deep a tree goes, without recursion."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        if isinstance(node, Call):
            stack.extend((argument, depth + 1) for argument in node.arguments)
    return deepest


def wrong_calls(
    tree: Expression,
    functions: Collection[str],
    most: int,
    more: Mapping[str, tuple[int, int]],
) -> list[Wrong]:
    """Find functions that there are not, and wrong numbers of arguments."""
    known, found = sorted({*functions, *more}), []
    stack = [tree]
    while stack:
        node = stack.pop()
        if not isinstance(node, Call):
            continue
        stack.extend(reversed(node.arguments))
        if not node.function[:1].isalpha() or node.function in ("and", "or", "not"):
            continue
        if node.function not in (*known, "if", "negative"):
            found.append(_unknown(node, [*known, "if"]))
        elif node.function in more:
            found += _counted(node, *more[node.function])
        elif node.function in LAWS:
            found += _draw(node)
        elif node.function in known:
            function = FUNCTIONS[node.function]
            limit = most if function.most < 0 else function.most
            found += _counted(node, function.least, limit)
    return sorted(found)


def _draw(node: Call) -> list[Wrong]:
    """Find a draw without a name, or with too few or too many arguments."""
    law, count = LAWS[node.function], len(node.arguments)
    such = f"`{node.function}({', '.join(('name', *law.arguments))})`"
    if node.arguments and not isinstance(node.arguments[0], Name):
        found = f"`{node.function}` without a name"
        allowed = f"given one first, by which it is keyed, as {such}"
        return [Wrong(node.line, node.column, found, allowed)]
    if count == 1 + len(law.arguments):
        return []
    found = f"`{node.function}` with {count} arguments"
    return [Wrong(node.line, node.column, found, f"given as {such}")]


def _unknown(node: Call, known: Collection[str]) -> Wrong:
    """Describe a function that the language does not have."""
    if node.function in LAWS:
        found = f"`{node.function}(`, a draw"
        allowed = "in the block of a tick, `every 1 d: |`; elsewhere read what it made"
        return Wrong(node.line, node.column, found, allowed)
    if node.function == "lag" and len(node.arguments) == 2:
        found = "`lag(`, a state's past"
        allowed = (
            "in the equations of a model, which alone look back: `past = lag(x, TAU)` "
            "is a variable, and can be an output"
        )
        return Wrong(node.line, node.column, found, allowed)
    if node.function in EVENT_WORDS:
        found = f"`{node.function}(`, not of an event"
        allowed = f"of one by its name, as `{node.function}(failure)`"
        return Wrong(node.line, node.column, found, allowed)
    allowed, write = choice(node.function, known, place="function", page="model.md")
    found = f"`{node.function}(`, an unknown function"
    return Wrong(node.line, node.column, found, allowed, write, node.function)


def _counted(node: Call, least: int, most: int) -> list[Wrong]:
    """Find a function with too few or too many arguments."""
    count = len(node.arguments)
    if least <= count <= most:
        return []
    wanted = f"{least}" + (f" to {most}" if most > least else "")
    such = f"`{node.function}({', '.join('abc'[:least])})`"
    found = f"`{node.function}` with {count} arguments"
    return [Wrong(node.line, node.column, found, f"given {wanted}, as {such}")]


def every_fault(body: str, parse: Callable[[str], object]) -> list[Wrong]:
    """Return every fault of a text that is no statement.

    `parse` returns what is wrong first in a text, if anything is. What has a remedy is
    mended, so that what stands behind it is told as well, at its own place. What has
    none is passed over in the ways there are; only what is wrong after each of them is
    told, for it is no matter of how the first fault is mended.
    """
    told: list[Wrong] = []
    shifts: list[tuple[int, int, int]] = []
    wrong = parse(body)
    while isinstance(wrong, Wrong) and len(told) < MOST_FAULTS:
        row, column = wrong[:2]
        moved = sum(by for line, at, by in shifts if line == row and at < column)
        told.append(wrong._replace(column=wrong.column - moved))
        later = []
        for old, write in _mends(body, wrong):
            other = _mended(body, wrong, old, write)
            found = parse(other) if other.strip() else wrong
            by = len(write) - len(old)
            if not isinstance(found, Wrong):
                return told
            if found[:2] > (wrong.line, wrong.column + max(by, 0)):
                later.append((found, other, (wrong.line, wrong.column, by)))
        if not later:
            break
        wrong, body, shift = max(later, key=lambda one: one[0][:2])
        shifts.append(shift)
    return told


def _mends(body: str, wrong: Wrong) -> list[tuple[str, str]]:
    """Return what may be put in the place of what, so that reading goes on behind it.

    Where no remedy is known: a bracket, a value or a sign before it, a sign or nothing
    instead.
    """
    if wrong.write and wrong.old:
        return [(wrong.old, wrong.write)]
    if wrong.found == "the end":
        return []
    row = body.split("\n")[wrong.line - 1][wrong.column - 1 :]
    token = _TOKEN.match(row)
    instead = [(token[0], "*"), (token[0], "")] if token else []
    return [("", ") "), ("", "1 "), ("", "* "), *instead]


def _mended(body: str, wrong: Wrong, old: str, write: str) -> str:
    """Put other words in the place of a fault; empty where these do not stand there."""
    rows = body.split("\n")
    row, place = rows[wrong.line - 1], wrong.column - 1
    if not row.startswith(old, place):
        return ""
    rows[wrong.line - 1] = row[:place] + write + row[place + len(old) :]
    return "\n".join(rows)


def left_of(statement: Statement) -> str:
    """Write the left-hand side of a statement."""
    words = {"derivative": "d/dt", "initial": "init"}
    if statement.kind == "assign":
        return statement.name
    return f"{words.get(statement.kind, statement.kind)}({statement.name})"

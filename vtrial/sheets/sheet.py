"""YAML sheets with the line of everything in them.

A sheet is text. It is read with ruamel.yaml's round-trip loader, which keeps lines
and columns and executes nothing; aliases, deep nesting and large files are refused
before anything is composed.
"""

import copy
import functools
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    ScalarEvent,
)
from ruamel.yaml.parser import RoundTripParser
from ruamel.yaml.reader import ReaderError

from vtrial.errors import Fault, SheetError
from vtrial.sheets.spot import offset_of, spot, word_in

Path_ = tuple[str | int, ...]
Lines = dict[Path_, tuple[int, int]]

# What ruamel raises; the third where a comment stands between a key and its text.
_UNREADABLE = (YAMLError, ValueError, NotImplementedError, RecursionError)
MAX_BYTES = 1_000_000
MAX_DEPTH = 30
MAX_DIGITS = 300
MAX_SAID = 300  # characters of what stands there, in a message
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_DIGITS = re.compile(r"[-+]?[0-9][0-9A-Za-z_.]*")
_NUMBER = re.compile(r"[-+]?\d[\d_]*(\.[\d_]*)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Sheet:
    """A sheet as read: its text, its plain data, and where each entry stands.

    `values` says where the values of entries begin, which stand behind their keys.
    """

    source: str
    text: str
    data: dict[str, object]
    lines: Mapping[Path_, tuple[int, int]]
    values: Mapping[Path_, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path_) -> tuple[int, int]:
        """Return the line and column of an entry, or of the nearest one around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return (1, 1)

    def value(self, path: Path_) -> object:
        """Return what stands at an entry; None if nothing does."""
        node: object = self.data
        for part in path:
            if isinstance(node, dict):
                node = node.get(str(part))
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node

    def spot(self, path: Path_, offset: int) -> tuple[int, int] | None:
        """Return line and column of a letter of the text that stands at an entry."""
        value = self.value(path)
        if not isinstance(value, str) or path not in self.values:
            return None
        return spot(self.text, self.values[path], value, offset)

    def find(self, path: Path_, words: str) -> tuple[Path_, tuple[int, int] | None]:
        """Find words in the text at an entry, or in one of the texts of its list."""
        value = self.value(path)
        inner = enumerate(value) if isinstance(value, list) else ()
        for where, text in ((path, value), *(((*path, i), one) for i, one in inner)):
            offset = word_in(text, words) if isinstance(text, str) else None
            if offset is not None:
                return where, self.spot(where, offset)
        return path, None

    def fault(
        self,
        path: Path_,
        *,
        found: str,
        allowed: str,
        write: str,
        line: int = 0,
        column: int = 0,
        old: str = "",
    ) -> Fault:
        """Describe a fault at an entry, or at words of the text that stands there.

        `line` and `column` count from 1 within that text. Without them, the words
        `old` are looked for in it, or are the key itself. What is written in the place
        of all of a text is written in the place of the entry's value.
        """
        at = ".".join(str(part) for part in path) or "the sheet"
        found = found if len(found) <= MAX_SAID else f"{found[:MAX_SAID]}..."
        value, there = self.value(path), self.place(path)
        if line or column:
            offset = offset_of(str(value), line or 1, column or 1)
            there = self.spot(path, offset) or there
        elif old and (not path or old != path[-1]):
            path, spotted = self.find(path, old)
            there = spotted or there
            write = write if spotted else ""
        if old and old == self.value(path):
            old, there = "", self.place(path)
        return Fault(at, found, allowed, write, self.source, *there, path, old)

    def inside(self, path: Path_, fault: Fault) -> Fault:
        """Take over a fault of the text that stands at an entry, with its place."""
        return self.fault(
            path,
            found=fault.found,
            allowed=fault.allowed,
            write=fault.write,
            line=fault.line,
            column=fault.column,
            old=fault.old,
        )


def read_sheet(path: str | Path) -> Sheet:
    """Read a sheet from a file.

    Raises
    ------
    SheetError
        If the file is missing, too large, not UTF-8, or not a YAML mapping.
    """
    path = Path(path)
    try:
        text = _bounded(path).decode("utf-8")
    except (OSError, ValueError) as error:
        raise SheetError(
            at=str(path),
            found=_unreadable(error),
            allowed=f"a YAML sheet of UTF-8 text, at most {MAX_BYTES} bytes long",
            write="",
        ) from error
    return parse_sheet(text, source=str(path))


def parse_sheet(text: str, *, source: str = "sheet") -> Sheet:
    """Read a sheet from text.

    Raises
    ------
    SheetError
        If the text is too large or too deep, has aliases, tags or duplicate keys, or
        is not a YAML mapping.
    """
    found = _composed(text)
    if found is None:
        _refuse(text, source)
    plain, lines, values = found
    return Sheet(source, text, copy.deepcopy(plain), dict(lines), dict(values))


class _Refusing(RoundTripParser):
    """The loader's parser, which stops at what a sheet cannot hold."""

    depth = 0

    def get_event(self) -> Event:
        """Take the next event."""
        event = super().get_event()
        self.depth += isinstance(event, CollectionStartEvent)
        self.depth -= isinstance(event, CollectionEndEvent)
        if self.depth > MAX_DEPTH or _refused(event) is not None:
            raise YAMLError("refused")
        return event


@functools.lru_cache(maxsize=32)
def _composed(text: str) -> tuple[dict[str, object], Lines, Lines] | None:
    """Return a sheet's plain data and where keys and values stand; None if it is none.

    A sheet is asked for several times on its way, but read only once in a process.
    """
    if _size(text) > MAX_BYTES:
        return None
    loader = YAML(typ="rt")
    loader.Parser = _Refusing
    try:
        data = loader.load(text)
    except _UNREADABLE:
        return None
    if not isinstance(data, CommentedMap):
        return None
    lines: Lines = {}
    values: Lines = {}
    plain = _plain(data, (), lines, values)
    assert isinstance(plain, dict)
    return plain, lines, values


def _refuse(text: str, source: str) -> NoReturn:
    """Raise for a text that is not a sheet, for what comes first in it."""
    _refuse_hostile(text, source)
    try:
        data = YAML(typ="rt").load(text)
    except _UNREADABLE as error:
        raise _yaml_error(error, source, text) from error
    raise SheetError(
        at="the sheet",
        found="empty" if data is None else f"a {type(data).__name__}",
        allowed="a mapping of keys to values, such as `protocol: my-trial`",
        write="",
        source=source,
        line=1,
    )


def _size(text: str) -> int:
    """Count the bytes of a text."""
    return len(text.encode("utf-8", "replace"))


def _bounded(path: Path) -> bytes:
    """Read a file, of which nothing is read if it is too large to be a sheet."""
    try:
        about = path.stat()
    except ValueError as error:
        raise ValueError("no path that a file can have") from error
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("a folder or a device, not a file")
    if about.st_size > MAX_BYTES:
        raise ValueError(f"{about.st_size} bytes long")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _unreadable(error: OSError | ValueError) -> str:
    """Return why a file is not a sheet."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    if isinstance(error, OSError):
        return f"not readable ({error.strerror})"
    return str(error)


def _refuse_hostile(text: str, source: str) -> None:
    """Refuse what would take long to load, before anything is composed."""
    size = _size(text)
    if size > MAX_BYTES:
        raise SheetError(
            at="the sheet",
            found=f"{size} bytes long",
            allowed=f"at most {MAX_BYTES} bytes; a large table stands in a CSV file "
            "beside the sheet",
            write="",
            source=source,
            line=1,
        )
    depth = 0
    try:
        for event in YAML(typ="rt").parse(text):
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                words = "nested too deep", f"at most {MAX_DEPTH} levels", ""
            else:
                words = _refused(event)
            if words is not None:
                line, column = event.start_mark.line + 1, event.start_mark.column + 1
                raise SheetError(
                    "the sheet", *words, source=source, line=line, column=column
                )
    except SheetError:
        raise
    except _UNREADABLE as error:
        raise _yaml_error(error, source, text) from error


def _refused(event: Event) -> tuple[str, str, str] | None:
    """Return the fault of YAML that a sheet does not allow: found, allowed, remedy."""
    if isinstance(event, AliasEvent):
        return f"an alias (*{event.anchor})", "the value itself, written out", ""
    if getattr(event, "tag", None) or getattr(event, "version", None):
        return "a tag or directive of YAML", "plain values only, without it", ""
    if not isinstance(event, ScalarEvent):
        return None
    # Where a folded text is folded, ruamel.yaml keeps a bell until it is loaded.
    text = event.value.replace("\a", "") if event.style == ">" else event.value
    if _CONTROL.search(text):
        return "with a control character", "text that can be printed", ""
    if event.style is not None:
        return None
    if event.value == "<<":
        return "with a merge key (<<)", "the keys themselves, written out", ""
    if len(event.value) > MAX_DIGITS and _DIGITS.fullmatch(event.value):
        return f"with a number of {len(event.value)} digits", "a shorter number", ""
    if _NUMBER.fullmatch(event.value) and math.isinf(float(event.value)):
        found = f"with `{event.value[:40]}`, too large for a number"
        return found, "numbers below 1e308 in size", ""
    return None


def _yaml_error(error: Exception, source: str, text: str) -> SheetError:
    """Translate a YAML error into ours."""
    problem, line, column = "not YAML", 0, 0
    if isinstance(error, NotImplementedError):
        found = re.search(r"CommentToken\('(#.*?)\\n', line: (\d+)", str(error))
        comment, number = (found[1], int(found[2])) if found else ("#", -1)
        problem, line = (
            f"unreadable: `{comment}` parts a key from its value",
            number + 1,
        )
    elif isinstance(error, ReaderError):
        problem = "with a character that YAML does not allow"
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    elif isinstance(error, MarkedYAMLError):
        problem = (error.problem or "unreadable").splitlines()[0]
        problem = f"not YAML ({problem[:MAX_SAID]})"
        if error.problem_mark is not None:
            line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    elif isinstance(error, ValueError):
        problem, line, column = _no_value(text)
    return SheetError(
        at="the sheet",
        found=problem,
        allowed="one YAML mapping, each key once, as in `key: value`",
        write="",
        source=source,
        line=line or 1,
        column=column,
    )


def _no_value(text: str) -> tuple[str, int, int]:
    """Find the entry that looks like a date or a number and is none."""
    for event in YAML(typ="rt").parse(text):
        if isinstance(event, ScalarEvent) and event.style is None:
            try:
                YAML(typ="rt").load(event.value)
            except _UNREADABLE:
                mark = event.start_mark
                return f"with `{event.value[:40]}`", mark.line + 1, mark.column + 1
    return "not YAML", 0, 0


def _plain(node: object, path: Path_, lines: Lines, values: Lines) -> object:
    """Turn ruamel's nodes into plain data and note where each entry stands."""
    if isinstance(node, CommentedMap):
        for key in node:
            for place, (line, column) in (
                (lines, node.lc.key(key)),
                (values, node.lc.value(key)),
            ):
                place[(*path, _text(key))] = (line + 1, column + 1)
        return {
            _text(k): _plain(v, (*path, _text(k)), lines, values)
            for k, v in node.items()
        }
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            line, column = node.lc.item(index)
            lines[(*path, index)] = values[(*path, index)] = (line + 1, column + 1)
        return [_plain(v, (*path, i), lines, values) for i, v in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float):
        if isinstance(node, kind):
            return kind(node)
    return _text(node)


def _text(node: object) -> str:
    """Write half characters, which escapes can spell and no file can hold, as `?`."""
    return str(node).encode("utf-8", "replace").decode("utf-8")

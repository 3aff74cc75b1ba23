"""YAML sheets with the line of everything in them, and faults told all at once.

A sheet is text. It is read with ruamel.yaml's round-trip loader, which keeps lines
and columns and executes nothing; aliases, deep nesting and large files are refused
before anything is composed.
"""

import difflib
import functools
import itertools
import math
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
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
from ruamel.yaml.reader import ReaderError

from vtrial.errors import Fault, SheetError, VtrialError

Path_ = tuple[str | int, ...]
Shape = TypeVar("Shape", bound=BaseModel)

# What ruamel raises; the third where a comment stands between a key and its text.
_UNREADABLE = (YAMLError, ValueError, NotImplementedError, RecursionError)
MAX_BYTES = 1_000_000
MAX_DEPTH = 30
MAX_DIGITS = 300
MAX_SAID = 300  # characters of what stands there, in a message
EXAMPLES = 2  # keys that an example shows where none must be given
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_DIGITS = re.compile(r"[-+]?[0-9][0-9A-Za-z_.]*")
_NUMBER = re.compile(r"[-+]?\d[\d_]*(\.[\d_]*)?([eE][-+]?\d+)?")
_ENDINGS = (".yaml", ".yml")
_KINDS = {"protocol": "protocols", "model": "models", "cohort": "cohorts"}
_HEAD = re.compile(r"""^["']?(protocol|model|cohort)["']?\s*:\s*["']?([\w.-]*)""", re.M)


@dataclass(frozen=True)
class Sheet:
    """A sheet as read: its text, its plain data, and where each entry stands."""

    source: str
    text: str
    data: dict[str, object]
    lines: Mapping[Path_, tuple[int, int]]

    def place(self, path: Path_) -> tuple[int, int]:
        """Return the line and column of an entry, or of the nearest one around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return (1, 1)

    def fault(
        self, path: Path_, *, found: str, allowed: str, write: str, line: int = 0
    ) -> Fault:
        """Describe a fault at an entry; `line` counts lines into a block of text."""
        row, column = self.place(path)
        at = ".".join(str(part) for part in path) or "the sheet"
        found = found if len(found) <= MAX_SAID else f"{found[:MAX_SAID]}..."
        if line:
            row, column = row + line, 0
        return Fault(at, found, allowed, write, self.source, row, column)


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


def is_file(path: Path) -> bool:
    """Say whether a path is a file; one that no file can have is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parse_sheet(text: str, *, source: str = "sheet") -> Sheet:
    """Read a sheet from text.

    Raises
    ------
    SheetError
        If the text is too large or too deep, has aliases, tags or duplicate keys, or
        is not a YAML mapping.
    """
    _refuse_hostile(text, source)
    loader = YAML(typ="rt")
    try:
        data = loader.load(text)
    except _UNREADABLE as error:
        raise _yaml_error(error, source, text) from error
    if not isinstance(data, CommentedMap):
        kind = "empty" if data is None else f"a {type(data).__name__}"
        raise SheetError(
            at="the sheet",
            found=kind,
            allowed="a mapping of keys to values",
            write="protocol: my-trial",
            source=source,
            line=1,
        )
    lines: dict[Path_, tuple[int, int]] = {}
    plain = _plain(data, (), lines)
    assert isinstance(plain, dict)
    return Sheet(source, text, plain, lines)


def check_shape(sheet: Sheet, shape: type[Shape]) -> tuple[Shape | None, list[Fault]]:
    """Hold a sheet against a pydantic shape; return the object or all its faults."""
    try:
        return shape.model_validate(sheet.data), []
    except ValidationError as error:
        return None, [_shape_fault(sheet, shape, entry) for entry in error.errors()]


def kind_of(sheet: Sheet) -> str:
    """Say whether a sheet is a protocol, a model or a cohort; empty if it is none."""
    return next((kind for kind in _KINDS if kind in sheet.data), "")


def refuse_other(sheet: Sheet, kind: str) -> None:
    """Refuse a sheet that is of another kind than the one asked for.

    Raises
    ------
    SheetError
        If it is.
    """
    other = kind_of(sheet)
    if other not in ("", kind):
        line, column = sheet.place((other,))
        raise SheetError(
            at="the sheet",
            found=f"a {other}",
            allowed=f"a {kind}, led by the key `{kind}`",
            write="",
            source=sheet.source,
            line=line,
            column=column,
        )


def raise_faults(error: type[VtrialError], faults: Iterable[Fault]) -> None:
    """Raise all faults as one error, if there are any."""
    faults = list(faults)
    if faults:
        raise error.of(faults)


def sheet_name(value: object) -> str:
    """Take the name of a sheet, which may be the name of a file, too.

    Raises
    ------
    ValueError
        If it is no such name; for pydantic, in the words that `check_shape` reads.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", str(value)):
        write = re.sub(r"[^\w.-]+", "-", str(value)).strip("-.")[:99] or "my-name"
        allowed = "a name of letters, digits, `-`, `_` and `.`"
        raise ValueError(f"`{value}`|{allowed}|{write}")
    return str(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name most like a word, or the words `one of ...`.

    Examples
    --------
    >>> nearest("cenral", ["depot", "central"])
    'central'
    """
    known = list(known)
    folded = {name.lower(): name for name in reversed(known)}
    close = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.5)
    return folded[close[0]] if close else (known[0] if len(known) == 1 else "")


def listed(names: Iterable[str], most: int = 12) -> str:
    """List names for a message: `a, b or c`."""
    names = list(names)
    if len(names) > most:
        return ", ".join(names[:most]) + f" or one of {len(names) - most} more"
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


@functools.cache
def shipped(kind: str) -> Path:
    """Return the folder of shipped sheets: `protocols` or `cohorts`."""
    package = Path(__file__).parent
    inside = package / "sheets_shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def find_sheet(name: str, *, kind: str, beside: str | Path = "") -> Path | None:
    """Find a sheet by path or name: beside another sheet, here, or among the shipped.

    `kind` is `protocols`, `cohorts` or `models`; a name is that of a file without its
    ending. If that file is a sheet of another kind, it is passed over for one beside
    it that calls itself by the name.
    """
    folders = [Path(beside).parent] if str(beside) else []
    for folder in [*folders, Path()]:
        path = folder / name
        if path.suffix in _ENDINGS and is_file(path):
            return path
        found = _of_kind(path, kind)
        if found is not None:
            return found
    candidate = shipped(kind) / f"{name}.yaml"
    return candidate if "/" not in name and is_file(candidate) else None


def _of_kind(path: Path, kind: str) -> Path | None:
    """Find a sheet of a kind by its path without an ending."""
    there = [path.with_name(path.name + ending) for ending in _ENDINGS if path.name]
    there = [one for one in there if is_file(one)]
    for one in there:
        if _head(one)[0] in ("", kind):
            return one
    beside = sorted(path.parent.glob("*.yaml")) if there else []
    beside = [one for one in beside if is_file(one)]  # a pipe would never end
    return next((one for one in beside if _head(one) == (kind, path.name)), None)


def _head(path: Path) -> tuple[str, str]:
    """Read a sheet's kind and its own name, without composing it; empty if unknown."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return "", ""
    heads = {key: name for key, name in reversed(_HEAD.findall(text))}
    key = next((key for key in _KINDS if key in heads), "")
    return _KINDS.get(key, ""), heads.get(key, "")


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
    """Say why a file is no sheet."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    if isinstance(error, OSError):
        return f"not readable ({error.strerror})"
    return str(error)


def _refuse_hostile(text: str, source: str) -> None:
    """Refuse what would take long to load, before anything is composed."""
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise SheetError(
            at="the sheet",
            found=f"{size} bytes long",
            allowed=f"at most {MAX_BYTES} bytes",
            write="a CSV file beside the sheet, named in it, for large tables",
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
    """Say what YAML can say and a sheet cannot: what it is, may be, and a remedy."""
    if isinstance(event, AliasEvent):
        return f"an alias (*{event.anchor})", "written out", "the value itself"
    if getattr(event, "tag", None) or getattr(event, "version", None):
        words = "a tag or directive of YAML", "plain values only"
        return *words, "the value without it"
    if not isinstance(event, ScalarEvent):
        return None
    # Where a folded text is folded, ruamel.yaml keeps a bell until it is loaded.
    text = event.value.replace("\a", "") if event.style == ">" else event.value
    if _CONTROL.search(text):
        return "with a control character", "text that can be printed", ""
    if event.style is not None:
        return None
    if event.value == "<<":
        return "with a merge key (<<)", "written out", "the keys themselves"
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
        allowed="one YAML mapping, each key once",
        write="key: value",
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


def _plain(node: object, path: Path_, lines: dict[Path_, tuple[int, int]]) -> object:
    """Turn ruamel's nodes into plain data and note where each entry stands."""
    if isinstance(node, CommentedMap):
        for key in node:
            line, column = node.lc.key(key)
            lines[(*path, _text(key))] = (line + 1, column + 1)
        return {_text(k): _plain(v, (*path, _text(k)), lines) for k, v in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            line, column = node.lc.item(index)
            lines[(*path, index)] = (line + 1, column + 1)
        return [_plain(v, (*path, i), lines) for i, v in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float):
        if isinstance(node, kind):
            return kind(node)
    return _text(node)


def _text(node: object) -> str:
    """Write half characters, which escapes can spell and no file can hold, as `?`."""
    return str(node).encode("utf-8", "replace").decode("utf-8")


def _shape_fault(sheet: Sheet, shape: type[BaseModel], entry: Mapping) -> Fault:
    """Say one of pydantic's errors in the house's words."""
    path = _path_in(sheet, entry["loc"])
    kind, context = entry["type"], entry.get("ctx", {})
    name = str(path[-1]) if path else "the sheet"
    if kind == "extra_forbidden":
        known = _fields_at(shape, path[:-1])
        near = nearest(name, known)
        allowed = f"one of the keys {listed(known)}" if known else "left out"
        return sheet.fault(
            path, found=f"an unknown key `{name}`", allowed=allowed, write=near
        )
    if kind == "missing":
        return sheet.fault(path, found="missing", allowed="given", write=f"{name}: ...")
    if kind == "value_error":
        parts = str(context.get("error", entry["msg"])).split("|")
        found, allowed, write = (parts + ["", "", ""])[:3]
        return sheet.fault(path, found=found, allowed=allowed, write=write)
    if kind in ("model_type", "dict_type"):
        fields = _shapes_at(shape, path)
        known = f"the keys {listed(fields)}" if fields else "keys"
        allowed, write = f"a map of {known}", _example(fields)
        if kind == "dict_type" and fields:
            allowed = f"a map of names, each with {known}"
            write = f"a-name: {write}"
        found = f"`{entry['input']}`"[:200]
        return sheet.fault(path, found=found, allowed=allowed, write=write)
    found = f"`{entry['input']}`" if not isinstance(entry["input"], dict) else "a map"
    allowed = str(entry["msg"]).removeprefix("Input should be ").replace("'", "`")
    return sheet.fault(path, found=found[:200], allowed=allowed, write="")


def _path_in(sheet: Sheet, loc: Iterable[str | int]) -> Path_:
    """Drop from pydantic's location what is not in the sheet (union tags)."""
    path: Path_ = ()
    node: object = sheet.data
    loc = list(loc)
    for index, part in enumerate(loc):
        inside = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if inside:
            node = node[part]  # type: ignore[index]
            path = (*path, part)
        elif index == len(loc) - 1 and isinstance(node, dict):
            path = (*path, part)
    return path


def _fields_at(shape: type[BaseModel], path: Path_) -> list[str]:
    """List the keys that a shape knows at a path, as far as it can be followed."""
    return list(_shapes_at(shape, path))


def _example(fields: Mapping[str, FieldInfo]) -> str:
    """Write a map of the keys that must be given, or of a few others."""
    needed = {key: field for key, field in fields.items() if field.is_required()}
    usual = {key: field for key, field in fields.items() if field.examples}
    shown = needed or dict(itertools.islice(usual.items(), EXAMPLES))
    example = {key: (field.examples or ["..."])[0] for key, field in shown.items()}
    return _flow(example) if example else ""


def _flow(value: object) -> str:
    """Write a value as YAML does within a line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_flow(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = str(value)
    return f'"{text}"' if set(text) & set(",:{}[]#") else text


def _shapes_at(shape: type[BaseModel], path: Path_) -> dict[str, FieldInfo]:
    """Return the fields that a shape has at a path, by their keys in the sheet."""
    current: object = shape
    for part in path:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return {}
        fields = {(f.alias or n): f for n, f in current.model_fields.items()}
        if part in fields:
            current = _inner(fields[part].annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return {f.alias or name: f for name, f in current.model_fields.items()}
    return {}


def _inner(annotation: object) -> object:
    """Find the pydantic shape inside `dict[str, X]`, `list[X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner(argument)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return annotation

"""The reference of sheets: what each key and word means, where it stands, an example.

All of it is what the shapes of the sheets, the kinds of endpoints and the measures say
of themselves.
"""

import functools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vtrial.cohort.shape import CohortShape
from vtrial.cohort.target import TargetsShape
from vtrial.endpoint.registry import kinds
from vtrial.errors import SheetError
from vtrial.measure.registry import measures
from vtrial.model.shape import ModelShape
from vtrial.protocol.randomisation_kinds import randomisation_kinds
from vtrial.protocol.rules import DOES, LOOKS_BACK, NAMED
from vtrial.protocol.sampling import SamplingShape
from vtrial.protocol.shape import ProtocolShape
from vtrial.sheets.keys import SAME as KEYS
from vtrial.sheets.synonyms import SAME as WORDS
from vtrial.sheets.synonyms import folded
from vtrial.sheets.validate import fields_of, flow
from vtrial.sheets.words import alike, listed, nearest

Kind = Literal["protocol", "model", "cohort", "match", "sampling"]
SHAPES: dict[str, type[BaseModel]] = {
    "protocol": ProtocolShape,
    "model": ModelShape,
    "cohort": CohortShape,
    "match": TargetsShape,
    "sampling": SamplingShape,
}
PAGES = {"match": "cohort.md", "sampling": "optimise.md"}  # the others have their own
WIDTH = 88  # of a comment
_OF = {  # an endpoint that a measure may be of
    "numbers": "peak",
    "visits": "change",
    "doses": "peak",
    "counts": "attacks",
    "responses": "response",
    "dosed responses": "response",
    "times": "death",
    "tiers": "[{on: death}, {on: pain}]",
}
ALLOTTED = ((), ("allocation",), ("dropout",))  # of a design, on the protocol's page
NAME = "NAME"  # stands for a name of the sheet's own
_TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
}


class Entry(NamedTuple):
    """A key of a sheet, or a word that may stand at one."""

    kind: str
    path: tuple[str, ...]
    word: str
    says: str
    holds: str
    example: str
    needed: bool = False

    @property
    def place(self) -> str:
        """Where it stands: `outputs.NAME.lloq`."""
        return ".".join(self.path)

    @property
    def page(self) -> str:
        """The page of `docs/` that says more."""
        if self.path[0] == "design" and self.path[1:2] not in ALLOTTED:
            return "design.md"
        own = PAGES.get(self.kind, f"{self.kind}.md")
        return "dosing.md" if self.path[-1] == "dose" else own

    def lines(self) -> list[str]:
        """Write the entry."""
        rows = [f"{self.word}  ({self.kind}: {self.place})"]
        rows += [f"    {self.says}"] if self.says else []
        rows += [f"    holds {self.holds}"] if self.holds else []
        rows += [f"    example: {self.example}"] if self.example else []
        return [*rows, f"    docs/{self.page}"]


def explain(word: str) -> str:
    """Explain a key by name, or as `random.cv`, or a word such as `risk difference`.

    Raises
    ------
    SheetError
        If no sheet knows it, with what is like it.

    Examples
    --------
    >>> print(explain("lloq"))
    lloq  (model: outputs.NAME.lloq)
        Lower limit of quantification.
        holds a number
        example: lloq: 0.1
        docs/model.md
    """
    parts = [part.strip() for part in word.split(".")]
    found = [entry for entry in _all() if _fits(entry, parts)]
    if not found:
        raise _unknown(word)
    return "\n\n".join("\n".join(entry.lines()) for entry in found)


def reference(kind: Kind) -> str:
    """Write every key of a kind of sheet as comments, each with what it means."""
    lines = []
    for entry in _entries(SHAPES[kind], kind):
        lead = "# " + "  " * (len(entry.path) - 1)
        must = " It must be given." if entry.needed else ""
        such = f" Such as `{entry.example}`." if entry.example else ""
        lines += textwrap.wrap(
            f"{entry.word}: {entry.says}{must}{such}",
            WIDTH,
            initial_indent=lead,
            subsequent_indent=f"{lead}    ",
            break_long_words=False,
        )
    return "\n".join(lines)


def _fits(entry: Entry, parts: list[str]) -> bool:
    """Return whether an entry is the one that parts of a path name."""
    own = [part for part in entry.path if part != NAME]
    own = own if entry.path[-1] == entry.word else [*own, entry.word]
    asked = [part for part in parts if part != NAME]
    return [folded(one) for one in own[-len(asked) :]] == [folded(one) for one in asked]


def _unknown(word: str) -> SheetError:
    """Describe a word that no sheet knows, and what is meant by it."""
    known = sorted({entry.word for entry in _all()})
    tables = [*KEYS.values(), *WORDS.values()]
    meant = {table[folded(word)] for table in tables if folded(word) in table}
    meant &= set(known)
    last = word.rpartition(".")[2]
    write = nearest(last, known) or (next(iter(meant)) if len(meant) == 1 else "")
    near = list(dict.fromkeys([*sorted(meant), *alike(known, last)]))
    like = f", such as {listed(near)}" if near else ""
    allowed = f"a key of a sheet, or a word that may stand at one{like}"
    at, found = "the key", f"`{word}`, which no sheet knows"
    return SheetError(at=at, found=found, allowed=allowed, write=write)


@functools.cache
def _all() -> tuple[Entry, ...]:
    """Return the entries of all kinds of sheets, words behind keys."""
    keys = [e for kind, shape in SHAPES.items() for e in _entries(shape, kind)]
    return (*keys, *_words(), *_methods(), *_rules())


def _words() -> Iterator[Entry]:
    """Yield the kinds of endpoints, the measures, and what rules may say."""
    for word, kind in kinds().items():
        limits = [key for key in ("low", "high") if getattr(kind, key) == "must"]
        needs = f"; needs {' and '.join(limits)}" if limits else ""
        such = "".join(f", {key}: 0.5" for key in limits)
        example = f"peak: {{of: conc, take: {word}{such}}}"
        path = ("endpoints", NAME, "take")
        yield Entry("protocol", path, word, kind.says + needs, "", example)
    for word, one in measures().items():
        options = f"; may have {listed(one.options)}" if one.options else ""
        says = f"{one.says or 'A comparison'}, of {one.of}{options}"
        on = _OF[one.of]
        such = "".join(f", {example}" for _, _, example in one.needs)
        example = f"{{compare: high with low, on: {on}, by: {word}{such}}}"
        yield Entry("protocol", ("analysis", "by"), word, says, "", example)


def _methods() -> Iterator[Entry]:
    """Yield the methods of randomisation that look at who came before."""
    for word, kind in randomisation_kinds().items():
        such = "".join(f", {key}: {value}" for key, value in kind.needs)
        options = f"; may have {listed(kind.options)}"
        arms = f", for {kind.arms} arms" if kind.arms else ""
        says = f"{kind.says.rstrip('.')}{arms}{options}"
        path = ("design", "randomisation", "by")
        example = f"randomisation: {{by: {word}{such}}}"
        yield Entry("protocol", path, word, says, "", example)


def _rules() -> Iterator[Entry]:
    """Yield the functions and names of conditions of rules, and what is done."""
    when, do = (("rules", NAME, key) for key in ("when", "do"))
    for word, says in LOOKS_BACK.items():
        limit = ", 1" if word.startswith("days") else " < 1" if word == "count" else ""
        name = word.replace("_", " ")
        example = f"{{when: {name}(anc{limit}) > 2, do: hold}}"
        yield Entry("protocol", when, name, f"{says}, of an output", "", example)
    for word, says in NAMED.items():
        example = f"{{when: {word} == 1 and anc < 1, do: hold}}"
        yield Entry("protocol", when, word, says, "", example)
    for word, (example, says) in DOES.items():
        yield Entry("protocol", do, word, says, "", f"{{when: anc < 1, do: {example}}}")


def _entries(
    shape: type[BaseModel], kind: str, path: tuple[str, ...] = ()
) -> Iterator[Entry]:
    """Yield every key below a shape, each before what stands below it."""
    schema = shape.model_json_schema(by_alias=True)
    own = schema.get("properties", {})
    for key, field in fields_of(shape).items():
        inner, named = _below(field)
        holds = _holds(own.get(key, {}), schema.get("$defs", {}))
        example = f"{key}: {flow(field.examples[0])}" if field.examples else ""
        place, needed = (*path, key), field.is_required()
        yield Entry(kind, place, key, field.description or "", holds, example, needed)
        if inner is not None:
            yield from _entries(inner, kind, (*place, NAME) if named else place)


def _below(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """Return the shape that stands below a key, and whether by names of its own."""
    stack: list[tuple[Any, bool]] = [(field.annotation, False)]
    while stack:
        annotation, named = stack.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation, named
        named = named or getattr(annotation, "__origin__", None) is dict
        stack += [(argument, named) for argument in get_args(annotation)]
    return None, False


def _holds(schema: Mapping[str, Any], shapes: Mapping[str, Any]) -> str:
    """Say in words what a JSON Schema lets stand at a key."""
    if "$ref" in schema:
        return _holds(shapes.get(schema["$ref"].rpartition("/")[2], {}), shapes)
    if "enum" in schema:
        return listed(f"`{one}`" for one in schema["enum"] if one is not None)
    if "const" in schema:
        return f"`{schema['const']}`"
    parts = schema.get("anyOf") or schema.get("allOf")
    if parts:
        told = [_holds(part, shapes) for part in parts if part.get("type") != "null"]
        return listed(dict.fromkeys(one for one in told if one))
    if schema.get("type") == "array":
        inner = _holds(schema.get("items", {}), shapes)
        return f"a list ({inner})" if inner else "a list"
    if schema.get("type") == "object":
        own = list(schema.get("properties", {}))
        return f"a map of {listed(own)}" if own else "a map by names"
    return _TYPES.get(str(schema.get("type")), "")

"""How the numbers were computed, and where they come from, in words."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from vtrial.dims import GRID_ERROR, PRECISION_ERROR
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import Line
from vtrial.report.tables import Cell
from vtrial.report.words import count, link, number

_NAMES = {
    "method": "Method",
    "reason": "Why this method",
    "numerics": "Numerics",
    PRECISION_ERROR: "Error of 32 bits",
    GRID_ERROR: "Error of the grid",
    "device": "Device",
    "devices": "Devices",
    "engine": "Engine",
    "versions": "Versions",
    "seed": "Seed",
    "digest": "Digest",
    "subjects_per_block": "Subjects a block",
}
_HIDDEN = {
    "again",
    "arms",
    "cohort",
    "complete",
    "failures",
    "cohort_digest",
    "laid",
    "model",
    "observed",
    "protocol",
    "replicates",
    "seal",
    "sheets",
    "size",
    "subjects",
    "title",
    "tolerances",
    "trial",
}
_TOLD = 1e-3  # a grid that costs less is not spoken of
_LONG = 300  # characters; more is a sheet's text, and stands in a drawer of its own


def computed_lines(protocol: Protocol, attributes: Mapping[str, object]) -> list[Line]:
    """Return how it was computed: what the record tells first, then what was asked."""
    lines = {name: "" for name in _NAMES}
    for key, value in attributes.items():
        words = _words(value)
        if str(key) not in _HIDDEN and words and len(words) <= _LONG * 3:
            lines[str(key)] = words
    lines["numerics"] = numerics_in_words(protocol, attributes.get("numerics"))
    lines[PRECISION_ERROR] = precision_in_words(attributes)
    lines[GRID_ERROR] = grid_in_words(attributes)
    lines["seed"] = lines["seed"] or str(protocol.seed)
    lines["digest"] = lines["digest"] or protocol.digest
    lines["subjects_per_block"] = count(protocol.block)
    return [
        Line(_NAMES.get(key, key.replace("_", " ").capitalize()), words)
        for key, words in lines.items()
        if words
    ]


def numerics_in_words(protocol: Protocol, given: object) -> str:
    """Return with what tolerances and precision: as the record tells, or as asked."""
    known = dataclasses.asdict(protocol.numerics)
    told = _data(given)
    known |= dict(told) if isinstance(told, Mapping) else {}
    return (
        f"method {known['method']}, relative tolerance {number(float(known['rtol']))}, "
        f"absolute tolerance {number(float(known['atol']))}{_by_state(known)}, "
        f"{known['precision']} bits, "
        f"at most {count(known['max_steps'])} steps a subject"
    )


def _by_state(known: Mapping[str, Any]) -> str:
    """Return the tolerances of single states; nothing if there are none."""
    told = [f"{name} {number(float(one))}" for name, one in known["atol_by_state"]]
    return f" ({', '.join(told)})" if told else ""


def precision_in_words(attributes: Mapping[str, object]) -> str:
    """Return what 32 bits cost: by output, and in how many solutions another status."""
    told = _data(attributes.get("numerics"))
    asked = told.get("precision", 64) if isinstance(told, Mapping) else 64
    found = _data(attributes.get(PRECISION_ERROR))
    if not isinstance(found, Mapping):
        return "" if asked == 64 else "not measured"
    errors = [
        f"{name} {_share(error['max'])} at most, half below {_share(error['median'])}"
        if error["values"]
        else f"{name} was never above zero"
        for name, error in found["outputs"].items()
    ]
    return (
        f"{'; '.join(errors)}; status differs in {count(found['status'])} of "
        f"{count(found['solutions'])} solutions. Measured against 64 bits in "
        f"{count(found['subjects'])} subjects under "
        f"{_each(found['arms'])}, relative to each value or to "
        f"{_share(found['floor'])} of its subject's peak"
    )


def grid_in_words(attributes: Mapping[str, object]) -> str:
    """Return which true extremes and areas depend on how fine the grid is."""
    found = _data(attributes.get(GRID_ERROR))
    if not isinstance(found, Mapping):
        return ""
    moved = [
        f"{name}, taken from {count(int(error['times']))} times, by "
        f"{_share(error['max'])} at most, half below {_share(error['median'])}"
        for name, error in found.items()
        if error.get("max", 0.0) > _TOLD
    ]
    if not moved:
        return ""
    return (
        f"From every other of its times these would differ: {'; '.join(moved)}. "
        "A finer grid makes them surer"
    )


def _each(arms: int) -> str:
    return f"each of {count(arms)} arms" if arms > 1 else "the one arm"


def _share(value: float) -> str:
    """Write a relative error in per cent."""
    return f"{number(100.0 * value, 2)}\u202f%"


def _data(value: object) -> object:
    """Read an attribute that may be JSON."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _words(value: object) -> str:
    """Write an attribute, JSON or not, as words."""
    value = _data(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    return ", ".join(_words(inner) for inner in value)


def sheets_given(protocol: Protocol, attributes: Mapping[str, object]) -> list[Line]:
    """Return the sheets' texts, from the record or from what was loaded."""
    texts: dict[str, str] = {}
    for key, value in attributes.items():
        inner = value.items() if isinstance(value, Mapping) else [(key, value)]
        for name, text in inner:
            if isinstance(text, str) and "\n" in text.strip():
                texts[str(name)] = text
    if protocol.text and not any("protocol" in name for name in texts):
        texts = {"protocol": protocol.text, **texts}
    if protocol.model.text and not any("model" in name for name in texts):
        texts["model"] = protocol.model.text
    return [
        Line(name, text)
        for name, text in sorted(
            texts.items(), key=lambda pair: "protocol" not in pair[0]
        )
    ]


def sources_list(protocol: Protocol) -> list[Cell]:
    """List every source the sheets name, once, with what it is the source of."""
    found: dict[tuple[str, str], list[str]] = {}
    notes: dict[tuple[str, str], str] = {}

    def add(source: object, of: str) -> None:
        cite, note = getattr(source, "cite", ""), getattr(source, "note", "")
        href = link(getattr(source, "doi", ""), getattr(source, "url", ""))
        text = cite or getattr(source, "doi", "") or href or note
        if text:
            found.setdefault((text, href), []).append(of)
            if note and note != text and of in {"the trial", "the model"}:
                notes.setdefault((text, href), note)

    for source in protocol.sources:
        add(source, "the trial")
    for source in protocol.model.sources:
        add(source, "the model")
    for parameter in protocol.model.parameters:
        add(parameter.source, "parameters")
    for block in protocol.model.random:
        add(block.source, "variability between subjects")
    for point in protocol.evidence.published:
        add(point.source, "published outcomes")
    for points in protocol.evidence.observed:
        add(points.source, "measured points")
    for outcomes in protocol.evidence.outcomes:
        add(outcomes.source, "observed outcomes")
    return [
        Cell(
            text,
            "; ".join([", ".join(dict.fromkeys(of)), *_note(notes, (text, href))]),
            href=href,
        )
        for (text, href), of in found.items()
    ]


def _note(notes: Mapping[tuple[str, str], str], key: tuple[str, str]) -> list[str]:
    """Return a source's note, if it has one."""
    return [notes[key]] if key in notes else []


def observed_list(protocol: Protocol) -> list[Cell]:
    """List the sources of measured points."""
    cells = {
        Cell(
            o.source.cite or o.source.note or o.output,
            href=link(o.source.doi, o.source.url),
        )
        for o in protocol.evidence.observed
    }
    return sorted(cells)

"""Wrong edits of sound sheets, as people make them, and how they are read.

`cases.yaml` lists them compactly; each becomes the text of a sheet or of a table. The
sheets beside it are sound.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from vtrial.cohort.sheet import cohort_of
from vtrial.dosing.table import read_events
from vtrial.errors import Fault, VtrialError
from vtrial.model.sheet import read_model
from vtrial.protocol import build_protocol
from vtrial.sheets.sheet import parse_sheet

from .splice import Spliced

HERE = Path(__file__).parent
EVENTS = "events.csv"


class Case(NamedTuple):
    """A wrong sheet: the sound one's name, what was done to it, and its text."""

    sheet: str
    edit: str
    text: str


def cases() -> Iterator[Case]:
    """Yield every wrong sheet of `cases.yaml`."""
    listed = YAML(typ="safe").load(HERE / "cases.yaml")
    for sheet, kinds in listed.items():
        text = (HERE / sheet).read_text()
        for old, news in kinds.get("swap", {}).items():
            assert old in text, (sheet, old)
            for new in news:
                edit = f"swap {old!r}: {new!r}"
                yield Case(sheet, edit, text.replace(old, new, 1))
        sound = Spliced(text) if sheet != EVENTS else None
        for verb in ("set", "call", "drop"):
            for place, values in _asked(kinds.get(verb, {})):
                for value in values:
                    edit = f"{verb} {place}: {value!r}"
                    yield Case(sheet, edit, _changed(sound, verb, place, value))


def faults_of(sheet: str, text: str, folder: str | Path) -> tuple[Fault, ...]:
    """Return what is wrong with a text that stands in the place of a sound sheet.

    Tables are written to a folder, from which they are read.
    """
    try:
        if sheet == EVENTS:
            _read_events(Path(folder) / EVENTS, text)
        else:
            _READERS[sheet](parse_sheet(text, source=str(HERE / sheet)))
    except VtrialError as error:
        return error.faults
    return ()


def _asked(entries):
    return (
        entries.items() if isinstance(entries, dict) else [(p, [""]) for p in entries]
    )


def _changed(sound, verb, place, value):
    path = tuple(int(p) if p.isdigit() else p for p in place.split("/"))
    path = tuple(
        str(part)
        if path[:i] in sound.nodes and _is_map(sound.nodes[path[:i]])
        else part
        for i, part in enumerate(path)
    )
    if verb == "drop":
        return sound.drop(path)
    return getattr(sound, verb)(path, value)


def _is_map(node):
    return isinstance(node, MappingNode)


def _read_events(path, text):
    path.write_text(text)
    read_events(
        path,
        states=["depot", "central"],
        covariates=["WT", "FEMALE"],
        amount="mg",
    )


_READERS = {
    "pk.yaml": read_model,
    "people.yaml": cohort_of,
    "arms.yaml": build_protocol,
    "endpoints.yaml": build_protocol,
    "analysis.yaml": build_protocol,
    "rules.yaml": build_protocol,
}

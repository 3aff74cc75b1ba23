"""What a record says about itself, and the protocol that can be made of it again."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from vtrial.cohort.sheet import load_cohort
from vtrial.conduct.engine import engine, machine, solved_as, versions
from vtrial.conduct.plan import Plan
from vtrial.dims import TRIAL
from vtrial.errors import Fault, ProtocolError, VtrialError
from vtrial.protocol.difference import (
    Difference,
    data_differences,
    differences,
    endpoint_differences,
    faults_of_differences,
)
from vtrial.protocol.load import CHANGES, build_protocol, load_protocol
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.stored import read_protocol, write_protocol
from vtrial.sheets.find import find_sheet
from vtrial.sheets.sheet import Sheet, parse_sheet
from vtrial.sheets.validate import raise_faults
from vtrial.store.record import AGAIN, Record

PROTOCOL, MODEL, COHORT = "protocol", "model", "cohort"
_BY_PYTHON = (
    "# Changed from Python after this sheet was read; what was run says instead:"
)


def about(planned: Plan) -> dict[str, object]:
    """Return the attributes of a record that is about to be filled."""
    protocol = planned.protocol
    return {
        "title": protocol.title,
        "protocol": protocol.name,
        "model": protocol.model.name,
        "cohort": planned.cohort.name,
        "cohort_digest": planned.cohort.digest,
        "arms": [arm.name for arm in protocol.arms],
        "size": {name: getattr(protocol, name) for name in CHANGES},
        "seed": protocol.seed,
        "replicates": protocol.replicates,
        "digest": planned.digest,
        "engine": engine(),
        "versions": versions(),
        "method": planned.choice.method or planned.choice.other,
        "reason": planned.choice.reason,
        "numerics": solved_as(protocol.numerics),
        "tolerances": {
            "relative": protocol.numerics.rtol,
            "absolute": protocol.numerics.atol,
        },
        **machine(),
        "started": now(),
        "complete": False,
        "sheets": _texts(planned),
        TRIAL: write_protocol(protocol),
        AGAIN: again(protocol),
    }


def now() -> str:
    """Return the time, in words that sort."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def again(protocol: Protocol) -> list[str]:
    """Return the command that runs a protocol, as a list; none if no sheet says it."""
    if not protocol.path or _by_python(protocol):
        return []
    given = parse_sheet(protocol.text).data
    defaults = {part.name: part.default for part in dataclasses.fields(Protocol)}
    defaults["block"] = protocol.usual_block
    command = ["vtrial", "run", str(Path(protocol.path).resolve())]
    for name in CHANGES:
        value = getattr(protocol, name)
        if value != given.get(name, defaults[name]):
            command += [f"--{name}", str(value)]
    return command


def protocol_of(record: Record) -> Protocol:
    """Make the protocol of a record from what the record holds, without any sheet.

    It is what was run, whatever its sheet says now, or said when it was read.

    Raises
    ------
    StoreError
        If the record does not hold what was run.
    """
    attributes = record.attributes
    protocol = read_protocol(attributes.get(TRIAL))
    given = attributes.get("sheets")
    texts = given if isinstance(given, Mapping) else {}
    text = str(texts.get(PROTOCOL, ""))
    changed = not text or text.startswith(_BY_PYTHON)
    sizes = {name: getattr(protocol, name) for name in CHANGES}
    return dataclasses.replace(
        protocol,
        model=dataclasses.replace(protocol.model, text=str(texts.get(MODEL, ""))),
        text=text,
        data={} if changed else {**parse_sheet(text).data, **sizes},
    )


def protocol_for(record: Record, name: str | Path) -> Protocol:
    """Load an edited sheet to report a record by; its cohort must be the record's.

    What a command line changed when the record was run stays changed, unless the sheet
    was edited there, too.

    Raises
    ------
    ProtocolError
        With the faults of the sheet, or with what differs in the cohort.
    """
    held, path = protocol_of(record), find_sheet(str(name), kind="protocols")
    edited = load_protocol(path or name)
    before = parse_sheet(held.text).data if held.text else {}
    after = parse_sheet(edited.text).data
    kept = {
        key: getattr(held, key)
        for key in CHANGES
        if after.get(key) == before.get(key) and held.text
    }
    protocol = load_protocol(path or name, changes=kept)
    raise_faults(ProtocolError, _cohort_faults(record, protocol))
    return as_held(record, protocol)


def as_held(record: Record, protocol: Protocol) -> Protocol:
    """Return a protocol with the replicates of a record that holds more of them."""
    held = int(str(record.attributes["replicates"]))
    return dataclasses.replace(protocol, replicates=max(held, protocol.replicates))


def _cohort_faults(record: Record, protocol: Protocol) -> list[Fault]:
    """List how a protocol's cohort differs from the one a record was drawn from."""
    attributes = record.attributes
    cohort = load_cohort(protocol.cohort, beside=protocol.path)
    sheets = attributes.get("sheets")
    text = str(sheets.get(COHORT, "")) if isinstance(sheets, Mapping) else ""
    engines = attributes.get("engine") == engine()
    if cohort.digest == attributes.get("cohort_digest"):
        return []
    if not engines and cohort.text == text:  # another engine may name it otherwise
        return []
    place = find_sheet(protocol.cohort, kind="cohorts", beside=protocol.path)
    sheet = parse_sheet(cohort.text, source=str(place or protocol.cohort))
    before = parse_sheet(text).data if text else {}
    found = data_differences((), before, sheet.data)
    found = found or [Difference((COHORT,), "another table", "this one")]
    remedy = f"vtrial run {protocol.path or protocol.name}"
    return list(faults_of_differences(found, sheet, remedy))


def sheet_files(planned: Plan) -> dict[str, str]:
    """Return the texts of the sheets by file name, and of the tables they name."""
    protocol = planned.protocol
    texts = list(_texts(planned).values())
    names = [protocol.name, protocol.model.name, planned.cohort.name]
    plain = all(re.fullmatch(r"\w[\w.-]*", name) for name in names)
    if not plain or len(set(names)) < len(names):
        names = [PROTOCOL, MODEL, COHORT]
    files = {f"{name}.yaml": text for name, text in zip(names, texts, strict=True)}
    beside = find_sheet(protocol.cohort, kind="cohorts", beside=protocol.path)
    table = planned.cohort.table
    if beside and table and table.file:  # a plain name: the cohort's loader saw to it
        files[table.file] = (beside.parent / table.file).read_text(encoding="utf-8-sig")
    return {name: text for name, text in files.items() if text}


def _texts(planned: Plan) -> dict[str, str]:
    """Return the sheets' texts; a protocol that is not as its sheet says so."""
    protocol = planned.protocol
    changed = _by_python(protocol) if protocol.text else []
    lines = [
        f"#   {'.'.join(map(str, d.path))}: {d.second}, not {d.first}" for d in changed
    ]
    lead = "\n".join([_BY_PYTHON, *lines, ""]) if lines else ""
    return {
        PROTOCOL: lead + protocol.text,
        MODEL: protocol.model.text,
        COHORT: planned.cohort.text,
    }


@functools.lru_cache(maxsize=1)
def _by_python(protocol: Protocol) -> list[Difference]:
    """List what a protocol says otherwise than the sheet that it was read from."""
    sizes = {name: getattr(protocol, name) for name in CHANGES}
    text = protocol.text
    try:
        sheet: Sheet = parse_sheet(text, source=protocol.path)
        read = build_protocol(sheet, changes=sizes)
    except VtrialError:
        return [Difference(("sheet",), "what stands here", "what cannot be read of it")]
    found = differences(read, protocol)
    known = {point.name: point for point in read.endpoints}
    for point in protocol.endpoints:
        if point.name in known:
            found += endpoint_differences(known[point.name], point)
        else:
            path = ("endpoints", point.name)
            found.append(Difference(path, "nothing", "there"))
    one, other = write_protocol(read), write_protocol(protocol)
    said = {difference.path[0] for difference in found}
    found += [
        Difference((key,), "as in the sheet", "otherwise")
        for key in sorted({*one, *other} - said)
        if one.get(key) != other.get(key) and key != "allocation"
    ]
    return found

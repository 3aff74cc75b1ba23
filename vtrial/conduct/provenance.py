"""What a record says about itself, and the protocol that can be made of it again."""

import dataclasses
import json
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from vtrial.conduct.engine import engine, machine, solved_as, versions
from vtrial.conduct.plan import Plan
from vtrial.errors import StoreError
from vtrial.model.model import Source
from vtrial.protocol.load import build_protocol
from vtrial.protocol.protocol import Observed, ObservedOutcomes, Protocol
from vtrial.sheets import find_sheet, parse_sheet
from vtrial.store.record import Record

SIZES = ("subjects", "replicates", "block", "seed")
PROTOCOL, MODEL, COHORT = "protocol", "model", "cohort"
Kind = TypeVar("Kind", Observed, ObservedOutcomes)


def about(planned: Plan) -> dict[str, object]:
    """Return the attributes of a record that is about to be filled."""
    protocol = planned.protocol
    return {
        "title": protocol.title,
        "protocol": protocol.name,
        "model": protocol.model.name,
        "cohort": planned.cohort.name,
        "arms": [arm.name for arm in protocol.arms],
        "size": {name: getattr(protocol, name) for name in SIZES},
        "seed": protocol.seed,
        "replicates": protocol.replicates,
        "digest": planned.digest,
        "engine": engine(),
        "versions": versions(),
        "method": planned.choice.method or "algebra",
        "reason": planned.choice.reason,
        "numerics": solved_as(protocol.numerics),
        "tolerances": {
            "relative": protocol.numerics.rtol,
            "absolute": protocol.numerics.atol,
        },
        **machine(),
        "started": now(),
        "complete": False,
        "sheets": {
            PROTOCOL: protocol.text,
            MODEL: protocol.model.text,
            COHORT: planned.cohort.text,
        },
        "given": given_with(planned),
    }


def now() -> str:
    """Return the time, in words that sort."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def protocol_of(record: Record) -> Protocol:
    """Make the protocol of a record from what the record holds, without any sheet.

    Raises
    ------
    StoreError
        If the record does not hold the sheets that it was made of.
    """
    attributes = record.attributes
    texts, given = attributes.get("sheets"), attributes.get("given")
    if (
        not isinstance(texts, Mapping)
        or not texts.get(PROTOCOL)
        or not texts.get(MODEL)
    ):
        raise StoreError(
            at=f"{record.path}",
            found="without the text of its sheets",
            allowed="a record of a run from sheets",
            write="--protocol SHEET",
        )
    given = given if isinstance(given, Mapping) else {}
    size = attributes["size"]
    assert isinstance(size, Mapping)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / f"{MODEL}.yaml").write_text(str(texts[MODEL]), encoding="utf-8")
        names = {name: {} for name in given.get("covariates", [])}
        folk = json.dumps({COHORT: str(attributes[COHORT]), "covariates": names})
        (place / f"{COHORT}.yaml").write_text(folk, encoding="utf-8")
        sheet = parse_sheet(str(texts[PROTOCOL]), source=str(place / "protocol.yaml"))
        data = sheet.data | {MODEL: f"{MODEL}.yaml", COHORT: f"{COHORT}.yaml"}
        data.pop("observed", None)
        protocol = build_protocol(
            dataclasses.replace(sheet, data=data), changes=dict(size)
        )
    return dataclasses.replace(
        protocol,
        cohort=str(sheet.data[COHORT]),
        observed=_seen(given, "observed", Observed),
        observed_outcomes=_seen(given, "observed_outcomes", ObservedOutcomes),
        path=str(given.get("path", "")),
        data={**sheet.data, **size},
    )


def sheet_files(planned: Plan) -> dict[str, str]:
    """Return the texts of the sheets by file name, and of the tables they name."""
    protocol = planned.protocol
    texts = (protocol.text, protocol.model.text, planned.cohort.text)
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


def given_with(planned: Plan) -> dict[str, object]:
    """Keep what the protocol sheet names and does not hold itself."""
    return {
        "path": planned.protocol.path,
        "covariates": list(planned.cohort.names),
        **{
            name: [dataclasses.asdict(seen) for seen in getattr(planned.protocol, name)]
            for name in ("observed", "observed_outcomes")
        },
    }


def _seen(given: Mapping, name: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """Make what was observed of what the record holds."""
    entries: list[dict[str, Any]] = [
        {key: _frozen(part) for key, part in one.items()} for one in given.get(name, [])
    ]
    return tuple(
        kind(**{**entry, "source": Source(**entry["source"])}) for entry in entries
    )


def _frozen(part: Any) -> Any:
    """Make tuples of lists, as a protocol has them."""
    return tuple(map(_frozen, part)) if isinstance(part, list) else part

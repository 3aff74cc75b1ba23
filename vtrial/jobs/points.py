"""A trial at many points: its estimates for every combination of some changes."""

import copy
import dataclasses
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from vtrial.analysis.evaluate import evaluate
from vtrial.conduct.plan import plan
from vtrial.conduct.run import run
from vtrial.errors import Fault, ProtocolError, VtrialError
from vtrial.protocol.load import CHANGES, build_protocol
from vtrial.protocol.protocol import Protocol
from vtrial.sheets.sheet import parse_sheet
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest

PARAMETERS = "parameters."
Of = Literal["endpoints", "contrasts"]


def sweep(
    protocol: Protocol,
    changes: Mapping[str, Sequence[object]],
    *,
    of: Of = "endpoints",
    out: str | Path | None = None,
    workers: int | None = 0,
) -> pd.DataFrame:
    """Run a trial for every combination of changes; return its estimates by point.

    The first columns are the changes, the others those of `Estimates`. Points that
    differ in seeds, sizes of doses or parameters share what is compiled.

    Parameters
    ----------
    changes
        Values by what they change: an entry of the sheet (`seed`, `arms.high.dose`,
        `endpoints.peak.within`), or `parameters.CL`, as `with_parameters` sets it.
    of
        Which table: of endpoints, or of comparisons (`contrasts`).
    out
        Folder that keeps a record a point, so that the sweep continues where it was
        stopped; without one nothing is kept.
    workers
        Processes of each run; 0: this one.

    Raises
    ------
    ProtocolError
        With everything that is wrong at any point, before the first is run.
    """
    names, points = list(changes), list(itertools.product(*changes.values()))
    faults = [
        Fault(f"sweep.{name}", "without a value", "a list of values", "[1, 2]")
        for name in names
        if not len(changes[name]) or isinstance(changes[name], str)
    ]
    raise_faults(ProtocolError, faults)
    trials = [_trial(protocol, dict(zip(names, p, strict=True))) for p in points]
    planned = [plan(trial) for trial in trials]
    frames = []
    with tempfile.TemporaryDirectory(prefix="vtrial-sweep-") as folder:
        for point, trial, one in zip(points, trials, planned, strict=True):
            place = Path(out or folder) / one.digest[:12]
            record = run(trial, out=place, workers=workers)
            table = getattr(evaluate(record.tree(), trial), of)
            frame = pd.DataFrame(table)
            for index, (name, value) in enumerate(zip(names, point, strict=True)):
                frame.insert(index, name, [value] * len(frame))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _trial(protocol: Protocol, point: Mapping[str, object]) -> Protocol:
    """Return the trial at a point."""
    values = {
        name.removeprefix(PARAMETERS): value
        for name, value in point.items()
        if name.startswith(PARAMETERS)
    }
    entries = {n: v for n, v in point.items() if not n.startswith(PARAMETERS)}
    try:
        changed = _changed(protocol, entries)
        return changed.with_parameters(**values)  # type: ignore[arg-type]
    except VtrialError as error:
        where = ", ".join(f"{name}={value}" for name, value in point.items())
        faults = [
            fault._replace(at=f"{fault.at} (at {where})", source="", line=0, column=0)
            for fault in error.faults
        ]
        raise ProtocolError.of(faults) from error


def _changed(protocol: Protocol, entries: Mapping[str, object]) -> Protocol:
    """Return a protocol with other entries in its sheet."""
    if set(entries) <= {"seed", "replicates"}:
        return dataclasses.replace(protocol, **entries)  # type: ignore[arg-type]
    if not protocol.text:
        allowed = f"one of {listed(('seed', 'replicates'))}: no sheet is behind it"
        raise ProtocolError("sweep", listed(entries), allowed, "parameters.CL")
    sheet = parse_sheet(protocol.text, source=protocol.path)
    data = copy.deepcopy({**sheet.data, **protocol.data})
    for name, value in entries.items():
        _put(data, name, value)
    sizes = {key: getattr(protocol, key) for key in CHANGES if key not in entries}
    if "block" not in sheet.data and protocol.block == protocol.usual_block:
        sizes.pop("block", None)
    return build_protocol(dataclasses.replace(sheet, data=data), changes=sizes)


def _put(data: dict[str, object], name: str, value: object) -> None:
    """Put a value at a path with dots; keys may have dots of their own."""
    inside: object = data
    rest = name
    while True:
        known = list(inside) if isinstance(inside, dict) else []
        if isinstance(inside, list):
            known = [str(place) for place in range(len(inside))]
        held = [key for key in known if rest == key or rest.startswith(f"{key}.")]
        if not held:
            last = "." not in rest and isinstance(inside, dict) and inside is not data
            if last:
                inside[rest] = value  # type: ignore[index]
                return
            found = f"`{rest}`, which is no entry there"
            allowed = f"one of {listed(known, 30)}, or parameters.NAME"
            raise ProtocolError(
                f"sweep.{name}", found, allowed, nearest(rest.split(".")[0], known)
            )
        key = max(held, key=len)
        place = int(key) if isinstance(inside, list) else key
        if rest == key:
            inside[place] = value  # type: ignore[index]
            return
        inside, rest = inside[place], rest[len(key) + 1 :]  # type: ignore[index]

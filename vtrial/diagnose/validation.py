"""Published outcomes beside simulated ones, for one protocol or a folder of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from vtrial.analysis.estimates import Estimates
from vtrial.analysis.evaluate import evaluate
from vtrial.conduct.run import run
from vtrial.errors import ProtocolError
from vtrial.protocol.load import load_protocol
from vtrial.protocol.protocol import Protocol
from vtrial.sheets.sheet import read_sheet
from vtrial.store.record import Record

Report = Callable[[Record, Protocol, Estimates], object]


def validate(
    sheets: Sequence[str | Path],
    *,
    out: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    report: Report | None = None,
) -> pd.DataFrame:
    """Run protocols and return a row for each published number.

    `protocol` names it, and `failed` counts the solutions of that protocol's subjects
    that failed, under whatever arm. A finished record is not run again. `out` is a
    folder that gets one folder a protocol. Protocols that publish nothing are left out.
    `report` is called with each record, its protocol and its estimates.

    Raises
    ------
    ProtocolError
        If no protocol among the sheets publishes an outcome.
    """
    tables = []
    for path in _protocols(sheets):
        protocol = load_protocol(path)
        if not protocol.evidence.published:
            continue
        folder = out / protocol.name if out else None
        record = run(protocol, out=folder, workers=workers, scheduler=scheduler)
        found = evaluate(record.tree(), protocol)
        if report is not None:
            report(record, protocol, found)
        failed = int(found.failures["count"].sum())
        table = found.published.assign(protocol=protocol.name, failed=failed)
        tables.append(table)
    if not tables:
        raise ProtocolError(
            at="published",
            found=f"missing in {', '.join(str(sheet) for sheet in sheets)}",
            allowed="given in at least one of the protocols",
            write="published: [{arm: high, endpoint: peak, value: 2.1, within: 0.3}]",
        )
    table = pd.concat(tables, ignore_index=True)
    first = ["protocol", *(name for name in table.columns if name != "protocol")]
    return table[first]


def _protocols(sheets: Sequence[str | Path]) -> list[Path]:
    """Spread folders into the protocol sheets in them; other sheets are left aside."""
    paths: list[Path] = []
    for sheet in map(Path, sheets):
        inside = sorted(sheet.glob("*.yaml")) if sheet.is_dir() else []
        paths += [path for path in inside if "protocol" in read_sheet(path).data]
        paths += [] if sheet.is_dir() else [sheet]
    return paths

"""The tables of a report: frames in, cells of words out."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from vtrial.protocol.protocol import (
    OF_SHARES,
    RATIOS,
    Comparison,
    Protocol,
    effect_kind,
)
from vtrial.report.design import (
    arm_title,
    comparison_in_words,
    endpoint_title,
)
from vtrial.report.frames import each_row
from vtrial.report.words import (
    MISSING,
    Kind,
    amount,
    count,
    error_words,
    interval,
    link,
    number,
)
from vtrial.types import Status

_STATISTICS = {"sd": "standard deviation", "share": "share of subjects"}


class Cell(NamedTuple):
    """Words in a table: a main line, a small line, a mark, an address."""

    text: str
    small: str = ""
    mark: str = ""
    href: str = ""


class Table(NamedTuple):
    """A table as the page shows it; `numeric` says which columns stand right."""

    name: str
    caption: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def make_table(
    name: str,
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    *,
    words: int = 1,
) -> Table:
    """Make a table whose first `words` columns are words and the others numbers."""
    cells = tuple(
        tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
        for row in rows
    )
    numeric = tuple(place >= words for place in range(len(heads)))
    return Table(name, caption, tuple(heads), numeric, cells)


def endpoint_kind(protocol: Protocol, endpoint: str, statistic: str) -> Kind:
    """Say whether a statistic of an endpoint is a share."""
    if statistic == "share":
        return "share"
    binary = any(p.name == endpoint and p.binary for p in protocol.endpoints)
    return "share" if binary and statistic in {"mean", "sd"} else "plain"


def contrast_kind(protocol: Protocol, endpoint: str, by: str) -> Kind:
    """Say whether a contrast is a difference of shares."""
    known = [point for point in protocol.endpoints if point.name == endpoint]
    if known:
        return "points" if effect_kind(by, known[0])[0] == "difference" else "plain"
    return "points" if by in OF_SHARES else "plain"


def contrast_unit(by: str, unit: str) -> str:
    """Return a contrast's unit: ratios have none."""
    return "1" if by in (*RATIOS, *OF_SHARES) else unit


def endpoints_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay endpoints down and arms across, each number with its interval."""
    arms = [arm.name for arm in protocol.arms if arm.name in set(frame["arm"])]
    cells = {
        (row.endpoint, row.statistic, row.arm): _estimate(protocol, row)
        for row in each_row(frame)
    }
    pairs = list(dict.fromkeys(zip(frame["endpoint"], frame["statistic"], strict=True)))
    rows, last = [], None
    for endpoint, statistic in pairs:
        title = endpoint_title(protocol, endpoint) if endpoint != last else ""
        last = endpoint
        across = [cells.get((endpoint, statistic, arm), Cell("")) for arm in arms]
        if title:
            rows.append((title, "subjects", *_numbers(frame, endpoint, arms)))
            title = ""
        rows.append((title, _STATISTICS.get(statistic, str(statistic)), *across))
    heads = ["Endpoint", "Statistic", *(arm_title(protocol, arm) for arm in arms)]
    caption = "Endpoints by arm: estimate, and interval below it."
    return make_table("endpoints", caption, heads, rows, words=2)


def _numbers(frame: pd.DataFrame, endpoint: str, arms: Sequence[str]) -> list[Cell]:
    """Say of how many subjects an endpoint is known in each arm."""
    rows = frame[frame["endpoint"] == endpoint].drop_duplicates("arm")
    cells = dict.fromkeys(arms, Cell(""))
    for row in each_row(rows):
        lost = [
            f"{count(number)} {name}"
            for name, number in (("missing", row.missing), ("failed", row.failed))
            if number > 0
        ]
        cells[row.arm] = Cell(count(row.n), ", ".join(lost))
    return [cells[arm] for arm in arms]


def _estimate(protocol: Protocol, row: Any) -> Cell:
    """Write an estimate, its interval, and of how many subjects."""
    kind = endpoint_kind(protocol, row.endpoint, row.statistic)
    spread = (row.high - row.low) / 2
    if not math.isfinite(spread):
        spread = 2 * row.mc_error
    text = amount(row.estimate, spread, kind, row.unit)
    ends = interval(row.low, row.high, kind)
    return Cell(text, ends if math.isfinite(row.low) else "")


def contrasts_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the contrasts, each with its intervals, power or p, and truth."""
    heads = ["Comparison", "Endpoint", "By", "Estimate", "Interval"]
    many = bool((frame["replicates"] > 1).any())
    heads += ["Mean limits of a trial", "Power"] if many else ["p"]
    paired = bool(frame["truth"].notna().any())
    heads += ["Monte Carlo error", *(["True effect"] if paired else [])]
    rows = [
        _contrast(protocol, row, many=many, paired=paired) for row in each_row(frame)
    ]
    caption = "Contrasts between arms."
    if many:
        caption += " Power: share of trials whose p is below one minus the level."
    if paired:
        caption += " True effect: every subject under both arms."
    return make_table("contrasts", caption, heads, rows, words=3)


def _contrast(
    protocol: Protocol, row: Any, *, many: bool, paired: bool
) -> list[Cell | str]:
    """Write one contrast."""
    kind = contrast_kind(protocol, row.endpoint, row.by)
    unit = contrast_unit(row.by, row.unit)
    by = row.by + (f", adjusted for {row.adjust}" if row.adjust else "")
    spread = (row.high - row.low) / 2
    arms = (arm_title(protocol, arm) for arm in (row.arm, row.reference))
    cells: list[Cell | str] = [
        " with ".join(arms),
        endpoint_title(protocol, row.endpoint),
        by,
        amount(row.estimate, spread, kind, unit),
        interval(row.low, row.high, kind, unit),
    ]
    if many:
        cells.append(interval(row.ci_low, row.ci_high, kind, unit))
        cells.append(amount(row.power, 0.01, "share"))
    else:
        cells.append("under 0.001" if row.p < 0.001 else number(row.p, 2))
    cells.append(error_words(row.mc_error, kind, unit))
    if paired:
        error = f"± {error_words(row.truth_error, kind)}"
        cells.append(Cell(amount(row.truth, spread, kind, unit), error))
    return cells


def interval_in_words(frame: pd.DataFrame) -> str:
    """Say what the intervals of a frame are."""
    kinds = set(frame["interval"])
    levels = sorted(set(frame["level"])) if "level" in frame else [0.95]
    share = " or ".join(number(100 * float(level)) for level in levels)
    words = []
    if "between trials" in kinds:
        words.append(
            f"An interval holds {share} % of single trials: where the number of one "
            "real trial of this size is to be expected."
        )
    if "confidence" in kinds:
        words.append(f"An interval is the trial's own {share} % confidence interval.")
    return " ".join(words)


def published_words(protocol: Protocol, frame: pd.DataFrame) -> pd.DataFrame:
    """Say with titles what each published number is of, and where it is from."""
    named = protocol.published if len(protocol.published) == len(frame) else ()
    links = [link(point.source.doi, point.source.url) for point in named]
    words = [_what(protocol, row) for row in each_row(frame)]
    return frame.assign(words=words, link=links or "")


def _what(protocol: Protocol, row: Any) -> str:
    """Say what one published number is of."""
    for compared in protocol.analysis:
        if row.comparison == compared.name:
            return (
                f"{arm_title(protocol, compared.arm)} with "
                f"{arm_title(protocol, compared.reference)}, "
                f"{endpoint_title(protocol, compared.endpoint)}: {compared.by}"
            )
    if not row.endpoint:
        return str(row.what)
    said = "" if row.kind == "share" else f" ({row.statistic})"
    title = endpoint_title(protocol, row.endpoint)
    where = f", where {row.where}" if row.where else ""
    return f"{title}{said}, {arm_title(protocol, row.arm)}{where}"


def published_table(frame: pd.DataFrame) -> Table:
    """Lay published numbers beside simulated ones; a miss is called a miss."""
    rows = []
    for row in each_row(frame):
        aim = (row.high - row.low) / 2
        verdict = (
            Cell("within", mark="good") if row.within else Cell("MISS", mark="bad")
        )
        source = Cell(
            str(row.source) or "no source given",
            "" if row.verified else "unverified",
            "" if row.verified else "warn",
            row.link,
        )
        rows.append(
            (
                row.words,
                verdict,
                amount(row.published, aim, row.kind, row.unit),
                Cell(
                    amount(row.simulated, row.mc_error, row.kind, row.unit),
                    f"± {error_words(row.mc_error, row.kind)}",
                ),
                interval(row.low, row.high, row.kind, row.unit),
                source,
            )
        )
    heads = ("What", "Within?", "Published", "Simulated", "Counts as within", "Source")
    caption = "Published and simulated outcomes; ± is the Monte Carlo standard error."
    table = make_table("published", caption, heads, rows, words=2)
    return table._replace(numeric=(False, False, True, True, True, False))


def failures_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the failed subjects by Status and arm."""
    rows = [
        (arm_title(protocol, row.arm), status_words(row.status), count(row.count))
        for row in each_row(frame)
    ]
    heads = ("Arm", "Status", "Subjects")
    caption = "Subjects whose equations could not be solved, by reason."
    return make_table("failures", caption, heads, rows, words=2)


def status_words(status: object) -> str:
    """Say a Status given as a code, a name or words."""
    if isinstance(status, str):
        return Status[status].words if status in Status.__members__ else status
    return Status(int(status)).words  # type: ignore[call-overload]


def comparisons_list(protocol: Protocol) -> list[str]:
    """Say every planned comparison."""
    return [comparison_in_words(protocol, c) for c in protocol.analysis]


def operating_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down what the design is worth, measure by measure, with Monte Carlo errors.

    `frame` is `Estimates.operating`.
    """
    asked = {comparison.name: comparison for comparison in protocol.analysis}
    rows: list[Sequence[Cell | str]] = []
    last = None
    for row in each_row(frame):
        comparison = asked.get(row.comparison)
        named = comparison_in_words(protocol, comparison) if comparison else ""
        lead = (named or str(row.comparison)) if row.comparison != last else ""
        last = row.comparison
        kind, unit = _measured_in(protocol, comparison, str(row.measure))
        error = row.mc_error
        said = f"± {error_words(error, kind)}" if math.isfinite(error) else MISSING
        value = amount(row.value, error, kind, unit)
        rows.append((lead, str(row.measure), value, said))
    heads = ("Comparison", "Measure", "Value", "Monte Carlo error")
    return make_table("operating", _OPERATING, heads, rows, words=2)


_OPERATING = (
    "What the design is worth. Power: share of trials whose p is below one minus the "
    "level. Coverage: share of trials whose interval holds the true effect. Bias: mean "
    "estimate less the true effect. Standard deviations: of one trial's estimate, and "
    "its parts. Ratios are judged on the scale of their logarithm."
)
_SHARED = ("power", "coverage", "share", "probability", "error rate")
_COUNTED = ("size", "precision", "number")


def _measured_in(
    protocol: Protocol, comparison: Comparison | None, measure: str
) -> tuple[Kind, str]:
    """Say of what kind and in what unit a measure of a design is."""
    if any(word in measure for word in _SHARED):
        return "share", "1"
    if comparison is None or any(word in measure for word in _COUNTED):
        return "plain", "1"
    kind = contrast_kind(protocol, comparison.endpoint, comparison.by)
    found = [p for p in protocol.endpoints if p.name == comparison.endpoint]
    plain = kind == "plain" and found and not found[0].binary
    return kind, contrast_unit(comparison.by, found[0].unit) if plain else "1"

"""The tables of a report: frames in, cells of words out."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from vtrial.analysis.estimates import MISS, UNDECIDED, WITHIN, settled
from vtrial.measure.registry import measures
from vtrial.protocol.analysis import effect_kind
from vtrial.protocol.protocol import Protocol
from vtrial.report.caveats import caveats, undefined_effect, undefined_endpoint
from vtrial.report.design import (
    arm_title,
    comparison_in_words,
    effect_words,
    endpoint_title,
    where_words,
)
from vtrial.report.frames import each_row
from vtrial.report.timing import timing_of
from vtrial.report.words import (
    Kind,
    amount,
    as_given,
    capital,
    count,
    error_words,
    interval,
    link,
    number,
    suffix,
)
from vtrial.types import Status

_STATISTICS = {"sd": "standard deviation", "share": "share of subjects"}


MOST_ACROSS = 6  # arms that stand side by side, on paper, too


class Note(NamedTuple):
    """Small words below a number, and how they are marked."""

    words: str
    mark: str


class Cell(NamedTuple):
    """Words in a table: a main line, a small line, a mark, an address, notes below."""

    text: str
    small: str = ""
    mark: str = ""
    href: str = ""
    notes: tuple[Note, ...] = ()


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
    """Return whether a statistic of an endpoint is a share, or points of one."""
    if statistic == "share":
        return "share"
    binary = any(p.name == endpoint and p.binary for p in protocol.endpoints)
    kinds: dict[str, Kind] = {"mean": "share", "sd": "points"}
    return kinds.get(statistic, "plain") if binary else "plain"


def statistic_unit(statistic: str, unit: str) -> str:
    """Return a statistic's unit: what percentages vary by is in points (pp)."""
    return "pp" if statistic == "sd" and unit == "%" else unit


def contrast_kind(protocol: Protocol, endpoint: str, by: str) -> Kind:
    """Return whether a contrast is a difference of shares."""
    known = [point for point in protocol.endpoints if point.name == endpoint]
    if known:
        return "points" if effect_kind(by, known[0])[0] == "difference" else "plain"
    return "points" if measures()[by].shares else "plain"


def contrast_unit(by: str, unit: str) -> str:
    """Return a contrast's unit: ratios have none, percentages differ by points."""
    if measures()[by].ratio or measures()[by].shares:
        return "1"
    return "pp" if unit == "%" else unit


def endpoints_tables(
    protocol: Protocol, frame: pd.DataFrame, missing: pd.DataFrame
) -> list[Table]:
    """Lay endpoints down and arms across, each number with its interval.

    Of many arms some stand in a table each, so that paper holds all their columns.
    `missing` is `Estimates.missing`.
    """
    arms = [arm.name for arm in protocol.arms if arm.name in set(frame["arm"])]
    blocks = -(-len(arms) // MOST_ACROSS)
    size = -(-len(arms) // max(blocks, 1))
    return [
        _endpoints_table(protocol, frame, missing, arms, (start, start + size))
        for start in range(0, len(arms), size)
    ]


def _endpoints_table(
    protocol: Protocol,
    frame: pd.DataFrame,
    missing: pd.DataFrame,
    every: Sequence[str],
    block: tuple[int, int],
) -> Table:
    """Lay endpoints down, and the arms of a block across."""
    arms = every[slice(*block)]
    cells = {
        (row.endpoint, row.statistic, row.arm): _estimate(protocol, row)
        for row in each_row(frame)
    }
    pairs = list(dict.fromkeys(zip(frame["endpoint"], frame["statistic"], strict=True)))
    rows, last = [], None
    for endpoint, statistic in pairs:
        across = [cells.get((endpoint, statistic, arm), Cell("")) for arm in arms]
        if endpoint != last:
            title = capital(endpoint_title(protocol, endpoint))
            rows.append((title, "subjects", *_numbers(frame, missing, endpoint, arms)))
        last = endpoint
        rows.append(("", _STATISTICS.get(statistic, str(statistic)), *across))
    heads = ["Endpoint", "Statistic", *(arm_title(protocol, arm) for arm in arms)]
    caption = "Endpoints by arm: estimate, and interval below it."
    if protocol.potential == "all" and len(protocol.arms) > 1:
        caption += (
            " Subjects are those allocated to the arm, as in a real trial; "
            "“everybody” is the number of all subjects, who were simulated under "
            "every arm."
        )
    name = "endpoints"
    if len(arms) < len(every):
        first, last = block[0] + 1, block[0] + len(arms)
        caption = f"Arms {first} to {last} of {len(every)}. {caption}"
        name += f"-{first}" if block[0] else ""
    return make_table(name, caption, heads, rows, words=2)


def _numbers(
    frame: pd.DataFrame, missing: pd.DataFrame, endpoint: str, arms: Sequence[str]
) -> list[Cell]:
    """Return of how many subjects an endpoint is known by arm, and why not of all."""
    rows = frame[frame["endpoint"] == endpoint].drop_duplicates("arm")
    missing = missing[missing["endpoint"] == endpoint]
    cells = dict.fromkeys(arms, Cell(""))
    for row in each_row(rows):
        whys = each_row(missing[missing["arm"] == row.arm])
        lost = [f"{count(why.count)} missing: {why.reason}" for why in whys]
        lost += [f"{count(row.missing)} missing"] if row.missing and not lost else []
        lost += [f"{count(row.failed)} not solved"] if row.failed else []
        cells[row.arm] = Cell(count(row.n), ", ".join(lost))
    return [cells[arm] for arm in arms]


def _estimate(protocol: Protocol, row: Any) -> Cell:
    """Write an estimate, its interval, and what stands against it."""
    kind = endpoint_kind(protocol, row.endpoint, row.statistic)
    unit = statistic_unit(row.statistic, row.unit)
    text = amount(row.estimate, row.mc_error, kind, unit)
    low, high = (settled(end, kind, unit) for end in (row.low, row.high))
    known = math.isfinite(low)
    said = [interval(low, high, kind, error=row.mc_error)] if known else []
    said += caveats(row, kind, unit, undefined_endpoint(protocol, row))
    return Cell(text, "; ".join(said))


def contrasts_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the contrasts, each with its intervals, power or p, and truth."""
    heads = ["Comparison", "Endpoint", "By", "Subjects", "Estimate", "Interval"]
    many = bool((frame["replicates"] > 1).any())
    heads += ["Mean limits of a trial", "Power"] if many else ["p"]
    paired = bool(frame["truth"].notna().any())
    heads += ["Monte Carlo error", *(["True effect"] if paired else [])]
    rows = [
        _contrast(protocol, row, many=many, paired=paired) for row in each_row(frame)
    ]
    caption = "Comparisons of arms. Subjects: of the arm / of its reference."
    if many:
        caption += (
            " Power: share of trials whose p is below one minus the level, and its "
            "95 % Monte Carlo limits (Wilson)."
        )
    if paired:
        caption += " True effect: every subject under both arms."
    return make_table("contrasts", caption, heads, rows, words=3)


def _contrast(
    protocol: Protocol, row: Any, *, many: bool, paired: bool
) -> list[Cell | str]:
    """Write one contrast."""
    kind = contrast_kind(protocol, row.endpoint, row.by)
    unit = contrast_unit(row.by, row.unit)
    by = effect_words(row.by) + (f", adjusted for {row.adjust}" if row.adjust else "")
    error = row.mc_error
    arms = (arm_title(protocol, arm) for arm in (row.arm, row.reference))
    against = caveats(row, kind, unit, undefined_effect(row.by))
    cells: list[Cell | str] = [
        " with ".join(arms),
        endpoint_title(protocol, row.endpoint),
        by,
        _compared(row),
        Cell(amount(row.estimate, error, kind, unit), "; ".join(against)),
        interval(row.low, row.high, kind, unit, error=error),
    ]
    if many:
        cells.append(interval(row.ci_low, row.ci_high, kind, unit, error=error))
        wide = (row.power_high - row.power_low) / (2 * 1.96)
        limits = interval(row.power_low, row.power_high, "share", error=wide)
        cells.append(Cell(amount(row.power, wide, "share"), limits))
    else:
        cells.append("under 0.001" if row.p < 0.001 else number(row.p, 2))
    cells.append(error_words(row.mc_error, kind, unit))
    if paired:
        off = f"± {error_words(row.truth_error, kind, unit)}"
        cells.append(Cell(amount(row.truth, row.truth_error, kind, unit), off))
    return cells


def _compared(row: Any) -> Cell:
    """Return of how many subjects a contrast is, and how many it leaves out."""
    sides = [
        (row.n, row.missing, row.failed),
        (row.reference_n, row.reference_missing, row.reference_failed),
    ]
    lost = [
        " and ".join(
            f"{count(number)} {word}"
            for number, word in ((missing, "missing"), (failed, "not solved"))
            if number
        )
        for _, missing, failed in sides
    ]
    words = " / ".join(one or "none" for one in lost) if any(lost) else ""
    return Cell(" / ".join(count(side[0]) for side in sides), words)


def interval_in_words(frame: pd.DataFrame) -> str:
    """Return what the intervals of a frame are."""
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
    """Add to each published number what it is of, by titles, and where it is from."""
    named = (
        protocol.evidence.published
        if len(protocol.evidence.published) == len(frame)
        else ()
    )
    links = [link(point.source.doi, point.source.url) for point in named]
    words = [_what(protocol, row) for row in each_row(frame)]
    asked = {compared.name: compared for compared in protocol.analysis.comparisons}
    units = [
        contrast_unit(asked[c].by, str(unit)) if c in asked else unit
        for c, unit in zip(frame["comparison"], frame["unit"], strict=True)
    ]
    return frame.assign(words=words, link=links or "", unit=units)


def _what(protocol: Protocol, row: Any) -> str:
    """Return what one published number is of."""
    for compared in protocol.analysis.comparisons:
        if row.comparison == compared.name:
            return (
                f"{arm_title(protocol, compared.arm)} with "
                f"{arm_title(protocol, compared.reference)}, "
                f"{endpoint_title(protocol, compared.endpoint)}: "
                f"{effect_words(compared.by)}"
            )
    if not row.endpoint:
        return str(row.what)
    said = "" if row.kind == "share" else f" ({row.statistic})"
    title = endpoint_title(protocol, row.endpoint)
    where = f", where {where_words(protocol, row.where)}" if row.where else ""
    return f"{title}{said}, {arm_title(protocol, row.arm)}{where}"


MARKS = {WITHIN: "good", UNDECIDED: "warn", MISS: "bad"}


def published_table(frame: pd.DataFrame) -> Table:
    """Lay published numbers beside simulated ones; a miss is called a miss."""
    rows = []
    for row in each_row(frame):
        verdict = Cell(row.verdict, mark=MARKS[row.verdict])
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
                as_given(row.published, row.kind, row.unit),
                Cell(
                    amount(row.simulated, row.mc_error, row.kind, row.unit),
                    f"± {error_words(row.mc_error, row.kind, row.unit)}",
                ),
                _range(row),
                source,
            )
        )
    heads = ("What", "Within?", "Published", "Simulated", "Counts as within", "Source")
    caption = (
        "Published and simulated outcomes; ± is the Monte Carlo standard error. A miss "
        "lies outside the range, and so does its 95 % Monte Carlo interval; where that "
        "reaches into the range, more replicates would tell: undecided."
    )
    table = make_table("published", caption, heads, rows, words=2)
    return table._replace(numeric=(False, False, True, True, True, False))


def _range(row: Any) -> str:
    """Write the range that counts as within, as the sheet has it."""
    low = as_given(row.low, row.kind)
    return f"{low.removesuffix(suffix(row.kind))} to " + as_given(
        row.high, row.kind, row.unit
    )


def failures_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down the failed subjects by Status and arm."""
    rows = [
        (arm_title(protocol, row.arm), status_words(row.status), count(row.count))
        for row in each_row(frame)
    ]
    heads = ("Arm", "Status", "Subjects")
    caption = "Subjects whose equations could not be solved, by reason."
    return make_table("failures", caption, heads, rows, words=2)


def fallbacks_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down who was solved by another method than the first, by arm."""
    rows = [
        (arm_title(protocol, row.arm), row.method, count(row.count))
        for row in each_row(frame)
    ]
    heads = ("Arm", "Solved by", "Subjects")
    caption = (
        "Subjects on whom the first method failed and another did not; they count like "
        "all others."
    )
    return make_table("fallbacks", caption, heads, rows, words=2)


def departed_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down who left, when and why, by arm and cause."""
    caption = (
        "Who left, when, why: of the solved subjects of each arm those who left for a "
        "cause before the end, ± Monte Carlo error, and the mean of their times, with "
        "the first and the last."
    )
    return _ended_table(protocol, frame, "departed", "Left", caption)


def stopped_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay down who stopped treatment, when and why, by arm and cause."""
    caption = (
        "Who stopped treatment: of the solved subjects of each arm those who stopped "
        "it for a cause before they left, as the endpoints count it, ± Monte Carlo "
        "error, and the mean of their times, with the first and the last."
    )
    return _ended_table(protocol, frame, "stopped", "Stopped", caption)


def _ended_table(
    protocol: Protocol, frame: pd.DataFrame, name: str, ended: str, caption: str
) -> Table:
    """Lay down whose part or treatment ended, when and why, by arm and cause."""
    lasting = timing_of(protocol).duration

    def when(row: Any) -> Cell:
        if not row.count:
            return Cell("")
        return Cell(lasting(row.mean), f"{lasting(row.first)} to {lasting(row.last)}")

    rows = [
        (
            arm_title(protocol, row.arm),
            row.cause,
            count(row.n),
            count(row.count),
            Cell(
                amount(row.share, row.mc_error, "share"),
                f"± {error_words(row.mc_error, 'points')}" if row.mc_error > 0 else "",
            ),
            when(row),
        )
        for row in each_row(frame)
    ]
    heads = ("Arm", "Why", "n", ended, "Share", "When")
    return make_table(name, caption, heads, rows, words=2)


def status_words(status: object) -> str:
    """Return the words of a Status given as a code, a name or words."""
    if isinstance(status, str):
        return Status[status].words if status in Status.__members__ else status
    return Status(int(status)).words  # type: ignore[call-overload]


def comparisons_list(protocol: Protocol) -> list[str]:
    """Return every planned comparison in words."""
    return [comparison_in_words(protocol, c) for c in protocol.analysis.comparisons]

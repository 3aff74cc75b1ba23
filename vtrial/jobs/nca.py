"""Non-compartmental analysis of a table of measured data."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from vtrial.endpoint.profile import UP_DOWN, Rule
from vtrial.errors import DataError, Fault, ProtocolError
from vtrial.jobs.nca_codes import CODES, PARTIAL, Code, Scaled, Sort, units_of
from vtrial.jobs.nca_data import ID, ROUTES, Profiles, Told, read_profiles
from vtrial.jobs.nca_kernel import Blq, Profile, analyse
from vtrial.protocol.times import duration, span
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.units import factor

SUBJECT = "USUBJID"
_NO_TAIL = "NO FALLING END: FEWER THAN 3 VALUES, OR THEY RISE"
_EARLIER = "EARLIER DOSES ARE STILL THERE"
_OTHER = "TOO FEW VALUES"


class _Asked(NamedTuple):
    """What is asked, read: spans and interval in the table's unit of time."""

    told: Told
    spans: tuple[tuple[float, float], ...]
    words: tuple[str, ...]
    rule: Rule
    blq: Blq


def noncompartmental(
    data: str | Path,
    *,
    time: str = "h",
    conc: str = "mg/L",
    dose: str = "mg",
    route: str | None = None,
    rule: str = UP_DOWN,
    blq: str = "zero before first",
    lloq: float = 0.0,
    partial: Sequence[str] = (),
    tau: str = "",
    steady: bool = False,
    amount: str = "",
    by: Sequence[str] = (),
) -> pd.DataFrame:
    """Return a row a profile and parameter, with CDISC's codes, words and columns.

    The terminal rate is fitted to the last values after the maximum, three or more,
    that have the best adjusted R2 (from the maximum on for a bolus). Where a number
    cannot be had, PPSTAT says NOT DONE and PPREASND why.

    Parameters
    ----------
    data
        ID, TIME, DV; and AMT, EVID, MDV, BLQ (or CENS), RATE, DUR, II, ADDL, SS, ROUTE
        as far as they are there.
    time, conc, dose
        Units of TIME, DV and AMT.
    route
        Of all doses; see `Told`.
    rule
        Which lines between values are logarithmic.
    blq, lloq
        What values below the limit count as, and the limit [conc]; without one, values
        of 0 and those marked in the table are below it.
    partial
        Spans since the dose: `0 h to 24 h`.
    tau, steady, amount, by
        See `Told`; `tau` is a duration in words.

    Raises
    ------
    DataError
        With every wrong row of the table, and everything that is asked wrongly.
    """
    units = units_of(time, conc, dose)
    asked = _asked(time, route, rule, blq, lloq, partial, tau, steady, amount, by)
    profiles = read_profiles(data, asked.told)
    _refuse_unlimited(profiles, asked, lloq)
    found = _analysed(profiles, asked, lloq)
    return _rows(profiles, found, asked, units)


def nca_wide(table: pd.DataFrame) -> pd.DataFrame:
    """Lay parameters out by column, a row a profile; `attrs["units"]` has their units.

    Partial areas are called by their span: `AUCINT 0-24`.
    """
    rows = table.copy()
    ends = rows["PPSTINT"].where(rows["PPSTINT"].isna(), _span_words(rows))
    rows["name"] = rows["PPTESTCD"].where(ends.isna(), rows["PPTESTCD"] + " " + ends)
    keys = [n for n in rows.columns if not n.startswith("PP") and n != "name"]
    units = dict(zip(rows["name"], rows["PPORRESU"], strict=True))
    order = list(dict.fromkeys(rows["name"]))
    laid = rows.pivot_table(
        index=keys, columns="name", values="PPORRES", sort=False, dropna=False
    )
    laid = laid.dropna(how="all")
    laid = laid.reindex(columns=[name for name in order if name in laid]).reset_index()
    laid.columns.name = None
    laid.attrs["units"] = units
    return laid


def nca_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return how each parameter is distributed over profiles.

    Geometric mean and CV are of values above zero, where all are.
    """
    rows = []
    named = table.assign(span=_span_words(table))
    for (code, ends, unit), part in named.groupby(
        ["PPTESTCD", "span", "PPORRESU"], sort=False
    ):
        values = part["PPORRES"].dropna().to_numpy(float)
        row: dict[str, object] = {"parameter": f"{code} {ends}".strip(), "unit": unit}
        row |= {"n": values.size, "missing": len(part) - values.size}
        row |= {"mean": math.nan, "sd": math.nan, "geometric mean": math.nan}
        row |= {"geometric CV %": math.nan, "median": math.nan}
        row |= {"min": math.nan, "max": math.nan}
        if values.size:
            row |= {"mean": float(values.mean()), "median": float(np.median(values))}
            row |= {"min": float(values.min()), "max": float(values.max())}
        if values.size > 1:
            row["sd"] = float(values.std(ddof=1))
        if values.size > 1 and values.min() > 0:
            logs = np.log(values)
            row["geometric mean"] = float(np.exp(logs.mean()))
            spread = math.expm1(float(logs.var(ddof=1)))
            row["geometric CV %"] = 100.0 * math.sqrt(spread)
        rows.append(row)
    return pd.DataFrame(rows)


def _asked(
    time: str,
    route: str | None,
    rule: str,
    blq: str,
    lloq: float,
    partial: Sequence[str],
    tau: str,
    steady: bool,
    amount: str,
    by: Sequence[str],
) -> _Asked:
    """Read what is asked, and refuse all that cannot be at once."""
    faults: list[Fault] = []
    words = {"route": (route, ROUTES), "rule": (rule, get_args(Rule))}
    words["blq"] = (blq, get_args(Blq))
    for name, (word, known) in words.items():
        if word is not None and word not in known:
            write = nearest(word, known) or known[0]
            faults.append(Fault(name, f"`{word}`", listed(known), write))
    if not (lloq >= 0 and math.isfinite(lloq)):
        faults.append(Fault("lloq", f"{lloq}", "0 or above", "0.1"))
    hours = factor(time, "h")
    spans, interval = [], 0.0
    for text in partial:
        try:
            start, end = span(text)
        except ProtocolError as error:
            faults += [fault._replace(at="partial") for fault in error.faults]
            continue
        if start == end:
            faults.append(Fault("partial", f"`{text}`", "a span", "0 h to 24 h"))
        spans.append((start / hours, end / hours))
    try:
        interval = duration(tau) / hours if tau else 0.0
    except ProtocolError as error:
        faults += [fault._replace(at="tau") for fault in error.faults]
    raise_faults(DataError, faults)
    told = Told(route=route, amount=amount, tau=interval, steady=steady, by=tuple(by))  # type: ignore[arg-type]
    return _Asked(told, tuple(spans), tuple(partial), rule, blq)  # type: ignore[arg-type]


def _refuse_unlimited(profiles: Profiles, asked: _Asked, lloq: float) -> None:
    """Refuse half of a limit that nobody has told."""
    if asked.blq.startswith("LLOQ/2") and not lloq and profiles.below.any():
        raise DataError(
            "blq", f"`{asked.blq}` without a limit", "told the limit", "--lloq 0.1"
        )


def _analysed(profiles: Profiles, asked: _Asked, lloq: float) -> dict[str, np.ndarray]:
    """Compute the numbers of all profiles."""
    below = profiles.below | (profiles.value < lloq)
    limit = jnp.asarray(lloq or np.finfo(float).tiny)
    parts = profiles._replace(below=below)._asdict()
    profile = Profile(**{n: jnp.asarray(parts[n]) for n in Profile._fields})
    spans = jnp.asarray(np.array(asked.spans, float).reshape(-1, 2))
    one = functools.partial(analyse, rule=asked.rule, blq=asked.blq)
    found = jax.jit(jax.vmap(one, (0, None, None)))(profile, limit, spans)
    return {name: np.asarray(value) for name, value in found.items()}


def _rows(
    profiles: Profiles,
    found: dict[str, np.ndarray],
    asked: _Asked,
    units: Mapping[Sort, Scaled],
) -> pd.DataFrame:
    """Lay the numbers out, a row a profile and parameter."""
    parts = [
        _part(profiles, code, found[code.number], units)
        for code in CODES
        if _is_asked(profiles, code).any()
    ]
    unit = units["time"].unit
    for place, (start, end) in enumerate(asked.spans):
        part = _part(profiles, PARTIAL, found["partial"][:, place], units)
        ends = {"PPSTINT": _lasting(start, unit), "PPENINT": _lasting(end, unit)}
        parts.append(part.assign(**ends))
    table = pd.concat(parts, ignore_index=True)
    if not asked.spans:
        table = table.assign(PPSTINT=None, PPENINT=None)
    order = np.argsort(table["profile"], kind="stable")
    table = table.iloc[order].drop(columns="profile").reset_index(drop=True)
    return table.rename(columns={ID: SUBJECT})


def _is_asked(profiles: Profiles, code: Code) -> np.ndarray:
    """Return for which profiles a parameter makes sense."""
    asked = np.isin(profiles.route, list(code.routes))
    if code.interval:
        asked &= np.isfinite(profiles.tau)
        asked &= profiles.steady | (not code.dose)
    elif code.sort in ("auc", "aumc", "clearance", "volume", "%") and code.tail:
        asked &= ~profiles.steady
    if code.dose:
        asked &= np.isfinite(profiles.dose)
    return asked


def _part(
    profiles: Profiles, code: Code, numbers: np.ndarray, units: Mapping[Sort, Scaled]
) -> pd.DataFrame:
    """Lay one parameter out."""
    asked = np.flatnonzero(_is_asked(profiles, code))
    unit = units[code.sort]
    value = numbers[asked] * unit.factor
    missing = ~np.isfinite(value)
    early = ~(profiles.alone | profiles.steady)[asked]
    why = np.where(early & (code.sort != "time"), _EARLIER, _NO_TAIL)
    why = why if code.tail else np.full(len(asked), _OTHER)
    part = profiles.who.iloc[asked].reset_index(drop=True)
    return part.assign(
        PPTESTCD=code.code,
        PPTEST=code.test,
        PPORRES=np.where(missing, np.nan, value),
        PPORRESU=unit.unit,
        PPSTAT=np.where(missing, "NOT DONE", ""),
        PPREASND=np.where(missing, why, ""),
        profile=asked,
    )


def _lasting(value: float, unit: str) -> str:
    """Write a time since the dose as ISO 8601 does: `PT24H`."""
    hours = value * factor(unit, "h")
    return f"PT{hours:.12g}H"


def _span_words(table: pd.DataFrame) -> pd.Series:
    """Write spans in hours: `0-24`; nothing where there is none."""

    def bare(name: str) -> pd.Series:
        return table[name].fillna("").astype(str).str.replace("[PTH]", "", regex=True)

    words = bare("PPSTINT") + "-" + bare("PPENINT")
    return words.where(words != "-", "")

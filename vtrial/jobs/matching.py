"""People matched to targets: drawn from a cohort, or taken from a finished run."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from vtrial.cohort.balanced import choose
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.conflict import conflict, reach
from vtrial.cohort.sheet import load_cohort
from vtrial.cohort.target import (
    EVENT,
    Row,
    Targets,
    free_at,
    load_targets,
    rows_for,
)
from vtrial.cohort.tilt import Bounds, bounds_of, effective_size, tilt
from vtrial.conduct.plan import plan
from vtrial.conduct.provenance import protocol_of
from vtrial.dims import REPLICATE, SUBJECT
from vtrial.errors import CohortError, Fault
from vtrial.jobs.people import EFFECTS, draw_people
from vtrial.jobs.population import ID, TITLES, UNITS
from vtrial.keys import purpose_key
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed
from vtrial.store.record import open_record

PERSON = "PERSON"  # which of the pool somebody is
MOST_CODES = 10  # values from which on something is drawn as a histogram
BINS = 30
MOMENTS = 60  # at which survival is drawn
PARTS = ("share", "shares", "survival")  # kinds that are shown in per cent


class Matched(NamedTuple):
    """People who meet targets.

    Fields
    ------
    people
        Those chosen, as `draw_people` has them; `PERSON` is their number in the pool.
    weights
        The pool, with the `weight` of each.
    table
        A row a number that is wanted: `target`, `of`, `unit`, `kind`, `level`,
        `wanted`, `within`, and what it is in the `pool`, `weighted`, and of the
        `chosen`.
    sights
        What a figure shows: shares of the pool and of the chosen, by value or time.
    effective
        As how many even people the weights count (Kish).
    divergence
        Of the weights from even ones (Kullback and Leibler) [nats].
    most
        How often one person was chosen at most.
    lost
        People of a run whose outcomes are not known, who were left out.
    """

    people: pd.DataFrame
    weights: pd.DataFrame
    table: pd.DataFrame
    sights: pd.DataFrame
    effective: float
    divergence: float
    most: int
    lost: int

    @property
    def repeated(self) -> int:
        """How many people were chosen more than once."""
        return int((self.people[PERSON].value_counts() > 1).sum())

    @property
    def words(self) -> pd.DataFrame:
        """Return the table as people read it."""
        shown = self.table[["target", "unit"]].copy()
        parts = self.table["kind"].isin(PARTS)
        shown["unit"] = np.where(parts, "%", shown["unit"].replace("1", ""))
        for name in ("wanted", "within", "pool", "weighted", "chosen"):
            shown[name] = self.table[name] * np.where(parts, 100.0, 1.0)
        exact = shown["within"] == 0
        shown["within"] = np.where(exact, "", shown["within"].map("{:.4g}".format))
        return shown


class _Pool(NamedTuple):
    """People to choose from: what goes into a cohort, and what is known beside it."""

    table: pd.DataFrame
    known: dict[str, np.ndarray]
    words: dict[str, dict[float, str]]
    units: dict[str, str]
    lost: int


def match_people(
    source: str | Path | Cohort,
    targets: str | Path | Mapping[str, object] | Targets,
    *,
    subjects: int,
    pool: int = 20_000,
    seed: int = 0,
    model: str | Path | Model | None = None,
    under: str = "",
) -> Matched:
    """Find people of a cohort, or of a finished run, who meet targets.

    Weights of least divergence from even ones that meet them are found, and people
    chosen by these, so that what is wanted holds of the chosen as far as whole people
    can have it. Nobody is chosen twice if no weight is above 1 / `subjects`.

    Parameters
    ----------
    source
        A cohort, or the folder of a run, whose subjects are then the pool, with their
        outcomes.
    subjects
        How many are chosen.
    pool
        How many people of a cohort are drawn to choose from.
    model
        Whose random effects people of a cohort have, too; of a run it is known.
    under
        The arm of a run whose outcomes count; there may be only one if none is said.

    Raises
    ------
    CohortError
        With the targets that cannot be met together, and what could be.
    """
    wanted = targets if isinstance(targets, Targets) else load_targets(targets)
    _refuse_sizes(subjects, pool)
    if isinstance(source, Cohort) or not Path(source).is_dir():
        found = _of_cohort(source, pool, seed, model)
    else:
        found = _of_run(source, under, model, wanted)
    rows = rows_for(wanted, found.known, found.words)
    bounds = bounds_of(
        np.stack([row.feature for row in rows], axis=1),
        np.array([row.low for row in rows]),
        np.array([row.high for row in rows]),
    )
    tilted = tilt(bounds)
    if tilted.weights is None:
        raise CohortError.of(_why(wanted, rows, bounds))
    weights = tilted.weights
    key = purpose_key(jax.random.key(seed), "match")
    times = choose(key, subjects * weights, bounds.feature)
    place = np.repeat(np.arange(times.size), times)
    people = found.table.iloc[place].reset_index(drop=True)
    people.insert(1, PERSON, people[ID])
    people[ID] = np.arange(subjects) + 1
    people.attrs = dict(found.table.attrs)
    counted = times / subjects
    return Matched(
        people,
        found.table.assign(weight=weights),
        _table(rows, found, weights, counted),
        _sights(rows, found, counted),
        effective_size(weights),
        tilted.divergence,
        int(times.max()),
        found.lost,
    )


def _refuse_sizes(subjects: int, pool: int) -> None:
    """Refuse numbers of people that are none."""
    sizes = {"subjects": subjects, "pool": pool}
    allowed = "a whole number from 2 to 1,000,000"
    raise_faults(
        CohortError,
        (
            Fault(name, f"{size}", allowed, "")
            for name, size in sizes.items()
            if not 2 <= size <= 1_000_000
        ),
    )


def _of_cohort(
    source: str | Path | Cohort, pool: int, seed: int, model: str | Path | Model | None
) -> _Pool:
    """Draw people to choose from."""
    cohort = source if isinstance(source, Cohort) else load_cohort(source)
    table = draw_people(cohort, subjects=pool, seed=seed)
    if model is not None:
        drawn = draw_people(cohort, subjects=pool, seed=seed, model=model)
        asked = load_model(model) if isinstance(model, str | Path) else model
        effects = _carried(asked, drawn)
        table = _joined(table, drawn[effects], effects)
    known = {str(n): table[n].to_numpy(float) for n in table if n != ID}
    words = {name: cohort.labels(name) for name in cohort.names}
    return _Pool(table, known, words, table.attrs[UNITS], 0)


def _of_run(
    folder: str | Path,
    under: str,
    model: str | Path | Model | None,
    targets: Targets,
) -> _Pool:
    """Take the people of a run, who are drawn again, and what became of them."""
    if model is not None:
        raise CohortError("--model", "given for a run", "left out: it has one", "")
    record = open_record(folder)
    planned = plan(protocol_of(record))
    protocol, cohort = planned.protocol, planned.cohort
    arms = [arm.name for arm in protocol.arms]
    if len(arms) > 1 and not under:
        allowed = f"one of {listed(arms)}, for outcomes depend on it"
        raise CohortError("--under", "left out", allowed, f"--under '{arms[0]}'")
    seen = record.subjects(under)
    outcomes = [point.name for point in protocol.endpoints if point.name in seen]
    asked = [one for one in outcomes if _concerns(targets, one)]
    sound = np.isfinite(seen[asked].to_numpy(float)).all(axis=1)
    if sound.sum() < 2:
        allowed = "a run of which two people's outcomes are known, or more"
        raise CohortError(str(folder), f"of {int(sound.sum())} such", allowed, "")
    mine = seen[sound]
    drawn = Trial(protocol, cohort).drawn(
        Identity(mine[REPLICATE].to_numpy(int), mine[SUBJECT].to_numpy(int))
    )
    own = {c.name: c.unit for c in protocol.model.covariates}
    columns = {name: np.asarray(drawn.covariates[name]) for name in cohort.names}
    table = pd.DataFrame({ID: np.arange(len(mine)) + 1, **columns})
    table.attrs[UNITS] = {n: own.get(n, cohort.unit(n)) for n in cohort.names}
    table.attrs[TITLES] = {name: cohort.label(name) for name in cohort.names}
    every = {n: np.asarray(v) for n, v in drawn.effects.items() if v.ndim == 1}
    effects = _carried(protocol.model, pd.DataFrame(every))
    table = _joined(table, pd.DataFrame(every)[effects], effects)
    known = columns | {name: every[name] for name in effects}
    for name in outcomes:
        for part in (name, name + EVENT):
            if part in mine:
                known[part] = mine[part].to_numpy(float)
                table[part] = known[part]
    words = {name: cohort.labels(name) for name in cohort.names}
    units = seen.attrs[UNITS] | table.attrs[UNITS]
    return _Pool(table, known, words, units, int((~sound).sum()))


def _concerns(targets: Targets, name: str) -> bool:
    """Return whether a target may be about something, in a list or an expression."""
    return any(name in str(entry.of) for entry in targets.entries)


def _carried(model: Model, drawn: pd.DataFrame) -> list[str]:
    """Name the random effects of subjects; those of occasions nobody carries along."""
    own = [n for block in model.random if block.level == "subject" for n in block.names]
    return [f"eta.{name}" for name in own if f"eta.{name}" in drawn]


def _joined(
    table: pd.DataFrame, more: pd.DataFrame, effects: Sequence[str]
) -> pd.DataFrame:
    """Put random effects beside covariates."""
    whole = pd.concat([table, more.reset_index(drop=True)], axis=1)
    whole.attrs = dict(table.attrs) | {EFFECTS: tuple(effects)}
    return whole


def _why(targets: Targets, rows: Sequence[Row], bounds: Bounds) -> list[Fault]:
    """Say which targets these people cannot meet, and what they could."""
    sheet, count = targets.sheet, len(bounds.feature)
    culprits = conflict(bounds)
    if not culprits:
        found = f"met only by weights that leave out almost all of {count:,} people"
        allowed = "nearer to the pool, or given room by `within`; or the pool larger"
        return [sheet.fault(("targets",), found=found, allowed=allowed, write="")]
    faults = []
    for place in culprits:
        row, others = rows[place], [other for other in culprits if other != place]
        low, high = reach(bounds, place, others)
        span = _span(row, low, high)
        found = f"{_number(row, row.wanted)} ({row.target})"
        if others:
            met = " and ".join(rows[other].target for other in others)
            found += f", which {count:,} people cannot have together with {met}"
            span += " with these met"
        else:
            found += f", which no weights of {count:,} people give"
        faults.append(sheet.fault(row.path, found=found, allowed=span, write=""))
    return faults


def _span(row: Row, low: float, high: float) -> str:
    """Say between what a number can lie."""
    if row.kind in ("median", "quantiles"):
        where = f"at or below {row.wanted:g} of {100 * row.level:g} % of them"
        return f"{where}; it can be of {100 * low:.3g} to {100 * high:.3g} %"
    if row.kind == "sd":
        low, high = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
    return f"from {_number(row, low)} to {_number(row, high)}"


def _number(row: Row, value: float) -> str:
    """Write a number as its target does."""
    return f"{100 * value:.4g} %" if row.kind in PARTS else f"{value:.4g}"


def _table(
    rows: Sequence[Row], pool: _Pool, weights: np.ndarray, counted: np.ndarray
) -> pd.DataFrame:
    """Lay out what is wanted, and what there is."""
    even = np.full(weights.size, 1 / weights.size)
    units = pool.units
    found = [
        {
            "target": row.target,
            "of": row.of,
            "unit": "1" if row.kind in PARTS else units.get(row.of, "1"),
            "kind": row.kind,
            "level": row.level,
            "wanted": row.wanted,
            "within": row.within,
            "pool": row.shown(even),
            "weighted": row.shown(weights),
            "chosen": row.shown(counted),
        }
        for row in rows
    ]
    return pd.DataFrame(found).drop_duplicates("target", ignore_index=True)


def _sights(rows: Sequence[Row], pool: _Pool, counted: np.ndarray) -> pd.DataFrame:
    """Lay out what is seen of each thing that targets are about, one after another."""
    frames = []
    for of in dict.fromkeys(row.of for row in rows):
        kinds = {row.kind for row in rows if row.of == of}
        values = pool.known.get(of)
        if "survival" in kinds and values is not None:
            top = max(row.level for row in rows if row.of == of and row.level > 0)
            frames.append(_alive(of, pool, counted, 1.25 * top))
        elif values is not None and np.unique(values).size <= MOST_CODES:
            frames.append(_codes(of, values, counted, pool.words.get(of, {})))
        elif values is not None:
            frames.append(_bins(of, values, counted))
    units, titles = pool.units, pool.table.attrs[TITLES]
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"of": []})
    whole["unit"] = [units.get(of, "1") for of in whole["of"]]
    whole["title"] = [titles.get(of) or of for of in whole["of"]]
    return whole


def _bins(of: str, values: np.ndarray, counted: np.ndarray) -> pd.DataFrame:
    """Count people by value."""
    low, high = (float(np.quantile(values, level)) for level in (0.002, 0.998))
    edges = np.linspace(low, high, BINS + 1)
    inside = np.clip(values, edges[0], edges[-1])
    before = np.histogram(inside, edges)[0] / values.size
    after = np.histogram(inside, edges, weights=counted)[0]
    return pd.DataFrame(
        {
            "of": of,
            "sight": "histogram",
            "low": edges[:-1],
            "high": edges[1:],
            "before": before,
            "after": after,
        }
    )


def _codes(
    of: str, values: np.ndarray, counted: np.ndarray, words: Mapping[float, str]
) -> pd.DataFrame:
    """Count people by category."""
    codes = np.unique(values)
    same = values[:, None] == codes
    return pd.DataFrame(
        {
            "of": of,
            "sight": "categories",
            "low": codes,
            "label": [words.get(float(code), f"{code:g}") for code in codes],
            "before": same.mean(axis=0),
            "after": counted @ same,
        }
    )


def _alive(of: str, pool: _Pool, counted: np.ndarray, top: float) -> pd.DataFrame:
    """Count who is free of an event, at moments [h] up to a last one."""
    values = pool.known[of]
    seen = pool.known.get(of + EVENT, np.ones(values.size))
    moments = np.linspace(0, min(top, float(values.max())), MOMENTS + 1)
    free = free_at(values[:, None], seen[:, None], moments)
    return pd.DataFrame(
        {
            "of": of,
            "sight": "survival",
            "low": moments,
            "before": free.mean(axis=0),
            "after": counted @ free,
        }
    )

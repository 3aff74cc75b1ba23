"""What rules and adherence did to doses: how often, with what, and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int

from vtrial.analysis.estimates import DOSES as DOSE_COLUMNS
from vtrial.analysis.estimates import GIVEN, RULES
from vtrial.analysis.reading import arms_of, dataset
from vtrial.dims import (
    ACTED,
    AMOUNT,
    ARM,
    ARMS,
    DECISIONS,
    DOSE,
    DOSES,
    INTO,
    REASON,
    STATUS,
    SUBJECT,
    SUBJECTS,
    TIME,
)
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sketch import merge, sketch
from vtrial.types import Given, Status

QUANTILES = np.array([0.05, 0.5, 0.95])
VALUES_AT_ONCE = 1_000_000  # (subject, dose) read together
MOST_TIMES = 60  # into which the doses of an arm are put together
SAME = 1e-6  # [h] within which doses are given at one time
MEANS, UNITS = "flag_meanings", "units"
GIVEN_AT_ALL = (Given.PLANNED, Given.CHANGED)


class Told(NamedTuple):
    """The frames `rules`, `doses` and `given` of `Estimates`."""

    rules: pd.DataFrame
    doses: pd.DataFrame
    given: pd.DataFrame


class Part(NamedTuple):
    """Some subjects' doses: which trial each is of, and (subject, dose) arrays."""

    trial: Int[np.ndarray, " subject"]
    acted: Int[np.ndarray, "subject moment"] | None
    time: Float[np.ndarray, "subject dose"]
    amount: Float[np.ndarray, "subject dose"]
    into: Int[np.ndarray, "subject dose"]
    reason: Int[np.ndarray, "subject dose"]


@dataclass
class Ratio:
    r"""Sums of counts over a sum of others, $p_k = \sum c_k / \sum n$, and its error.

    The Monte Carlo error is that of a ratio of means: between trials if there are
    several, for their subjects have parameters in common, else between subjects.
    (Cochran WG. Sampling Techniques, 3rd ed. 1977, section 2.11.)
    """

    counts: Float[np.ndarray, "trial kind"]
    totals: Float[np.ndarray, " trial"]
    moments: Float[np.ndarray, "three kind"] = field(init=False)  # of subjects

    def __post_init__(self) -> None:
        self.moments = np.zeros((3, self.counts.shape[1]))

    def add(
        self,
        trial: Int[np.ndarray, " subject"],
        counts: Float[np.ndarray, "subject kind"],
        totals: Float[np.ndarray, " subject"],
    ) -> None:
        """Add some subjects."""
        np.add.at(self.counts, trial, counts)
        np.add.at(self.totals, trial, totals)
        n = totals[:, None]
        products = (counts**2, counts * n, np.broadcast_to(n**2, counts.shape))
        self.moments += np.stack([one.sum(axis=0) for one in products])

    @property
    def total(self) -> float:
        """What is divided by."""
        return float(self.totals.sum())

    def value(self) -> Float[np.ndarray, " kind"]:
        """Return the ratios; NaN where there is nothing to divide by."""
        return self.counts.sum(axis=0) / (self.total or np.nan)

    def error(self, subjects: int) -> Float[np.ndarray, " kind"]:
        """Return their Monte Carlo errors; NaN where one thing alone was seen."""
        ratio, several = self.value(), int((self.totals > 0).sum())
        if several > 1:
            misses = self.counts - ratio * self.totals[:, None]
            square, number = (misses**2).sum(axis=0), several
        else:
            cc, cn, nn = self.moments
            square, number = cc - 2 * ratio * cn + ratio**2 * nn, subjects
        if number < 2:
            return np.full(ratio.shape, np.nan)
        square = np.maximum(square, 0.0) * number / (number - 1)
        return np.sqrt(square) / (self.total or np.nan)


def ledger_of(tree: xr.DataTree, protocol: Protocol) -> Told:
    """Return what rules did, by what reason doses are as they are, and when.

    Only arms with a ledger have rows, and only subjects count who were allocated to
    the arm and solved. The record is read some subjects at a time.
    """
    paths = {group.strip("/") for group in tree.groups}
    held = {arm.name: arm for arm in protocol.arms}
    frames: list[Told] = []
    for place, name in enumerate(arms_of(tree, protocol)):
        if f"{ARMS}/{name}/{DOSES}" in paths and name in held:
            frames.append(_of_arm(tree, protocol, held[name], place))
    columns = (RULES, DOSE_COLUMNS, GIVEN)
    if not frames:
        return Told(*(pd.DataFrame(columns=names) for names in columns))
    return Told(
        *(
            pd.concat(parts, ignore_index=True)[names]
            for parts, names in zip(zip(*frames, strict=True), columns, strict=True)
        )
    )


def _of_arm(tree: xr.DataTree, protocol: Protocol, arm: Arm, place: int) -> Told:
    """Return the rows of an arm."""
    at = f"{ARMS}/{arm.name}"
    kept = dataset(tree, f"{at}/{DOSES}")
    names: list[str] = []
    if f"/{at}/{DECISIONS}" in tree.groups:
        names = list(map(str, dataset(tree, f"{at}/{DECISIONS}")[ACTED].attrs[MEANS]))
    trials = -(-kept.sizes[SUBJECT] // protocol.subjects)
    ever, often, doses = (
        Ratio(np.zeros((trials, width)), np.zeros(trials))
        for width in (len(names), len(names), len(Given))
    )
    edges, subjects = _edges(arm, _last(kept)), 0
    states = list(map(str, kept[INTO].attrs[MEANS]))[1:]
    over = {state: _OverTime(edges) for state in states}
    for part in _parts(tree, protocol, at, place):
        subjects += len(part.trial)
        counts = _acts(part, len(names))
        one = np.ones(len(part.trial))
        ever.add(part.trial, (counts > 0).astype(float), one)
        often.add(part.trial, counts, one)
        reasons = np.stack([(part.reason == r).sum(axis=1) for r in Given], axis=1)
        doses.add(part.trial, reasons.astype(float), reasons.sum(axis=1).astype(float))
        for number, state in enumerate(states):
            over[state].add(part, number)
    return Told(
        _rules(arm.name, names, ever, often, subjects),
        _reasons(arm.name, doses, subjects),
        _given(arm.name, over, str(kept[AMOUNT].attrs[UNITS])),
    )


def _parts(
    tree: xr.DataTree, protocol: Protocol, at: str, place: int
) -> Iterator[Part]:
    """Walk over the subjects of an arm, some at a time."""
    kept, who = dataset(tree, f"{at}/{DOSES}"), dataset(tree, SUBJECTS)
    ruled = f"/{at}/{DECISIONS}" in tree.groups
    decided = dataset(tree, f"{at}/{DECISIONS}") if ruled else None
    status = dataset(tree, at)[STATUS].variable
    count, step = kept.sizes[SUBJECT], _at_once(kept)
    for start in range(0, count, step):
        rows = {SUBJECT: slice(start, start + step)}
        mine = who[ARM].variable.isel(rows).values == place
        mine &= status.isel(rows).values == Status.SOLVED
        trial = np.arange(start, start + mine.size) // protocol.subjects
        acted = None
        if decided is not None:
            acted = decided[ACTED].variable.isel(rows).values.astype(int)[mine]
        time, amount, into, reason = (
            kept[name].variable.isel(rows).values[mine]
            for name in (TIME, AMOUNT, INTO, REASON)
        )
        yield Part(
            trial[mine],
            acted,
            time.astype(float),
            amount.astype(float),
            into.astype(int),
            np.where(np.isfinite(time), reason, -1).astype(int),
        )


def _at_once(kept: xr.Dataset) -> int:
    """Return how many subjects are read together."""
    return max(1, VALUES_AT_ONCE // max(1, kept.sizes[DOSE]))


def _last(kept: xr.Dataset) -> float:
    """Return when the last dose of anybody is [h]; 0 if there is none."""
    last, step = 0.0, _at_once(kept)
    for start in range(0, kept.sizes[SUBJECT], step):
        rows = {SUBJECT: slice(start, start + step)}
        times = kept[TIME].variable.isel(rows).values.astype(float)
        last = float(np.nanmax(times, initial=last))
    return last


def _edges(arm: Arm, last: float) -> Float[np.ndarray, " edge"]:
    """Return the times [h] between which doses are put together, from zero on.

    Between two planned doses is the edge, so that one that comes early or late is
    still the same; where there are very many, some are put together. Behind the last
    one, to which delays reach, it goes on with the same step.
    """
    steps = arm.regimen.steps if arm.regimen is not None else ()
    planned = np.unique(np.concatenate([np.zeros(1), *(s.times() for s in steps)]))
    gap = float(np.diff(planned)[-1]) if planned.size > 1 else max(last, 1.0)
    more = np.arange(planned[-1] + gap, last + gap / 2, gap)
    planned = np.append(planned, more)
    planned = planned[:: -(-planned.size // MOST_TIMES)]
    middle = (planned[1:] + planned[:-1]) / 2
    return np.concatenate([[-np.inf], middle, [np.inf], planned])


def _acts(part: Part, count: int) -> Float[np.ndarray, "subject rule"]:
    """Count how often each rule acted on each subject."""
    if part.acted is None:
        return np.zeros((len(part.trial), count))
    bits = [(part.acted >> place & 1).sum(axis=1) for place in range(count)]
    return np.stack(bits, axis=1).astype(float)


@dataclass
class _OverTime:
    """Doses into a state by when they fell due: sketches of them, a part each."""

    edges: Float[np.ndarray, " edge"]
    sketches: list[np.ndarray] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)
    given: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.edges.size // 2
        self.limits, self.times = self.edges[: size + 1], self.edges[size + 1 :]

    def add(self, part: Part, state: int) -> None:
        """Add some subjects' doses, but for what rules gave beside the planned."""
        mine = (part.into == state) & (part.reason >= 0) & (part.reason != Given.EXTRA)
        if not mine.any():
            return
        due, amount, given = self._gathered(part, mine)
        there = due > 0
        mean = np.where(there, amount / np.maximum(due, 1.0), np.nan)
        self.sketches.append(np.asarray(sketch(jnp.asarray(mean))).astype(float))
        self.counts.append(there.sum(axis=0))
        self.given.append(np.stack([given.sum(axis=0), due.sum(axis=0)]))

    def _gathered(
        self, part: Part, mine: Bool[np.ndarray, "subject dose"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (subject, time) how many doses were due, their amount, how many given.

        What is given into the state at one time is one dose.
        """
        time = np.where(mine, part.time, np.inf)
        order = np.argsort(time, axis=1, kind="stable")
        time = np.take_along_axis(time, order, axis=1)
        there = np.isfinite(time)
        rest = np.diff(np.where(there, time, 0.0), axis=1, prepend=-1.0)
        new = there & (rest > SAME)
        amount = np.take_along_axis(np.where(mine, part.amount, 0.0), order, axis=1)
        taken = np.isin(part.reason, [int(r) for r in GIVEN_AT_ALL]) & mine
        taken = np.take_along_axis(taken, order, axis=1) & new
        subjects, width = len(part.trial), self.times.size
        place = np.searchsorted(self.limits, time, side="right") - 1
        place = np.minimum(place, width - 1) + np.arange(subjects)[:, None] * width
        sums = (
            np.bincount(place.ravel(), one.ravel(), subjects * width)
            for one in (new, np.nan_to_num(amount), taken)
        )
        due, total, given = (one.reshape(subjects, width) for one in sums)
        return due, total, given

    def table(self) -> pd.DataFrame:
        """Lay it out by time."""
        sketches, counts = np.stack(self.sketches), np.stack(self.counts)
        low, median, high = merge(sketches, counts, QUANTILES).T
        given, due = np.sum(self.given, axis=0)
        columns = {
            "time": self.times,
            "n": counts.sum(axis=0),
            "given": given / np.maximum(due, 1.0),
            "low": low,
            "median": median,
            "high": high,
        }
        return pd.DataFrame(columns)[due > 0]


def _rules(
    arm: str, names: Sequence[str], ever: Ratio, often: Ratio, subjects: int
) -> pd.DataFrame:
    """Tabulate what each rule did."""
    columns = {
        "arm": arm,
        "rule": list(names),
        "n": subjects,
        "acted": ever.value(),
        "acted_error": ever.error(subjects),
        "times": often.value(),
        "times_error": often.error(subjects),
    }
    return pd.DataFrame(columns, columns=RULES)


def _reasons(arm: str, doses: Ratio, subjects: int) -> pd.DataFrame:
    """Tabulate the doses by why they are as they are; none of a kind, no row."""
    counts = doses.counts.sum(axis=0).astype(int)
    columns = {
        "arm": arm,
        "reason": [reason.words for reason in Given],
        "n": int(doses.total),
        "count": counts,
        "share": doses.value(),
        "mc_error": doses.error(subjects),
    }
    return pd.DataFrame(columns, columns=DOSE_COLUMNS)[counts > 0]


def _given(arm: str, over: dict[str, _OverTime], unit: str) -> pd.DataFrame:
    """Tabulate what was given over time, by state."""
    frames = [pd.DataFrame(columns=GIVEN)]
    for state, doses in over.items():
        if doses.sketches:
            frames.append(doses.table().assign(arm=arm, into=state, unit=unit))
    return pd.concat(frames[1:] or frames, ignore_index=True)[GIVEN]

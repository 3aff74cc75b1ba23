"""Time-varying covariates: their values between the records of an event table.

Backward, a record's values hold on the interval that ends at it, as in NONMEM; forward,
from it to the next. Linear, a covariate goes in a straight line from record to record,
and jumps where two records at the same time say different things.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int

from vtrial.dosing.records import Records
from vtrial.errors import DataError
from vtrial.sheets.words import listed

Convention = Literal["backward", "forward", "linear"]
CONVENTIONS = get_args(Convention)
INSTANT = 2.0**-30  # [h] what lies nearer is at the same time, as in the solver


class CovariateCourse(NamedTuple):
    """Covariates by period; the first axis is subjects, padding repeats the last.

    Fields
    ------
    period
        The period of each record.
    covariates
        By name: the value that holds, or the one at the end of the period.
    slopes
        [unit/h] By name: how fast it moves; none unless linear.
    begins
        [h] When each period begins, the first -inf; padding never does.
    """

    period: Int[np.ndarray, " row"]
    covariates: dict[str, Float[np.ndarray, "subject period"]]
    slopes: dict[str, Float[np.ndarray, "subject period"]]
    begins: Float[np.ndarray, "subject period"]


class _Knots(NamedTuple):
    """Records, and times between them at which covariates are needed."""

    subject: np.ndarray
    time: np.ndarray
    record: np.ndarray  # the record here, or -1
    values: dict[str, np.ndarray]
    slopes: dict[str, np.ndarray]


def check_convention(convention: str) -> None:
    """Refuse a word that is not a convention for covariates.

    Raises
    ------
    DataError
        If it is none of the three words.
    """
    if convention not in CONVENTIONS:
        raise DataError(
            "convention", f"`{convention}`", f"one of {listed(CONVENTIONS)}", "backward"
        )


def follow_covariates(
    records: Records,
    values: dict[str, np.ndarray],
    convention: Convention,
    steps: Collection[str] = (),
) -> CovariateCourse:
    """Part each subject's time into periods in which every covariate is one line.

    `steps` are codes, between which there is nothing: they hold `backward` where
    others go in lines.
    """
    row = np.arange(len(records.subject))
    knots = _Knots(records.subject, records.time, row, values, {})
    if convention == "linear" and values:
        knots = _between(records, values, steps)
    columns = [*knots.values.values(), *knots.slopes.values()]
    run, first = _runs(knots.subject, columns)
    since = first if convention == "forward" else np.maximum(first - 1, 0)
    subject, period = knots.subject[first], run[first]
    shape = (subject[-1] + 1, run.max() + 1)
    begins = np.full(shape, np.inf)
    begins[subject, period] = knots.time[since]
    begins[:, 0] = -np.inf
    last = np.bincount(subject) - 1
    column = np.minimum(np.arange(shape[1])[None, :], last[:, None])

    def laid(values: np.ndarray) -> np.ndarray:
        block = np.zeros(shape)
        block[subject, period] = values[first]
        return np.take_along_axis(block, column, axis=1)

    return CovariateCourse(
        run[knots.record >= 0],
        {name: laid(value) for name, value in knots.values.items()},
        {name: laid(slope) for name, slope in knots.slopes.items()},
        begins,
    )


def _runs(
    subject: np.ndarray, columns: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Count the runs of rows in which nothing changes, within each subject.

    Also returns the row at which each run begins.
    """
    new = np.r_[True, subject[1:] != subject[:-1]]
    begins = new.copy()
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    run = np.cumsum(begins) - 1
    return run - run[new][subject], np.flatnonzero(begins)


def _between(
    records: Records, values: dict[str, np.ndarray], steps: Collection[str]
) -> _Knots:
    """Draw straight lines, with a knot wherever a dose asks for the value.

    Additional doses enter between records. A steady state is that of the values at
    its record for good, so a knot there ends the line that leads to it.
    """
    counts = np.where(records.steady > 0, records.additional + 1, records.additional)
    parent = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    number += records.steady[parent] == 0
    time = records.time[parent] + number * records.interval[parent]
    last = np.r_[records.subject[1:] != records.subject[:-1], True]
    inside = time <= records.time[last][records.subject[parent]]
    parent, time = parent[inside], time[inside]
    row = np.arange(len(counts))
    subject = np.r_[records.subject[parent], records.subject]
    record = np.r_[np.full(len(parent), -1), row]
    time = np.r_[time, records.time]
    order = np.lexsort((record, time, subject))
    subject, record, time = subject[order], record[order], time[order]
    after = record[::-1].copy()  # the record that ends each knot's line
    after = np.minimum.accumulate(np.where(after < 0, len(counts), after))[::-1]
    before = np.maximum(after - 1, 0)
    before = np.where(records.subject[before] == subject, before, after)
    length = records.time[after] - records.time[before]
    still = np.r_[0.0, np.diff(time)] <= INSTANT
    still[np.r_[True, subject[1:] != subject[:-1]]] = True
    left = records.time[after] - time
    safe = np.where(length > INSTANT, length, 1.0)
    found, slopes = {}, {}
    for name, value in values.items():
        slope = np.where(length > INSTANT, (value[after] - value[before]) / safe, 0.0)
        slope = np.zeros(len(slope)) if name in steps else slope
        found[name] = value[after] - slope * left
        slopes[name] = np.where(still, 0.0, slope)
    return _Knots(subject, time, record, found, slopes)

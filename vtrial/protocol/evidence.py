"""What real studies saw, to be held beside what is simulated."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.model.model import Source
from vtrial.model.tree import Expression

Statistic = Literal["mean", "sd", "median", "geometric mean", "share"]
Correct = Literal["nothing", "prediction", "prediction and variability"]


@dataclass(frozen=True)
class Published:
    """What a real trial saw, and how near the simulated value should be.

    Either `arm` and `endpoint`, or `comparison`, say of what; shares are fractions.
    `low` and `high` bound the simulated values that count as within. `where` chooses
    subjects of the arm by their covariates.
    """

    value: float
    low: float
    high: float
    endpoint: str = ""
    arm: str = ""
    comparison: str = ""
    statistic: Statistic = "mean"
    verified: bool = True
    source: Source = Source()
    where: Expression | None = None


@dataclass(frozen=True)
class Observed:
    """Measured points of a real study, shown beside the simulated bands.

    `correct` says to what the predictive check brings the points: nothing, or the
    median prediction of their time; then `subject` is each point's place among the
    subjects, whose `covariates` stand by name, and `bound` is the lowest value that the
    output can have. The values of an output may be `logarithms`. With `grades`
    (limits from grade 1 on), or where values are `categories` themselves, the check is
    of shares.
    """

    output: str
    time: tuple[float, ...]
    value: tuple[float, ...]
    arm: str = ""
    source: Source = Source()
    correct: Correct = "nothing"
    bound: float = 0.0
    logarithms: bool = False
    subject: tuple[int, ...] = ()
    covariates: tuple[tuple[str, tuple[float, ...]], ...] = ()
    grades: tuple[float, ...] = ()
    categories: bool = False


@dataclass(frozen=True)
class ObservedOutcomes:
    """What a real study saw of an endpoint: a number for each of its subjects.

    Times to an event are in h, `event` 1 where it happened and 0 where the subject was
    censored; any other endpoint is a response, a grade or another category.
    """

    endpoint: str
    value: tuple[float, ...]
    event: tuple[float, ...] = ()
    arm: str = ""
    source: Source = Source()


def name_points(observed: Sequence[Observed]) -> str:
    """Name what the predictions of corrected points depend on, besides the trial."""
    parts = [
        (o.output, o.arm, o.correct, o.time, o.subject, o.covariates)
        for o in observed
        if o.correct != "nothing"
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest() if parts else ""


@dataclass(frozen=True)
class Evidence:
    """What real studies saw: published numbers, measured points, and outcomes."""

    published: tuple[Published, ...] = ()
    observed: tuple[Observed, ...] = ()
    outcomes: tuple[ObservedOutcomes, ...] = ()

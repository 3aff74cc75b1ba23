"""What every room counts in: Status codes and the numerics of a run."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Method = Literal[
    "auto",
    "closed form",
    "matrix exponential",
    "explicit",
    "explicit Dopri5",
    "explicit Dopri8",
    "explicit Bosh3",
    "stiff",
    "hybrid explicit",
    "hybrid stiff",
    "diffrax",
    "diffrax Tsit5",
    "diffrax Dopri5",
    "diffrax Dopri8",
    "diffrax Bosh3",
    "diffrax Kvaerno3",
    "diffrax Kvaerno4",
]


# Who one method fails on is solved again by these, in this order; numbered from 1 on.
FALLBACKS: tuple[Method, ...] = ("hybrid stiff", "stiff", "explicit", "diffrax")


class Status(IntEnum):
    """How a subject's solution ended; anything but `SOLVED` is a failed subject.

    A failed subject holds NaN from the failure on, is counted in every report and
    never ends a run.
    """

    SOLVED = 0
    STEP_LIMIT = 1
    NON_FINITE = 2
    STEP_TOO_SMALL = 3
    NEGATIVE = 4
    UNSETTLED = 5
    MISSING_INPUT = 6
    BAD_DOSE = 7
    OUTPUT_NOT_FINITE = 8
    UNSCHEDULED = 9
    OVERCROWDED = 10
    PAST_LOST = 11
    BAD_DELAY = 12

    @property
    def words(self) -> str:
        """Status, in a report's words."""
        return _STATUS_WORDS[self]


_STATUS_WORDS = {
    Status.SOLVED: "solved",
    Status.STEP_LIMIT: "step limit reached",
    Status.NON_FINITE: "solution not finite",
    Status.STEP_TOO_SMALL: "step size underflow",
    Status.NEGATIVE: "negative where the model forbids it",
    Status.UNSETTLED: "steady state did not settle",
    Status.MISSING_INPUT: "missing parameter or covariate",
    Status.BAD_DOSE: "dose, lag, bioavailability, rate or duration impossible",
    Status.OUTPUT_NOT_FINITE: "output not finite",
    Status.UNSCHEDULED: "events of a kind that the program's schedule does not have",
    Status.OVERCROWDED: "more people came than there was room for",
    Status.PAST_LOST: "more steps within a delay than are kept",
    Status.BAD_DELAY: "delay not above 0",
}


class Missing(IntEnum):
    """Why a subject that was solved has no number for an endpoint; 0 if it has one."""

    NOT = 0
    NO_VALUE = 1
    LEFT = 2
    CUT_OFF = 3
    NOT_QUANTIFIED = 4
    NO_BASELINE = 5
    ZERO_BASELINE = 6
    NO_SLOPE = 7
    TOO_FEW = 8
    NOT_FINITE = 9

    @property
    def words(self) -> str:
        """Reason, in a report's words."""
        return _MISSING_WORDS[self]


_MISSING_WORDS = {
    Missing.NOT: "no reason kept",
    Missing.NO_VALUE: "no value in the span",
    Missing.LEFT: "left before",
    Missing.CUT_OFF: "cut off by an intercurrent event",
    Missing.NOT_QUANTIFIED: "nothing above the limit of quantification",
    Missing.NO_BASELINE: "no baseline",
    Missing.ZERO_BASELINE: "baseline of 0",
    Missing.NO_SLOPE: "no terminal slope",
    Missing.TOO_FEW: "too few values in the span",
    Missing.NOT_FINITE: "not a finite number",
}


class Given(IntEnum):
    """Why a dose of the ledger is as it is."""

    PLANNED = 0
    CHANGED = 1
    HELD = 2
    STOPPED = 3
    EXTRA = 4
    MISSED = 5

    @property
    def words(self) -> str:
        """Reason, in a report's words."""
        return _GIVEN_WORDS[self]


TAKEN = (Given.PLANNED, Given.CHANGED, Given.EXTRA)  # reasons of doses that were given

_GIVEN_WORDS = {
    Given.PLANNED: "as planned",
    Given.CHANGED: "changed by a rule",
    Given.HELD: "held by a rule",
    Given.STOPPED: "after treatment was stopped",
    Given.EXTRA: "added by a rule",
    Given.MISSED: "not taken",
}


@dataclass(frozen=True)
class Numerics:
    """How equations are solved; the default picks the method by the model's structure.

    `rtol` and `atol` (in the states' units) bound the local error of adaptive
    methods: `atol` that of a state of size one or above, and of a smaller one as much
    less; `atol_by_state` is as it stands. `precision` is 64 or 32 bits; `max_steps`
    bounds each subject's steps
    over the whole horizon. `past` is how many steps of a delayed state are kept.
    """

    method: Method = "auto"
    rtol: float = 1e-6
    atol: float = 1e-9
    precision: Literal[32, 64] = 64
    max_steps: int = 200_000
    past: int = 1024
    atol_by_state: tuple[tuple[str, float], ...] = ()

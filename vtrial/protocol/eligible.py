"""Who is let in on what is measured before any treatment, or after a run-in."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.errors import ProtocolError
from vtrial.model.tree import Expression, names_in
from vtrial.protocol.faults import Faults
from vtrial.protocol.population_shape import EligibleShape
from vtrial.protocol.scope import Known
from vtrial.protocol.subset import read_where
from vtrial.protocol.times import moment
from vtrial.sheets.words import listed


@dataclass(frozen=True)
class Eligible:
    """A condition on measured outputs, in their units, and on covariates.

    `outputs` are those that it names; they are measured at `time` [h], not after the
    start of the trial, without treatment.
    """

    condition: Expression
    outputs: tuple[str, ...]
    time: float = 0.0


@dataclass(frozen=True)
class RunIn:
    """A time before randomisation that everybody goes through alike, until `until` [h].

    Who has the response `endpoint` then is randomised; it is known by that time, and
    the same under every arm.
    """

    endpoint: str
    until: float


def read_eligible(
    shape: EligibleShape | None,
    visits: Sequence[float],
    known: Known,
    faults: Faults,
) -> Eligible | None:
    """Read who is let in; None if everybody is, or if the entry makes no sense.

    `visits` are the times of visits; before the start there is nothing else to be at.
    """
    if shape is None:
        return None
    whole = isinstance(faults.sheet.data.get("eligible"), dict)
    path = ("eligible", "when") if whole else ("eligible",)
    before = len(faults.entries)
    condition = read_where(path, shape.when, known, faults, outputs=True)
    time = _time(shape.at, visits, known, faults)
    if condition is None or known.model is None or len(faults.entries) > before:
        return None
    outputs = [output.name for output in known.model.outputs]
    named = [name.name for name in names_in(condition)]
    asked = tuple(name for name in dict.fromkeys(named) if name in outputs)
    if not asked:
        faults.add(
            path,
            found="without an output of the model",
            allowed=f"a condition on what is measured: {listed(outputs)}; one on "
            "covariates alone is the cohort's `eligibility`",
        )
        return None
    return Eligible(condition, asked, time)


def _time(words: str, visits: Sequence[float], known: Known, faults: Faults) -> float:
    """Read when is screened [h]."""
    path = ("eligible", "at")
    try:
        time = moment(words, cycle=known.cycle, early=True)
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0
    early = sorted({t for t in visits if t < 0})
    if time > 0 or (time < 0 and time not in early):
        there = listed([f"day {t / 24:g}" for t in [*early, 0.0]])
        faults.add(
            path,
            found=f"`{words}`",
            allowed=f"day 0, or the time of a visit before it: {there}",
        )
    return time

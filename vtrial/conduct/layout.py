"""How a trial's record is laid out: arrays that blocks fill, and their coordinates."""

from collections.abc import Mapping

from vtrial.cohort.cohort import Cohort
from vtrial.conduct.ledger_layout import ledger_coordinates, ledger_variables
from vtrial.dims import (
    ARM,
    ARMS,
    BASELINE,
    BIN,
    BLOCK,
    CAUSE,
    COUNT,
    ENDPOINT,
    EVENT,
    FALLBACK,
    LEFT,
    MEASURED,
    MEASUREMENTS,
    NUMBER,
    OUTCOME,
    OUTCOMES,
    OUTPUT,
    PLANNED,
    REASON,
    REPLICATE,
    SCREENED,
    SKETCH,
    STATUS,
    STOP_CAUSE,
    STOPPED,
    SUBJECT,
    SUBJECTS,
    TAKEN,
    TIME,
    TRAJECTORIES,
    VALUE,
    VISIT,
)
from vtrial.observe.observation_times import observation_times
from vtrial.observe.predicted import predictions
from vtrial.protocol.intercurrent import asks_of_stop, stopping_causes
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sketch import BINS, PROBABILITIES
from vtrial.store.variable import Coordinate, Variable
from vtrial.types import FALLBACKS, Missing, Status

UNITS, TITLE = "units", "long_name"


def variables(protocol: Protocol, cohort: Cohort) -> list[Variable]:
    """List every array that the blocks of a trial fill."""
    subject = (SUBJECT,)
    whole = [
        Variable(f"{SUBJECTS}/{REPLICATE}", subject, dtype="int32", fill=-1),
        Variable(f"{SUBJECTS}/{NUMBER}", subject, dtype="int32", fill=-1),
        Variable(
            f"{SUBJECTS}/{ARM}",
            subject,
            dtype="int16",
            fill=-1,
            attributes={"flag_meanings": [arm.name for arm in protocol.arms]},
        ),
        Variable(f"{SUBJECTS}/{SCREENED}", subject, dtype="int32", fill=0),
    ]
    if protocol.keep.covariates:
        known = {c.name: c for c in protocol.model.covariates}
        whole += [
            Variable(
                f"{SUBJECTS}/{name}",
                subject,
                attributes={
                    UNITS: known[name].unit if name in known else cohort.unit(name),
                    TITLE: known[name].title if name in known else name,
                    **_flags(cohort.labels(name)),
                },
            )
            for name in cohort.names
        ]
    whole += [
        Variable(f"{SUBJECTS}/{name}", subject) for name in protocol.keep.individual
    ]
    for arm in protocol.arms:
        whole += _arm_variables(protocol, f"{ARMS}/{arm.name}")
        whole += _departures(protocol, arm, f"{ARMS}/{arm.name}")
        if arm.kept:
            whole += ledger_variables(protocol, arm, f"{ARMS}/{arm.name}")
    return whole


def _flags(words: Mapping[float, str]) -> dict[str, object]:
    """Return what codes of a category are called; nothing if they have no words."""
    if not words:
        return {}
    return {
        "flag_values": [*map(int, words)],
        "flag_meanings": [*words.values()],
    }


def coordinates(protocol: Protocol) -> list[Coordinate]:
    """List the coordinates of a trial's record."""
    plan, outputs = (
        observation_times(protocol),
        [o.name for o in protocol.model.outputs],
    )
    hours = {UNITS: "h"}
    found = []
    for arm in protocol.arms:
        at = f"{ARMS}/{arm.name}"
        found += [
            Coordinate(
                f"{at}/{OUTCOMES}/{ENDPOINT}",
                [point.name for point in protocol.endpoints],
                {
                    UNITS: [point.unit for point in protocol.endpoints],
                    TITLE: [point.title for point in protocol.endpoints],
                },
            )
        ]
        if arm.kept:
            found += ledger_coordinates(protocol, arm, at)
        if protocol.keep.measurements:
            found += [
                Coordinate(f"{at}/{MEASUREMENTS}/{VISIT}", list(plan.visits)),
                Coordinate(
                    f"{at}/{MEASUREMENTS}/{PLANNED}", plan.planned, hours, VISIT
                ),
                Coordinate(f"{at}/{MEASUREMENTS}/{OUTPUT}", outputs, _units(protocol)),
            ]
        if protocol.keep.trajectories != "nothing":
            found += [
                Coordinate(f"{at}/{TRAJECTORIES}/{OUTPUT}", outputs, _units(protocol)),
                Coordinate(f"{at}/{TRAJECTORIES}/{TIME}", plan.grid[plan.kept], hours),
            ]
        if protocol.keep.trajectories == "quantiles":
            found += [Coordinate(f"{at}/{TRAJECTORIES}/{BIN}", PROBABILITIES)]
    return found


def _arm_variables(protocol: Protocol, at: str) -> list[Variable]:
    """List the arrays of one arm."""
    plan, outputs = observation_times(protocol), len(protocol.model.outputs)
    points, times = (len(protocol.endpoints),), plan.kept.size
    hours = {UNITS: "h"}
    found = [
        *_endings(at),
        *(
            Variable(f"{at}/{OUTCOMES}/{name}", (SUBJECT, ENDPOINT), points)
            for name in (OUTCOME, BASELINE, EVENT)
        ),
        _reasons(at, points),
    ]
    if protocol.keep.measurements:
        visits = len(plan.visits)
        found += [
            Variable(
                f"{at}/{MEASUREMENTS}/{MEASURED}",
                (SUBJECT, VISIT, OUTPUT),
                (visits, outputs),
            ),
            Variable(
                f"{at}/{MEASUREMENTS}/{TAKEN}",
                (SUBJECT, VISIT),
                (visits,),
                attributes=hours,
            ),
            *(
                Variable(
                    f"{at}/{MEASUREMENTS}/{name}",
                    (SUBJECT, VISIT, OUTPUT),
                    (visits, outputs),
                )
                for name in predictions(protocol)
            ),
        ]
    kept = protocol.keep.trajectories
    if kept == "quantiles":
        found += [
            Variable(
                f"{at}/{TRAJECTORIES}/{SKETCH}",
                (BLOCK, OUTPUT, TIME, BIN),
                (outputs, times, BINS),
                "float32",
                per_block=True,
            ),
            Variable(
                f"{at}/{TRAJECTORIES}/{COUNT}",
                (BLOCK, OUTPUT, TIME),
                (outputs, times),
                "int32",
                0,
                per_block=True,
            ),
        ]
    elif kept != "nothing":
        axes, tail = (SUBJECT, OUTPUT, TIME), (outputs, times)
        found += [Variable(f"{at}/{TRAJECTORIES}/{VALUE}", axes, tail)]
    return found


def _endings(at: str) -> list[Variable]:
    """Return the arrays of how solutions ended, and by which method."""
    status = ["not simulated", *(status.words for status in Status)]
    method = ["not simulated", "the first method", *FALLBACKS]
    return [
        Variable(
            f"{at}/{name}",
            (SUBJECT,),
            (),
            "int8",
            -1,
            attributes={
                "flag_values": [*range(-1, len(words) - 1)],
                "flag_meanings": words,
            },
        )
        for name, words in ((STATUS, status), (FALLBACK, method))
    ]


def _departures(protocol: Protocol, arm: Arm, at: str) -> list[Variable]:
    """Return the arrays of when subjects left, and why; none where nobody may.

    Those of when they stopped treatment come behind, where an endpoint asks.
    """
    reasons = protocol.design.dropout.reasons(arm.rules)
    ends = [((LEFT, CAUSE), "stayed", reasons)] if reasons else []
    if asks_of_stop(protocol):
        causes = stopping_causes(protocol.arms)
        ends.append(((STOPPED, STOP_CAUSE), "went on", causes))
    found = []
    for (when, why), usual, causes in ends:
        words = ["not simulated", usual, *causes]
        flags = {"flag_values": [*range(-1, len(words) - 1)], "flag_meanings": words}
        found += [
            Variable(f"{at}/{when}", (SUBJECT,), attributes={UNITS: "h"}),
            Variable(f"{at}/{why}", (SUBJECT,), (), "int8", -1, attributes=flags),
        ]
    return found


def _reasons(at: str, points: tuple[int]) -> Variable:
    """Return the array of why subjects have no number."""
    flags = {
        "flag_values": [*map(int, Missing)],
        "flag_meanings": ["there", *(reason.words for reason in Missing if reason)],
    }
    axes = (SUBJECT, ENDPOINT)
    return Variable(
        f"{at}/{OUTCOMES}/{REASON}", axes, points, "int8", 0, attributes=flags
    )


def _units(protocol: Protocol) -> dict[str, object]:
    """Return the units and titles of the outputs."""
    return {
        UNITS: [output.unit for output in protocol.model.outputs],
        TITLE: [output.title or output.name for output in protocol.model.outputs],
    }

"""Enact dose escalations from a record: each subject has shown what every dose does."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from vtrial.analysis.reading import Chunk, chunks_of
from vtrial.design.draws import people_of
from vtrial.design.escalation.enact import Escalated, enact_escalation
from vtrial.design.escalation.late import enact_late_toxicity
from vtrial.design.escalation.method import Method, escalation_method
from vtrial.design.escalation.registry import methods
from vtrial.dims import EVENT
from vtrial.errors import ProtocolError
from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.escalation import Escalation
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

SOONEST = 1e-6  # [h] after treatment: a toxicity at once comes after it, too


class Shown(NamedTuple):
    """Toxicities (and responses) of people at every dose; NaN where not known.

    With a window toxicities are times [h], infinite for none.
    """

    toxicity: np.ndarray
    efficacy: np.ndarray | None


def method_of(escalation: Escalation) -> Method:
    """Return the method with its options.

    Raises
    ------
    ProtocolError
        If there is no such method, or an option is not what it may be.
    """
    return escalation_method(
        escalation.by, doses=len(escalation.arms), options=dict(escalation.options)
    )


def escalated(
    tree: xr.DataTree, protocol: Protocol, trials: int
) -> tuple[Escalated, np.ndarray]:
    """Enact a protocol's dose escalation; also return each dose's true toxicity.

    Up to the number of replicates each trial has the subjects of its replicate, in
    their order; in larger numbers they are drawn anew from all. Who could not be solved
    under every dose takes no part.

    Raises
    ------
    ProtocolError
        If a trial lacks subjects.
    """
    assert protocol.enactment is not None, "the caller has looked"
    escalation = protocol.enactment.escalation
    assert escalation is not None, "the caller has looked"
    people = [_shown(chunk, escalation) for chunk in chunks_of(tree, protocol)]
    toxicity = np.concatenate([one.toxicity for one in people])
    efficacy = (
        np.concatenate([one.efficacy for one in people if one.efficacy is not None])
        if escalation.efficacy
        else None
    )
    window = escalation.window
    toxic = np.where(np.isnan(toxicity), np.nan, toxicity <= window)
    truth = np.nanmean(toxic if window else toxicity, axis=(0, 1))
    if trials > len(toxicity):
        toxicity, efficacy = _drawn(toxicity, efficacy, protocol, trials)
    whole = ~np.isnan(toxicity).any(axis=2)
    if efficacy is not None:
        whole &= np.isfinite(efficacy).all(axis=2)
    most = escalation.most or protocol.subjects
    if whole.sum(axis=1).min() < most:
        raise ProtocolError(
            at="design.escalation",
            found=f"a trial with {int(whole.sum(axis=1).min())} subjects who are known "
            "under every dose",
            allowed=f"{most} in every trial: more `subjects`, or `most` of fewer",
            write="",
        )
    order = np.argsort(~whole, axis=1, kind="stable")[:, :most, None]
    toxicity = np.take_along_axis(toxicity, order, axis=1)[:trials]
    if efficacy is not None:
        efficacy = np.take_along_axis(efficacy, order, axis=1)[:trials]
    asked = {
        "cohort": escalation.cohort,
        "start": escalation.start,
        "most": most,
        "enough": escalation.enough or None,
        "skipping": escalation.skipping,
    }
    method = method_of(escalation)
    if not window:
        made = enact_escalation(
            method, toxicity, efficacy=efficacy, seed=protocol.seed, **asked
        )
        return made, truth
    arrival = enrolled_at(
        protocol.enactment.accrual,
        seed=protocol.seed,
        trials=np.arange(trials),
        subjects=most,
    ).time
    made = enact_late_toxicity(method, toxicity, arrival, window=window, **asked)
    return made, truth


def _shown(chunk: Chunk, escalation: Escalation) -> Shown:
    """Read what everybody shows at every dose: (trial, subject, dose)."""

    def read(endpoint: str) -> np.ndarray:
        return np.stack([chunk.values(a, endpoint) for a in escalation.arms], axis=2)

    if escalation.window:
        return Shown(_times(chunk, escalation), None)
    return Shown(
        read(escalation.on), read(escalation.efficacy) if escalation.efficacy else None
    )


def _times(chunk: Chunk, escalation: Escalation) -> np.ndarray:
    """Read when everybody has a toxicity at every dose [h]; infinite for never."""
    parts = []
    for arm in escalation.arms:
        time = chunk.values(arm, escalation.on)
        event = chunk.values(arm, escalation.on, EVENT)
        never = np.where(np.isnan(time), np.nan, np.inf)
        parts.append(np.where(event == 1, np.maximum(time, SOONEST), never))
    return np.stack(parts, axis=2)


def _drawn(
    toxicity: np.ndarray, efficacy: np.ndarray | None, protocol: Protocol, trials: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw the subjects of so many trials."""
    people = people_of(
        np.arange(trials),
        seed=protocol.seed,
        count=protocol.subjects,
        replicates=len(toxicity),
        subjects=protocol.subjects,
        apart=protocol.uncertain,
    )
    made = [
        None if one is None else one.reshape(-1, one.shape[2])[people]
        for one in (toxicity, efficacy)
    ]
    assert made[0] is not None, "toxicities are there"
    return made[0], made[1]


def faults_of_escalation(enactment: Enactment) -> Iterator[ProtocolError]:
    """Yield why a dose escalation cannot be enacted."""
    escalation = enactment.escalation
    if escalation is None:
        return
    mixed = _mixed(escalation)
    if mixed is not None:
        yield mixed
        return
    try:
        method = method_of(escalation)
    except ProtocolError as error:
        yield error
        return
    if escalation.window and method.kind.decide_late is None:
        able = [word for word, kind in methods().items() if kind.decide_late]
        yield ProtocolError(
            at="by",
            found=f"{escalation.by}, which waits for everybody, with a `window`",
            allowed=f"one that weighs pending outcomes: {listed(able)}",
            write=able[0],
        )
    if method.kind.cohort not in (None, escalation.cohort):
        yield ProtocolError(
            at="cohort",
            found=str(escalation.cohort),
            allowed=f"{method.kind.cohort}, for {escalation.by} needs cohorts of that",
            write=str(method.kind.cohort),
        )
    if method.kind.responses and not escalation.efficacy:
        yield ProtocolError(
            at="efficacy",
            found="missing",
            allowed=f"a response, for {escalation.by} looks at efficacy, too",
            write="",
        )


def _mixed(escalation: Escalation) -> ProtocolError | None:
    """Return why a method does not go with doses of one drug, or of two."""
    kind = methods().get(escalation.by)
    if kind is None or kind.combined == bool(escalation.rows):
        return None
    if kind.combined:
        return ProtocolError(
            at="combinations",
            found=f"missing, though {kind.word} escalates two drugs",
            allowed="rows of arms, a row for each level of the first drug, such as "
            "`[[a1b1, a1b2], [a2b1, a2b2]]`; or `by: BOIN` for one drug",
            write="",
        )
    able = [word for word, one in methods().items() if one.combined]
    return ProtocolError(
        at="by",
        found=f"{kind.word}, which escalates one drug, with `combinations`",
        allowed=f"one for two drugs: {listed(able)}",
        write=able[0],
    )


def faults_of_combinations(protocol: Protocol) -> Iterator[tuple[Path_, ProtocolError]]:
    """Yield where a level that should be higher gives less, by row and column.

    What is given is compared where regimens say it in numbers: the last amounts of
    all that goes into one place.
    """
    assert protocol.enactment is not None, "the caller has looked"
    escalation = protocol.enactment.escalation
    if escalation is None or not escalation.rows:
        return
    given = {arm.name: _amounts(arm) for arm in protocol.arms}
    grid = np.array(escalation.arms).reshape(escalation.rows, -1)
    for row, column in np.ndindex(grid.shape):
        before = [
            str(grid[at])
            for at in ((row - 1, column), (row, column - 1))
            if min(at) >= 0
        ]
        name = str(grid[row, column])
        for other in before:
            less = _less(given[name], given[other])
            if less:
                yield (
                    ("combinations", row, column),
                    ProtocolError(
                        at=name,
                        found=f"less {listed(less)} than `{other}` before it",
                        allowed="levels of either drug from the lowest on, along a "
                        "row and from row to row",
                        write="",
                    ),
                )


def _amounts(arm: Arm) -> dict[str, float] | None:
    """Return what goes where, by words for it; None where it is not all numbers."""
    total: dict[str, float] = {}
    for step in arm.regimen.steps if arm.regimen else ():
        nominal = step.last_level.nominal
        if nominal is None:
            return None
        amount, per = nominal
        where = f"into {step.into}" + (f" per {per}" if per else "")
        total[where] = total.get(where, 0.0) + amount
    return total


def _less(here: dict[str, float] | None, before: dict[str, float] | None) -> list[str]:
    """Name what there is less of, of what both give in known amounts."""
    if here is None or before is None:
        return []
    return [
        where for where, amount in before.items() if here.get(where, amount) < amount
    ]

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
from vtrial.protocol.protocol import Protocol
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
        made = enact_escalation(method, toxicity, efficacy=efficacy, **asked)
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

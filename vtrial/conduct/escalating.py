"""Enact dose escalations from a record: each subject has shown what every dose does."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from vtrial.analysis.reading import Chunk, chunks_of
from vtrial.design.draws import people_of
from vtrial.design.escalation.enact import Escalated, enact_escalation
from vtrial.design.escalation.method import Method, escalation_method
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.escalation import Escalation
from vtrial.protocol.protocol import Protocol


class Shown(NamedTuple):
    """Toxicities (and responses) of people at every dose, and who is complete."""

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
    truth = np.nanmean(toxicity, axis=(0, 1))
    if trials > len(toxicity):
        toxicity, efficacy = _drawn(toxicity, efficacy, protocol, trials)
    whole = np.isfinite(toxicity).all(axis=2)
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
    made = enact_escalation(
        method_of(escalation),
        toxicity,
        efficacy=efficacy,
        cohort=escalation.cohort,
        start=escalation.start,
        most=most,
        enough=escalation.enough or None,
        skipping=escalation.skipping,
    )
    return made, truth


def _shown(chunk: Chunk, escalation: Escalation) -> Shown:
    """Read what everybody shows at every dose: (trial, subject, dose)."""

    def read(endpoint: str) -> np.ndarray:
        return np.stack([chunk.values(a, endpoint) for a in escalation.arms], axis=2)

    return Shown(
        read(escalation.on), read(escalation.efficacy) if escalation.efficacy else None
    )


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

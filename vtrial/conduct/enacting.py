"""Enact the trials of a record: what each would have seen, and when it had ended.

No equation is solved again. What was enacted is kept in the record, and more trials are
added to it.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import xarray as xr
from jaxtyping import Int

from vtrial.analysis.comparison import truth
from vtrial.analysis.enacted import TRUTH, Made, enacted_name, read_enacted
from vtrial.analysis.gather import joined
from vtrial.analysis.locked import Sights
from vtrial.analysis.reading import Chunk, check_record, chunks_of
from vtrial.conduct.escalating import escalated
from vtrial.conduct.progress import progress
from vtrial.design.draws import people_of
from vtrial.design.enact import enact as enact_trials
from vtrial.design.escalation.enact import Escalated
from vtrial.design.strata import groups_of
from vtrial.design.trials import Trials, together
from vtrial.dims import ENACTED
from vtrial.errors import ProtocolError
from vtrial.measure.groups import Pairs
from vtrial.protocol.enactment import Enactment, Look, Milestone
from vtrial.protocol.protocol import Protocol
from vtrial.store.record import Record

TOGETHER = 300_000  # subjects of the trials that are enacted side by side
POOL = 200_000  # subjects at most of whom those of further trials are drawn
DIMS = {
    **dict.fromkeys(("at", "enrolled", "known", "events"), ("trial", "look")),
    **dict.fromkeys(
        ("decision", "estimate", "error", "z"), ("trial", "look", "comparison")
    ),
    "weights": ("trial", "look", "arm"),
    "allocated": ("trial", "arm"),
    **dict.fromkeys(("success", "final", "final_error"), ("trial", "comparison")),
    **dict.fromkeys(("ended", "duration", "size"), ("trial",)),
    **{"path": ("trial", "cohort"), "given": ("trial", "enrolled")},
    **dict.fromkeys(("treated", "toxic", "responded"), ("trial", "dose")),
    **dict.fromkeys(("selected", "stopped"), ("trial",)),
}


def enact(
    record: Record, protocol: Protocol, *, trials: int | None = None
) -> Trials | Escalated:
    """Enact the trials of a finished record as its protocol says.

    Parameters
    ----------
    record, protocol
        The record, and a protocol that asks what it holds; accrual, looks and
        adaptations may be others than those that it was run with.
    trials
        How many; by default as many as the protocol says, or as there are replicates.
        Up to the number of replicates each trial has its replicate's own subjects, in
        larger numbers they are drawn anew from all, with replacement (from those of one
        replicate, where parameters differ between them).

    Raises
    ------
    ProtocolError
        If the sheet says nothing of looks or accrual, or asks for what the record does
        not hold, subjects under every arm for more trials than replicates included.
    """
    refuse_whole(protocol)
    if protocol.enactment is None:
        raise ProtocolError(
            at="design",
            found="silent on accrual and looks",
            allowed="`accrual` and `looks`, such as "
            "`design: {accrual: 20 / month, looks: {interim: 50 %, final: 100 %}}`",
            write="",
        )
    tree = record.tree()
    check_record(tree, protocol)
    asked = trials or protocol.enactment.trials or protocol.replicates
    pooled = asked > protocol.replicates
    if pooled:
        refuse_drawn(protocol)
    name = enacted_name(protocol, pooled=pooled)
    if protocol.enactment.escalation is not None:
        return _climbed(record, tree, protocol, asked, name)
    kept = read_enacted(tree, name, Trials)
    held = kept[0] if kept is not None else None
    have = len(held) if held is not None else 0
    if held is not None and have >= asked:
        return _first(held, asked)
    parts = [held] if held is not None else []
    with progress(asked, done=have, words="enacted", unit="trials") as advance:
        for part in _parts(tree, protocol, have, asked, pooled):
            parts.append(part)
            advance(len(part))
    made = together(parts)
    effects = kept[1] if kept is not None else truths(tree, protocol)
    _keep(record, name, made, effects, ("comparison", "worth"))
    return made


def refuse_whole(protocol: Protocol) -> None:
    """Refuse trials that are evaluated whole: no subject has one arm by itself.

    Raises
    ------
    ProtocolError
        Of a crossover, whole sites, and comparisons of factors or of sites.
    """
    allocation, comparisons = (
        protocol.design.allocation,
        protocol.analysis.comparisons,
    )
    for wrong, found in (
        (protocol.crossover is not None, "a crossover"),
        (allocation.clusters, "one that randomises whole sites"),
        (any(one.cells for one in comparisons), "one with comparisons of factors"),
        (any(one.sites for one in comparisons), "one that compares sites"),
    ):
        if wrong:
            raise ProtocolError(
                at="design",
                found=found,
                allowed="one of arms, each subject in one by itself, where trials are "
                "enacted; `vtrial run` tells the power of this one",
                write="",
            )


def without_looks(protocol: Protocol) -> Enactment:
    """Return a trial without looks before its end."""
    end = Look("end", ((Milestone("known", 1.0, "subjects"),),), 1.0)
    outcome = protocol.analysis.comparisons[0].endpoint
    return Enactment(outcome=outcome, looks=(end,), planned=protocol.subjects)


def _climbed(
    record: Record, tree: xr.DataTree, protocol: Protocol, asked: int, name: str
) -> Escalated:
    """Enact dose escalations, unless the record holds so many."""
    kept = read_enacted(tree, name, Escalated)
    if kept is not None and len(kept[0].selected) >= asked:
        return _first(kept[0], asked)
    made, truth = escalated(tree, protocol, asked)
    _keep(record, name, made, truth, ("dose",))
    return made


def _keep(
    record: Record,
    name: str,
    made: Trials | Escalated,
    truth: np.ndarray,
    dims: tuple[str, ...],
) -> None:
    """Write enacted trials into the record, and the truth beside them."""
    for field in dataclasses.fields(made):
        path = f"{ENACTED}/{name}/{field.name}"
        record.put(path, getattr(made, field.name), dims=DIMS[field.name])
    record.put(f"{ENACTED}/{name}/{TRUTH}", truth, dims=dims)


def refuse_drawn(protocol: Protocol) -> None:
    """Refuse to draw subjects anew who are simulated in their own arm alone.

    Raises
    ------
    ProtocolError
        If they are.
    """
    if protocol.potential != "all":
        raise ProtocolError(
            at="potential",
            found="`allocated`, though more trials than replicates are enacted, whose "
            "subjects may get any arm",
            allowed="`potential: all`; or as many trials as replicates",
            write="all",
        )


def enact_from_all(
    tree: xr.DataTree,
    protocol: Protocol,
    *,
    first: int,
    last: int,
    subjects: int | None = None,
) -> Iterator[Trials]:
    """Enact trials whose subjects are drawn from all that are simulated.

    With replacement, so that a trial may have more `subjects` than one of the record;
    from one replicate's, where parameters differ between them. Some trials are given
    at a time.
    """
    assert protocol.enactment is not None, "the caller has looked"
    refuse_drawn(protocol)
    count = subjects or protocol.subjects
    many = max(1, TOGETHER // count)
    pool = _pool(next(iter(chunks_of(tree, protocol))), protocol)
    for start in range(first, last, many):
        numbers = np.arange(start, min(start + many, last))
        people = people_of(
            numbers,
            seed=protocol.seed,
            count=count,
            replicates=pool.replicates,
            subjects=pool.subjects,
            apart=protocol.uncertain,
        )
        yield _enacted(Sights(pool, protocol, protocol.enactment, people), numbers)


def _parts(
    tree: xr.DataTree, protocol: Protocol, first: int, last: int, pooled: bool
) -> Iterator[Trials]:
    """Enact some trials at a time."""
    if pooled:
        yield from enact_from_all(tree, protocol, first=first, last=last)
        return
    for chunk in chunks_of(tree, protocol):
        yield from _of_chunk(chunk, protocol, first, last)


def _of_chunk(
    chunk: Chunk, protocol: Protocol, first: int, last: int
) -> Iterator[Trials]:
    """Enact those of a chunk's own trials that are asked for."""
    assert protocol.enactment is not None, "the caller has looked"
    many = max(1, TOGETHER // protocol.subjects)
    stop = min(chunk.start + chunk.replicates, last)
    for start in range(max(chunk.start, first), stop, many):
        numbers = np.arange(start, min(start + many, stop))
        part = dataclasses.replace(
            chunk, start=start, replicates=len(numbers), _kept={}
        )
        yield _enacted(Sights(part, protocol, protocol.enactment), numbers)


def _pool(chunk: Chunk, protocol: Protocol) -> Chunk:
    """Return the people from whom further trials are drawn."""
    most = max(1, POOL // protocol.subjects)
    return dataclasses.replace(chunk, replicates=min(chunk.replicates, most), _kept={})


def _enacted(sights: Sights, numbers: np.ndarray) -> Trials:
    """Enact trials with these numbers."""
    protocol = sights.protocol
    allocation = protocol.design.allocation
    shape = {"seed": protocol.seed, "trials": numbers, "subjects": sights.count}
    groups = groups_of(allocation, sights.covariate, **shape)
    return enact_trials(
        sights.enactment,
        allocation,
        sights,
        comparisons=[one.name for one in protocol.analysis.comparisons],
        groups=groups,
        **shape,
    )


def truths(tree: xr.DataTree, protocol: Protocol) -> np.ndarray:
    """Return each comparison's paired effect over all trials, and its error.

    Ratios are their logarithms. NaN where subjects are simulated in their arm alone.
    """
    found = np.full((len(protocol.analysis.comparisons), 2), np.nan)
    if protocol.potential != "all":
        return found
    for place, (effect, error) in enumerate(effects_of(tree, protocol)):
        known = np.isfinite(effect)
        if known.any():
            many = int(known.sum())
            within = np.sqrt(np.nansum(error[known] ** 2)) / many
            between = effect[known].std(ddof=1) / np.sqrt(many) if many > 1 else within
            found[place] = effect[known].mean(), between
    return found


def effects_of(
    tree: xr.DataTree, protocol: Protocol
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each comparison's paired effect in every replicate, and its error.

    Ratios are their logarithms.
    """
    comparisons = protocol.analysis.comparisons
    parts: list[list[Pairs]] = [[] for _ in comparisons]
    for chunk in chunks_of(tree, protocol):
        for place, comparison in enumerate(comparisons):
            parts[place].append(truth(chunk, comparison))
    found = []
    for comparison, part in zip(comparisons, parts, strict=True):
        effect, error, _ = joined(part)
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = np.log(effect) if comparison.measure.ratio else effect
        found.append((effect, error))
    return found


def replicates_of(
    tree: xr.DataTree, protocol: Protocol, trials: int
) -> Int[np.ndarray, " trial"]:
    """Return of which replicate each trial's subjects are, where parameters differ."""
    if trials <= protocol.replicates:
        return np.arange(trials)
    pool = _pool(next(iter(chunks_of(tree, protocol))), protocol)
    return np.arange(trials) % pool.replicates


def _first(trials: Made, count: int) -> Made:
    """Return the first so many trials."""
    names = [field.name for field in dataclasses.fields(trials)]
    return type(trials)(**{one: getattr(trials, one)[:count] for one in names})

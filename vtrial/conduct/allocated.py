"""Which arm each subject of a block is allocated to."""

import functools

import numpy as np

from vtrial.design.allocation import BATCH, allocate
from vtrial.design.strata import groups_of
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity


def arms_of(trial: Trial, who: Identity) -> np.ndarray:
    """Return the place of the arm that each subject is allocated to.

    Strata and factors are of the subjects' own covariates, and some methods look at who
    came before; so a whole batch of a replicate is drawn for them, whichever of it a
    block holds.
    """
    allocation, seed = trial.protocol.design.allocation, trial.protocol.seed
    if not allocation.grouped:
        return allocate(
            allocation, seed=seed, replicate=who.replicate, subject=who.number
        )
    arm = np.zeros(who.number.shape, int)
    batches = {(int(r), int(n) // BATCH) for r, n in zip(*who, strict=True)}
    for replicate, batch in sorted(batches):
        found = _batch(trial, replicate, batch)
        here = (who.replicate == replicate) & (who.number // BATCH == batch)
        arm[here] = found[who.number[here] - batch * BATCH]
    return arm


@functools.lru_cache(maxsize=4)
def _batch(trial: Trial, replicate: int, batch: int) -> np.ndarray:
    """Allocate a whole batch of one replicate."""
    protocol = trial.protocol
    allocation, first = protocol.design.allocation, batch * BATCH
    last = min(first + BATCH, protocol.subjects)
    number = np.arange(first, last)
    who = Identity(np.full(number.shape, replicate), number)
    drawn = trial.drawn(who).covariates if allocation.asked else {}
    groups = groups_of(
        allocation,
        lambda name: np.asarray(drawn[name])[None],
        seed=protocol.seed,
        trials=np.array([replicate]),
        subjects=last,
        first=first,
    )
    return allocate(
        allocation,
        seed=protocol.seed,
        replicate=who.replicate,
        subject=who.number,
        **groups._asdict(),
    )

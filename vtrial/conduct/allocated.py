"""Which arm each subject of a block is allocated to."""

import functools
import zlib

import numpy as np

from vtrial.design.allocation import BATCH, allocate
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity


def arms_of(trial: Trial, who: Identity) -> np.ndarray:
    """Return the place of the arm that each subject is allocated to.

    Strata are of the subjects' own covariates; so a whole batch of a replicate is drawn
    for them, whichever of it a block holds.
    """
    allocation, seed = trial.protocol.design.allocation, trial.protocol.seed
    if allocation.by != "stratified":
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
    """Allocate a whole batch of one replicate by strata."""
    allocation = trial.protocol.design.allocation
    last = min((batch + 1) * BATCH, trial.protocol.subjects)
    number = np.arange(batch * BATCH, last)
    who = Identity(np.full(number.shape, replicate), number)
    covariates = trial.drawn(who).covariates
    strata = [np.asarray(covariates[name]) for name in allocation.strata]
    return allocate(
        allocation,
        seed=trial.protocol.seed,
        replicate=who.replicate,
        subject=who.number,
        strata=numbered(np.stack(strata, axis=1)),
    )


def numbered(strata: np.ndarray) -> np.ndarray:
    """Give each combination of values a number that depends on nothing else."""
    kinds, place = np.unique(strata, axis=0, return_inverse=True)
    names = [zlib.crc32(np.ascontiguousarray(kind).tobytes()) >> 1 for kind in kinds]
    return np.array(names, int)[place.reshape(-1)]

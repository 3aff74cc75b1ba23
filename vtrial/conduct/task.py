"""One task: a block simulated and written, wherever it runs."""

import functools
import os
import pickle
import socket
import time
from typing import NamedTuple

import numpy as np

from vtrial.cohort.cohort import Cohort
from vtrial.conduct.ahead import ahead
from vtrial.conduct.allocated import arms_of
from vtrial.conduct.engine import engine
from vtrial.conduct.remembered import remember_compiled
from vtrial.errors import StoreError
from vtrial.observe.block import failures, simulate_block
from vtrial.observe.block_program import Trial
from vtrial.protocol.protocol import Protocol
from vtrial.store.ledger import Entry
from vtrial.store.record import open_record


class Spec(NamedTuple):
    """A trial as it is sent to a worker: data, named by the plan's digest."""

    digest: str
    engine: str
    payload: bytes

    def __hash__(self) -> int:
        return hash(self.digest)


def spec_of(digest: str, protocol: Protocol, cohort: Cohort) -> Spec:
    """Make what is sent to workers."""
    return Spec(digest, engine(), pickle.dumps((protocol, cohort)))


@functools.lru_cache(maxsize=4)
def prepared(spec: Spec) -> Trial:
    """Make a trial of what was sent; once for each process."""
    trial = Trial(*pickle.loads(spec.payload))
    ahead(trial.reduction_ready)
    return trial


def rows_of(trial: Trial, block: int) -> dict[str, np.ndarray]:
    """Return a block's rows of every array of the record, as subjects are allocated."""
    return simulate_block(trial, block, arms_of(trial, trial.identity(block)))


def conduct_block(spec: Spec, folder: str, block: int) -> Entry:
    """Simulate a block and write its shards; return the entry for the ledger.

    Raises
    ------
    StoreError
        If this process runs other code than the coordinator, or does not see the
        record.
    """
    begun = time.perf_counter()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    if spec.engine != engine():
        raise StoreError(
            at=f"vtrial on worker {worker}",
            found=engine(),
            allowed=f"the coordinator's, {spec.engine}",
            write="",
        )
    remember_compiled()
    record = open_record(folder)
    trial = prepared(spec)
    arrays = rows_of(trial, block)
    written = record.write(block, arrays)
    return Entry(
        block=block,
        subjects=trial.protocol.size(block),
        **written._asdict(),
        seconds=round(time.perf_counter() - begun, 3),
        worker=worker,
        failed=failures(arrays),
    )

"""One task: a block simulated and written, wherever it runs."""

import os
import socket
import time

from vtrial.conduct.block import failures, simulate_block
from vtrial.conduct.block_program import Spec, prepared
from vtrial.conduct.engine import engine
from vtrial.conduct.remembered import remember_compiled
from vtrial.errors import StoreError
from vtrial.store.ledger import Entry
from vtrial.store.record import open_record


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
    arrays = simulate_block(trial, block)
    written = record.write(block, arrays)
    return Entry(
        block=block,
        subjects=trial.size(block),
        **written._asdict(),
        seconds=round(time.perf_counter() - begun, 3),
        worker=worker,
        failed=failures(arrays),
    )

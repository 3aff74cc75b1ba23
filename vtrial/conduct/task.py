"""One task: a block simulated and written, wherever it runs."""

import hashlib
import os
import platform
import socket
import time
from pathlib import Path

from vtrial.conduct.block import failures, simulate_block
from vtrial.conduct.engine import engine
from vtrial.conduct.trial import Spec, prepared
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


PATIENCE = "jax_persistent_cache_min_compile_time_secs"
LEAST = 0.05  # [s] what compiles faster is not kept


def cache_folder() -> Path:
    """Return where compiled functions are kept for the next run.

    `JAX_COMPILATION_CACHE_DIR` decides if it is set; otherwise the user's cache, in a
    folder for this kind of processor, since compiled code does not travel.
    """
    if given := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "vtrial" / f"jax-{_processor()}"


def remember_compiled() -> None:
    """Keep compiled functions on disk, where they can be, unless it is set already."""
    import jax

    if not os.environ.get(PATIENCE.upper()):
        jax.config.update(PATIENCE, LEAST)
    if jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))


def _processor() -> str:
    """Name this kind of processor."""
    words = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        words += next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        pass
    return hashlib.sha256(words.encode()).hexdigest()[:8]

"""What a Dask worker on this machine does first."""

import contextlib
import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the coordinator, which ends its workers itself."""
    del worker
    with contextlib.suppress(ValueError):  # not the main thread: no signals there
        signal.signal(signal.SIGINT, signal.SIG_IGN)

"""Where blocks are done: in this process, or on a Dask cluster.

An executor takes blocks and gives each back once, done or failed, in any order. It
knows nothing of trials.
"""

import logging
import os
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from vtrial.conduct.engine import cores
from vtrial.errors import Fault, SolverError, StoreError, VtrialError
from vtrial.store.ledger import Entry

if TYPE_CHECKING:
    from distributed import Client, Future

Work = Callable[[int], Entry]
AHEAD = 2
FEW = 4  # blocks a core: with fewer, starting processes takes longer than they save
SUSPECTS = 3
CLOSINGS = 3
PATIENCE = 60


class Done(NamedTuple):
    """A block that came back: its entry, or what went wrong."""

    block: int
    entry: Entry | None
    error: Exception | None = None


class AbstractExecutor(ABC):
    """A place where blocks are done."""

    words: str = ""
    dashboard: str = ""

    @abstractmethod
    def conduct(self, work: Work, blocks: Iterable[int]) -> Iterator[Done]:
        """Do the blocks; give each back as soon as it is done."""


class Serial(AbstractExecutor):
    """One block after another, in this process."""

    words = "this process"

    def conduct(self, work: Work, blocks: Iterable[int]) -> Iterator[Done]:
        """Do the blocks in turn."""
        for block in blocks:
            try:
                yield Done(block, work(block))
            except (VtrialError, RuntimeError, ValueError, OSError) as error:
                yield Done(block, None, error)


class Cluster(AbstractExecutor):
    """The workers of a Dask cluster, with a few blocks waiting for each."""

    def __init__(self, client: "Client", words: str) -> None:
        self.client, self.words = client, words
        self.dashboard = (client.dashboard_link or "") if _has_dashboard() else ""

    def conduct(self, work: Work, blocks: Iterable[int]) -> Iterator[Done]:
        """Do the blocks; those whose workers were killed once more, each alone.

        Dask blames every block that was waiting at a worker when it died. After a few
        suspects no new block is begun until it is known which of them kills.
        """
        rest, suspects = iter(blocks), list[int]()

        def calm() -> Iterator[int]:
            while len(suspects) < SUSPECTS and (block := next(rest, None)) is not None:
                yield block

        while True:
            for done in self._supplied(work, calm(), AHEAD * self._threads()):
                if _killed(done.error):
                    suspects.append(done.block)
                else:
                    yield done
            found = list(suspects)
            suspects.clear()
            yield from self._supplied(work, found, 1)
            if len(found) < SUSPECTS:
                return

    def _threads(self) -> int:
        return max(1, sum(_threads(self.client).values()))

    def _supplied(
        self, work: Work, blocks: Iterable[int], ahead: int
    ) -> Iterator[Done]:
        """Keep `ahead` blocks submitted until there are none left."""
        from distributed import as_completed

        waiting, run = iter(blocks), uuid.uuid4().hex[:8]
        futures: dict[str, int] = {}
        queue = as_completed(loop=self.client.loop)

        def submit() -> None:
            block = next(waiting, None)
            if block is not None:
                future = self.client.submit(
                    work, block, key=f"block-{block}-{run}", pure=False
                )
                futures[str(future.key)] = block
                queue.add(future)

        for _ in range(ahead):
            submit()
        try:
            for future in queue:
                yield _done(futures.pop(str(future.key)), future)
                future.release()
                submit()
        finally:
            queue.clear()


@contextmanager
def executor(
    *, workers: int | None, scheduler: str | None, blocks: int
) -> Iterator[AbstractExecutor]:
    """Open the place where blocks are done, and close it.

    `workers` processes on this machine, 0 for none but this one; by default one for
    each core, and this process, which solves on all cores, where there are few blocks
    for that many, or where JAX has a device other than processors.
    """
    if scheduler:
        with _existing(scheduler) as place:
            yield place
        return
    count = _default_workers(blocks) if workers is None else min(workers, blocks)
    if not count:
        yield Serial()
        return
    with _local(count) as place:
        yield place


def _done(block: int, future: "Future") -> Done:
    """Say how a future ended."""
    from distributed import CancelledError

    try:
        error = future.exception()
    except CancelledError:
        lost = StoreError(
            at="the Dask scheduler",
            found="lost while a block was at work",
            allowed="there until the run ends",
            write="the same command, to go on",
        )
        return Done(block, None, lost)
    return Done(block, None if error else future.result(), error)  # type: ignore[arg-type]


def _threads(client: "Client") -> dict[str, int]:
    """Return the threads of each worker."""
    return dict(client.nthreads())  # type: ignore[arg-type]


def _default_workers(blocks: int) -> int:
    """Return how many processes a machine gets if nobody says."""
    import jax

    count = cores()
    few = blocks < FEW * count or count == 1
    return 0 if few or jax.default_backend() != "cpu" else count


@contextmanager
def _existing(address: str) -> Iterator[Cluster]:
    """Join a Dask scheduler that runs somewhere."""
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            at=f"scheduler {address}",
            found=f"not reached ({type(error).__name__})",
            allowed="the address of a running Dask scheduler",
            write="dask scheduler --port 8786, then --scheduler tcp://localhost:8786",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise StoreError(
                at=f"scheduler {address}",
                found=f"without workers for {PATIENCE} s",
                allowed="one with workers",
                write=f"dask worker {address}",
            ) from error
        count = len(_threads(client))
        yield Cluster(client, f"{count} workers of {address}")


@contextmanager
def _local(count: int) -> Iterator[Cluster]:
    """Start worker processes on this machine, each with one thread and a nanny."""
    import dask.config
    from distributed import Client, LocalCluster

    settings = {"distributed.comm.timeouts.connect": f"{PATIENCE}s"}
    with dask.config.set(settings), _quiet(), _without_main():
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # any free port: several runs share a machine
            silence_logs=logging.CRITICAL,
            env=_environment(),
            preload=["vtrial.conduct.worker"],
        )
        try:
            with Client(cluster, set_as_default=False) as client:
                yield Cluster(client, f"{_processes(count)} on this machine")
        finally:
            _close(cluster)


def _close(cluster: Any) -> None:
    """Close a cluster, though a worker that was killed may just be starting again.

    Dask then trips over a process that is not there yet; the second time it is.
    """
    for _ in range(CLOSINGS):
        try:
            cluster.close()
        except (AssertionError, TimeoutError, OSError):
            time.sleep(1.0)
        else:
            return


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep new processes from running the user's script again.

    Python lets a spawned process import the script that started it, for functions
    that might come from there; blocks need none, and a script that calls `run` without
    a guard would call it again in each.
    """
    names = vars(sys.modules["__main__"])
    before = {name: names[name] for name in ("__spec__", "__file__") if name in names}
    names.update(dict.fromkeys(before))
    try:
        yield
    finally:
        names.update(before)


def _environment() -> dict[str, str]:
    """Give a worker one thread, since there are as many workers as cores."""
    one = ("NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    kept = {k: v for k, v in os.environ.items() if k.startswith(("JAX_", "XLA_"))}
    return kept | dict.fromkeys(one, "1") | {"JAX_ENABLE_X64": "1"}


def _has_dashboard() -> bool:
    """Say whether Dask can show one; it needs bokeh, which vtrial does not."""
    import importlib.util

    return importlib.util.find_spec("bokeh") is not None


def _quiet() -> AbstractContextManager[None]:
    """Keep Dask's own messages from the terminal: what matters is told by vtrial."""
    return _silenced(logging.getLogger("distributed"))


@contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def blocks_failed(failed: list[Done], *, at: str) -> VtrialError:
    """Say which blocks could not be done, and why; one fault for each reason."""
    reasons: dict[str, list[int]] = {}
    for done in failed:
        reasons.setdefault(_why(done.error), []).append(done.block)
    faults = [
        Fault(
            f"block{'s'[: len(blocks) > 1]} {', '.join(map(str, blocks))} of {at}",
            reason,
            "simulated and written; what else was done is kept",
            "the same command, to try again",
        )
        for reason, blocks in reasons.items()
    ]
    killed = any(_killed(done.error) for done in failed)
    return (StoreError if killed else SolverError).of(faults)


def _killed(error: Exception | None) -> bool:
    return type(error).__name__ == "KilledWorker"


def _why(error: Exception | None) -> str:
    """Say what went wrong in a block."""
    if _killed(error):
        return "not done: every worker that took it was killed, or ran out of memory"
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"not done: {type(error).__name__}: {first[:500]}"

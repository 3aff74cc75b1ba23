"""What is compiled in a thread of its own, while what comes before it is at work."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vtrial.conduct.engine import cores
from vtrial.program_cache import is_keeping

_POOL = ThreadPoolExecutor(1, thread_name_prefix="vtrial-compiling")


def ahead(make_ready: Callable[[], None]) -> None:
    """Have something compiled beside, where a core is free and it is kept.

    Whoever needs it waits until it is there. What goes wrong here goes wrong there
    again, where it is told.
    """
    if cores() > 1 and is_keeping():
        _POOL.submit(make_ready)

"""Progress: a bar with rate and time left on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from vtrial.errors import printable

EVERY = 10.0


@contextmanager
def progress(
    total: int, *, done: int, words: str, unit: str = "subjects"
) -> Iterator[Callable[[int], None]]:
    """Show how many are done; call what is given with how many more are."""
    kind = Bar if _terminal() else Lines
    shown = kind(total, done=done, words=words, unit=unit)
    with shown:
        yield shown.advance


def tell(words: str) -> None:
    """Write a line to standard error, where progress goes."""
    sys.stderr.write(f"{printable(words)}\n")
    sys.stderr.flush()


class Lines:
    """A line every ten seconds, and one at the end."""

    def __init__(
        self, total: int, *, done: int, words: str, unit: str = "subjects"
    ) -> None:
        self.unit = unit
        self.total, self.done, self.words = total, done, words
        self.begun = self.told = time.monotonic()
        self.first, self.said = done, -1

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.done != self.said:
            self._tell()

    def advance(self, more: int) -> None:
        """Count what is done."""
        self.done += more
        if time.monotonic() - self.told >= EVERY:
            self._tell()

    def _tell(self) -> None:
        self.told, self.said = time.monotonic(), self.done
        tell(f"{self.words}: {status_words(self)}")


class Bar:
    """A bar."""

    def __init__(
        self, total: int, *, done: int, words: str, unit: str = "subjects"
    ) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(words, total=total, completed=done, rate="")
        self.begun, self.fresh, self.unit = time.monotonic(), 0, unit

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def advance(self, more: int) -> None:
        """Count what is done."""
        self.fresh += more
        rate = self.fresh / max(time.monotonic() - self.begun, 1e-9)
        self.bar.update(self.task, advance=more, rate=f"{rate:,.0f} {self.unit}/s")


def status_words(shown: Lines) -> str:
    """Return progress, rate and remaining time, in words."""
    spent = max(time.monotonic() - shown.begun, 1e-9)
    rate = (shown.done - shown.first) / spent
    words = (
        f"{shown.done:,} of {shown.total:,} {shown.unit}, {rate:,.0f} {shown.unit}/s"
    )
    left = shown.total - shown.done
    return f"{words}, {left / rate:,.0f} s left" if left and rate else words


def _terminal() -> bool:
    return sys.stderr.isatty()

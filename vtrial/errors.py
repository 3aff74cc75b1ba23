"""The tree of errors, and how a fault is worded.

VtrialError
├── SheetError, UnitError                                           (also ValueError)
├── ProtocolError, CohortError, DosingError, ModelError, DataError  (also ValueError)
├── SolverError, FitError                                           (also RuntimeError)
└── StoreError

A wrong request is one of these; a subject whose solution fails is data, not an
exception (see `vtrial.types.Status`).
"""

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

Kind = TypeVar("Kind", bound="VtrialError")

_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # kinds of characters that are no glyphs


def printable(text: str) -> str:
    r"""Write what a terminal would obey, or hide, as the escape that stands for it.

    Examples
    --------
    >>> print(printable("a\x1b[31m name\nof two lines"))
    a\x1b[31m name\nof two lines
    """
    if text.isprintable():
        return text
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in _OBEYED else c for c in text
    )


class Fault(NamedTuple):
    """One thing that is wrong: where, what it is, what it may be, what to write.

    In a sheet, `write` is what is to stand there, to the letter. It takes the place of
    the words `old`, which begin at `line` and `column`; without such words, that of the
    value at `path`, a new entry if there is none. It is given only where it ends the
    fault and what was meant is known; examples stand in `allowed`.
    """

    at: str
    found: str
    allowed: str
    write: str
    source: str = ""
    line: int = 0
    column: int = 0
    path: tuple[str | int, ...] = ()
    old: str = ""

    def __str__(self) -> str:
        """Return the fault in one or two sentences, led by file, line and column."""
        numbers = [str(n) for n in (self.line, self.column) if n]
        place = ":".join([part for part in (self.source, *numbers) if part])
        lead = f"{place}: " if place else ""
        remedy = f" Write `{self.write}`." if self.write else ""
        return printable(
            f"{lead}{self.at} is {self.found}; it must be {self.allowed}.{remedy}"
        )


class VtrialError(Exception):
    """An error in four parts: where, what it is, what it may be, what to write."""

    def __init__(
        self,
        at: str,
        found: str,
        allowed: str,
        write: str,
        *,
        source: str = "",
        line: int = 0,
        column: int = 0,
        old: str = "",
    ) -> None:
        self.faults = (Fault(at, found, allowed, write, source, line, column, old=old),)
        super().__init__(self.faults)

    @classmethod
    def of(cls: type[Kind], faults: Iterable[Fault]) -> Kind:
        """Raise several faults as one error, in the order of their lines."""
        error = cls.__new__(cls)
        error.faults = tuple(sorted(faults, key=lambda fault: fault[4:7]))
        Exception.__init__(error, error.faults)
        return error

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Cross from a worker whole."""
        return type(self).of, (self.faults,)

    def __str__(self) -> str:
        """Give each fault a line."""
        return "\n".join(str(fault) for fault in self.faults)


class SheetError(VtrialError, ValueError):
    """A file that is not a readable sheet: YAML, size, nesting, encoding."""


class UnitError(VtrialError, ValueError):
    """A unit that is not one, or of the wrong dimension."""


class ProtocolError(VtrialError, ValueError):
    """A trial that cannot be conducted as written."""


class CohortError(VtrialError, ValueError):
    """A cohort from which nobody can be drawn."""


class DosingError(VtrialError, ValueError):
    """A dose or a regimen that cannot be given."""


class ModelError(VtrialError, ValueError):
    """A model whose equations or numbers make no sense."""


class DataError(VtrialError, ValueError):
    """A table of events, parameters or subjects with a wrong row."""


class SolverError(VtrialError, RuntimeError):
    """A solution that was asked for in a way no method offers."""


class FitError(VtrialError, RuntimeError):
    """A calibration that cannot be made."""


class StoreError(VtrialError):
    """A record that cannot be written, read or trusted."""

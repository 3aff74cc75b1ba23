"""The Measure: all that there is to know about one word of a comparison's `by`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Of = Literal[
    "numbers",
    "visits",
    "doses",
    "counts",
    "responses",
    "dosed responses",
    "times",
    "tiers",
]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One way to compare two arms.

    Loader, schema, docs, analysis and report read these facts. Kernels import the
    numerics that they need when they are called: a sheet is read without SciPy.

    Parameters
    ----------
    word
        What a sheet says at `by`, and a report in its tables.
    place
        Where it stands in schema, messages and docs, from low to high.
    of
        Of what it is: one number of each subject, its values at all `visits`, one
        number under several `doses`, a count of events, a response, one under several
        doses, a time to an event, or a hierarchy of endpoints.
    kernel
        `kernel(groups, level=..., **options)` returns a `Contrast` of `Groups`.
    says
        What the docs add to the word.
    options
        Keys of the sheet that it may have. `adjust`, `strata` and `random` with its
        `freedom` are part of `Groups`, the others are passed to the kernel.
    needs
        Those of them that it must have, each with an example.
    ratio
        Whether it is one, which is averaged on its logarithm and has no unit.
    shares
        Whether it is a difference of shares, from -1 to 1.
    logarithms
        Whether it compares logarithms, and is adjusted for those of a baseline.
    odds
        Whether it is a ratio of odds.
    pairs
        `pairs(value, reference)`: the effect on who is under both arms, its error, and
        that of two groups of so many who are not the same.
    effect
        `effect(groups)`: the `Effect` that is tested against margins, where another
        than a normal one is known.
    against
        `against(groups, margin=..., above=...)`: a test of its own against a margin,
        one-sided, without strata.
    details
        `details(groups, level=..., **options)`: what else it says of each trial, by
        name: numbers, or rows of numbers over doses.
    crossed
        `crossed(groups, level=..., **options)`: the same of a crossover, in which it is
        within persons; None: it is for separate groups alone.
    cells
        Whether it compares means of arms by weights, as factors ask for.
    sites
        Whether it asks from which site each subject is.
    margins
        Whether it can be tested against margins.
    made_of
        Statistics of an arm, of one of which subgroups make it.
    lacks
        Why a trial has none.
    """

    word: str
    place: int
    of: Of
    kernel: Callable[..., Any]
    says: str = ""
    options: tuple[str, ...] = ()
    needs: tuple[tuple[str, str, str], ...] = ()
    ratio: bool = False
    shares: bool = False
    logarithms: bool = False
    odds: bool = False
    pairs: Callable[..., Any] | None = None
    effect: Callable[..., Any] | None = None
    against: Callable[..., Any] | None = None
    details: Callable[..., Any] | None = None
    crossed: Callable[..., Any] | None = None
    cells: bool = False
    sites: bool = False
    margins: bool = True
    made_of: tuple[str, ...] = ()
    lacks: str = "an arm has too few values"

    @property
    def told(self) -> tuple[str, ...]:
        """Options that its kernel is told; `Groups` has the others."""
        held = {"adjust", "strata", "random"}
        held |= {"freedom"} if "random" in self.options else set()
        return tuple(key for key in self.options if key not in held)

    @property
    def dosed(self) -> bool:
        """Whether it is of several arms, by their doses."""
        return self.of in ("doses", "dosed responses")

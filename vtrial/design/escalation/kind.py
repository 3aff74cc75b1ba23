"""The Kind: all that there is to know about one method of dose escalation.

A method is two pure functions of one trial's `Course`, written in JAX so that thousands
of trials go side by side: `decide` says which dose is next, `select` which is chosen at
the end. What both look up (tables, grids of a posterior) is made once, as data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int

Data = Mapping[str, Any]


class Course(NamedTuple):
    """What one trial has shown so far; doses are numbered from 0.

    Fields
    ------
    treated, toxic, responded
        Subjects at each dose, those with a dose-limiting toxicity, those with a
        response.
    dose
        The dose given last.
    eliminated
        Doses that are not given again.
    fresh, fresh_toxic
        Size of the last cohort, and its toxicities.
    lot
        A uniform number, drawn anew for each decision, by which ties are broken.
    """

    treated: Float[Array, " dose"]
    toxic: Float[Array, " dose"]
    responded: Float[Array, " dose"]
    dose: Int[Array, ""]
    eliminated: Bool[Array, " dose"]
    fresh: Float[Array, ""]
    fresh_toxic: Float[Array, ""]
    lot: Float[Array, ""]


class Late(NamedTuple):
    """What each subject has shown by now, where toxicity may come late.

    Fields
    ------
    dose
        What each was given.
    toxic
        Whether a toxicity was seen.
    weight
        Share of the time of observation that has passed, 1 after a toxicity; 0 for
        who is not in the trial yet.
    """

    dose: Int[Array, " subject"]
    toxic: Bool[Array, " subject"]
    weight: Float[Array, " subject"]


class Decision(NamedTuple):
    """The next dose, -1 to stop the trial; and which doses are not given again."""

    dose: Int[Array, ""]
    eliminated: Bool[Array, " dose"]


@dataclass(frozen=True)
class Option:
    """One thing that a method lets be chosen: its usual value and what it may be."""

    usual: Any
    allowed: str
    holds: Callable[[Any], bool]
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One method of dose escalation.

    Parameters
    ----------
    word
        What a sheet says.
    place
        Where it stands in lists, from low to high.
    says
        What the docs add to the word.
    sentence
        What a report says, with the options' names in braces.
    options
        What may be chosen, by name. `None` as the usual value means that it must be.
    prepare
        `prepare(method, most)` returns the data for trials of at most so many subjects.
    decide
        `decide(data, course)` returns a `Decision`.
    select
        `select(data, course)` returns the dose that is chosen, -1 for none.
    decide_late, select_late
        The same of `(data, course, late)`, where toxicities may be pending.
    complete
        `complete(options, doses)`: what options are that others decide.
    conflict
        `conflict(options)`: the name of an option that does not go with the others,
        what stands there and what may.
    cohort
        The size of cohorts that it needs, if it needs one.
    responses
        Whether it looks at efficacy, too.
    combined
        Whether doses are combinations of two drugs, row by row of a grid. It then
        moves by its neighbours and not by the order of doses, and breaks ties by lot.
    sources
        The papers.
    """

    word: str
    place: int
    says: str
    sentence: str
    prepare: Callable[..., Data]
    decide: Callable[[Data, Course], Decision]
    select: Callable[[Data, Course], Int[Array, ""]]
    options: Mapping[str, Option] = field(default_factory=dict)
    decide_late: Callable[[Data, Course, Late], Decision] | None = None
    select_late: Callable[[Data, Course, Late], Int[Array, ""]] | None = None
    conflict: Callable[[Mapping[str, Any]], tuple[str, str, str] | None] | None = None
    complete: Callable[[Mapping[str, Any], int], dict[str, Any]] | None = None
    cohort: int | None = None
    responses: bool = False
    combined: bool = False
    sources: tuple[str, ...] = ()

"""The Kind of an endpoint: all that there is to know about one word of `take`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Below = Literal["zero before first", "drop", "LLOQ/2", "LLOQ/2 once", "zero"]
Limit = Literal["no", "may", "must", "either"]
SAME, TIMES_HOURS = "the output's", "the output's times h"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to make a number, or the time of an event, of a subject's values.

    Loader, schema, docs, program, analysis and report read these facts; word, place
    and sentence must be given.

    Parameters
    ----------
    word
        What a sheet says at `take`.
    place
        Where it stands in schema, messages and docs, from low to high.
    says
        What the docs say of it.
    sentence
        What a report says, with `{of}`, `{span}`, `{low}`, `{high}`,
        `{share}` or `{reach}` in it.
    kernel
        `kernel(points, endpoint)` for one subject under `jax`. It returns a number, NaN
        where there is none; if `event`, a time [h] and 1, or when it was not seen
        until and 0. If `drawn`, it gets the subject's key as a third. None where it is
        made of other endpoints.
    course
        `course(course, points, endpoint)`: the number of a true course between the
        values.
    repeated
        `repeated(value, baseline)`: the same number of each visit's value, NumPy, for
        models of repeated measures.
    unit
        A unit, or `SAME` or `TIMES_HOURS`.
    support
        Between which limits the number is.
    categories
        What the numbers 0, 1, ... mean, if it has no others.
    brought_to
        The unit that the endpoint's `factor` brings the output to, if it must be one.
    low, high
        Whether the sheet gives this limit; `either`: one of the two, or both.
    share
        Whether the sheet says of which share of the values it is.
    confirmed
        By what the number may be confirmed.
    values
        At which values it looks if the sheet does not say.
    below
        The rule for values below the limit of quantification if the sheet does not say;
        None where they always stand for half the limit.
    needs
        How many values in the span it is made of at least.
    between
        What is between the values: `lines` that need as many of them as there are, or
        the `course` itself, which true values follow wherever it goes.
    baseline, slope
        Whether it needs a value before it, or a falling end.
    event, count
        Whether it is a time to an event, or a number of events.
    drawn
        Whether chance makes it of the values.
    foretold, endless
        Whether the values tell what comes after them; whether they may be infinite.
    waterfall
        Whether a report draws it subject by subject.
    """

    word: str
    place: int
    sentence: str
    says: str = ""
    kernel: Callable[..., Any] | None = None
    course: Callable[..., Any] | None = None
    repeated: Callable[..., Any] | None = None
    unit: str = SAME
    support: tuple[float, float] = (-math.inf, math.inf)
    categories: tuple[str, ...] = ()
    brought_to: str = ""
    low: Limit = "no"
    high: Limit = "no"
    share: Literal["no", "must"] = "no"
    confirmed: tuple[Literal["values", "hours"], ...] = ()
    values: Literal["measured", "true"] = "measured"
    below: Below | None = None
    needs: int = 1
    between: Literal["nothing", "lines", "course"] = "nothing"
    baseline: bool = False
    slope: bool = False
    event: bool = False
    count: bool = False
    drawn: bool = False
    foretold: bool = False
    endless: bool = False
    waterfall: bool = False

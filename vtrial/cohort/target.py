"""Targets that people are matched to: moments, quantiles, shares, survival.

A target is one or more numbers about something that each person has: a covariate, an
outcome, or an expression of them. Each number becomes a `Row`: a function of a person
whose weighted mean is to lie between two bounds. So all of them are linear in the
weights: a standard deviation is the second moment about the mean that is wanted, a
correlation the mean product of what is standardised by the means and deviations wanted.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vtrial.cohort.category import codes_of
from vtrial.cohort.shape import Finite, Share, SourceShape, Spread
from vtrial.cohort.sheet import source_of
from vtrial.errors import CohortError, Fault, ModelError, UnitError
from vtrial.model.calculus import substitute
from vtrial.model.grammar import parse_expression, unknown_names
from vtrial.model.model import Source
from vtrial.model.tree import Expression, Name, evaluate
from vtrial.sheets.find import refuse_other
from vtrial.sheets.given import given_or_read
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import check_shape, raise_faults, schema_of, sheet_name
from vtrial.sheets.words import listed, nearest
from vtrial.units import hours, quantity

STATISTICS = (
    *("mean", "sd", "median", "quantiles"),
    *("share", "shares", "correlation", "survival"),
)
MOST_TARGETS = 200
EVENT = " event"  # behind the name of an outcome: whether its event was seen
LEVELS = Annotated[dict[str, Finite], Field(min_length=1)]
PARTS = Annotated[dict[str, Share], Field(min_length=1)]
Proportion = Annotated[Share, Field(ge=0, le=1)]


class TargetShape(BaseModel):
    """What is wanted of one covariate or outcome, of a condition, or of a pair."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"of": "AGE", "mean": 62, "sd": 11}]},
    )

    of: str | Annotated[list[str], Field(min_length=2, max_length=2)] = Field(
        description="A covariate, an outcome, or an expression; two for a correlation.",
        examples=["AGE"],
    )
    mean: Finite | None = Field(None, description="Mean.", examples=[62])
    sd: Spread | None = Field(
        None, description="Standard deviation, beside the mean.", examples=[11]
    )
    median: Finite | None = Field(None, description="Median.", examples=[63])
    quantiles: LEVELS | None = Field(
        None, description="Values by probability.", examples=[{"10 %": 48}]
    )
    share: Proportion | None = Field(
        None, description="Of those of whom it is true.", examples=["40 %"]
    )
    shares: PARTS | None = Field(
        None, description="By value or word.", examples=[{"female": "40 %"}]
    )
    correlation: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Correlation of the two.", examples=[0.4]
    )
    survival: PARTS | None = Field(
        None, description="Shares without the event by time.", examples=[{"1 a": 0.8}]
    )
    within: Annotated[Share, Field(gt=0)] | None = Field(
        None, description="How far off it may be; not at all if left out.", examples=[1]
    )
    source: SourceShape | None = Field(None, description="Where it is from.")


class TargetsShape(BaseModel):
    """A sheet of targets."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    match: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="The name of whom people are matched to.", examples=["registry"]
    )
    title: str = Field("", description="Who they are, in words.")
    source: list[SourceShape] = Field([], description="Whose numbers these are.")
    targets: Annotated[list[TargetShape], Field(min_length=1)] = Field(
        description="What is wanted.", examples=[[{"of": "AGE", "mean": 62}]]
    )


@dataclass(frozen=True)
class Targets:
    """A sheet of targets, each number of it still by its words."""

    name: str
    title: str
    sources: tuple[Source, ...]
    entries: tuple[TargetShape, ...]
    sheet: Sheet


class Row(NamedTuple):
    """One number that is wanted, as a mean over people that lies between two bounds.

    Fields
    ------
    target
        What it is, in words: `AGE mean`.
    of
        Whose number it is; of a pair, both.
    kind
        One of `STATISTICS`.
    level
        Probability of a quantile, time [h] of survival, value of a share; else NaN.
    wanted, within
        The number, and how far off it may be.
    feature
        Of each person.
    low, high
        Between which the weighted mean of the feature is to lie.
    shown
        The number itself, of people with weights.
    path
        Where in the sheet it stands.
    """

    target: str
    of: str
    kind: str
    level: float
    wanted: float
    within: float
    feature: Float[np.ndarray, " person"]
    low: float
    high: float
    shown: Callable[[Float[np.ndarray, " person"]], float]
    path: Path_


def load_targets(given: str | Path | Mapping[str, object]) -> Targets:
    """Load targets: the path of a sheet, YAML text of several lines, or a dict.

    Raises
    ------
    CohortError
        With every fault of the sheet that shows without people.
    SheetError
        If the file is no readable sheet.
    """
    sheet = given_or_read(given)
    refuse_other(sheet, "match")
    shape, faults = check_shape(sheet, TargetsShape)
    raise_faults(CohortError, faults)
    assert shape is not None  # or there were faults
    moments = moments_in(shape.targets)
    for place, entry in enumerate(shape.targets):
        faults += _misfits(sheet, ("targets", place), entry, moments)
    if len(shape.targets) > MOST_TARGETS:
        found = f"{len(shape.targets)} long"
        allowed = f"at most {MOST_TARGETS} long"
        faults.append(sheet.fault(("targets",), found=found, allowed=allowed, write=""))
    raise_faults(CohortError, faults)
    return Targets(
        shape.match,
        shape.title,
        tuple(source_of(one) for one in shape.source),
        tuple(shape.targets),
        sheet,
    )


def match_schema() -> dict[str, object]:
    """Return the JSON Schema of a sheet of targets, for editors.

    Examples
    --------
    >>> match_schema()["required"]
    ['match', 'targets']
    """
    return schema_of(TargetsShape, "vtrial targets")


def moments_in(entries: Sequence[TargetShape]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of whatever has both as targets."""
    return {
        entry.of: (entry.mean, entry.sd)
        for entry in entries
        if isinstance(entry.of, str) and entry.mean is not None and entry.sd is not None
    }


def _misfits(
    sheet: Sheet, path: Path_, entry: TargetShape, moments: Collection[str]
) -> list[Fault]:
    """Find what of one target does not go together."""

    def told(key: str, found: str, allowed: str) -> Fault:
        at = (*path, key) if key else path
        return sheet.fault(at, found=found, allowed=allowed, write="")

    given = [name for name in STATISTICS if getattr(entry, name) is not None]
    faults = []
    if not given:
        faults.append(told("", "without a number", f"given {listed(STATISTICS)}"))
    pair = entry.of if isinstance(entry.of, list) else []
    lacking = [f"`{name}`" for name in pair if name not in moments]
    if "correlation" in given and lacking:
        allowed = "of two whose `mean` and `sd` are targets, too"
        said = f"of {' and '.join(lacking)}, without them"
        faults.append(told("correlation", said, allowed))
    if pair and given != ["correlation"]:
        faults.append(told("of", "a pair", "one name, but for a `correlation`"))
    if not pair and "correlation" in given:
        faults.append(told("of", f"`{entry.of}`", "a pair, such as [WT, HT]"))
    if "sd" in given and "mean" not in given:
        faults.append(told("sd", "without `mean`", "beside the mean that is wanted"))
    if entry.sd == 0:
        faults.append(told("sd", "0", "above 0"))
    for level in entry.quantiles or {}:
        if not 0 < _level(level) < 1:
            allowed = "a probability between 0 and 1, such as 10 %"
            faults.append(told("quantiles", f"at `{level}`", allowed))
    for time in entry.survival or {}:
        if not _hours(time) > 0:
            allowed = "a time above 0, such as 12 mo"
            faults.append(told("survival", f"at `{time}`", allowed))
    for name in ("shares", "survival"):
        parts = getattr(entry, name) or {}
        if any(not 0 <= part <= 1 for part in parts.values()):
            faults.append(told(name, "not all shares", "from 0 to 100 %"))
    if math.fsum((entry.shares or {}).values()) > 1 + 1e-6:
        faults.append(told("shares", "more than 100 % together", "at most 100 %"))
    return faults


def rows_for(
    targets: Targets,
    people: Mapping[str, np.ndarray],
    words: Mapping[str, Mapping[float, str]],
) -> list[Row]:
    """Make rows of targets for people.

    Parameters
    ----------
    people
        What each of them has, by name, in the units that targets are in. `X event` says
        whether the event to whose time `X` [h] belongs was seen.
    words
        Those for values, by name.

    Raises
    ------
    CohortError
        With every target that asks for what these people do not have.
    """
    reader = _Reader(targets, people, words)
    rows = reader.rows()
    raise_faults(CohortError, reader.faults)
    return rows


class _Reader:
    """Makes rows of targets, and gathers what is wrong with them."""

    def __init__(
        self,
        targets: Targets,
        people: Mapping[str, np.ndarray],
        words: Mapping[str, Mapping[float, str]],
    ) -> None:
        self.targets, self.people, self.words = targets, people, words
        self.faults: list[Fault] = []
        self.moments = moments_in(targets.entries)

    def rows(self) -> list[Row]:
        """Make all rows; they count only if there are no faults."""
        found: list[Row] = []
        for place, entry in enumerate(self.targets.entries):
            path: Path_ = ("targets", place)
            if isinstance(entry.of, list):
                found += self._pair(path, entry, entry.of)
            elif (values := self._values(path, entry.of)) is not None:
                found += self._single(path, entry, entry.of, values)
        return found

    def _add(self, path: Path_, found: str, allowed: str, write: str = "") -> None:
        sheet = self.targets.sheet
        self.faults.append(sheet.fault(path, found=found, allowed=allowed, write=write))

    def _values(self, path: Path_, of: str) -> Float[np.ndarray, " person"] | None:
        """Return what something is of each person; None, and a fault, if unknown."""
        if of in self.people:
            return np.asarray(self.people[of], float)
        known = [name for name in self.people if not name.endswith(EVENT)]
        try:
            tree = substitute(parse_expression(of), self._codes())
        except ModelError as error:
            fault = error.faults[0]
            self._add((*path, "of"), fault.found, fault.allowed)
            return None
        if isinstance(tree, Name) or unknown_names(tree, known):
            strange = of if isinstance(tree, Name) else _first_unknown(tree, known)
            allowed = f"about {listed(known, like=strange)}"
            near = nearest(strange, known) if isinstance(tree, Name) else ""
            self._add((*path, "of"), f"about `{strange}`", allowed, near)
            return None
        found = np.asarray(evaluate(tree, dict(self.people)), float)
        found = np.broadcast_to(found, (len(next(iter(self.people.values()))),))
        if not np.isfinite(found).all():
            lacking = int((~np.isfinite(found)).sum())
            said = f"not a number of {lacking} people"
            self._add((*path, "of"), said, "a number of everybody")
            return None
        return found

    def _codes(self) -> dict[str, Expression]:
        """Return what the words of categories stand for, where they stand for one."""
        found = codes_of(
            (word, code)
            for words in self.words.values()
            for code, word in words.items()
        )
        return {word: code for word, code in found.items() if word not in self.people}

    def _single(
        self, path: Path_, entry: TargetShape, of: str, values: np.ndarray
    ) -> list[Row]:
        """Make the rows of a target of one thing."""
        rows, off = [], float(entry.within or 0.0)

        def row(kind: str, *rest: Any, level: float = math.nan, said: str = "") -> Row:
            named = " ".join(part for part in (of, said or kind) if part)
            wanted, feature, low, high, shown = rest
            found = (kind, level, wanted, off, feature, low, high, shown)
            return Row(named, of, *found, (*path, kind))

        if entry.mean is not None:
            at = entry.mean
            mean = lambda w: float(w @ values)  # noqa: E731
            rows.append(row("mean", at, values, at - off, at + off, mean))
        if entry.sd is not None and entry.mean is not None:
            square = (values - entry.mean) ** 2
            low, high = max(entry.sd - off, 0.0) ** 2, (entry.sd + off) ** 2
            rows.append(row("sd", entry.sd, square, low, high, _spread(values)))
        levels = {"median": entry.median} if entry.median is not None else {}
        for text, at in (levels | dict(entry.quantiles or {})).items():
            rows += self._quantile(row, values, text, float(at), off)
        if entry.share is not None:
            true = (values != 0).astype(float)
            rows.append(row("share", *_around(entry.share, off, true)))
        for word, part in (entry.shares or {}).items():
            code = self._code(path, of, word)
            if code is not None:
                true = (values == code).astype(float)
                sides = _around(part, off, true)
                rows.append(row("shares", *sides, level=code, said=word))
        for text, part in (entry.survival or {}).items():
            true = self._alive((*path, "survival"), of, values, text)
            sides = _around(part, off, true)
            said = f"free at {text}"
            rows.append(row("survival", *sides, level=_hours(text), said=said))
        return rows

    def _quantile(
        self, row: Any, values: np.ndarray, text: str, at: float, off: float
    ) -> list[Row]:
        """Make the rows of a quantile; one on each side where it may be off."""
        median = text == "median"
        level = 0.5 if median else _level(text)
        about = {"level": level, "said": "median" if median else f"{text} quantile"}
        kind = "median" if median else "quantiles"
        shown = _quantile(values, level)

        def below(limit: float) -> np.ndarray:
            return (values <= limit).astype(float)

        if not off:
            return [row(kind, at, below(at), level, level, shown, **about)]
        upper, lower = (level, math.inf), (-math.inf, level)
        return [
            row(kind, at, below(at + off), *upper, shown, **about),
            row(kind, at, below(at - off), *lower, shown, **about),
        ]

    def _code(self, path: Path_, of: str, word: str) -> float | None:
        """Return the value that a category's word or number stands for."""
        named = {text: code for code, text in self.words.get(of, {}).items()}
        if word in named:
            return named[word]
        try:
            return float(word)
        except ValueError:
            known = listed(named) or "a number"
            self._add((*path, "shares"), f"of `{word}`", f"of {known}")
            return None

    def _alive(
        self, path: Path_, of: str, values: np.ndarray, text: str
    ) -> Float[np.ndarray, " person"]:
        """Return who is free of an event at a time; everybody's state must be known."""
        time = _hours(text)
        seen = np.asarray(self.people.get(of + EVENT, np.ones(values.size)), float)
        lost = int(((seen == 0) & (values < time * (1 - 1e-9))).sum())
        if lost:
            allowed = "at times to which everybody without the event is followed"
            self._add(path, f"at {text}, before which {lost} were lost", allowed)
        return free_at(values, seen, time)

    def _pair(self, path: Path_, entry: TargetShape, of: list[str]) -> list[Row]:
        """Make the row of a correlation."""
        pair = [self._values(path, name) for name in of]
        if any(values is None for values in pair):
            return []
        scores = [
            (values - mean) / sd  # type: ignore[operator] # none of them is None
            for values, (mean, sd) in zip(
                pair, (self.moments[n] for n in of), strict=True
            )
        ]
        wanted, off = float(entry.correlation or 0.0), float(entry.within or 0.0)
        product = scores[0] * scores[1]

        def shown(weights: np.ndarray) -> float:
            first, second = (one - weights @ one for one in scores)
            size = math.sqrt((weights @ first**2) * (weights @ second**2))
            return float(weights @ (first * second)) / size if size else math.nan

        name, where = ", ".join(of), (*path, "correlation")
        sides = (product, wanted - off, wanted + off, shown)
        target = f"{name} correlation"
        return [Row(target, name, "correlation", math.nan, wanted, off, *sides, where)]


def free_at(
    values: Float[np.ndarray, "#*n"],
    seen: Float[np.ndarray, "#*n"],
    time: Float[np.ndarray, " time"] | float,
) -> Float[np.ndarray, "*m"]:
    """Return who (1 or 0) is free of an event at times; who is censored then, is."""
    return ((values > time) | ((seen == 0) & (values >= time))).astype(float)


def _around(
    share: float, off: float, true: np.ndarray
) -> tuple[float, np.ndarray, float, float, Callable[[np.ndarray], float]]:
    """Return what makes a row of a share."""
    return share, true, share - off, share + off, lambda w: float(w @ true)


def _spread(values: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return how the standard deviation of weighted people is found."""
    return lambda w: math.sqrt(max(float(w @ (values - w @ values) ** 2), 0.0))


def _quantile(values: np.ndarray, level: float) -> Callable[[np.ndarray], float]:
    """Return how a quantile of weighted people is found: the first value that has it.

    A weight in a billion is rounding.
    """
    order = np.argsort(values, kind="stable")

    def shown(weights: np.ndarray) -> float:
        place = np.searchsorted(np.cumsum(weights[order]), level - 1e-9)
        return float(values[order][min(place, values.size - 1)])

    return shown


def _first_unknown(tree: Expression, known: list[str]) -> str:
    """Name what an expression asks for in vain."""
    return unknown_names(tree, known)[0].found.split("`")[1]


def _level(text: str) -> float:
    """Read a probability: `10 %` or 0.1; NaN if it is none."""
    try:
        number, unit = quantity(str(text))
    except UnitError:
        return math.nan
    return {"1": number, "%": number / 100}.get(unit, math.nan)


def _hours(text: str) -> float:
    """Read a time [h]; NaN if it is none."""
    try:
        return hours(str(text))
    except UnitError:
        return math.nan

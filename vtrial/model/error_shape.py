"""The shape of residual errors in a model sheet: numbers, or equations."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from vtrial.errors import ModelError, UnitError
from vtrial.model.field_types import (
    EQUATION,
    Finite,
    Part,
    Positive,
    SourceShape,
    Symbol,
    as_number,
    as_share,
    as_size,
)
from vtrial.model.grammar import parse_expression
from vtrial.sheets.validate import wrong
from vtrial.units import hours

Given = float | str


def _equation(text: str, otherwise: str) -> str:
    """Take the text of an equation, or tell where it stops being one."""
    try:
        parse_expression(text)
    except ModelError as error:
        fault = error.faults[0]
        place = f"`{text[:60]}`, no equation: {fault.found}"
        raise wrong(place, f"{otherwise}; in an equation, {fault.allowed}") from None
    return text


def _is_equation(value: object) -> bool:
    """Return whether a text is meant as an equation, and not as a number."""
    if not isinstance(value, str):
        return False
    return bool(EQUATION.search(value)) or not value.strip()[:1].isdigit()


def _or_equation(plain: Callable[[object], float], words: str) -> BeforeValidator:
    """Take what `plain` takes, or an equation."""

    def read(value: object) -> float | str:
        return _equation(str(value), words) if _is_equation(value) else plain(value)

    return BeforeValidator(read, json_schema_input_type=Given)


def time_span(value: object) -> str:
    """Take a time above 0, in words."""
    try:
        span = hours(str(value))
    except UnitError as error:
        fault = error.faults[0]
        raise wrong(fault.found, fault.allowed, "") from None
    if span <= 0:
        raise wrong(f"`{value}`", "a time above 0, such as 2 h")
    return str(value)


def _range(value: object) -> list[float]:
    """Take a lower and a higher number."""
    ends = value if isinstance(value, list) else []
    if len(ends) != 2:
        raise wrong(f"`{value}`"[:80], "a lower and a higher number, as [0, 100]")
    low, high = (as_number(end) for end in ends)
    if not low < high:
        raise wrong(f"[{low:g}, {high:g}]", "a lower and a higher number", "")
    return [low, high]


SizeEquation = Annotated[
    Given, _or_equation(as_size, "a number of 0 or more, or an equation")
]
ShareEquation = Annotated[
    Given, _or_equation(as_share, "a share, such as 8 %, or an equation")
]
NumberEquation = Annotated[Given, _or_equation(as_number, "a number or an equation")]
Span = Annotated[str, BeforeValidator(time_span, json_schema_input_type=str)]
Range = Annotated[
    list[float], BeforeValidator(_range, json_schema_input_type=list[float])
]


class ErrorShape(Part):
    """Residual error of one measurement; each number may be an equation."""

    additive: SizeEquation | None = Field(
        None,
        description="Standard deviation, in the output's unit.",
        examples=[0.05],
    )
    proportional: ShareEquation | None = Field(
        None,
        description="Standard deviation as a share of the prediction.",
        examples=["10 %"],
    )
    exponent: Positive | None = Field(
        None, description="Of the prediction in the proportional part, 1 if not given."
    )
    sd: NumberEquation | None = Field(
        None, description="An equation of the standard deviation, in the output's unit."
    )
    log: SizeEquation | None = Field(
        None, description="Standard deviation of the logarithm."
    )
    logit: SizeEquation | None = Field(
        None, description="Standard deviation of the logit of what lies between."
    )
    beta: SizeEquation | None = Field(
        None, description="Precision of a beta distribution about the prediction."
    )
    between: Range | None = Field(
        None, description="The ends of a logit or beta error, [0, 1] if not given."
    )
    student: Positive | None = Field(
        None, description="Degrees of freedom of Student's t, instead of a normal law."
    )
    bias: NumberEquation | None = Field(
        None, description="What is added to the prediction, as the drift of a sensor."
    )
    memory: Span | None = Field(
        None,
        description="Time in which the correlation of two errors falls to 1/e, as 2 h.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "ErrorShape":
        words = ("sd", "log", "logit", "beta")
        given = [word for word in words if getattr(self, word) is not None]
        others = self.additive is not None or self.proportional is not None
        given += ["additive or proportional"] if others else []
        if len(given) > 1:
            found = f"{given[0]} beside {given[1]}"
            allowed = "additive, proportional or both, or one of sd, log, logit, beta"
            raise wrong(found, allowed)
        if self.exponent is not None and self.proportional is None:
            raise wrong("an exponent without proportional", "given with proportional")
        if self.between is not None and self.logit is None and self.beta is None:
            raise wrong("between without logit or beta", "given with logit or beta")
        curved = [word for word in ("log", "logit", "beta") if word in given]
        if self.student is not None and (curved or not given):
            found = f"student {'beside ' + curved[0] if curved else 'alone'}"
            raise wrong(found, "given with additive, proportional or sd")
        if self.memory is not None and (self.beta is not None or not given):
            found = "memory " + ("of a beta error" if given else "without an error")
            raise wrong(found, "given with an error that is not beta")
        return self


class ErrorsShape(Part):
    """The correlation of the residual errors of two outputs at the same time."""

    of: Annotated[list[Symbol], Field(min_length=2, max_length=2)] = Field(
        description="Two outputs."
    )
    correlation: Annotated[Finite, Field(ge=-1, le=1)] = Field(
        description="Of the errors of two measurements at the same time."
    )
    source: SourceShape | None = None

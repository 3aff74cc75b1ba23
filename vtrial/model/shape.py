"""The shape of a model sheet: which keys there are, and what each may hold."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vtrial.errors import ModelError, UnitError
from vtrial.model.grammar import MAX_NAME, parse_expression, reserved_words
from vtrial.sheets.choice import Words
from vtrial.sheets.csv_number import explain_number
from vtrial.sheets.synonyms import hint
from vtrial.sheets.validate import said, sheet_name, wrong
from vtrial.sheets.words import listed
from vtrial.units import dimension, hours, is_unit, quantity

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
DOI = re.compile(r"10\.\d{4,9}/\S+")
MOST = 1e100  # squares and products of such numbers, and their inverses, are numbers
EQUATION = re.compile(r"[*^()]|[A-Za-z_]\w*\s*[+-]")
MOST_SHARE = 1e6
LEAST_PERCENT = 10.0  # a number from which on nobody means so many times the whole


def _number(value: object) -> float:
    """Take a number, and nothing that only looks like one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        allowed, write = "a number", ""
        if isinstance(value, str) and EQUATION.search(value):
            allowed = "a number: no equation stands here"
        elif isinstance(value, str):
            allowed, write = explain_number(value)
        raise wrong(said(value), allowed, write)
    if not abs(value) <= MOST:
        raise wrong(f"`{str(value)[:40]}`", f"a finite number, below {MOST:g} in size")
    if value and abs(value) < 1 / MOST:
        raise wrong(f"`{value:g}`", f"0, or a number above {1 / MOST:g} in size")
    return float(value)


def _positive(value: object) -> float:
    number = _number(value)
    if number <= 0:
        raise wrong(f"{number:g}", "above 0", "")
    return number


def _size(value: object) -> float:
    number = _number(value)
    if number < 0:
        raise wrong(f"{number:g}", "0 or more", "")
    return number


def _share(value: object) -> float:
    """Read `30 %` or 0.3; a bare number above 1 is likely to be a percentage."""
    if isinstance(value, str):
        try:
            number, unit = quantity(value)
        except UnitError as error:
            raise wrong(said(value), "a share, such as 8 % or 0.08") from error
        if unit not in ("%", "1"):
            raise wrong(said(value), "a share, such as 8 % or 0.08")
    else:
        number, unit = _number(value), "1"
    if unit == "1" and number > 1:
        raise _no_share(value, number)
    number = number / 100 if unit == "%" else number
    if number < 0:
        raise wrong(said(value), "0 or more")
    if not number <= MOST_SHARE:
        raise wrong(f"`{str(value)[:40]}`", f"a share below {MOST_SHARE:g}")
    return number


def _no_share(value: object, number: float) -> ValueError:
    """Describe a number above 1, which is likely to be a percentage."""
    if number < LEAST_PERCENT:
        allowed = f"a share: {number:g} % or {100 * number:g} %"
        return wrong(said(value), allowed)
    return wrong(said(value), "a share, such as 8 % or 0.08", f"{number:g} %")


def _unit(value: object) -> str:
    text = str(value) if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not is_unit(text):
        raise _unit_fault(value)
    return text


def _unit_fault(value: object) -> ValueError:
    """Return the fault of `vtrial.units` for a text that is not a unit."""
    try:
        dimension(str(value))
    except UnitError as error:
        fault = error.faults[0]
        return wrong(fault.found, fault.allowed, fault.write)
    return wrong(said(value), "a unit, such as mg/L")


def _duration_unit(value: object) -> str:
    try:
        hours(f"1 {value}")
    except UnitError as error:
        near = hint("unit", str(value))
        allowed = near or "a unit of time: min, h, d, wk or a"
        raise wrong(said(value), allowed) from error
    return str(value)


def _equation(text: str, otherwise: str) -> str:
    """Take the text of an equation, or tell where it stops being one."""
    try:
        parse_expression(text)
    except ModelError as error:
        fault = error.faults[0]
        place = f"`{text[:60]}`, no equation: {fault.found}"
        raise wrong(place, f"{otherwise}; in an equation, {fault.allowed}") from None
    return text


def _size_or_equation(value: object) -> float | str:
    if isinstance(value, str):
        return _equation(value, "a number of 0 or more, or an equation")
    return _size(value)


def _share_or_equation(value: object) -> float | str:
    if isinstance(value, str) and not value.strip()[:1].isdigit():
        return _equation(value, "a share, such as 8 %, or an equation")
    return _share(value)


def _number_or_equation(value: object) -> float | str:
    if isinstance(value, str):
        return _equation(value, "a number or an equation")
    return _number(value)


def _time_span(value: object) -> str:
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
    low, high = (_number(end) for end in ends)
    if not low < high:
        raise wrong(f"[{low:g}, {high:g}]", "a lower and a higher number", "")
    return [low, high]


def _name(value: object) -> str:
    """Take a name that the equations can use."""
    text = value if isinstance(value, str) else str(value)
    if not NAME.fullmatch(text) or len(text) > MAX_NAME:
        allowed = "a name, such as CL: letters, digits and _, a letter first"
        raise wrong(said(text), allowed)
    if text in reserved_words():
        allowed = f"a name of your own, such as tv{text}"
        raise wrong(f"`{text}`, a word of the equations", allowed)
    return text


def _names(value: object) -> list[str]:
    """Take one name or a list of them."""
    names = [_name(name) for name in (value if isinstance(value, list) else [value])]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        found = f"{listed(twice)}, twice" if twice else "empty"
        raise wrong(found, "a name, or several, each once")
    return names


def _shares(value: object) -> list[float]:
    return [_share(v) for v in (value if isinstance(value, list) else [value])]


def _sizes(value: object) -> list[float]:
    return [_size(v) for v in (value if isinstance(value, list) else [value])]


def _triangle(value: object) -> list[list[float]]:
    """Take the lower triangle of a symmetric matrix, a row a line."""
    sizes = (
        [len(row) for row in value if isinstance(row, list)]
        if isinstance(value, list)
        else []
    )
    if not isinstance(value, list) or sizes != list(range(1, len(value) + 1)):
        raise wrong(
            said(value),
            "the lower triangle of a matrix, each row one number longer, such as "
            "[[0.09], [0.03, 0.0625]]",
        )
    return [[_number(entry) for entry in row] for row in value]


Finite = Annotated[float, BeforeValidator(_number, json_schema_input_type=float)]
Positive = Annotated[float, BeforeValidator(_positive, json_schema_input_type=float)]
Size = Annotated[float, BeforeValidator(_size, json_schema_input_type=float)]
Share = Annotated[float, BeforeValidator(_share, json_schema_input_type=float | str)]
Unit = Annotated[str, BeforeValidator(_unit, json_schema_input_type=str | int)]
Duration = Annotated[str, BeforeValidator(_duration_unit, json_schema_input_type=str)]
Symbol = Annotated[str, BeforeValidator(_name, json_schema_input_type=str)]
Symbols = Annotated[
    list[str], BeforeValidator(_names, json_schema_input_type=str | list[str])
]
Shares = Annotated[
    list[float],
    BeforeValidator(_shares, json_schema_input_type=float | str | list[float | str]),
]
Sizes = Annotated[
    list[float], BeforeValidator(_sizes, json_schema_input_type=float | list[float])
]
Given = float | str
SizeEquation = Annotated[
    Given, BeforeValidator(_size_or_equation, json_schema_input_type=Given)
]
ShareEquation = Annotated[
    Given, BeforeValidator(_share_or_equation, json_schema_input_type=Given)
]
NumberEquation = Annotated[
    Given, BeforeValidator(_number_or_equation, json_schema_input_type=Given)
]
Span = Annotated[str, BeforeValidator(_time_span, json_schema_input_type=str)]
Range = Annotated[
    list[float], BeforeValidator(_range, json_schema_input_type=list[float])
]
Triangle = Annotated[
    list[list[float]],
    BeforeValidator(_triangle, json_schema_input_type=list[list[float]]),
]


Scale = Annotated[
    Literal["log", "identity"],
    BeforeValidator(Words("log", "identity", place="scale")),
]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceShape(_Shape):
    """Where a number is from."""

    cite: str = Field("", description="The work, as one cites it.")
    doi: str = Field("", description="Its DOI, beginning with 10.")
    url: str = Field("", description="Where it can be read.")
    note: str = Field("", description="What was assumed, or could not be verified.")

    @model_validator(mode="after")
    def _says_something(self) -> "SourceShape":
        if not (self.cite or self.doi or self.url or self.note):
            raise wrong("empty", "a map with at least one of cite, doi, url or note")
        if self.doi and not DOI.fullmatch(self.doi):
            allowed = "a DOI, such as 10.1007/BF02353487"
            raise wrong(said(self.doi), allowed, key="doi")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise wrong(said(self.url), "an address with https://", key="url")
        return self


class CovariateShape(_Shape):
    """What the equations ask of a subject."""

    title: str = Field("", description="What it is, in words.")
    unit: Unit | None = Field(
        None, description="Unit in which the equations read it.", examples=["kg"]
    )
    typical: Finite | None = Field(
        None, description="Value of the typical subject.", examples=[70]
    )
    values: list[Finite] = Field(
        [], description="The codes of a category.", examples=[[0, 1]]
    )

    @model_validator(mode="after")
    def _typical_is_a_code(self) -> "CovariateShape":
        if self.values and self.typical is not None and self.typical not in self.values:
            codes = listed(f"{code:g}" for code in self.values)
            found, allowed = f"{self.typical:g}", f"one of the values {codes}"
            raise wrong(found, allowed, key="typical")
        return self


class ParameterShape(_Shape):
    """A population value and how well it is known."""

    value: Finite = Field(
        description="The value in the population, in the unit.", examples=[5.0]
    )
    unit: Unit | None = Field(None, description="Unit of the value.", examples=["L/h"])
    title: str = Field("", description="What it is, in words.")
    rse: Share | None = Field(
        None, description="Relative standard error, as 8 %.", examples=["8 %"]
    )
    se: Size | None = Field(
        None, description="Standard error, in the unit.", examples=[0.4]
    )
    scale: Scale | None = Field(
        None,
        description="Where the uncertainty is normal; log if the value is above 0.",
    )
    source: SourceShape | None = Field(None, description="Where it is from.")

    @model_validator(mode="after")
    def _one_error(self) -> "ParameterShape":
        if self.rse is not None and self.se is not None:
            raise wrong("given both rse and se", "given one of them")
        if self.scale == "log" and self.value <= 0:
            found = f"{self.value:g} on the log scale"
            allowed = "above 0 for `log`, or `identity`"
            raise wrong(found, allowed, "identity", key="scale")
        return self


class RandomShape(_Shape):
    """Random effects: how much subjects, or occasions, differ."""

    of: Symbols = Field(
        description="Name, or names that vary together: eta.<name>.", examples=["CL"]
    )
    variance: Sizes | None = Field(
        None, description="Variance of the effect.", examples=[0.09]
    )
    sd: Sizes | None = Field(
        None, description="Standard deviation of the effect.", examples=[0.3]
    )
    cv: Shares | None = Field(
        None, description="Coefficient of variation, as 30 %.", examples=["30 %"]
    )
    convention: Annotated[
        Literal["ln(1+cv^2)", "cv^2"], BeforeValidator(Words("ln(1+cv^2)", "cv^2"))
    ] = Field("ln(1+cv^2)", description="How the variance is computed from cv.")
    covariance: Triangle | None = Field(
        None, description="Lower triangle.", examples=[[[0.09], [0.03, 0.0625]]]
    )
    correlation: Triangle | None = Field(
        None,
        description="Lower triangle, 1 on it; beside sd, cv or variance.",
        examples=[[[1], [0.5, 1]]],
    )
    level: Annotated[
        Literal["subject", "occasion", "study"],
        BeforeValidator(Words("subject", "occasion", "study", place="level")),
    ] = Field(
        "subject",
        description="Drawn once a subject, anew each occasion, or once a replicate.",
    )
    df: Positive | None = Field(
        None,
        description="Degrees of freedom of the covariance, which is then uncertain.",
    )
    student: Positive | None = Field(
        None, description="Degrees of freedom of Student's t, instead of a normal law."
    )
    box_cox: Finite | None = Field(
        None, alias="box-cox", description="Shape by which a normal effect is skewed."
    )
    source: SourceShape | None = Field(None, description="Where it is from.")

    @model_validator(mode="after")
    def _one_law(self) -> "RandomShape":
        if self.student is not None and self.box_cox is not None:
            raise wrong("given both student and box-cox", "given one of them")
        if self.df is not None and self.df <= len(self.of) - 1:
            least = f"above {len(self.of) - 1}, for so many effects less one"
            raise wrong(f"df {self.df:g}", least)
        return self

    @model_validator(mode="after")
    def _one_size(self) -> "RandomShape":
        sizes = {"variance": self.variance, "sd": self.sd, "cv": self.cv}
        given = {key: value for key, value in sizes.items() if value is not None}
        if self.covariance is not None:
            given["covariance"] = [0.0] * len(self.covariance)
        if len(given) != 1:
            found = listed(given).replace(" or ", " and ") or "of no size"
            allowed = "given by one of variance, sd, cv or covariance, such as "
            raise wrong(found, f"{allowed}`variance: 0.09`")
        ((key, values),) = given.items()
        if len(values) != len(self.of):
            allowed = f"{len(self.of)} long, one for each of {', '.join(self.of)}"
            raise wrong(f"{key} of {len(values)}", allowed, "")
        if self.correlation is not None:
            _check_correlation(self.correlation, len(self.of), self.covariance)
        return self


class JointShape(_Shape):
    """The joint uncertainty of several parameters."""

    of: Symbols = Field(
        description="The parameters, in the order of the rows.",
        examples=[["tvCL", "tvV"]],
    )
    covariance: Triangle = Field(
        description="Lower triangle, on the scale.",
        examples=[[[0.01], [0.002, 0.02]]],
    )
    scale: Scale = Field("log", description="Where the uncertainty is normal.")
    source: SourceShape | None = Field(None, description="Where it is from.")

    @model_validator(mode="after")
    def _size(self) -> "JointShape":
        if len(self.covariance) != len(self.of):
            allowed = f"{len(self.of)} rows, one for each of {', '.join(self.of)}"
            raise wrong(f"a covariance of {len(self.covariance)}", allowed, "")
        return self


class ErrorShape(_Shape):
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


class ErrorsShape(_Shape):
    """The correlation of the residual errors of two outputs at the same time."""

    of: Annotated[list[Symbol], Field(min_length=2, max_length=2)] = Field(
        description="Two outputs."
    )
    correlation: Annotated[Finite, Field(ge=-1, le=1)] = Field(
        description="Of the errors of two measurements at the same time."
    )
    source: SourceShape | None = None


class OutputShape(_Shape):
    """What can be observed."""

    equals: Symbol | None = Field(
        None,
        description="A name of the equations; its own name if left out.",
        examples=["central"],
    )
    unit: Unit | None = Field(
        None, description="Unit of its values.", examples=["mg/L"]
    )
    title: str = Field("", description="What it is, in words.")
    error: ErrorShape | None = Field(
        None,
        description="Residual error of a measurement; none if left out.",
        examples=[{"proportional": "10 %"}],
    )
    lloq: Positive | None = Field(
        None, description="Lower limit of quantification.", examples=[0.1]
    )

    @model_validator(mode="after")
    def _limit_of_a_score(self) -> "OutputShape":
        if self.lloq is not None and self.error and self.error.beta is not None:
            raise wrong("lloq beside a beta error", "one or the other")
        return self


class ModelShape(_Shape):
    """A model sheet."""

    model: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="The model's name.", examples=["my-model"]
    )
    title: str = Field("", description="What it is, in words.")
    source: list[SourceShape] = Field([], description="Whose numbers these are.")
    time: Duration = Field(
        "h", description="Unit of the equations' time.", examples=["h"]
    )
    amount: Unit = Field(
        "mg", description="Unit of doses and compartments.", examples=["mg"]
    )
    molar_mass: Positive | None = Field(
        None,
        description="Of the drug [g/mol], where doses are in moles or outputs are.",
        examples=[807.9],
    )
    covariates: dict[Symbol, CovariateShape] = Field(
        {},
        description="What the equations ask of a subject, by name.",
        examples=[{"WT": {"unit": "kg", "typical": 70}}],
    )
    parameters: dict[Symbol, ParameterShape] = Field(
        {},
        description="Values in the population, by name.",
        examples=[{"tvCL": {"value": 5.0, "unit": "L/h"}}],
    )
    random: list[RandomShape] = Field(
        [],
        description="Random effects between subjects or occasions.",
        examples=[[{"of": "CL", "variance": 0.09}]],
    )
    uncertainty: list[JointShape] = Field(
        [], description="Parameters whose uncertainty goes together."
    )
    equations: str = Field(
        description="Statements, one a line.", examples=["CL = tvCL * exp(eta.CL)"]
    )
    outputs: dict[Symbol, OutputShape] = Field(
        min_length=1,
        description="What can be observed, by name.",
        examples=[{"conc": {"unit": "mg/L"}}],
    )
    errors: list[ErrorsShape] = Field(
        [], description="How residual errors of outputs go together."
    )
    nonnegative: list[Symbol] = Field(
        [], description="States never below 0.", examples=[["central"]]
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_left_out(cls, data: object) -> object:
        """Take a section with nothing under it as left out."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}


def _check_correlation(rows: list[list[float]], size: int, covariance: object) -> None:
    """Refuse a correlation of another size, or one that is not one."""
    if covariance is not None:
        raise wrong("correlation beside covariance", "given one of them", "")
    if len(rows) != size:
        raise wrong(f"a correlation of {len(rows)}", f"{size} rows", "")
    if any(row[-1] != 1 for row in rows) or any(
        abs(r) > 1 for row in rows for r in row
    ):
        allowed = "1 on the diagonal and between -1 and 1 below it"
        raise wrong("no correlation", f"{allowed}, such as [[1], [0.5, 1]]")

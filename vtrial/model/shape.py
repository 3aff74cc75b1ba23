"""The shape of a model sheet: which keys there are, and what each may hold."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from vtrial.model.chance import MOST
from vtrial.model.error_shape import ErrorShape, ErrorsShape, time_span
from vtrial.model.field_types import (
    Duration,
    Finite,
    Part,
    Positive,
    Scale,
    Share,
    Shares,
    Size,
    Sizes,
    SourceShape,
    Symbol,
    Symbols,
    Triangle,
    Unit,
)
from vtrial.sheets.choice import Words
from vtrial.sheets.validate import sheet_name, wrong
from vtrial.sheets.words import listed

TICK = re.compile(r"every\s+")
UNITS = ("patient", "machine", "department-day", "outbreak", "site")
MOST_KEPT = 1000  # times of an event
ROUNDED = 0.005  # by which rounded probabilities may miss their sum


class CovariateShape(Part):
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


class ParameterShape(Part):
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


class RandomShape(Part):
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


class ClassShape(Part):
    """Classes of subjects: each subject is of one, by chance."""

    class_: Symbol = Field(
        alias="class",
        description="Name of the class, which equations read: 1, 2 and so on.",
        examples=["g"],
    )
    probabilities: list[Finite | str] = Field(
        min_length=2,
        description="Of each class: numbers, or equations of parameters and "
        "covariates.",
        examples=[[0.3, 0.5, 0.2]],
    )
    source: SourceShape | None = Field(None, description="Where it is from.")

    @model_validator(mode="after")
    def _adds_up(self) -> "ClassShape":
        numbers = [one for one in self.probabilities if not isinstance(one, str)]
        if any(one < 0 for one in numbers):
            raise wrong("a probability below 0", "0 or more", key="probabilities")
        whole = len(numbers) == len(self.probabilities)
        if whole and abs(sum(numbers) - 1) > ROUNDED:
            found = f"probabilities that add up to {sum(numbers):g}"
            raise wrong(found, "probabilities that add up to 1", key="probabilities")
        return self


class EventShape(Part):
    """Something that happens to a subject, by a hazard or a condition."""

    hazard: Finite | str | None = Field(
        None,
        description="Its hazard per unit of time: a number or an equation.",
        examples=["0.2*exp(z)"],
    )
    when: str | None = Field(
        None, description="The condition at which it happens.", examples=["x >= 20"]
    )
    recurrent: bool = Field(
        False, description="Whether it may happen again, instead of once."
    )
    then: list[str] = Field(
        [],
        description="What follows of it: updates, one after another.",
        examples=[["x <- 0"]],
    )
    at_most: int = Field(
        MOST,
        ge=1,
        le=MOST_KEPT,
        alias="at most",
        description="How many of its times are kept; its count goes on.",
        examples=[20],
    )

    @model_validator(mode="after")
    def _one_cause(self) -> "EventShape":
        if (self.hazard is None) == (self.when is None):
            found = "without a cause" if self.hazard is None else "of two causes"
            raise wrong(found, 'given one of them: `hazard: 0.1` or `when: "x >= 20"`')
        return self


def _of_row(row: object) -> str:
    return "class row" if isinstance(row, dict) and "class" in row else "effect row"


# The tags are none of a row's keys, so that places of faults are told from them.
RandomRow = Annotated[
    Annotated[RandomShape, Tag("effect row")] | Annotated[ClassShape, Tag("class row")],
    Discriminator(_of_row),
]


class JointShape(Part):
    """The joint uncertainty of several parameters."""

    of: Symbols = Field(
        description="The parameters, in the order of the rows.",
        examples=[["tvCL", "tvV"]],
    )
    covariance: Triangle = Field(
        description="Lower triangle, on the scale.",
        examples=[[[0.01], [0.002, 0.02]]],
    )
    scale: Scale | list[Scale] = Field(
        "log",
        description="Where the uncertainty is normal: of all, or one for each.",
        examples=[["log", "identity"]],
    )
    source: SourceShape | None = Field(None, description="Where it is from.")

    @property
    def scales(self) -> list[Scale]:
        """The scale of each parameter."""
        scale = self.scale
        return scale if isinstance(scale, list) else [scale for _ in self.of]

    @model_validator(mode="after")
    def _size(self) -> "JointShape":
        if len(self.scales) != len(self.of):
            allowed = f"{len(self.of)}, one for each of {', '.join(self.of)}"
            raise wrong(f"{len(self.scales)} scales", allowed, "", key="scale")
        if len(self.covariance) != len(self.of):
            allowed = f"{len(self.of)} rows, one for each of {', '.join(self.of)}"
            raise wrong(f"a covariance of {len(self.covariance)}", allowed, "")
        return self


class OutputShape(Part):
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


class ModelShape(Part):
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
    random: list[RandomRow] = Field(
        [],
        description="Random effects between subjects or occasions, and classes.",
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
    every: dict[str, str] = Field(
        {},
        description="What is done at each tick, under the time between two.",
        examples=[{"1 d": "x <- x + normal(step)"}],
    )
    events: dict[Symbol, EventShape] = Field(
        {},
        description="What happens to a subject between visits, by name.",
        examples=[{"failure": {"hazard": 0.1, "recurrent": True}}],
    )
    step: Annotated[str, BeforeValidator(time_span)] | None = Field(
        None,
        description="Time between two steps of a solution with noise.",
        examples=["0.05 d"],
    )
    unit: Annotated[
        Literal["patient", "machine", "department-day", "outbreak", "site"],
        BeforeValidator(Words(*UNITS, place="unit")),
    ] = Field("patient", description="What a subject is, where it is no patient.")

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, data: object) -> object:
        """Leave out sections with nothing under them; take `every 1 d` as a section."""
        if not isinstance(data, dict):
            return data
        given = {key: value for key, value in data.items() if value is not None}
        ticks = {key: given.pop(key) for key in list(given) if TICK.match(str(key))}
        if not ticks:
            return given
        both = given.get("every", {})
        if len(ticks) > 1 or both:
            first = next(iter(ticks))
            raise wrong("given again", "one block for all ticks", key=first)
        ((key, text),) = ticks.items()
        return given | {"every": {TICK.sub("", str(key)): text}}


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

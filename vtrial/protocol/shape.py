"""The shape of a protocol sheet: which keys it has, and what may stand at them.

Nothing is resolved here. Words stay words; `vtrial.protocol.load` gives them meaning.
"""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from vtrial.protocol.protocol import (
    Correct,
    Covariance,
    Freedom,
    Measure,
    Procedure,
    Statistic,
    Strategy,
    Take,
)
from vtrial.sheets import listed, nearest, sheet_name
from vtrial.types import Method

MOST = 1_000_000_000


class _OneOrMany:
    """Say in the JSON Schema that one entry may stand where a list may."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        return {"anyOf": [schema["items"], schema]}


class _OrEmpty:
    """Say in the JSON Schema that nothing may stand where a map may."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), {"type": "null"}]}


class _Words:
    """Hold a text against the words that may stand there."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: object) -> object:
        if value not in self.words:
            write = nearest(str(value), self.words)
            allowed = f"one of {listed(self.words)}"
            raise ValueError(f"`{value}`|{allowed}|{write}")
        return value


def _many(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _maybe_empty(value: object) -> object:
    return {} if value is None else value


def _texts(value: object) -> list[object]:
    """Take a text or a list of texts; numbers alone are refused, having no unit."""
    values = value if isinstance(value, list) else [value]
    for one in values:
        if isinstance(one, int | float) and not isinstance(one, bool):
            raise ValueError(f"`{one}`, a bare number|a text with its unit|{one} h")
        if not isinstance(one, str) or not one.strip():
            raise ValueError(f"`{one}`|a text or a list of texts|")
    if not values:
        raise ValueError("empty|a text or a list of texts|")
    return values


def _number_or_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"`{value}`|a number, or a text with a number|")
    return value


def _values(value: object) -> object:
    """Take YAML's own `true` for the word."""
    if value is None:
        return None
    return "true" if value is True else _Words("measured", "true")(value)


def _within(value: object) -> object:
    if isinstance(value, list) and len(value) != 2:
        raise ValueError(f"{len(value)} numbers|one margin, or two limits|[1, 2]")
    for one in value if isinstance(value, list) else [value]:
        _number_or_text(one)
    return value


def _trajectories(value: object) -> object:
    words = str(value).split()
    if value in ("nothing", "quantiles", "all"):
        return value
    if len(words) == 2 and words[0] == "first" and words[1].isdecimal():
        return value
    allowed = "`nothing`, `quantiles`, `all` or `first N`"
    raise ValueError(f"`{value}`|{allowed}|first 20")


def _randomisation(value: object) -> object:
    if value == "simple":
        return {"simple": True}
    if isinstance(value, str):
        write = "{permuted block: 6}"
        raise ValueError(f"`{value}`|`simple` or a map with a block size|{write}")
    return value


_NUMBER_OR_TEXT = {"anyOf": [{"type": "number"}, {"type": "string"}]}


class _Number:
    """Say in the JSON Schema that a number or a text may stand here."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(_NUMBER_OR_TEXT)


class _Margin:
    """Say in the JSON Schema that a margin or two limits may stand here."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pair = {"type": "array", "items": _NUMBER_OR_TEXT}
        both = {**pair, "minItems": 2, "maxItems": 2}
        return {"anyOf": [*_NUMBER_OR_TEXT["anyOf"], both]}


class _Truth:
    """Say in the JSON Schema that `true` is the word, as YAML reads it."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"enum": ["measured", True]}


class _Randomised:
    """Say in the JSON Schema that `simple` may stand for the map."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": "simple"}, handler(core_schema)]}


Texts = Annotated[list[str], BeforeValidator(_texts), _OneOrMany()]
Value = Annotated[float | str, BeforeValidator(_number_or_text), _Number()]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceShape(_Shape):
    """Where a number comes from."""

    cite: str = Field(
        default="", description="The publication.", examples=["Smith 2006"]
    )
    doi: str = ""
    url: str = ""
    note: str = ""


class ArmShape(_Shape):
    """What is done to a group: doses, values it sets, or nothing."""

    title: str = Field("", description="What reports call the arm.")
    dose: Texts | None = Field(
        None,
        description="Dosing words, or a list of them given together.",
        examples=["75 mg/m2 over 1 h every 21 d x 6", "100 mg every 24 h x 14"],
    )
    set: dict[str, Value] = Field(
        default_factory=dict,
        description="Values or equations of parameters, covariates, random effects.",
        examples=[{"SLOPE": "0.5 * SLOPE"}],
    )


class VisitShape(_Shape):
    """When outputs are measured."""

    at: Texts = Field(
        description="Times from the start of the trial, day 0.",
        examples=["day 0, day 7, day 14", "144 h, 145 h", "cycle 1 + 7 d"],
    )
    repeat: Name | None = Field(
        None,
        description="Repeat these times.",
        examples=["every 21 d x 6", "every 7 d until day 84"],
    )
    window: Name | None = Field(
        None,
        description="How far a visit may be from its time, either way.",
        examples=["2 h", "1 d"],
    )
    measure: Annotated[list[str], Field(min_length=1)] = Field(
        description="Outputs of the model, measured with their residual error.",
        examples=[["conc"]],
    )
    after_dose: bool = Field(
        False,
        alias="after dose",
        description="At the time of a dose: after it, not before.",
    )


class RandomisationShape(_Shape):
    """How subjects get their arm."""

    simple: Literal[True] | None = Field(None, exclude=True, repr=False)
    permuted_block: int | None = Field(
        None,
        ge=2,
        le=4096,
        alias="permuted block",
        description="Size of a block, a multiple of the sum of the weights.",
    )
    stratified: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Covariates within whose values blocks are made.",
        examples=[["FEMALE"]],
    )


class DropoutShape(_Shape):
    """How many leave, at a constant hazard; what is due after it is missing."""

    share: Value | dict[str, Value] = Field(
        description="Of the subjects, or by arm.",
        examples=["15 %", {"placebo": "25 %"}],
    )
    by: Name = Field(description="When so many have left.", examples=["week 72"])


class DesignShape(_Shape):
    """How subjects are spread over the arms, and how long they stay."""

    allocation: dict[str, Annotated[int, Field(ge=1, le=1000)]] | None = Field(
        None,
        description="Weight of each arm; equal if left out.",
        examples=[{"low": 1, "high": 2}],
    )
    randomisation: Annotated[
        RandomisationShape, BeforeValidator(_randomisation), _Randomised()
    ] = Field(
        RandomisationShape.model_construct(),
        description="`simple`, or a map with a block size.",
        examples=["simple", {"permuted block": 6}],
    )
    dropout: DropoutShape | None = Field(None, description="Nobody if left out.")


class EndpointShape(_Shape):
    """One number for each subject."""

    of: Name | None = Field(None, description="An output of the model.")
    take: Annotated[Take, BeforeValidator(_Words(*get_args(Take)))] | None = Field(
        None, description="How the number is made of the output's values."
    )
    equals: Name | None = Field(
        None,
        description="An equation of other endpoints and covariates, instead.",
        examples=["last_area / first_area"],
    )
    first_of: Annotated[list[str], Field(min_length=2)] | None = Field(
        None,
        alias="first of",
        description="Times to events, of which the first counts, instead.",
    )
    unit: Name | None = Field(None, description="Of what `equals` gives.")
    at: Name | None = Field(None, description="One time.", examples=["day 14"])
    within: Name | None = Field(
        None,
        description="A span of time, both ends included; the whole trial if left out.",
        examples=["cycle 1", "day 4 to day 5"],
    )
    baseline: Name | None = Field(
        None, description="Time of the baseline; day 0 if left out."
    )
    low: Value | None = Field(None, description="Lower limit of a range of values.")
    high: Value | None = Field(None, description="Upper limit of a range of values.")
    confirmed: Annotated[int | str, BeforeValidator(_number_or_text)] | None = Field(
        None,
        description="So many values, or values for so long, confirm it.",
        examples=[2, "28 d"],
    )
    grades: Annotated[list[Value], Field(min_length=2)] | Name | None = Field(
        None,
        description="Limits from grade 1 on, or a laboratory value of CTCAE.",
        examples=["neutrophils", [3, 5, 20]],
    )
    above: Value | None = Field(None, description="A response is a number above it.")
    below: Value | None = Field(None, description="A response is a number below it.")
    values: Annotated[
        Literal["measured", "true"] | None, BeforeValidator(_values), _Truth()
    ] = Field(
        None,
        description="Measured at visits, or true on the grid; measured if left out, "
        "and true for what is drawn by a hazard or is a time itself.",
    )
    visits: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Visits that count; all that measure it if left out."
    )
    intercurrent: dict[
        str, Annotated[Strategy, BeforeValidator(_Words(*get_args(Strategy)))]
    ] = Field(
        default_factory=dict,
        description="How events (endpoints that are times to one, or `dropout`) are "
        "dealt with.",
        examples=[{"rescue": "composite", "dropout": "while on treatment"}],
    )
    failure: Value | None = Field(
        None, description="The number after an event of the composite strategy."
    )
    title: str = ""


class MarginShape(_Shape):
    """What the effect is to be shown above, below, or between."""

    above: Value | None = Field(None, examples=["-5 pp", 0.8])
    below: Value | None = Field(None, examples=[1.3, 1.25])


class TierShape(_Shape):
    """One endpoint of a hierarchy."""

    on: Name = Field(description="An endpoint.")
    better: Literal["higher", "lower"] = "higher"
    margin: Value | None = Field(
        None, description="Who differs by no more than this has not won."
    )


class ComparisonShape(_Shape):
    """A question: one arm with another."""

    compare: Name = Field(
        description="An arm `with` its reference.", examples=["high with low"]
    )
    on: Name | Annotated[list[TierShape], Field(min_length=1)] = Field(
        description="An endpoint; for wins a list of them, the most important first."
    )
    by: Annotated[Measure, BeforeValidator(_Words(*get_args(Measure)))]
    adjust: list[str] = Field(
        default_factory=list,
        description="Covariates, or `baseline`: the endpoint's own baseline value.",
    )
    strata: list[str] = Field(
        default_factory=list, description="Covariates whose values make strata."
    )
    where: Name | None = Field(
        None,
        description="A condition on covariates: who takes part.",
        examples=["AGE >= 65"],
    )
    until: Name | None = Field(
        None,
        description="The horizon of restricted means, or when the milestone is.",
        examples=["day 365", "week 72"],
    )
    weights: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="Fleming and Harrington's rho and gamma.", examples=[[0, 1]]
    )
    interval: Literal["score"] | None = Field(
        None, description="`score`: Miettinen and Nurminen's, for responses."
    )
    margin: MarginShape | None = Field(
        None, description="What is to be shown, instead of any difference."
    )
    covariance: Annotated[
        Covariance, BeforeValidator(_Words(*get_args(Covariance)))
    ] = Field("unstructured", description="Of repeated values (MMRM).")
    freedom: Annotated[Freedom, BeforeValidator(_Words(*get_args(Freedom)))] = Field(
        "Kenward-Roger", description="Degrees of freedom (MMRM)."
    )
    level: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="Of the interval; 0.95, or 0.9 between two margins.",
    )
    name: Name | None = Field(None, description="What `published` calls it.")


class MultiplicityShape(_Shape):
    """How the p-values of several comparisons are adjusted."""

    method: Annotated[Procedure, BeforeValidator(_Words(*get_args(Procedure)))] = Field(
        "Holm", description="The procedure; `graph` has weights and transitions."
    )
    of: Annotated[list[str], Field(min_length=2)] = Field(
        description="Names of comparisons, in the order in which they are tested."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Of the family.")
    weights: dict[str, float] = Field(
        default_factory=dict, description="Each one's share of alpha at first."
    )
    transitions: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="What part of its share a rejected one hands to which others.",
    )


class PublishedShape(_Shape):
    """What a real trial saw."""

    value: Value = Field(examples=["75.4 %", 2.1])
    within: Annotated[
        float | str | list[float | str], BeforeValidator(_within), _Margin()
    ] = Field(
        description="How near the simulated value should be: a margin or two limits.",
        examples=["5 pp", 0.3, [1.8, 2.4]],
    )
    arm: Name | None = None
    endpoint: Name | None = None
    comparison: Name | None = Field(None, description="Name of a comparison.")
    statistic: (
        Annotated[Statistic, BeforeValidator(_Words(*get_args(Statistic)))] | None
    ) = Field(None, description="`share` for responses, else `mean` if left out.")
    verified: bool = Field(
        True, description="Whether the number was read in the source itself."
    )
    source: SourceShape = SourceShape()


class ObservedShape(_Shape):
    """What a real study saw, in a CSV file beside the sheet."""

    file: Name
    time: Name = Field("TIME", description="Column of times.")
    time_unit: Name = Field("h", alias="time unit")
    value: Name = Field("DV", description="Column of values.")
    unit: Name | None = Field(None, description="Of the values; the output's else.")
    event: Name = Field(
        "EVENT", description="Column of events: 1, or 0 for a censored time."
    )
    arm: Name | None = Field(None, description="Arm beside which they are shown.")
    subject: Name = Field("ID", description="Column of subjects, to correct by.")
    correct: (
        Annotated[
            Literal["prediction", "prediction and variability"],
            BeforeValidator(_Words("prediction", "prediction and variability")),
        ]
        | None
    ) = Field(None, description="Bring values to the median prediction of their time.")
    lower_bound: Value = Field(
        0.0, alias="lower bound", description="The lowest value there can be."
    )
    logarithms: bool = Field(
        False, description="The values are logarithms: corrected by a difference."
    )
    grades: Annotated[list[Value], Field(min_length=2)] | Name | None = Field(
        None,
        description="Check shares of grades: limits from grade 1 on, or a laboratory "
        "value of CTCAE.",
        examples=["neutrophils", [3, 5, 20]],
    )
    categories: bool = Field(
        False, description="Check shares: the values are categories."
    )
    source: SourceShape = SourceShape()


class KeepShape(_Shape):
    """What the record holds beside the outcomes."""

    trajectories: Annotated[str, BeforeValidator(_trajectories)] = Field(
        "quantiles", examples=["nothing", "quantiles", "all", "first 20"]
    )
    measurements: bool = False
    predictions: Annotated[Correct, BeforeValidator(_Words(*get_args(Correct)))] = (
        Field("nothing", description="Of the population, for every measured value.")
    )
    covariates: bool = True
    individual: list[str] = Field(
        default_factory=list, description="Individual parameters.", examples=[["CL"]]
    )


class GridShape(_Shape):
    """Even steps at which true values are computed."""

    every: Name = Field(examples=["12 h"])
    until: Name | None = Field(None, examples=["day 42"])


class NumericsShape(_Shape):
    """How equations are solved."""

    method: Annotated[Method, BeforeValidator(_Words(*get_args(Method)))] = "auto"
    rtol: float = Field(1e-6, gt=0, le=0.1)
    atol: float = Field(1e-9, gt=0)
    precision: Literal[32, 64] = 64
    max_steps: int = Field(200_000, ge=1, le=100_000_000)


class ProtocolShape(_Shape):
    """A trial: what is done, what is measured, and what is asked."""

    protocol: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="Its name; letters, digits, `-`, `_` and `.`.",
        examples=["docetaxel-dose"],
    )
    title: str = ""
    source: Annotated[list[SourceShape], BeforeValidator(_many), _OneOrMany()] = Field(
        default_factory=list
    )
    model: Name = Field(description="A library name, or a sheet beside this one.")
    cohort: Name = Field(description="A shipped name, or a sheet beside this one.")
    subjects: int = Field(ge=1, le=MOST, description="In each replicate trial.")
    replicates: int = Field(1, ge=1, le=MOST, description="How many such trials.")
    seed: int = Field(0, ge=0, le=2**31 - 1)
    block: int = Field(1000, ge=1, le=10_000_000, description="Subjects in a task.")
    potential: Annotated[
        Literal["allocated", "all"], BeforeValidator(_Words("allocated", "all"))
    ] = Field("allocated", description="Arms under which a subject is simulated.")
    uncertainty: bool = Field(
        True, description="Draw parameters anew for each replicate."
    )
    arms: dict[str, Annotated[ArmShape, BeforeValidator(_maybe_empty), _OrEmpty()]] = (
        Field(min_length=1, description="What is done to each group, by its name.")
    )
    visits: dict[str, VisitShape] = Field(
        default_factory=dict, description="When what is measured, by name."
    )
    design: DesignShape = DesignShape.model_construct()
    endpoints: dict[str, EndpointShape] = Field(
        default_factory=dict, description="One number for each subject, by name."
    )
    analysis: list[ComparisonShape] = Field(
        default_factory=list, description="Comparisons between arms."
    )
    multiplicity: MultiplicityShape | None = Field(
        None, description="Adjusts the p-values of several comparisons."
    )
    keep: KeepShape = KeepShape.model_construct()
    published: list[PublishedShape] = Field(
        default_factory=list, description="What real trials saw."
    )
    observed: dict[
        str, Annotated[list[ObservedShape], BeforeValidator(_many), _OneOrMany()]
    ] = Field(
        default_factory=dict,
        description="What real trials measured, by output or endpoint.",
    )
    grid: Annotated[list[GridShape], BeforeValidator(_many), _OneOrMany()] = Field(
        default_factory=list,
        description="When true values are computed; a list goes on where it left off.",
    )
    occasions: Texts | None = Field(
        None,
        description="When random effects between occasions are drawn anew.",
        examples=["day 0, day 7"],
    )
    numerics: NumericsShape = NumericsShape.model_construct()

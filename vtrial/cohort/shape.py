"""The shape of a cohort sheet, for pydantic and for editors."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from vtrial.errors import UnitError
from vtrial.sheets.choice import Words
from vtrial.sheets.csv_number import explain_number
from vtrial.sheets.validate import said, sheet_name, wrong
from vtrial.units import factor, quantity


def _share(value: object) -> object:
    """Read `20 %` as 0.2."""
    if not isinstance(value, str):
        return value
    try:
        number, unit = quantity(value)
        return number * factor(unit, "1")
    except UnitError:
        allowed = "a number or a percentage, such as 20 %"
        raise wrong(said(value), allowed) from None


def _number(value: object) -> object:
    """Take a number, and no text that only looks like one."""
    if isinstance(value, str):
        raise wrong(said(value), *explain_number(value))
    if isinstance(value, bool):
        raise wrong(said(value), "a number")
    return value


Share = Annotated[
    float,
    Field(ge=-1e6, le=1e6),
    BeforeValidator(_share, json_schema_input_type=float | str),
]
MOST = 1e15  # squares and ratios of such numbers are still numbers
_Plain = BeforeValidator(_number, json_schema_input_type=float)
Finite = Annotated[float, Field(ge=-MOST, le=MOST), _Plain]
Positive = Annotated[float, Field(ge=1 / MOST, le=MOST), _Plain]
Spread = Annotated[float, Field(ge=0, le=MOST), _Plain]
Limit = Annotated[float, Field(allow_inf_nan=True), _Plain]


_WORDS: dict[str, Any] = {"type": "string"}
_COLUMNS: dict[str, Any] = {
    "description": "Columns to take: NAME: unit, or NAME: {unit, title}.",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "anyOf": [
            _WORDS,
            {
                "type": "object",
                "properties": {"unit": _WORDS, "title": _WORDS},
                "additionalProperties": False,
            },
        ]
    },
}
_EQUATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("equals", "unit", "title"), _WORDS),
        "source": {
            "type": "object",
            "properties": dict.fromkeys(("cite", "doi", "url", "note"), _WORDS),
            "additionalProperties": False,
        },
    },
    "required": ["equals"],
    "additionalProperties": False,
}
_DERIVE: dict[str, Any] = {
    "description": "Names of formulas; or a map of equations; or a block of them.",
    "anyOf": [
        {"type": "array", "items": _WORDS},
        _WORDS,
        {
            "type": "object",
            "additionalProperties": {"anyOf": [_WORDS, {"type": "null"}, _EQUATION]},
        },
    ],
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourceShape(_Closed):
    """Where something comes from."""

    cite: str = Field("", description="The work, as one cites it.")
    doi: str = Field("", description="Its DOI, beginning with 10.")
    url: str = Field("", description="Where it can be read.")
    note: str = Field("", description="What was assumed, or could not be verified.")


class NormalShape(_Closed):
    """A normal distribution."""

    mean: Finite = Field(description="Mean.", examples=[45])
    sd: Spread = Field(description="Standard deviation.", examples=[15])


class LognormalShape(_Closed):
    """A log-normal distribution: `median` and a spread, or its own `mean` and `sd`."""

    median: Positive | None = Field(None, description="Median.", examples=[75])
    cv: Annotated[Share, Field(ge=0)] | None = Field(
        None,
        description="Coefficient of variation, beside the median.",
        examples=["20 %"],
    )
    log_sd: Spread | None = Field(
        None,
        alias="log-sd",
        description="Standard deviation of the logarithm, beside the median.",
        examples=[0.2],
    )
    mean: Positive | None = Field(None, description="Mean of the values themselves.")
    sd: Spread | None = Field(
        None, description="Their standard deviation, beside the mean."
    )


class GammaShape(_Closed):
    """A gamma distribution: `shape` and `scale`, or its `mean` and `sd` or `cv`."""

    shape: Positive | None = Field(None, description="Shape, beside the scale.")
    scale: Positive | None = Field(None, description="Scale: mean over shape.")
    mean: Positive | None = Field(None, description="Mean.", examples=[20])
    sd: Positive | None = Field(
        None, description="Standard deviation, beside the mean."
    )
    cv: Annotated[Share, Field(gt=0)] | None = Field(
        None,
        description="Coefficient of variation, beside the mean.",
        examples=["80 %"],
    )


class WeibullShape(_Closed):
    """A Weibull distribution: P(X > x) = exp(-(x/scale)^shape)."""

    shape: Positive = Field(description="Shape; above 1 hazards rise.", examples=[1.5])
    scale: Positive = Field(
        description="Scale: 63 % of the values lie below it.", examples=[100]
    )


class BetaShape(_Closed):
    """A beta distribution between two ends: `alpha` and `beta`, or `mean` and `sd`."""

    alpha: Positive | None = Field(None, description="First shape.", examples=[2])
    beta: Positive | None = Field(None, description="Second shape.", examples=[5])
    mean: Finite | None = Field(None, description="Mean, between the ends.")
    sd: Positive | None = Field(
        None, description="Standard deviation, beside the mean."
    )
    between: Annotated[list[Finite], Field(min_length=2, max_length=2)] = Field(
        [0.0, 1.0], description="The ends.", examples=[[0, 100]]
    )


class PoissonShape(_Closed):
    """A Poisson distribution."""

    mean: Annotated[float, Field(gt=0, le=1e5)] = Field(
        description="Mean, and variance.", examples=[3.2]
    )


class BinomialShape(_Closed):
    """A binomial distribution: successes in `n` trials of probability `p`."""

    n: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="How many trials.", examples=[10]
    )
    p: Annotated[Share, Field(ge=0, le=1)] = Field(
        description="Probability of a success.", examples=["30 %"]
    )


class EmpiricalShape(_Closed):
    """Values of which each is as likely."""

    values: Annotated[list[Finite], Field(min_length=1, max_length=100_000)] = Field(
        description="The values.", examples=[[61, 74, 82]]
    )


ONE: dict[str, Any] = {"examples": [{"normal": {"mean": 45, "sd": 15}}]}


class MarginalShape(_Closed):
    """One distribution; exactly one of its kinds is given."""

    model_config = ConfigDict(json_schema_extra=ONE)

    normal: NormalShape | None = Field(
        None,
        description="Normal, by mean and sd.",
        examples=[{"mean": 45, "sd": 15}],
    )
    lognormal: LognormalShape | None = Field(
        None,
        description="Log-normal, by median and cv, or by mean and sd.",
        examples=[{"median": 75, "cv": "20 %"}],
    )
    uniform: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = Field(
        None, description="Uniform between two values.", examples=[[0.6, 1.2]]
    )
    gamma: GammaShape | None = Field(
        None,
        description="Gamma, by mean and cv or sd, or by shape and scale.",
        examples=[{"mean": 20, "cv": "80 %"}],
    )
    beta: BetaShape | None = Field(
        None,
        description="Beta between two ends, by mean and sd, or by alpha and beta.",
        examples=[{"alpha": 2, "beta": 5}],
    )
    weibull: WeibullShape | None = Field(
        None,
        description="Weibull, by shape and scale.",
        examples=[{"shape": 1.5, "scale": 100}],
    )
    poisson: PoissonShape | None = Field(
        None, description="A count, by its mean.", examples=[{"mean": 3.2}]
    )
    binomial: BinomialShape | None = Field(
        None,
        description="Successes in n trials of probability p.",
        examples=[{"n": 10, "p": "30 %"}],
    )
    bernoulli: Annotated[Share, Field(ge=0, le=1)] | None = Field(
        None, description="1 for so many, 0 for the others.", examples=["22 %"]
    )
    categorical: Annotated[dict[str, Share], Field(min_length=1)] | None = Field(
        None,
        description="Shares by code or word; they add up to 1.",
        examples=[{0: 0.5, 1: 0.5}],
    )
    empirical: EmpiricalShape | None = Field(
        None,
        description="Values of which each is as likely.",
        examples=[{"values": [61, 74, 82]}],
    )
    constant: Finite | None = Field(
        None, description="The same for everybody.", examples=[1]
    )
    within: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Truncates a distribution with tails: nobody lies outside.",
        examples=[[18, 80]],
    )
    clip: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Puts who lies outside at the ends.",
        examples=[[40, 150]],
    )


class ComponentShape(MarginalShape):
    """One of the distributions of a mixture."""

    share: Annotated[Share, Field(ge=0, le=1)] = Field(
        description="Of the subjects who take it.", examples=["30 %"]
    )


class CovariateShape(MarginalShape):
    """A covariate: one distribution, one for `each` value of another, or a mixture."""

    mixture: Annotated[list[ComponentShape], Field(min_length=2)] | None = Field(
        None, description="Distributions with shares, of which each subject takes one."
    )
    title: str = Field("", description="What it is, in words.")
    unit: str = Field("1", description="Unit of its values.", examples=["kg"])
    by: str = Field(
        "",
        description="A categorical covariate, for `each` value of which there is a "
        "distribution.",
        examples=["FEMALE"],
    )
    each: dict[str, MarginalShape] | None = Field(
        None, description="The distribution for each value of `by`."
    )
    source: SourceShape | None = Field(None, description="Where it is from.")


class CorrelationShape(_Closed):
    """The correlation of the normal scores of two covariates."""

    of: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(
        description="The two covariates.", examples=[["WT", "HT"]]
    )
    is_: Annotated[float, Field(ge=-1, le=1), _Plain] = Field(
        alias="is", description="The correlation, from -1 to 1.", examples=[0.4]
    )


class DerivedShape(_Closed):
    """A derived covariate: an equation of the others."""

    equals: str = Field(
        description="An equation of other covariates.", examples=["0.8*WT"]
    )
    unit: str = Field("1", description="Unit of its values.", examples=["kg"])
    title: str = Field("", description="What it is, in words.")
    source: SourceShape | None = Field(None, description="Where it is from.")


class TableShape(_Closed):
    """A CSV file beside the sheet, of which each subject takes a row."""

    file: str = Field(
        description="Name of the file, beside the sheet.", examples=["subjects.csv"]
    )
    draw: Annotated[
        Literal["with replacement", "in order"],
        BeforeValidator(Words("with replacement", "in order", place="draw")),
    ] = Field(
        "with replacement", description="How rows are taken.", examples=["in order"]
    )
    columns: Annotated[
        dict[str, Any], WithJsonSchema(_COLUMNS), Field(min_length=1)
    ] = Field(
        description="Columns to take: NAME: unit, or NAME: {unit, title}.",
        examples=[{"WT": "kg"}],
    )
    effects: list[str] = Field(
        [],
        description="Columns that are random effects of a model's subjects; with "
        "`draw: in order`.",
        examples=[["eta.CL"]],
    )


class CohortShape(_Closed):
    """A cohort sheet."""

    cohort: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="The cohort's name.", examples=["my-cohort"]
    )
    title: str = Field("", description="Who they are, in words.")
    source: list[SourceShape] = Field([], description="Whose numbers these are.")
    table: TableShape | None = Field(
        None, description="A CSV file of real subjects, of which each takes a row."
    )
    covariates: dict[str, CovariateShape] = Field(
        {},
        description="What is drawn for each subject, by name.",
        examples=[{"AGE": {"unit": "a", "normal": {"mean": 45, "sd": 15}}}],
    )
    correlation: list[CorrelationShape] = Field(
        [],
        description="Correlations of the normal scores of two covariates.",
        examples=[[{"of": ["WT", "HT"], "is": 0.4}]],
    )
    derive: Annotated[Any, WithJsonSchema(_DERIVE)] = Field(
        None,
        description="Covariates made of others: formulas by name, or equations.",
        examples=[["BMI", "BSA"]],
    )
    eligibility: str = Field(
        "",
        description="A condition on covariates: who takes part.",
        examples=["BMI > 17 and BMI < 40"],
    )

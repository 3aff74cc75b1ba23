"""The shape of a cohort sheet, for pydantic and for editors."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from vtrial.errors import UnitError
from vtrial.sheets.validate import sheet_name
from vtrial.units import factor, quantity


def _share(value: object) -> object:
    """Read `20 %` as 0.2."""
    if not isinstance(value, str):
        return value
    try:
        number, unit = quantity(value)
        return number * factor(unit, "1")
    except UnitError:
        raise ValueError(f"`{value}`|a number or a percentage|20 %") from None


Share = Annotated[
    float,
    Field(ge=-1e6, le=1e6),
    BeforeValidator(_share, json_schema_input_type=float | str),
]
MOST = 1e15  # squares and ratios of such numbers are still numbers
Finite = Annotated[float, Field(ge=-MOST, le=MOST)]
Positive = Annotated[float, Field(ge=1 / MOST, le=MOST)]
Spread = Annotated[float, Field(ge=0, le=MOST)]
Limit = Annotated[float, Field(allow_inf_nan=True)]


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

    cite: str = ""
    doi: str = ""
    url: str = ""
    note: str = ""


class NormalShape(_Closed):
    """A normal distribution."""

    mean: Finite
    sd: Spread


class LognormalShape(_Closed):
    """A log-normal distribution: `median` and a spread, or its own `mean` and `sd`."""

    median: Positive | None = None
    cv: Annotated[Share, Field(ge=0)] | None = None
    log_sd: Spread | None = Field(None, alias="log-sd")
    mean: Positive | None = None
    sd: Spread | None = None


class GammaShape(_Closed):
    """A gamma distribution: `shape` and `scale`, or its `mean` and `sd` or `cv`."""

    shape: Positive | None = None
    scale: Positive | None = None
    mean: Positive | None = None
    sd: Positive | None = None
    cv: Annotated[Share, Field(gt=0)] | None = None


class WeibullShape(_Closed):
    """A Weibull distribution: P(X > x) = exp(-(x/scale)^shape)."""

    shape: Positive
    scale: Positive


class BetaShape(_Closed):
    """A beta distribution between two ends: `alpha` and `beta`, or `mean` and `sd`."""

    alpha: Positive | None = None
    beta: Positive | None = None
    mean: Finite | None = None
    sd: Positive | None = None
    between: Annotated[list[Finite], Field(min_length=2, max_length=2)] = [0.0, 1.0]


class PoissonShape(_Closed):
    """A Poisson distribution."""

    mean: Annotated[float, Field(gt=0, le=1e5)]


class BinomialShape(_Closed):
    """A binomial distribution: successes in `n` trials of probability `p`."""

    n: Annotated[int, Field(ge=1, le=100_000)]
    p: Annotated[Share, Field(ge=0, le=1)]


class EmpiricalShape(_Closed):
    """Values of which each is as likely."""

    values: Annotated[list[Finite], Field(min_length=1, max_length=100_000)]


class MarginalShape(_Closed):
    """One distribution; exactly one of its kinds is given."""

    normal: NormalShape | None = None
    lognormal: LognormalShape | None = None
    uniform: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = None
    gamma: GammaShape | None = None
    beta: BetaShape | None = None
    weibull: WeibullShape | None = None
    poisson: PoissonShape | None = None
    binomial: BinomialShape | None = None
    bernoulli: Annotated[Share, Field(ge=0, le=1)] | None = None
    categorical: Annotated[dict[str, Share], Field(min_length=1)] | None = None
    empirical: EmpiricalShape | None = None
    constant: Finite | None = None
    within: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None
    clip: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None


class ComponentShape(MarginalShape):
    """One of the distributions of a mixture."""

    share: Annotated[Share, Field(ge=0, le=1)]


class CovariateShape(MarginalShape):
    """A covariate: one distribution, one for `each` value of another, or a mixture."""

    mixture: Annotated[list[ComponentShape], Field(min_length=2)] | None = None
    title: str = ""
    unit: str = "1"
    by: str = ""
    each: dict[str, MarginalShape] | None = None
    source: SourceShape | None = None


class CorrelationShape(_Closed):
    """The correlation of the normal scores of two covariates."""

    of: Annotated[list[str], Field(min_length=2, max_length=2)]
    is_: Annotated[float, Field(alias="is", ge=-1, le=1)]


class DerivedShape(_Closed):
    """A derived covariate: an equation of the others."""

    equals: str
    unit: str = "1"
    title: str = ""
    source: SourceShape | None = None


class TableShape(_Closed):
    """A CSV file beside the sheet, of which each subject takes a row."""

    file: str
    draw: Literal["with replacement", "in order"] = "with replacement"
    columns: Annotated[dict[str, Any], WithJsonSchema(_COLUMNS), Field(min_length=1)]


class CohortShape(_Closed):
    """A cohort sheet."""

    cohort: Annotated[str, BeforeValidator(sheet_name)]
    title: str = ""
    source: list[SourceShape] = []
    table: TableShape | None = None
    covariates: dict[str, CovariateShape] = {}
    correlation: list[CorrelationShape] = []
    derive: Annotated[Any, WithJsonSchema(_DERIVE)] = None
    eligibility: str = ""

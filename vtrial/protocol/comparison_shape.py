"""The shape of what is asked of a trial: comparisons, and several hypotheses."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtrial.measure.registry import measures
from vtrial.protocol.analysis import (
    Choice,
    Covariance,
    Freedom,
    Procedure,
    Random,
    Ties,
)
from vtrial.protocol.field_types import Name, Shape, Value, Words


class MarginShape(Shape):
    """What the effect is to be shown above, below, or between."""

    above: Value | None = Field(
        None,
        description="The effect is to be shown above it.",
        examples=["-5 pp", 0.8],
    )
    below: Value | None = Field(
        None, description="The effect is to be shown below it.", examples=[1.3, 1.25]
    )


class TierShape(Shape):
    """One endpoint of a hierarchy."""

    on: Name = Field(description="An endpoint.", examples=["death"])
    better: Annotated[
        Literal["higher", "lower"],
        BeforeValidator(Words("higher", "lower", place="better")),
    ] = Field("higher", description="Which values win.")
    margin: Value | None = Field(
        None, description="Who differs by no more than this has not won."
    )


By = Annotated[
    str,
    BeforeValidator(Words(*measures(), place="by", page="protocol.md")),
    WithJsonSchema({"enum": list(measures()), "type": "string"}),
]


class ComparisonShape(Shape):
    """A question: one arm with another."""

    compare: Name = Field(
        description="An arm `with` its reference.", examples=["high with low"]
    )
    on: Name | Annotated[list[TierShape], Field(min_length=1)] = Field(
        description="An endpoint; for wins a list of them, the most important first.",
        examples=["peak"],
    )
    by: By = Field(
        description="How the arms are compared.", examples=["difference of means"]
    )
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
        Covariance, BeforeValidator(Words(*get_args(Covariance), place="covariance"))
    ] = Field("unstructured", description="Of repeated values (MMRM).")
    freedom: Annotated[
        Freedom, BeforeValidator(Words(*get_args(Freedom), place="freedom"))
    ] = Field(
        "Kenward-Roger",
        description="Degrees of freedom (MMRM, and what has a random intercept).",
    )
    random: (
        Annotated[Random, BeforeValidator(Words(*get_args(Random), place="random"))]
        | None
    ) = Field(
        None,
        description="What has a random intercept, by REML: `sites`, or the `subjects` "
        "of a crossover.",
    )
    ties: Annotated[Ties, BeforeValidator(Words(*get_args(Ties)))] = Field(
        "Efron", description="How events at the same time count (hazard ratio)."
    )
    doses: dict[str, float] | None = Field(
        None,
        description="The dose of each arm, in one unit; the reference has the lowest "
        "(MCP-Mod).",
        examples=[{"placebo": 0, "low": 10, "high": 40}],
    )
    shapes: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Candidates of a dose-response with guesses of their parameters, "
        "in the doses' unit (MCP-Mod).",
        examples=[["linear", "emax 10", "sigEmax 20 3"]],
    )
    choose: Annotated[
        Choice, BeforeValidator(Words(*get_args(Choice), place="choose"))
    ] = Field("AIC", description="By what a significant shape is chosen (MCP-Mod).")
    target: Value | None = Field(
        None,
        description="The effect over the reference that the target dose is to have "
        "(MCP-Mod).",
        examples=["5 mmHg"],
    )
    level: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="Of the interval; 0.95, or 0.9 between two margins.",
    )
    name: Name | None = Field(None, description="What `published` calls it.")


class MultiplicityShape(Shape):
    """How the p-values of several comparisons are adjusted."""

    method: Annotated[
        Procedure, BeforeValidator(Words(*get_args(Procedure), place="method"))
    ] = Field("Holm", description="The procedure; `graph` has weights and transitions.")
    of: Annotated[list[str], Field(min_length=2)] = Field(
        description="Names of comparisons, in the order in which they are tested.",
        examples=[["main", "second"]],
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Of the family.")
    weights: dict[str, float] = Field(
        default_factory=dict, description="Each one's share of alpha at first."
    )
    transitions: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="What part of its share a rejected one hands to which others.",
    )

"""The shape of a sheet's entry on what is to be optimised."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from vtrial.protocol.field_types import MOST, Name, Shape, Value, Words

MOST_POINTS, MOST_TRIES = 50, 1000


class VariableShape(Shape):
    """A number that stands in braces in arms or rules, and between what it lies."""

    low: Value | None = Field(
        None,
        alias="from",
        description="The least value, with its unit.",
        examples=["40 mg/m2"],
    )
    high: Value | None = Field(
        None, alias="to", description="The greatest value.", examples=["120 mg/m2"]
    )
    step: Value | None = Field(
        None,
        description="How far real values are apart; a 200th of the range if left out.",
        examples=["5 mg/m2"],
    )
    values: Annotated[list[Value], Field(min_length=2, max_length=200)] | None = Field(
        None,
        description="All real values, instead of `from`, `to` and `step`.",
        examples=[["20 mg", "40 mg", "80 mg"]],
    )
    start: Value | None = Field(
        None,
        description="Where the search begins, and what `vtrial run` runs; the middle "
        "if left out.",
        examples=["75 mg/m2"],
    )


class LimitShape(Shape):
    """What the mean of an endpoint must keep to."""

    on: Name = Field(
        description="An endpoint: its mean, which of a response is its probability.",
        examples=["grade 4"],
    )
    at_most: Value | None = Field(
        None, alias="at most", description="The mean is not above it."
    )
    at_least: Value | None = Field(
        None, alias="at least", description="The mean is not below it."
    )
    confidence: Value | None = Field(
        None,
        description="In which share of replicates, each with parameters of its own, "
        "it holds at least; in the mean of all if left out.",
        examples=["90 %"],
    )


class FrontShape(Shape):
    """The goal against another endpoint."""

    against: Name = Field(description="An endpoint.", examples=["grade 4"])
    better: Annotated[
        Literal["lower", "higher"],
        BeforeValidator(Words("lower", "higher", place="better")),
    ] = Field("lower", description="Which means of it are the aim.")
    points: int = Field(8, ge=2, le=MOST_POINTS, description="How many are looked for.")


class CrowdShape(Shape):
    """Who is simulated."""

    subjects: int | None = Field(None, ge=1, le=MOST, description="In all replicates.")
    replicates: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Over how many draws of the parameters they are spread; one where "
        "parameters are certain.",
    )
    seed: int | None = Field(None, ge=0, le=2**31 - 1, description="Of all chance.")


class OptimiseShape(Shape):
    """What `vtrial optimise` looks for."""

    vary: Annotated[dict[str, VariableShape], Field(min_length=1, max_length=12)] = (
        Field(
            description="Numbers that stand as `{name}` in arms or rules.",
            examples=[{"amount": {"from": "40 mg/m2", "to": "120 mg/m2"}}],
        )
    )
    arm: Name | None = Field(
        None,
        description="Whose subjects the means are of; the one that varies if left out.",
    )
    maximise: Name | None = Field(
        None,
        description="An endpoint whose mean is to be high; of a response, its "
        "probability.",
        examples=["response"],
    )
    minimise: Name | None = Field(
        None,
        description="An endpoint whose mean is to be low, instead.",
        examples=["cost"],
    )
    subject_to: list[LimitShape] = Field(
        default_factory=list,
        alias="subject to",
        description="What must hold.",
        examples=[[{"on": "grade 4", "at most": "20 %"}]],
    )
    front: FrontShape | None = Field(
        None, description="The goal against an endpoint, point by point."
    )
    search: CrowdShape = Field(
        CrowdShape.model_construct(),
        description="On whom is searched; 1000 subjects if left out.",
    )
    verify: CrowdShape = Field(
        CrowdShape.model_construct(),
        description="On whom the result is verified; 4000 others if left out.",
    )
    by: (
        Annotated[
            Literal["gradient", "Bayesian"],
            BeforeValidator(Words("gradient", "Bayesian", place="by")),
        ]
        | None
    ) = Field(
        None,
        description="How is searched: by gradient where there is one if left out.",
    )
    widths: Annotated[list[Value], Field(min_length=1, max_length=10)] | None = Field(
        None,
        description="Of the smooth surrogate of responses, stage by stage, in standard "
        "deviations.",
        examples=[[0.5, 0.15, 0.05]],
    )
    evaluations: int = Field(
        40, ge=4, le=MOST_TRIES, description="Of a search without a gradient."
    )


Optimise = Annotated[
    OptimiseShape | None,
    Field(description="What `vtrial optimise` looks for; a run does not ask for it."),
]

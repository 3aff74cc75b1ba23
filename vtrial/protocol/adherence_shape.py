"""The shape of what a sheet says of how subjects take their doses."""

from typing import Annotated

from pydantic import Field

from vtrial.protocol.field_types import Name, Shape, Value


class AdherenceShape(Shape):
    """Which doses are taken, when, and which visits subjects come to."""

    taken: Value = Field(
        1.0,
        description="Share of the doses that are taken, each for itself; of those in "
        "the first state where there are `states`.",
        examples=["85 %"],
    )
    states: list[str] = Field(
        default_factory=list,
        description="States of a chain, in the first of which doses are taken.",
        examples=[["take", "slip", "holiday"]],
    )
    transitions: list[list[float]] = Field(
        default_factory=list,
        description="A row for each state: probabilities of the state at the next "
        "dose.",
        examples=[[[0.96, 0.04], [0.65, 0.35]]],
    )
    between: dict[str, Annotated[float, Field(gt=0, le=20)]] = Field(
        default_factory=dict,
        description="Standard deviations of the logits of transitions between "
        "subjects.",
        examples=[{"take to holiday": 1.2}],
    )
    stop: Value | None = Field(
        None,
        description="Hazard of taking nothing any more.",
        examples=["0.0019 / d"],
    )
    jitter: Name | None = Field(
        None,
        description="How far a dose may be from its time, either way.",
        examples=["2 h"],
    )
    visits: Value = Field(
        1.0,
        description="Share of the visits that are held, each for itself.",
        examples=["85 %"],
    )

"""The shape of dropout: for which causes subjects leave, and how often."""

from typing import Annotated

from pydantic import Field

from vtrial.protocol.field_types import Name, Shape, Value


class CauseShape(Shape):
    """How many leave for a cause; what is due after it is missing."""

    share: Value | dict[str, Value] | None = Field(
        None,
        description="Of the subjects, or by arm, who have left `by` then, at a "
        "constant hazard.",
        examples=["15 %", {"placebo": "25 %"}],
    )
    by: Name | None = Field(
        None, description="When so many have left.", examples=["week 72"]
    )
    hazard: Value | dict[str, Value] | None = Field(
        None,
        description="A rate, or by arm; or, beside `per`, an equation of outputs, "
        "covariates, `t` (hours) and `day`.",
        examples=["0.01 / month", "0.02 + 0.1 * (anc < 0.5)"],
    )
    per: Name | None = Field(
        None, description="The time that the hazard is by.", examples=["month"]
    )


class DropoutShape(CauseShape):
    """How many leave, and why; what is due after it is missing."""

    causes: Annotated[dict[Name, CauseShape], Field(min_length=1)] | None = Field(
        None,
        description="Several causes by name, each with a hazard of its own; the first "
        "to come about is the reason that is kept.",
        examples=[{"toxicity": {"hazard": "0.3 * (anc < 0.5)", "per": "month"}}],
    )

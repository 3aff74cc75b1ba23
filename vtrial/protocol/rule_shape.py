"""The shape of a rule of a protocol sheet, and of what subjects forget."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from vtrial.protocol.field_types import (
    Name,
    OneOrMany,
    Shape,
    Texts,
    Value,
    as_many,
)

Steps = Annotated[list[Value], BeforeValidator(as_many), OneOrMany()]


class RuleShape(Shape):
    """What is done to a patient when something is seen of them."""

    at: Texts | None = Field(
        None,
        description="Visits at which it is decided; those that measure what `when` "
        "names if left out.",
        examples=["blood", ["blood", "clinic"]],
    )
    when: Name | None = Field(
        None,
        description="The condition, on what is measured and known; always if left out.",
        examples=["anc < 1.5", "nadir(anc, cycle) < 0.5 and day_of_cycle >= 21"],
    )
    do: Texts = Field(
        default_factory=list,
        description="What is done.",
        examples=["hold", "delay 7 d", "reduce to 80 %", "set dose 60 mg/m2"],
    )
    into: Name | None = Field(
        None, description="The state whose doses it is about; all if left out."
    )
    confirmed: int = Field(
        1, ge=1, le=100, description="At so many decisions in a row it must hold."
    )
    at_most: int | None = Field(
        None,
        ge=1,
        le=10_000,
        alias="at most",
        description="So often it acts on one subject; delays four times at one visit "
        "if left out.",
    )
    lockout: Name | None = Field(
        None,
        description="For how long there is no other decision to act.",
        examples=["14 d"],
    )
    after: Name | None = Field(
        None,
        description="From the decision until it is done.",
        examples=["2.5 h"],
    )
    success: Value = Field(
        1.0,
        description="Share of the decisions that are acted on.",
        examples=[0.4, "85 %"],
    )
    floor: Value | None = Field(
        None, description="The lowest dose it may set.", examples=["60 mg/m2"]
    )
    ceiling: Value | None = Field(
        None, description="The highest dose it may set.", examples=["200 mg"]
    )
    ladder: Steps = Field(
        default_factory=list,
        description="Doses for `one step`, from the lowest on; the last one's unit is "
        "that of those without.",
        examples=["25, 50, 75, 100 mg"],
    )
    learn: Texts | None = Field(
        None,
        description="Outputs whose measured values say who the subject is, and where "
        "it stands; `choose` then says of which doses one is chosen, or `chance(...)` "
        "in `when` how probable an event is.",
        examples=["conc", ["anc"]],
    )
    choose: Steps = Field(
        default_factory=list,
        description="The doses of which one is chosen for those to come.",
        examples=["500, 750, 1000, 1250 mg"],
    )
    so_that: Texts = Field(
        default_factory=list,
        alias="so that",
        description="What the chosen dose is to do: goals, and limits of how probable "
        "something may be.",
        examples=["AUC24 in 400 to 600", "P(nadir(anc) < 0.5 at 21 d) <= 0.5"],
    )
    harm: Texts = Field(
        default_factory=list,
        description="What is harm; to be above a goal's range if left out.",
        examples=["AUC24 > 650"],
    )
    prefer: Literal["lowest", "highest"] = Field(
        "lowest", description="Which of doses that are equally good is chosen."
    )
    unknown: Texts = Field(
        default_factory=list,
        description="Covariates that who learns does not know of the subject, beside "
        "`chance(...)`.",
        examples=["PAD"],
    )
    particles: int = Field(
        200, ge=50, le=10_000, description="Draws of who the subject may be."
    )
    also: bool = Field(
        False, description="Whether the rules behind it may act at the visit, too."
    )
    title: str = Field("", description="What reports call the rule.")

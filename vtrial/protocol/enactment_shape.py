"""The shape of a sheet's entries on accrual, looks and adaptations."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtrial.protocol.adaptation_kinds import FAMILIES, adaptation_kinds
from vtrial.protocol.field_types import (
    Name,
    Names,
    OneOrMany,
    OrSaid,
    Shape,
    Value,
    Words,
    as_many,
)

By = Annotated[
    str,
    BeforeValidator(Words(*adaptation_kinds(), place="adapt", page="design.md")),
    WithJsonSchema({"enum": list(adaptation_kinds()), "type": "string"}),
]
Family = Annotated[
    str,
    BeforeValidator(Words(*FAMILIES, place="boundaries", page="design.md")),
    WithJsonSchema({"enum": list(FAMILIES), "type": "string"}),
]


class StretchShape(Shape):
    """How fast subjects come, from some time on."""

    start: Name = Field(
        "day 0", alias="from", description="From the first day of accrual."
    )
    rate: Name = Field(description="How many come.", examples=["20 / month"])
    rising: Name | None = Field(
        None,
        description="How long the rate rises to this from that before (from nobody).",
        examples=["6 mo"],
    )


def as_accrual(value: object) -> object:
    """Make a list of one rate, alone or in a map."""
    many = as_many(value)
    assert isinstance(many, list)
    return [{"rate": one} if isinstance(one, str) else one for one in many]


class LookShape(Shape):
    """When the data are locked and looked at."""

    at: Value | None = Field(
        None,
        description="A share of the planned subjects whose outcome is known, a number "
        "of `known`, `enrolled` or `events`, or a time from the start of accrual.",
        examples=["50 %", "120 events", "month 18"],
    )
    when: Name | None = Field(
        None,
        description="Or a condition on them: `>=`, `and`, `or`.",
        examples=["events >= 120 and month >= 12"],
    )
    information: Value | None = Field(
        None, description="The share of what the last look will know.", examples=[0.5]
    )


def as_look(value: object) -> object:
    """Make a map of the time of a look alone."""
    return value if isinstance(value, dict) else {"at": value}


class AdaptationShape(Shape):
    """What is decided at looks about the trial."""

    by: By = Field(description="The rule.", examples=["group sequential"])
    on: Names | None = Field(
        None,
        description="Names of comparisons, or an endpoint; all comparisons, or the "
        "outcome, if left out.",
        examples=["main"],
    )
    looks: Names | None = Field(
        None, description="Names of looks at which it acts; all if left out."
    )
    better: Literal["higher", "lower"] | None = Field(
        None, description="Which values (or effects) are the aim; `higher` if left out."
    )
    alpha: Value | None = Field(
        None, description="One-sided type I error; 2.5 % if left out."
    )
    efficacy: Family | None = Field(
        None, description="Boundaries; `O'Brien-Fleming spending` if left out."
    )
    parameter: float | list[float] | None = Field(
        None,
        description="Of a family that has one; a value a look of `critical values` and "
        "`user spending` (the error spent by then).",
    )
    sides: Literal[1, 2] | None = Field(
        None, description="2: an effect either way is shown; 1 if left out."
    )
    futility: Value | list[float | str] | None = Field(
        None,
        description="A family of boundaries, or their values of z by look; a "
        "probability below which one stops.",
        examples=["O'Brien-Fleming spending", [0, 0.5], "10 %"],
    )
    futility_parameter: float | list[float] | None = Field(
        None, alias="futility parameter", description="Of its family."
    )
    power: Value | None = Field(
        None, description="For which futility is spent, or a size is sought: 90 %."
    )
    binding: bool | None = Field(
        None, description="Whether one must stop for futility; not if left out."
    )
    success: Value | None = Field(
        None, description="The probability from which on one stops.", examples=["99 %"]
    )
    information: Name | None = Field(
        None,
        description="What full information is: errors are spent at the share of it "
        "that a look really has, whenever it is held.",
        examples=["300 events", "400 known"],
    )
    margin: Value | None = Field(
        None, description="Which effect is to be exceeded; none (0, or 1) if left out."
    )
    alike: Value | None = Field(
        None,
        description="How probably a subgroup is one of those that are alike; each goes "
        "by itself if left out.",
        examples=["50 %"],
    )
    heterogeneity: Value | None = Field(
        None,
        description="The scale of the half-normal prior of the deviation between those "
        "that are alike; of ratios, of their logarithms.",
        examples=[0.5],
    )
    spread: Value | None = Field(
        None,
        description="The deviation about no effect of the prior of any subgroup's.",
        examples=[2],
    )
    least: Value | None = Field(
        None,
        description="The conditional power from which on a result is promising; that "
        "from which on the last test needs no correction if left out.",
        examples=["36 %"],
    )
    rule: Literal["Thompson", "square root"] | None = Field(
        None, description="How probable an arm is the best, or its square root."
    )
    floor: Value | None = Field(
        None, description="The least probability of an arm.", examples=["10 %"]
    )
    below: Value | None = Field(
        None,
        description="The probability of being the best below which it is dropped.",
        examples=["5 %"],
    )
    keep: Names | None = Field(
        None, description="Arms that are never dropped.", examples=["placebo"]
    )
    best: int | None = Field(
        None, ge=1, le=100, description="With how many arms one goes on."
    )
    early: Name | None = Field(
        None,
        description="The endpoint by which arms are selected, known before that of the "
        "comparisons; by these themselves if left out.",
        examples=["marker"],
    )
    early_better: Literal["higher", "lower"] | None = Field(
        None,
        alias="early better",
        description="Which values of it are the aim; `higher` if left out.",
    )


Accruals = Annotated[
    list[Annotated[StretchShape, OrSaid()]], BeforeValidator(as_accrual), OneOrMany()
]
Looks = dict[str, Annotated[LookShape, BeforeValidator(as_look), OrSaid()]]

"""The shape of what a real study saw, and of where numbers come from."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from vtrial.protocol.field_types import Name, Shape, Value, Words


class SourceShape(Shape):
    """Where a number comes from."""

    cite: str = Field(
        default="", description="The publication.", examples=["Smith 2006"]
    )
    doi: str = Field(default="", description="Its DOI, beginning with 10.")
    url: str = Field(default="", description="Where it can be read.")
    note: str = Field(
        default="", description="What was assumed, or could not be verified."
    )


LowerLimit = Annotated[
    Value | None,
    Field(
        alias="lower limit",
        description="Of normal, below which grade 1 of a value of CTCAE begins.",
        examples=["1.8 1e9/L"],
    ),
]
UpperLimit = Annotated[
    Value | None,
    Field(
        alias="upper limit",
        description="Of normal, above which it begins, and of which it has multiples.",
        examples=["40 U/L"],
    ),
]


class ObservedShape(Shape):
    """What a real study saw, in a CSV file beside the sheet."""

    file: Name = Field(
        description="Name of the CSV file, beside the sheet.", examples=["seen.csv"]
    )
    time: Name = Field("TIME", description="Column of times.")
    time_unit: Name = Field("h", alias="time unit", description="Of the times.")
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
            BeforeValidator(
                Words("prediction", "prediction and variability", place="correct")
            ),
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
    lower_limit: LowerLimit = None
    upper_limit: UpperLimit = None
    categories: bool = Field(
        False, description="Check shares: the values are categories."
    )
    source: SourceShape = Field(SourceShape(), description="Where it is from.")

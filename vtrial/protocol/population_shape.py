"""The shape of what a protocol says of its population: its size, its parameters."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtrial.protocol.field_types import MOST, Name, OrName, Shape
from vtrial.sheets.validate import said, wrong

Freedom = Annotated[float, Field(gt=0)]


class ParametersShape(Shape):
    """Population parameters from a file: draws, or NONMEM's estimates."""

    file: Name | None = Field(
        None,
        description="A CSV file with a row a replicate, or NONMEM's .ext.",
        examples=["bootstrap.csv", "run1.ext"],
    )
    columns: dict[str, Name] = Field(
        default_factory=dict,
        description="Which column each parameter is in; its own name if left out.",
        examples=[{"tvCL": "THETA1"}],
    )
    omega: dict[str, Name] = Field(
        default_factory=dict,
        description="Which ETA of an .ext file each random effect is.",
        examples=[{"eta.CL": "ETA1", "eta.V": "ETA2"}],
    )
    df: Freedom | dict[str, Freedom] | None = Field(
        None,
        description="Degrees of freedom of the covariance of random effects, or of "
        "those that vary with one: each replicate draws it (inverse Wishart).",
        examples=[40, {"eta.CL": 40}],
    )


class EligibleShape(Shape):
    """Who is let in, on what is measured before any treatment."""

    when: Name = Field(
        description="A condition on measured outputs and on covariates.",
        examples=["anc >= 1.5"],
    )
    at: Name = Field(
        "day 0",
        description="When they are measured: day 0, or the time of a visit before it.",
        examples=["day -7"],
    )


class RunInShape(Shape):
    """What everybody goes through before who qualifies is randomised."""

    until: Name = Field(
        description="When it ends; arms are the same until then.", examples=["day 14"]
    )
    qualify: Name = Field(
        description="The response that who is randomised has by then.",
        examples=["responder"],
    )


COUNTS: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST},
        {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 1},
            "minProperties": 1,
        },
    ]
}


def as_file(value: object) -> object:
    """Take the name of a file for a map that has no more than it."""
    return {"file": value} if isinstance(value, str) else value


def as_when(value: object) -> object:
    """Take a condition for a map that has no more than it."""
    return {"when": value} if isinstance(value, str) else value


def as_counts(value: object) -> object:
    """Take a number of subjects, or one for each arm."""
    given = list(value.values()) if isinstance(value, dict) else [value]
    counts = [n for n in given if isinstance(n, int) and not isinstance(n, bool)]
    if len(counts) < len(given) or not counts:
        raise wrong(said(value), "a whole number, or one for each arm")
    if min(counts) < 1 or sum(counts) > MOST:
        raise wrong(said(value), f"1 or more, and {MOST:,} in all at most")
    return value


Counts = Annotated[
    int | dict[str, int], BeforeValidator(as_counts), WithJsonSchema(COUNTS)
]
ParametersFile = Annotated[ParametersShape | None, BeforeValidator(as_file), OrName()]
Eligible = Annotated[EligibleShape | None, BeforeValidator(as_when), OrName()]

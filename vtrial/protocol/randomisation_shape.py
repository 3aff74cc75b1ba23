"""The shape of how subjects get their arm."""

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from vtrial.protocol.field_types import Names, Shape, Value, Words
from vtrial.protocol.randomisation_kinds import SPREADS, randomisation_kinds
from vtrial.sheets.choice import choice
from vtrial.sheets.validate import said, wrong

SIMPLE = "simple"
By = Annotated[
    str,
    BeforeValidator(
        Words(*randomisation_kinds(), place="randomisation", page="design.md")
    ),
    WithJsonSchema({"enum": list(randomisation_kinds()), "type": "string"}),
]


class RandomisationShape(Shape):
    """How subjects get their arm."""

    simple: Literal[True] | None = Field(None, exclude=True, repr=False)
    by: By | None = Field(
        None,
        description="A rule that looks at who came before.",
        examples=["minimisation"],
    )
    permuted_block: int | None = Field(
        None,
        ge=2,
        le=4096,
        alias="permuted block",
        description="Size of a block, a multiple of the sum of the weights.",
    )
    stratified: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Covariates (or `site`, `region`) within whose values it is done.",
        examples=[["FEMALE"]],
    )
    clusters: Literal["site"] | None = Field(
        None,
        description="`site`: whole sites are randomised, and not each subject.",
        examples=["site"],
    )
    factors: Annotated[Names, Field(min_length=1)] | None = Field(
        None,
        description="What is balanced: categories, conditions, `site` or `region`.",
        examples=[["FEMALE", "AGE < 65"]],
    )
    probability: Value | None = Field(
        None,
        description="Of the arm that is wanted: 80 % of minimisation, two thirds of a "
        "biased coin if left out.",
        examples=["80 %"],
    )
    spread: Annotated[str, BeforeValidator(Words(*SPREADS, place="spread"))] | None = (
        Field(
            None,
            description="How the numbers of an arm are compared; `range` if left out.",
        )
    )
    weights: list[float] | None = Field(
        None, description="Of the factors; 1 each if left out.", examples=[[2, 1]]
    )
    begin: float | None = Field(
        None, ge=0, description="Balls of each arm that an urn begins with; 0."
    )
    add: float | None = Field(
        None,
        gt=0,
        description="Balls of every other arm that are added after each; 1.",
    )
    most: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="By how many subjects two arms may differ; 3 if left out.",
    )


def as_randomisation(value: object) -> object:
    """Make a map of the word for a randomisation without any."""
    if value == SIMPLE:
        return {"simple": True}
    if isinstance(value, str):
        if value in _alone()[1:]:
            return {"by": value}
        told, write = choice(value.strip(), _alone(), place="randomisation")
        such = "a map with a block size, `{permuted block: 6}`, or with `by`"
        raise wrong(said(value), f"{told}, or {such}", write)
    return value


def _alone() -> list[str]:
    """List the words that need nothing beside them."""
    kinds = randomisation_kinds().values()
    return [SIMPLE, *(kind.word for kind in kinds if not kind.needs)]


class _Randomised:
    """Let the JSON Schema accept a word in place of the map."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"enum": _alone()}, handler(core_schema)]}


Randomisation = Annotated[
    RandomisationShape, BeforeValidator(as_randomisation), _Randomised()
]

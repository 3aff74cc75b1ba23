"""The shape of a crossover: in which orders treatments are given, and for how long."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtrial.protocol.field_types import Name, Shape
from vtrial.sheets.validate import said, wrong

WILLIAMS, LEAST = "Williams", 2
Orders = list[list[str]] | dict[str, list[str]] | str
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": LEAST}
ORDERS = {
    "anyOf": [
        {"const": WILLIAMS},
        {"type": "array", "items": _NAMES, "minItems": 1},
        {"type": "object", "additionalProperties": _NAMES, "minProperties": 1},
    ]
}


def as_orders(value: object) -> object:
    """Take a word, a list of orders, or a map of them."""
    orders = list(value.values()) if isinstance(value, dict) else value
    whole = isinstance(orders, list) and all(map(_is_order, orders))
    if value == WILLIAMS or (whole and orders):
        return value
    allowed = f"`{WILLIAMS}`, or a list of orders, each a list of two arms or more"
    raise wrong(said(value), f"{allowed}: `[[test, reference], [reference, test]]`")


def _is_order(value: object) -> bool:
    if not isinstance(value, list) or len(value) < LEAST:
        return False
    return all(isinstance(one, str) for one in value)


class CrossoverShape(Shape):
    """Every subject has several of the arms, one after another."""

    sequences: (
        Annotated[Orders, BeforeValidator(as_orders), WithJsonSchema(ORDERS)] | None
    ) = Field(
        None,
        description="Orders of arms, by name or without; `Williams` if left out: of "
        "two arms both orders, of more those that balance what comes before.",
        examples=[[["test", "reference"], ["reference", "test"]], "Williams"],
    )
    pairs: int | None = Field(
        None,
        ge=2,
        le=6,
        description="Instead: so many pairs of periods, both arms in each, in any "
        "order: an n-of-1 trial.",
    )
    period: Name = Field(
        description="How long an arm and its visits last.", examples=["4 d"]
    )
    washout: Name | None = Field(
        None,
        description="From the end of a period to the next; none if left out.",
        examples=["10 d"],
    )

"""The shape of the sheet of a flow: which keys there are, and what each may hold."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from vtrial.model.error_shape import time_span
from vtrial.model.field_types import (
    Duration,
    Part,
    SourceShape,
    Symbol,
    Unit,
    as_number,
    as_size,
)
from vtrial.model.flow_told import LOOKED_AT
from vtrial.model.shape import UNITS, CovariateShape, ParameterShape, RandomShape
from vtrial.sheets.choice import Words
from vtrial.sheets.validate import said, sheet_name, wrong
from vtrial.units import hours

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
MOST_SERVERS = 1000
MOST_PIECES = 2000
ORDERS = ("first come", "priority")


def _number(value: object) -> float | str:
    """Take a number of 0 or more, or an equation of the model's inputs."""
    return value if isinstance(value, str) else as_size(value)


def _numbers(value: object) -> float | str | list[float | str]:
    if isinstance(value, list):
        if not 1 <= len(value) <= MOST_PIECES:
            raise wrong(f"{len(value)} long", f"between 1 and {MOST_PIECES} long")
        return [_number(one) for one in value]
    return _number(value)


def _clock(value: object) -> str:
    if not isinstance(value, str) or not CLOCK.fullmatch(value):
        raise wrong(said(value), "a time of the day, such as 06:00")
    return value


def whole(value: object) -> int:
    """Take a number of servers."""
    number = as_number(value)
    if number != int(number) or not 0 <= number <= MOST_SERVERS:
        raise wrong(f"{number:g}", f"a whole number from 0 to {MOST_SERVERS}")
    return int(number)


def _servers(value: object) -> int | str | list[int]:
    """Take a number of servers, one for each piece of the day, or `unlimited`."""
    if value == "unlimited":
        return "unlimited"
    if isinstance(value, str):
        allowed = "a number, a list of one for each piece of the day, or `unlimited`"
        raise wrong(said(value), allowed)
    if isinstance(value, list):
        return lasting([whole(one) for one in value])
    if whole(value) == 0:
        raise wrong("0", "1 or more: nobody would ever be served")
    return whole(value)


def lasting(servers: list[int]) -> list[int]:
    """Refuse a rota in whose last piece nobody is there, who stay until all is done."""
    if not servers:
        raise wrong("empty", "a number of servers for each piece of the day")
    if servers[-1] == 0:
        allowed = "1 or more at the end: those stay until everybody has been served"
        raise wrong("0 in the last piece", allowed)
    return servers


def _order(value: object) -> object:
    text = str(value)
    if "preempt" in text.replace("-", "") and "non" not in text:
        allowed = (
            "`first come` or `priority`, in which nobody who is being served is "
            "interrupted: preemptive priority is not simulated"
        )
        raise wrong(said(value), allowed, "priority")
    return Words(*ORDERS, place="order")(value)


def _laws(value: object) -> object:
    """Take a law, or one for each class; a bare comma cuts one in a map in a line."""
    for key, text in value.items() if isinstance(value, dict) else ():
        if isinstance(text, str) and text.count("(") > text.count(")"):
            such = f'in quotes where a comma stands in it: `{key}: "{text}, 0.8)"`'
            raise wrong(f"`{text}`, cut at its comma", such, key=str(key))
    return value


Laws = Annotated[
    str | dict[Symbol, str],
    BeforeValidator(_laws, json_schema_input_type=str | dict[str, str]),
]
FlowNumber = Annotated[
    float | str, BeforeValidator(_number, json_schema_input_type=float | str)
]
Routes = str | dict[str, str | dict[str, FlowNumber]]


class ArrivalsShape(Part):
    """Who comes, and when."""

    rate: Annotated[
        float | str | list[float | str],
        BeforeValidator(
            _numbers, json_schema_input_type=float | str | list[float | str]
        ),
    ] = Field(
        description="Arrivals an hour: a number, or one for each piece of the day.",
        examples=[[2, 5, 8, 3]],
    )
    from_: Annotated[str, BeforeValidator(_clock)] = Field(
        "00:00", alias="from", description="The clock at the start.", examples=["06:00"]
    )
    every: Annotated[str, BeforeValidator(time_span)] = Field(
        "1 h", description="Length of a piece of the day.", examples=["30 min"]
    )
    lasts: Annotated[str, BeforeValidator(time_span)] | None = Field(
        None,
        description="For how long people come, beside a rate that is one number.",
        examples=["24 h"],
    )
    classes: dict[Symbol, FlowNumber] = Field(
        {},
        description="Kinds of people and their probabilities, the most urgent first.",
        examples=[{"urgent": 0.3, "minor": 0.7}],
    )
    scale: Annotated[float, BeforeValidator(as_size, json_schema_input_type=float)] = (
        Field(1.0, description="Multiplies all rates; an arm sets arrivals.scale.")
    )
    first: Symbol | dict[Symbol, Symbol] | None = Field(
        None,
        description="The station where people go first, or that of each class; the "
        "first of the sheet if left out.",
        examples=["triage"],
    )
    counted_from: Annotated[str, BeforeValidator(time_span)] | None = Field(
        None,
        alias="counted from",
        description="What comes before is not counted in outputs.",
        examples=["10 h"],
    )

    @property
    def piece(self) -> float:
        """[h] Length of a piece."""
        return hours(self.every)

    @property
    def pieces(self) -> int:
        """How many pieces the day has."""
        if isinstance(self.rate, list):
            return len(self.rate)
        return round(hours(self.lasts or "0 h") / self.piece)

    @model_validator(mode="after")
    def _one_length(self) -> "ArrivalsShape":
        several = isinstance(self.rate, list)
        if several and self.lasts is not None:
            found = "given beside a rate for each piece, which says how long"
            raise wrong(found, "left out", key="lasts")
        if not several and self.lasts is None:
            such = "given beside a rate that is one number, such as `lasts: 24 h`"
            raise wrong("missing", such, key="lasts")
        if not several:
            whole_ = hours(self.lasts or "0 h") / self.piece
            if abs(whole_ - round(whole_)) > 1e-9 or not 1 <= whole_ <= MOST_PIECES:
                found = f"{whole_:g} times {self.every}"
                allowed = f"a whole number of times {self.every}, {MOST_PIECES} at most"
                raise wrong(found, allowed, key="lasts")
        if self.counted_from is not None:
            end = self.pieces * self.piece
            if hours(self.counted_from) >= end:
                found, allowed = f"{self.counted_from}", f"before the end, {end:g} h"
                raise wrong(found, allowed, key="counted from")
        return self


class StationShape(Part):
    """Servers with one queue before them."""

    servers: Annotated[
        int | str | list[int],
        BeforeValidator(_servers, json_schema_input_type=int | str | list[int]),
    ] = Field(
        description="How many: a number, one for each piece of the day, or unlimited.",
        examples=[8, [2, 4, 8, 3]],
    )
    order: Annotated[Literal["first come", "priority"], BeforeValidator(_order)] = (
        Field("first come", description="Who is next.", examples=["priority"])
    )
    priority: list[Symbol] | None = Field(
        None,
        description="Classes, the most urgent first, if not as in `classes`.",
        examples=[["urgent", "minor"]],
    )
    service: Laws = Field(
        description="Law of the time of service, for all or for each class.",
        examples=["exponential(30 min)"],
    )
    patience: Laws | None = Field(
        None,
        description="Law of the time until somebody who waits leaves; never if left "
        "out.",
        examples=["exponential(2 h)"],
    )
    then: Routes = Field(
        "out",
        description="The next station, shares of several, or either for each class.",
        examples=["treatment", {"treatment": 0.6, "out": 0.4}],
    )

    @model_validator(mode="after")
    def _priority_where_it_counts(self) -> "StationShape":
        if self.priority is not None and self.order != "priority":
            found = "given, though who comes first is served first"
            raise wrong(found, "left out, or beside `order: priority`", key="priority")
        return self


class FlowOutputShape(Part):
    """What is told of a day."""

    of: Annotated[str, BeforeValidator(Words(*LOOKED_AT, place="flow"))] = Field(
        description="What is looked at.", examples=["wait"]
    )
    take: str = Field(
        "", description="What is made of it.", examples=["mean", "quantile 0.9"]
    )
    at: Symbol | None = Field(
        None, description="A station; the whole way if left out.", examples=["triage"]
    )
    class_: Symbol | None = Field(
        None, alias="class", description="A class; everybody if left out."
    )
    unit: Unit | None = Field(None, description="Unit of the value.", examples=["min"])
    title: str = Field("", description="What it is, in words.")


class FlowShape(Part):
    """A model sheet of `kind: flow`."""

    model: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="The model's name.", examples=["my-department"]
    )
    kind: Annotated[Literal["flow"], BeforeValidator(Words("flow"))] = Field(
        description="`flow`; a model of equations has no `kind`."
    )
    title: str = Field("", description="What it is, in words.")
    source: list[SourceShape] = Field([], description="Whose numbers these are.")
    time: Duration = Field(
        "h", description="Unit of times that equations stand for.", examples=["h"]
    )
    unit: Annotated[
        Literal["patient", "machine", "department-day", "outbreak", "site"],
        BeforeValidator(Words(*UNITS, place="unit")),
    ] = Field("department-day", description="What a subject is.")
    covariates: dict[Symbol, CovariateShape] = Field(
        {}, description="What the equations ask of a subject, by name."
    )
    parameters: dict[Symbol, ParameterShape] = Field(
        {}, description="Values that equations read, by name."
    )
    random: list[RandomShape] = Field([], description="How days differ.")
    arrivals: ArrivalsShape = Field(
        description="Who comes, and when.", examples=[{"rate": 10, "lasts": "24 h"}]
    )
    stations: dict[Symbol, StationShape] = Field(
        min_length=1,
        description="Where people are served, by name.",
        examples=[{"desk": {"servers": 3, "service": "exponential(15 min)"}}],
    )
    outputs: dict[Symbol, FlowOutputShape] = Field(
        min_length=1,
        description="What is told of a day, by name.",
        examples=[{"wait": {"of": "wait", "take": "mean", "unit": "min"}}],
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty_sections(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}


def opening(shape: ArrivalsShape) -> float:
    """Return the clock at the start [h]."""
    found = CLOCK.fullmatch(shape.from_)
    assert found is not None  # it was held against the pattern
    return int(found[1]) + int(found[2]) / 60

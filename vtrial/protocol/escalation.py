"""Dose escalation of a sheet: its shape, and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.protocol.combinations import read_combinations
from vtrial.protocol.faults import Faults
from vtrial.protocol.field_types import Name, Names, Shape, Value
from vtrial.protocol.times import duration
from vtrial.protocol.values import share_in
from vtrial.sheets.words import listed

PATH = ("design", "escalation")
ROWS = "rows"  # the option of a method that says how many rows a grid has
Option = float | str | bool | tuple[float, ...]


class EscalationShape(Shape):
    """Which dose the next cohort gets, and which one is chosen at the end."""

    by: Name = Field(description="The method.", examples=["BOIN"])
    on: Name | None = Field(
        None,
        description="The endpoint that is a toxicity: a response (0 or 1); the first "
        "response if left out.",
        examples=["dose-limiting toxicity"],
    )
    efficacy: Name | None = Field(
        None, description="The response that methods look at which seek efficacy, too."
    )
    doses: Names | None = Field(
        None, description="Arms from the lowest dose on; all as they stand if left out."
    )
    combinations: list[Names] | None = Field(
        None,
        description="In place of `doses`, arms that combine two drugs: a row for each "
        "level of the first drug, with the levels of the second in it.",
        examples=[[["a1b1", "a1b2"], ["a2b1", "a2b2"]]],
    )
    target: Value | None = Field(
        None, description="The probability of toxicity to aim at.", examples=["30 %"]
    )
    cohort: int = Field(3, ge=1, le=100, description="Subjects who get one dose.")
    start: Name | None = Field(
        None, description="The first cohort's arm; the lowest if left out."
    )
    most: int | None = Field(
        None, ge=1, description="Subjects in a trial; all there are if left out."
    )
    enough: int | None = Field(
        None, ge=1, description="It ends where a dose has been given to so many."
    )
    skipping: bool = Field(False, description="Whether it may pass over doses.")
    window: str | None = Field(
        None,
        description="How long subjects are observed, where the next one does not wait "
        "for it; `on` is then the time to a toxicity.",
        examples=["28 d"],
    )
    options: dict[str, float | str | bool | list[float]] = Field(
        default_factory=dict,
        description="Others of the method, by name.",
        examples=[{"eliminate": 0.95}],
    )


@dataclass(frozen=True)
class Escalation:
    """A dose escalation: `on` is a toxicity, `arms` are doses from the lowest on.

    Combinations of two drugs stand row by row, a row for a level of the first.
    `start` is a place among them; 0 subjects at `most`, or as `enough`, are no limit.
    With a `window` [h] toxicities are times to an event, and those who are still
    observed count by the share of it that has passed; 0: everybody is waited for.
    """

    by: str
    on: str
    arms: tuple[str, ...]
    efficacy: str = ""
    cohort: int = 3
    start: int = 0
    most: int = 0
    enough: int = 0
    skipping: bool = False
    window: float = 0.0
    options: tuple[tuple[str, Option], ...] = ()

    @property
    def target(self) -> float | None:
        """The probability of toxicity that is aimed at, if it is given."""
        found = dict(self.options).get("target")
        return float(found) if isinstance(found, int | float) else None

    @property
    def rows(self) -> int:
        """How many rows the combinations of two drugs make; 0 where there are none."""
        found = dict(self.options).get(ROWS, 0.0)
        return int(found) if isinstance(found, int | float) else 0


def read_escalation(
    shape: EscalationShape | None,
    arms: Sequence[str],
    endpoints: Sequence[Endpoint],
    *,
    subjects: int,
    potential: str,
    accrual: bool,
    faults: Faults,
) -> Escalation | None:
    """Read a dose escalation; None if there is none, or if it makes no sense."""
    if shape is None:
        return None
    before = len(faults.entries)
    responses = [one.name for one in endpoints if one.binary]
    window = 0.0
    if shape.window is None:
        on = _response("on", shape.on, responses, faults)
    else:
        on, window = _observed(shape, endpoints, accrual, faults)
    efficacy = shape.efficacy or ""
    if efficacy:
        efficacy = _response("efficacy", efficacy, responses, faults)
    doses = _doses(shape, arms, faults)
    if shape.start is not None and shape.start not in doses:
        faults.unknown((*PATH, "start"), shape.start, doses, "dose")
    if potential != "all":
        faults.add(
            ("potential",),
            found="`allocated`, though doses are escalated",
            allowed="`potential: all`, for a subject may get any dose",
            write="all",
        )
    if shape.most is not None and shape.most > subjects:
        faults.add(
            (*PATH, "most"),
            found=f"{shape.most}, of {subjects} subjects",
            allowed=f"at most the {subjects} subjects of a trial",
        )
    options = _options(shape, faults)
    if len(faults.entries) > before:
        return None
    return Escalation(
        shape.by,
        on,
        doses,
        efficacy,
        shape.cohort,
        doses.index(shape.start) if shape.start else 0,
        shape.most or 0,
        shape.enough or 0,
        shape.skipping,
        window,
        tuple(sorted(options.items())),
    )


def _doses(
    shape: EscalationShape, arms: Sequence[str], faults: Faults
) -> tuple[str, ...]:
    """Name the arms that are doses, of one drug or of two."""
    if shape.combinations is None:
        doses = tuple(shape.doses or arms)
        for name in doses:
            if name not in arms:
                faults.unknown((*PATH, "doses"), name, arms, "arm")
        return doses
    for key, given in (("doses", shape.doses), ("skipping", shape.skipping)):
        if given:
            faults.add(
                (*PATH, key),
                found="given with `combinations`",
                allowed="left out: `combinations` names the arms, and one drug goes "
                "up or down by one level at a time",
            )
    return read_combinations(shape.combinations, arms, (*PATH, "combinations"), faults)


def _options(shape: EscalationShape, faults: Faults) -> dict[str, Option]:
    """Read the method's options, the target and the shape of a grid among them."""
    if ROWS in shape.options:
        faults.add(
            (*PATH, "options", ROWS),
            found=f"`{ROWS}` among the options",
            allowed="left out: `combinations` shows how many rows there are",
        )
    options: dict[str, Option] = {
        key: tuple(map(float, value)) if isinstance(value, list) else value
        for key, value in shape.options.items()
    }
    if shape.target is not None:
        try:
            options["target"] = share_in(shape.target)
        except ProtocolError as error:
            faults.relay((*PATH, "target"), error)
    if shape.combinations is not None:
        options[ROWS] = float(len(shape.combinations))
    return options


def _observed(
    shape: EscalationShape, endpoints: Sequence[Endpoint], accrual: bool, faults: Faults
) -> tuple[str, float]:
    """Read the time to a toxicity, and for how long it is waited for [h]."""
    times = {one.name: one.end for one in endpoints if one.event}
    on = shape.on or next(iter(times), "")
    try:
        window = duration(shape.window or "")
    except ProtocolError as error:
        faults.relay((*PATH, "window"), error)
        return on, 0.0
    if on not in times:
        known = listed(times, like=on) if times else "one with `take: time to`"
        faults.add(
            (*PATH, "on") if shape.on else PATH,
            found=f"`{on}`, which is no time to an event" if on else "no such time",
            allowed=f"with `window`, a time to an event: {known}",
        )
    elif times[on] < window:
        faults.add(
            (*PATH, "window"),
            found=f"{shape.window}, longer than `{on}` looks",
            allowed=f"at most {times[on]:g} h, or a longer `within` of `{on}`",
        )
    if not accrual:
        faults.add(
            PATH,
            found="with a `window`, but no rate at which subjects come",
            allowed="`accrual` at `design`, too, such as `accrual: 2 / month`",
        )
    if shape.efficacy:
        faults.add(
            (*PATH, "efficacy"),
            found="given with a `window`",
            allowed="left out: only toxicities are weighed while they are pending",
        )
    return on, window


def _response(
    key: str, name: str | None, responses: Sequence[str], faults: Faults
) -> str:
    """Name an endpoint that is a response."""
    if name in responses:
        return str(name)
    if name is None and responses:
        return responses[0]
    found = f"`{name}`, which is no response" if name else "no response in `endpoints`"
    path = (*PATH, key) if name else PATH
    known = listed(responses, like=name or "") if responses else "one with `above`"
    faults.add(
        path,
        found=found,
        allowed=f"an endpoint that is 0 or 1 (with `above` or `below`): {known}",
    )
    return ""

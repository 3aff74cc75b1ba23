"""What arms showed in trials before: the prior that a trial's own rules start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.faults import Faults
from vtrial.protocol.field_types import Name, Shape, Value
from vtrial.protocol.values import effect_in, share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

PATH = ("design", "borrow")
Scale = Literal["difference", "ratio", "odds"]
SCALES: Mapping[str, Scale] = {
    "risk difference": "difference",
    "risk ratio": "ratio",
    "odds ratio": "odds",
    "difference of means": "difference",
    "Welch difference of means": "difference",
}
RULE = "posterior probability"
MOST_PAST = 1000


class PastShape(Shape):
    """What one arm of an earlier trial showed."""

    subjects: int = Field(ge=1, le=100_000_000, description="How many it had.")
    events: int | None = Field(
        None, ge=0, description="How many of them responded, of a response."
    )
    mean: Value | None = Field(None, description="Their mean, of a number.")
    sd: Value | None = Field(
        None, description="The standard deviation of their values."
    )


class BorrowShape(Shape):
    """What an arm showed in trials before."""

    by: Literal["MAP", "power prior"] = Field(
        "MAP",
        description="Predicted from trials that are alike (meta-analytic-predictive), "
        "or their data with a weight.",
    )
    on: Name | None = Field(
        None,
        description="The endpoint; the outcome if left out.",
        examples=["remission"],
    )
    past: list[PastShape] = Field(
        alias="from",
        min_length=1,
        max_length=MOST_PAST,
        description="What it showed in each trial.",
        examples=[[{"subjects": 107, "events": 23}]],
    )
    heterogeneity: Value | None = Field(
        None,
        description="MAP: the scale of the half-normal prior of the deviation between "
        "trials: of logits (1 if left out), or of means (half of the `sd`).",
    )
    robust: Value | None = Field(
        None,
        description="The weight of a vague component, in case the past misleads; none "
        "if left out.",
        examples=["20 %"],
    )
    weight: Value | None = Field(
        None,
        description="Power prior: how much a subject of then counts; by how well the "
        "trial's own data agree if left out.",
        examples=["50 %"],
    )


@dataclass(frozen=True)
class Borrowing:
    """What an arm showed in trials before, on an endpoint.

    Fields
    ------
    arm, endpoint
        Of what.
    by
        How the prior is made.
    binary
        Whether `past` has subjects and responses of each trial; else it has subjects,
        means, and standard deviations in the endpoint's unit.
    heterogeneity
        The scale of its prior; 0: the usual one.
    robust
        The weight of a vague component.
    weight
        Of a power prior; below 0 where the data tell.
    compared
        The comparisons whose posterior probability it enters, each with the scale of
        its effect.
    """

    arm: str
    endpoint: str
    by: Literal["MAP", "power prior"]
    binary: bool
    past: tuple[tuple[float, ...], ...]
    heterogeneity: float = 0.0
    robust: float = 0.0
    weight: float = -1.0
    compared: tuple[tuple[str, str], ...] = ()


def read_borrowing(
    shapes: Mapping[str, BorrowShape],
    arms: Sequence[str],
    endpoints: Sequence[Endpoint],
    comparisons: Sequence[Comparison],
    *,
    outcome: str,
    ruled: set[str],
    faults: Faults,
) -> tuple[Borrowing, ...]:
    """Read what arms showed before.

    `ruled` names the comparisons that a posterior probability decides.
    """
    made = []
    for arm, shape in shapes.items():
        path, before = (*PATH, arm), len(faults.entries)
        if arm not in arms:
            faults.unknown(path, arm, arms, "arm")
        named = {one.name: one for one in endpoints}
        endpoint = named.get(shape.on or outcome)
        if endpoint is None:
            at = (*path, "on") if shape.on else path
            faults.unknown(at, shape.on or outcome, list(named), "endpoint")
            continue
        _check_options(shape, path, faults)
        past = _past(shape, endpoint, path, faults)
        own = [
            one
            for one in comparisons
            if one.name in ruled
            and one.endpoint == endpoint.name
            and arm in (one.arm, one.reference)
        ]
        _check_compared(own, arm, endpoint, path, faults)
        shares = _shares(shape, endpoint, path, faults)
        if len(faults.entries) == before:
            scales = tuple((one.name, SCALES[one.by]) for one in own)
            made.append(
                Borrowing(
                    *(arm, endpoint.name, shape.by, endpoint.binary, past),
                    *shares,
                    compared=scales,
                )
            )
    return tuple(made)


def _check_options(shape: BorrowShape, path: Path_, faults: Faults) -> None:
    """Refuse options of the other prior."""
    other = {"MAP": "weight", "power prior": "heterogeneity"}[shape.by]
    if getattr(shape, other) is not None:
        faults.add(
            (*path, other),
            found=f"given with `by: {shape.by}`",
            allowed="left out: it is an option of "
            + ("`by: power prior`" if other == "weight" else "`by: MAP`"),
        )


def _past(
    shape: BorrowShape, endpoint: Endpoint, path: Path_, faults: Faults
) -> tuple[tuple[float, ...], ...]:
    """Read what each earlier trial showed."""
    made = []
    if endpoint.event:
        faults.add(
            path,
            found=f"on `{endpoint.name}`, a time to an event",
            allowed="on a response, or a number",
        )
        return ()
    wanted = ("events",) if endpoint.binary else ("mean", "sd")
    what = "a response" if endpoint.binary else "a number"
    such = "{subjects: 107, events: 23}"
    if not endpoint.binary:
        such = "{subjects: 74, mean: 5.1, sd: 1.8}"
    for place, one in enumerate(shape.past):
        at = (*path, "from", place)
        given = {
            key for key in ("events", "mean", "sd") if getattr(one, key) is not None
        }
        if given != set(wanted):
            faults.add(
                at,
                found=f"with {listed(sorted(given)) or 'subjects alone'}",
                allowed=f"`{such}`, for `{endpoint.name}` is {what}",
            )
            continue
        if one.events is not None:
            if one.events > one.subjects:
                faults.add(
                    (*at, "events"),
                    found=f"{one.events}, of {one.subjects} subjects",
                    allowed="at most as many as there are subjects",
                )
            made.append((float(one.subjects), float(one.events)))
            continue
        try:
            mean, sd = (
                effect_in(value, endpoint.unit)
                for value in (one.mean, one.sd)
                if value is not None
            )
        except ProtocolError as error:
            faults.relay(at, error)
            continue
        if not sd > 0:
            faults.add((*at, "sd"), found=f"{sd:g}", allowed="above 0")
        made.append((float(one.subjects), mean, sd))
    return tuple(made)


def _check_compared(
    own: Sequence[Comparison],
    arm: str,
    endpoint: Endpoint,
    path: Path_,
    faults: Faults,
) -> None:
    """Refuse a prior that no rule uses, or that a comparison has no room for."""
    if not own:
        faults.add(
            path,
            found="what no rule uses",
            allowed=f"an arm of a comparison on `{endpoint.name}` which a rule decides "
            f"`by: {RULE}`, for others know no prior",
        )
    for one in own:
        unlike = [key for key in ("adjust", "strata", "where") if getattr(one, key)]
        if one.by not in SCALES or unlike:
            said = f"with `{unlike[0]}`" if unlike else f"`by: {one.by}`"
            faults.add(
                path,
                found=f"for the comparison `{one.name}`, which is {said}",
                allowed=f"one of everybody, not adjusted, by {listed(SCALES)}",
            )


def _shares(
    shape: BorrowShape, endpoint: Endpoint, path: Path_, faults: Faults
) -> tuple[float, float, float]:
    """Read heterogeneity, the robust weight, and that of a power prior."""
    made = []
    for key, usual in (("heterogeneity", 0.0), ("robust", 0.0), ("weight", -1.0)):
        value = getattr(shape, key)
        try:
            if value is None:
                made.append(usual)
            elif key != "heterogeneity":
                made.append(share_in(value))
            else:
                made.append(effect_in(value, "1" if endpoint.binary else endpoint.unit))
        except ProtocolError as error:
            faults.relay((*path, key), error)
            made.append(usual)
    if shape.heterogeneity is not None and not made[0] > 0:
        faults.add(
            (*path, "heterogeneity"), found=f"{made[0]:g}", allowed="a number above 0"
        )
    return made[0], made[1], made[2]

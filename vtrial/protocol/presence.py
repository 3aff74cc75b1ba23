"""When arms join a trial, and when they leave it: by the calendar, or at a look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.errors import ProtocolError
from vtrial.protocol.faults import Faults
from vtrial.protocol.times import moment
from vtrial.sheets.words import listed

Controls = Literal["concurrent", "all"]


@dataclass(frozen=True)
class Change:
    """An arm opens, or closes, at a time after the first day of accrual, or at a look.

    Fields
    ------
    arm
        The place of the arm.
    at
        [h] When; infinite if it is at a look.
    look
        The place of the look; -1 if it is by the calendar.
    """

    arm: int
    at: float
    look: int = -1


@dataclass(frozen=True)
class Presence:
    """Which arms are not there from the first day to the last.

    `controls` says which subjects of the reference an arm is compared with: those who
    were enrolled while both were open, or all.
    """

    joins: tuple[Change, ...] = ()
    leaves: tuple[Change, ...] = ()
    controls: Controls = "all"

    @property
    def changes(self) -> bool:
        """Whether any arm joins or leaves."""
        return bool(self.joins or self.leaves)


def read_presence(
    joins: Mapping[str, str],
    leaves: Mapping[str, str],
    controls: Controls | None,
    *,
    arms: Sequence[str],
    looks: Sequence[str],
    faults: Faults,
) -> Presence:
    """Read when arms join and leave; refuse a time without any arm."""
    parts: list[tuple[Change, ...]] = []
    for key, given in (("joins", joins), ("leaves", leaves)):
        made = []
        for arm, words in given.items():
            path = ("design", key, arm)
            if arm not in arms:
                faults.unknown(path, arm, arms, "arm")
                continue
            place = arms.index(arm)
            if words in looks[:-1]:
                made.append(Change(place, float("inf"), looks.index(words)))
                continue
            try:
                made.append(Change(place, moment(words)))
            except ProtocolError:
                such = f" or a look: {listed(looks[:-1], like=words)}"
                faults.add(
                    path,
                    found=f"`{words}`",
                    allowed="a time after the first day of accrual, such as `month 6`"
                    + (such if looks[:-1] else ""),
                )
        parts.append(tuple(made))
    first, last = parts
    _check_order(first, last, arms, leaves, faults)
    if controls is not None and not (joins or leaves):
        faults.add(
            ("design", "controls"),
            found=f"`{controls}`, though no arm joins or leaves",
            allowed="left out, or `joins: {ARM: month 6}`",
        )
    return Presence(first, last, controls or ("concurrent" if joins else "all"))


def _check_order(
    first: Sequence[Change],
    last: Sequence[Change],
    arms: Sequence[str],
    leaves: Mapping[str, str],
    faults: Faults,
) -> None:
    """Refuse a time without any arm, and arms that leave before they join."""
    staying = {*range(len(arms))} - {one.arm for one in (*first, *last)}
    if not staying:
        faults.add(
            ("design", "joins" if first else "leaves"),
            found="every arm",
            allowed="at least one arm that is there from the first day to the last",
        )
    starts = {one.arm: one for one in first}
    for one in last:
        begun = starts.get(one.arm)
        if begun is None:
            continue
        both = (one.look >= 0) == (begun.look >= 0)
        if both and (one.look, one.at) <= (begun.look, begun.at):
            name = arms[one.arm]
            faults.add(
                ("design", "leaves", name),
                found=f"`{leaves[name]}`",
                allowed="later than it joins",
            )

"""The subject flow: from screening to the end, as CONSORT counts it."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title
from vtrial.report.drawing import INK, MUTED, WIDTH, Drawing
from vtrial.report.frames import each_row
from vtrial.report.layout import lines_of
from vtrial.report.legend import pick_colour
from vtrial.report.tables import Table, make_table
from vtrial.report.words import count

_FORK = 1.45  # inches from the top to where the arms part


class FlowArm(NamedTuple):
    """Subjects of one arm, over all replicates.

    `others` were allocated to other arms and simulated under this one, too.
    """

    name: str
    allocated: float
    simulated: float
    failed: float
    others: float
    others_failed: float

    @property
    def lost(self) -> tuple[float, float]:
        """How many could not be solved under the arm, and of how many."""
        lost = self.failed + self.others_failed
        return lost, lost + self.simulated + self.others


class Flow(NamedTuple):
    """Subjects from screening to the end."""

    screened: float
    enrolled: float
    arms: tuple[FlowArm, ...]


def flow_of(protocol: Protocol, frame: pd.DataFrame) -> Flow:
    """Read the flow from its frame: a row an arm."""
    known = {
        row.arm: FlowArm(
            *(row.arm, row.allocated, row.simulated, row.failed),
            *(row.others, row.others_failed),
        )
        for row in each_row(frame)
    }
    arms = tuple(known[arm.name] for arm in protocol.arms if arm.name in known)
    return Flow(float(frame["screened"].sum()), float(frame["enrolled"].sum()), arms)


def flow_table(protocol: Protocol, flow: Flow) -> Table:
    """Lay down the flow by arm, with the totals of screening in the caption."""
    beside = any(arm.others + arm.others_failed for arm in flow.arms)
    rows = [
        (
            arm_title(protocol, arm.name),
            count(arm.allocated),
            count(arm.simulated),
            count(arm.failed),
            *([count(arm.others), count(arm.others_failed)] if beside else []),
        )
        for arm in flow.arms
    ]
    caption = (
        f"Subjects over all replicates: {count(flow.screened)} screened, "
        f"{count(flow.enrolled)} enrolled."
    )
    heads = ["Arm", "Allocated", "of them simulated", "of them failed"]
    if beside:
        caption += (
            " Those of other arms were simulated under each arm, too; estimates by arm "
            "are of those allocated to it."
        )
        heads += ["Others simulated", "Others failed"]
    return make_table("flow", caption, heads, rows)


def draw_flow(protocol: Protocol, flow: Flow) -> Drawing:
    """Draw the subject flow in CONSORT's shape; arms stand side by side up to four."""
    beside = len(flow.arms) <= 4
    columns = max(len(flow.arms), 1) if beside else 2 if len(flow.arms) <= 8 else 3
    wide = WIDTH / columns
    size = min(wide - 0.12, 1.9)
    names = [lines_of(arm_title(protocol, a.name), size - 0.08, 8.0) for a in flow.arms]
    deep = _tall(1 + max(map(len, names), default=1)), _tall(2)
    step = sum(deep) + (0.36 if beside else 0.0)
    height = _FORK + 0.2 + step * -(-len(flow.arms) // columns)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    why = "not eligible" + (" or not qualified" if protocol.run_in else "")
    _draw_screening(axes, flow, why)
    for place, (arm, name) in enumerate(zip(flow.arms, names, strict=True)):
        row, column = divmod(place, columns)
        centre, top = wide * (column + 0.5), _FORK + 0.17 + step * row
        colour = pick_colour(protocol, arm.name)
        if row == 0:
            path = [WIDTH / 2, WIDTH / 2, centre], [_FORK - 0.13, _FORK, _FORK]
            axes.plot(*path, color=MUTED, lw=0.9)
            _arrow(axes, (centre, _FORK), (centre, top))
        words = "\n".join([*name, f"allocated {count(arm.allocated)}"])
        ended = f"simulated {count(arm.simulated)}\nfailed {count(arm.failed)}"
        if beside:
            foot = top + deep[0]
            _box(axes, (centre, top + deep[0] / 2), (size, deep[0]), words, colour)
            _arrow(axes, (centre, foot), (centre, foot + 0.24))
            middle = (centre, foot + 0.24 + deep[1] / 2)
            _box(axes, middle, (size, deep[1]), ended, colour)
        else:
            tall = sum(deep) - 0.12
            middle = (centre, top + tall / 2)
            _box(axes, middle, (size, tall), f"{words}\n{ended}", colour)
    told = "; ".join(
        f"{arm_title(protocol, a.name)}: {count(a.allocated)} allocated, "
        f"{count(a.simulated)} simulated, {count(a.failed)} failed"
        for a in flow.arms
    )
    alt = f"{count(flow.screened)} screened, {count(flow.enrolled)} enrolled; {told}."
    data = pd.DataFrame(flow.arms).rename(columns={"name": "arm"})
    data = data.assign(screened=flow.screened, enrolled=flow.enrolled)
    return Drawing("flow", "Subject flow", alt, "", figure, data)


def _tall(lines: int) -> float:
    """Return the height of a box of some lines [inches]."""
    return 0.16 * lines + 0.14


def _draw_screening(axes: Axes, flow: Flow, why: str) -> None:
    """Draw who was screened and who was enrolled."""
    middle, box = WIDTH / 2, (1.9, 0.5)
    _box(axes, (middle, 0.3), box, f"Screened\n{count(flow.screened)}", INK)
    _box(axes, (middle, 1.07), box, f"Enrolled\n{count(flow.enrolled)}", INK)
    _arrow(axes, (middle, 0.55), (middle, 0.82))
    left_out = flow.screened - flow.enrolled
    if left_out > 0:
        _arrow(axes, (middle, 0.685), (middle + 0.85, 0.685))
        text = f"{why} {count(left_out)}"
        axes.text(middle + 0.9, 0.685, text, va="center", fontsize=8.5, color=MUTED)


def _box(
    axes: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str,
    colour: str,
) -> None:
    """Draw a box with words in it."""
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.06"
    patch = FancyBboxPatch(
        corner, *size, boxstyle=style, facecolor="none", edgecolor=colour, lw=1.2
    )
    axes.add_patch(patch)
    small = 8.5 if size[0] > 1.35 else 8.0
    axes.text(*centre, text, ha="center", va="center", fontsize=small, linespacing=1.35)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between two points."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.9}
    )

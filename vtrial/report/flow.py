"""The subject flow: from screening to the end, as CONSORT counts it."""

from typing import NamedTuple

import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.design import arm_title
from vtrial.report.frames import each_row
from vtrial.report.tables import Table, make_table
from vtrial.report.words import count


class FlowArm(NamedTuple):
    """Subjects of one arm, over all replicates."""

    name: str
    allocated: float
    simulated: float
    failed: float


class Flow(NamedTuple):
    """Subjects from screening to the end."""

    screened: float
    enrolled: float
    arms: tuple[FlowArm, ...]


def flow_of(protocol: Protocol, frame: pd.DataFrame) -> Flow:
    """Read the flow from its frame: a row an arm."""
    known = {
        row.arm: FlowArm(row.arm, row.allocated, row.simulated, row.failed)
        for row in each_row(frame)
    }
    arms = tuple(known[arm.name] for arm in protocol.arms if arm.name in known)
    return Flow(float(frame["screened"].sum()), float(frame["enrolled"].sum()), arms)


def flow_table(protocol: Protocol, flow: Flow) -> Table:
    """Lay down the flow by arm, with the totals of screening in the caption."""
    rows = [
        (
            arm_title(protocol, arm.name),
            count(arm.allocated),
            count(arm.simulated),
            count(arm.failed),
        )
        for arm in flow.arms
    ]
    caption = (
        f"Subjects over all replicates: {count(flow.screened)} screened, "
        f"{count(flow.enrolled)} enrolled."
    )
    heads = ("Arm", "Allocated", "Simulated", "Failed")
    return make_table("flow", caption, heads, rows)

"""What earlier trials say of arms, and which arms come and go: words and a table."""

from collections.abc import Iterator

import pandas as pd

from vtrial.protocol.borrowing import Borrowing
from vtrial.protocol.presence import Change
from vtrial.protocol.protocol import Protocol
from vtrial.report.design import Line, arm_title, endpoint_title
from vtrial.report.frames import each_row
from vtrial.report.tables import Table, make_table
from vtrial.report.words import amount, count, interval, number

PRIOR = "prior of "
MONTH, DAY = 730.5, 24.0


def borrowed_lines(protocol: Protocol) -> Iterator[Line]:
    """Yield a line for each arm with a past, and for each that joins or leaves."""
    enactment = protocol.enactment
    assert enactment is not None, "the caller has looked"
    for one in enactment.borrowed:
        yield Line(f"Past: {arm_title(protocol, one.arm)}", _past(protocol, one))
    presence = enactment.presence
    for verb, changes in (("joins", presence.joins), ("leaves", presence.leaves)):
        for one in changes:
            arm = arm_title(protocol, protocol.arms[one.arm].name)
            yield Line(f"Arm: {arm}", f"{verb} {_when(protocol, one)}")
    if presence.changes:
        whom = "who was enrolled while both were open"
        if presence.controls == "all":
            whom = "everybody in the other arm, whenever they came"
        yield Line("Controls", f"an arm is compared with {whom}")


def _past(protocol: Protocol, one: Borrowing) -> str:
    """Say what an arm's prior is made of."""
    subjects = count(sum(part[0] for part in one.past))
    trials = len(one.past)
    many = "1 earlier trial" if trials == 1 else f"{count(trials)} earlier trials"
    words = f"{endpoint_title(protocol, one.endpoint)} of {subjects} subjects in {many}"
    if one.by == "MAP":
        words += ", as it predicts the next one (MAP"
        scale = f"; half-normal {one.heterogeneity:g} between trials"
        words += (scale if one.heterogeneity else "") + ")"
    else:
        share = f"with {number(100 * one.weight)}\u202f% of its weight"
        words += ", " + (share if one.weight >= 0 else "weighed by how well it agrees")
        words += " (power prior)"
    if one.robust:
        words += f"; {number(100 * one.robust)}\u202f% vague"
    return words


def _when(protocol: Protocol, one: Change) -> str:
    """Say when an arm joins or leaves."""
    assert protocol.enactment is not None, "the caller has looked"
    if one.look >= 0:
        return f"at the look {protocol.enactment.looks[one.look].name}"
    months = one.at / MONTH
    if months >= 4:
        return f"{number(round(months, 1))}\u202fmo after the first day"
    return f"{number(round(one.at / DAY, 1))}\u202fd after the first day"


def priors_table(protocol: Protocol, frame: pd.DataFrame) -> Table | None:
    """Lay arms with a past down, and their priors across; None if there are none."""
    found = {(row.of, row.measure): row for row in each_row(frame)}
    arms = [one.name for one in protocol.arms if (PRIOR + one.name, "mean") in found]
    if not arms:
        return None
    rows = []
    for arm in arms:
        mean = found[PRIOR + arm, "mean"]
        kind = "share" if mean.unit == "share" else "plain"
        unit = "" if kind == "share" else mean.unit
        spread = found[PRIOR + arm, "deviation"].value
        ends = interval(mean.low, mean.high, kind)
        cells = [amount(mean.value, spread / 20, kind, unit), ends]
        for by in ("ELIR", "moment"):
            worth = found[PRIOR + arm, f"effective subjects, {by}"].value
            cells.append(number(round(worth, 1)))
        off = found.get((PRIOR + arm, "mixture off by at most"))
        cells.append("–" if off is None else amount(off.value, 1e-4, "share"))
        rows.append((arm_title(protocol, arm), *cells))
    caption = (
        "What is believed of an arm before the trial, by what it showed in earlier "
        "ones: the mean and 95 % of the prior; how many subjects it is worth, by the "
        "expected local information ratio and by its moments; and by how much the "
        "distribution function of the mixture that stands in its place is off at most, "
        "before a vague part is added. Estimates of its comparisons are means of the "
        "posterior, and intervals go by its deviation."
    )
    heads = ["Arm", "Prior", "95\u202f%", "Subjects, ELIR", "By moments", "Off by"]
    return make_table("priors", caption, heads, rows)

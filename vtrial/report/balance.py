"""How alike randomisation made the arms, and what sites enrolled, as tables."""

import pandas as pd

from vtrial.protocol.protocol import Protocol
from vtrial.report.frames import each_row
from vtrial.report.tables import Cell, Table, make_table
from vtrial.report.words import amount, count, error_words, interval, number

SIMPLE = "simple"


def balance_table(protocol: Protocol, frame: pd.DataFrame) -> Table:
    """Lay factors down, and the imbalance by the trial's own method and by chance."""
    by = protocol.design.allocation.by
    method = {"stratified": "permuted block"}.get(by, by)
    found = {(row.factor, row.by): row for row in each_row(frame)}
    rows = []
    for factor in dict.fromkeys(frame["factor"]):
        cells: list[Cell | str] = [factor or "All subjects"]
        for name in (by, SIMPLE):
            row = found[factor, name]
            small = f"± {error_words(row.mc_error)}" if row.trials > 1 else ""
            cells.append(Cell(amount(row.value, row.mc_error), small))
            cells.append(number(row.largest, 3))
        rows.append(tuple(cells))
    caption = (
        "By how many subjects arms differ most within any level of a factor, on "
        f"average over {count(frame['trials'].max())} trials ± Monte Carlo error, and "
        "in the worst of them; beside simple randomisation of the same subjects."
    )
    heads = ["Factor"]
    for name in (method, "simple randomisation"):
        heads += [f"By {name}", "worst"]
    return make_table("balance", caption, heads, rows)


def sites_table(frame: pd.DataFrame) -> Table:
    """Lay entries of sites down: how many they enrol, how many are full or empty."""
    rows = [
        (
            row.site,
            row.region or "–",
            count(row.sites),
            Cell(amount(row.value, row.mc_error), f"± {error_words(row.mc_error)}"),
            interval(row.low, row.high),
            amount(row.full, 0.001, "share"),
            amount(row.empty, 0.001, "share"),
        )
        for row in each_row(frame)
    ]
    caption = (
        "Subjects that sites enrol together (mean, and where 90 % of the trials lie), "
        "and the share of these sites that reach their cap, and that enrol nobody."
    )
    heads = ["Sites", "Region", "Number", "Enrolled", "90 % of trials"]
    return make_table("sites", caption, [*heads, "Full", "Empty"], rows, words=2)

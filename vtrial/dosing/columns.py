"""Columns of event tables: NONMEM's, their case, and other programs' words for them.

No column that looks as if it dosed is passed over: it is read, or refused by name.
"""

from collections.abc import Collection

from vtrial.sheets.csv_table import Rows, is_alike, is_slip

COLUMNS = (
    *("ID", "TIME", "AMT", "EVID", "CMT", "RATE", "DUR", "TINF"),
    *("II", "ADDL", "SS", "DV", "MDV"),
)
DATES = ("DATE", "DAT1", "DAT2", "DAT3")
DURATIONS = ("DUR", "TINF")
TELLING = ("AMT", "EVID", "MDV", "RATE", "SS", "ADDL")
OCCASION = "OCC"
CARRIED = ("DV", *DATES)  # of the columns above
DOSING = ("AMT", "EVID", "CMT", "RATE", "DUR", "TINF", "II", "ADDL", "SS")
IDLE = ("CONT", "CALL", "RPT_")  # NONMEM's, of which only 0 is understood
_FOREIGN = {
    "AMT": ("AMOUNT", "DOSE", "DOSEAMT", "DOSEAMOUNT"),
    "CMT": ("ADM", "ADMID", "CMPT", "CMTN", "COMP", "COMPARTMENT"),
    "RATE": ("INFRATE", "INFUSIONRATE", "RINF"),
    "DUR": ("DURATION", "DOSEDUR", "DOSEDURATION", "INFDUR", "INFUSIONDURATION")
    + ("INFTIME", "INFUSIONTIME", "TINFUSION", "TINFU"),
    "II": ("TAU", "INTERVAL", "DOSEINTERVAL", "DOSINGINTERVAL"),
    "ADDL": ("ADDITIONAL", "ADDITIONALDOSES", "NDOSE", "NDOSES", "NUMDOSES"),
    "SS": ("STEADYSTATE", "STEADY"),
    "EVID": ("EVENTID", "EVTYPE"),
}
_RIVALS = (DATES, DURATIONS)
FOREIGN = {word: ours for ours, words in _FOREIGN.items() for word in words}
_COUNTS = ("NDOSE", "NDOSES", "NUMDOSES")  # all doses, of which ADDL lacks the first


def in_capitals(rows: Rows, covariates: Collection[str] = ()) -> Rows:
    """Read `time`, `amt` and so on as TIME and AMT, as rxode2 and mrgsolve write them.

    So it is where TIME itself is in lower case; in other tables another case is a slip.
    """
    if "TIME" in rows.names or "time" not in rows.names:
        return rows
    return rows.renamed(_capitals(rows, (*COLUMNS, *DATES), covariates))


def _capitals(
    rows: Rows, wanted: Collection[str], covariates: Collection[str]
) -> dict[str, str]:
    """Find columns in lower case whose name in capitals is wanted, and not there."""
    return {
        name: name.upper()
        for name in rows.names
        if name == name.lower()
        and name not in covariates
        and name.upper() in wanted
        and name.upper() not in rows.names
    }


def record_columns(rows: Rows) -> Rows:
    """Return a table whose columns go by names of their own, those of doses by ours.

    A column that looks as if it told which rows are doses is refused, not passed over.
    """
    found: dict[str, str] = {}
    for name in rows.names:
        ours = name.upper()
        if ours in TELLING and ours not in (*rows.names, *found.values()):
            found[name] = ours
    told = rows.renamed(found)
    told.misspelt(TELLING[:3])
    if "AMOUNT" in told.names and "AMT" not in told.names:
        told.fault("a column", "`AMOUNT`", "called AMT, if it says doses")
    return told


def check_columns(
    rows: Rows, covariates: Collection[str], *, occasions: bool = False
) -> None:
    """Refuse columns that are missing, misspelt, or not read."""
    meant = rows.misspelt((*COLUMNS, *covariates))
    meant |= rows.misspelt(DATES, is_slip)
    for name in ("ID", "TIME"):
        if name not in (*rows.names, *meant):
            rows.fault(name, "missing", "a column")
    _check_foreign(rows, covariates)
    free = [name for name in rows.names if name not in covariates]
    rivals = [[name for name in free if name in some] for some in _RIVALS]
    rivals += [sorted(n for n in free if n.upper() == name) for name in DOSING]
    for first, *others in filter(None, rivals):
        for name in others:
            found = f"there, and so is {first}"
            rows.fault(f"column {name}", found, "one of the two")
    if occasions and OCCASION not in rows.names:
        allowed = "a column, for parameters are given by it"
        rows.fault(OCCASION, "missing", allowed)
    basic = bool(rows.faults)
    for name in covariates:
        if name not in (*rows.names, *meant):
            allowed = "a column, for the model asks for it"
            rows.fault(name, "missing", allowed)
    if basic:  # rows make no sense under such a header
        rows.refuse()
    _check_idle(rows)


def _check_foreign(rows: Rows, covariates: Collection[str]) -> None:
    """Refuse another program's word for a column, where ours is not there."""
    for name in rows.names:
        bare = "".join(letter for letter in name.upper() if letter.isalnum())
        ours = FOREIGN.get(bare)
        told = any(
            is_alike(name, known) for known in COLUMNS if known not in rows.names
        )
        if ours is None or name in covariates or told:
            continue
        if ours in rows.names or (ours == "DUR" and "TINF" in rows.names):
            continue
        allowed = f"called {ours}, or something quite different"
        if bare in _COUNTS:
            allowed = f"called {ours} and one less, the doses after the first"
        write = "" if bare in _COUNTS else ours
        rows.fault("a column", f"`{name}`, which nothing reads", allowed, write, name)


def _check_idle(rows: Rows) -> None:
    """Refuse what NONMEM's columns ask for that is not understood here."""
    for name in IDLE:
        if name in rows.names:
            asked = rows.numbers(name) != 0
            allowed = "0, for what it asks for in NONMEM is not done here"
            rows.wrong(asked, name, "`{}`", allowed)


def carried(rows: Collection[str], covariates: Collection[str]) -> list[str]:
    """Name the columns that nothing reads, or that only say when: they are carried."""
    read = {*COLUMNS, *IDLE, "C"} - {*CARRIED}
    return [name for name in rows if name not in read and name not in covariates]

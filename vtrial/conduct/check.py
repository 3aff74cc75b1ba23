"""Check a sheet of any kind without running anything."""

from collections.abc import Callable
from pathlib import Path

from vtrial.cohort.sheet import load_cohort
from vtrial.cohort.target import load_targets
from vtrial.conduct.impossible import model_faults, model_warnings
from vtrial.conduct.plan import plan
from vtrial.conduct.remembered import remember_compiled
from vtrial.errors import ModelError, SheetError
from vtrial.model.sheet import LIBRARY, library, load_model
from vtrial.model.typical import typical_of
from vtrial.protocol.load import load_protocol
from vtrial.protocol.sampling import check_sampling
from vtrial.sheets.find import find_sheet, kind_of
from vtrial.sheets.sheet import parse_sheet, read_sheet
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest


def check_sheet(path: str | Path) -> tuple[str, list[str]]:
    """Load a sheet whole, and what it names; return its kind and its warnings.

    `path` may be the name of a shipped protocol, cohort or model, too.

    Raises
    ------
    VtrialError
        With every fault of the sheet.
    """
    remember_compiled()
    path = _found(path)
    sheet = read_sheet(path)
    kind = kind_of(sheet)
    if not kind:
        first = next(iter(sheet.data), "")
        fault = sheet.fault(
            (first,),
            found=f"of no known kind (its first key is `{first}`)",
            allowed=f"led by the key {listed(_CHECKS)}",
            write=nearest(first, _CHECKS),
            old=first,
        )
        raise SheetError.of([fault._replace(at="the sheet")])
    return kind, _CHECKS[kind](path)


def _found(path: str | Path) -> Path:
    """Find a sheet by path, or by name among those that are shipped."""
    kinds = ("protocols", "cohorts", "models")
    found = [find_sheet(str(path), kind=kind) for kind in kinds]
    if str(path) in library():
        found.append(LIBRARY / f"{path}.yaml")
    return next((place for place in found if place), Path(path))


def _check_protocol(path: str | Path) -> list[str]:
    model = plan(load_protocol(path)).protocol.model
    sheet = parse_sheet(model.text, source=model.name)
    warnings = [*model.warnings, *model_warnings(sheet, model)]
    return [str(warning) for warning in warnings]


def _check_model(path: str | Path) -> list[str]:
    model, sheet = load_model(path), read_sheet(path)
    raise_faults(ModelError, model_faults(sheet, typical_of(model)))
    warnings = [*model.warnings, *model_warnings(sheet, model)]
    return [str(warning) for warning in warnings]


def _check_cohort(path: str | Path) -> list[str]:
    load_cohort(path)
    return []


def _check_match(path: str | Path) -> list[str]:
    load_targets(path)
    return []


def _check_sampling(path: str | Path) -> list[str]:
    check_sampling(path)
    return []


_CHECKS: dict[str, Callable[[str | Path], list[str]]] = {
    "protocol": _check_protocol,
    "model": _check_model,
    "cohort": _check_cohort,
    "match": _check_match,
    "sampling": _check_sampling,
}

"""What a sheet's entries may name, and the faults of naming anything else."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vtrial.cohort.category import words_of
from vtrial.cohort.sheet import cohort_faults
from vtrial.dims import DOSE
from vtrial.errors import Fault, ModelError, VtrialError
from vtrial.model.grammar import parse_assignments
from vtrial.model.model import Model, Output
from vtrial.model.sheet import load_model
from vtrial.protocol.faults import Faults
from vtrial.sheets.find import find_sheet, refuse_other, shipped
from vtrial.sheets.sheet import Sheet, parse_sheet, read_sheet


@dataclass(frozen=True)
class Known:
    """The names a protocol may use.

    `arms`, `visits`, `rules` and `endpoints` are all that the sheet names, faulty ones
    included, so that one fault is told once. `measured` holds the outputs that each
    visit measures, `words` the codes of the words of the cohort's categories. `cycle`
    [h] is 0 without cycles. Without `model`, because it is missing or faulty, nothing
    that depends on it is checked.
    """

    model: Model | None
    covariates: frozenset[str]
    arms: tuple[str, ...] = ()
    visits: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    measured: Mapping[str, tuple[str, ...]] | None = None
    cycle: float = 0.0
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def with_cycle(self, cycle: float) -> "Known":
        """Return the same names with a cycle's length."""
        return replace(self, cycle=cycle)

    def output(self, name: str) -> Output | None:
        """Return an output of the model by name, if there is one."""
        outputs = self.model.outputs if self.model else ()
        return next((output for output in outputs if output.name == name), None)

    def counts(self, name: str | None) -> bool:
        """Return whether an endpoint of this is one of the ledger, and of no output."""
        name = name or ""
        return self.output(name) is None and self.ledger(name) is not None

    def ledger(self, name: str) -> Output | None:
        """Return what the ledger of doses and decisions has under a name, if it does.

        It is `dose`, for what was given, or the name of a rule, for when it acted.
        """
        if self.model is not None and name == DOSE and self.model.states:
            return Output(DOSE, DOSE, self.model.amount)
        return Output(name, name, "1") if name in self.rules else None


def find_model(name: str, faults: Faults) -> Model | None:
    """Load the model that a sheet names, or note why it cannot be."""
    try:
        return load_model(name, beside=faults.sheet.source)
    except VtrialError as error:
        faults.relay(("model",), error)
    return None


class Given(NamedTuple):
    """The covariates that a cohort gives, and the codes of their words."""

    names: frozenset[str]
    words: dict[str, dict[str, float]]


def find_covariates(name: str, faults: Faults) -> Given | None:
    """Read which covariates the named cohort sheet gives; note what is wrong in it."""
    path = find_sheet(name, kind="cohorts", beside=faults.sheet.source)
    if path is None and find_sheet(name, kind="models", beside=faults.sheet.source):
        faults.add(
            ("cohort",),
            found=f"`{name}`, which holds a model and no people",
            allowed="a cohort, or a fit that was written with its people",
        )
        return None
    if path is None:
        there = sorted(p.stem for p in shipped("cohorts").glob("*.yaml"))
        faults.unknown(("cohort",), name, there, "cohort")
        return None
    try:
        sheet = read_sheet(path)
        refuse_other(sheet, "cohort")
    except VtrialError as error:
        faults.relay(("cohort",), error)
        return None
    # A table beside the sheet may be another one by now.
    told = cohort_faults(sheet) if "table" in sheet.data else _told(sheet)
    for fault in told:
        faults.note(fault)
    data = sheet.data
    names = {*_keys(data.get("covariates")), *_derived(data.get("derive"))}
    names |= _columns(data.get("table"))
    return Given(frozenset(names), words_of(data.get("covariates")))


def _told(sheet: Sheet) -> tuple[Fault, ...]:
    """Return what is wrong in a cohort, which is read once in a process."""
    return _faults_of_text(sheet.source, sheet.text)


@functools.lru_cache(maxsize=16)
def _faults_of_text(source: str, text: str) -> tuple[Fault, ...]:
    return tuple(cohort_faults(parse_sheet(text, source=source)))


def _keys(entry: object) -> list[str]:
    return [str(key) for key in entry] if isinstance(entry, dict | list) else []


def _derived(entry: object) -> list[str]:
    """Name what a cohort derives: a list, a map, or lines of equations."""
    if not isinstance(entry, str):
        parts = entry if isinstance(entry, list) else []
        inner = [key for part in parts if isinstance(part, dict) for key in part]
        return [*_keys(entry), *inner]
    try:
        return [statement.name for statement in parse_assignments(entry)]
    except ModelError:
        return []


def _columns(entry: object) -> set[str]:
    """Name the columns that a cohort takes of the table that it resamples."""
    return set(_keys(entry.get("columns"))) if isinstance(entry, dict) else set()

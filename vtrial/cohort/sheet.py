"""Load a cohort sheet: every fault of it at once, or a Cohort."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from vtrial.cohort.cohort import Cohort, Table, Trait
from vtrial.cohort.derive import read_derived
from vtrial.cohort.distribution import read_marginal
from vtrial.cohort.shape import (
    CohortShape,
    CorrelationShape,
    CovariateShape,
    SourceShape,
    TableShape,
)
from vtrial.cohort.table import read_table
from vtrial.errors import CohortError, Fault, ModelError
from vtrial.model.covariance import flaw, settled
from vtrial.model.grammar import MAX_NAME, RESERVED, parse_expression
from vtrial.model.model import Source
from vtrial.model.tree import Expression, names_in
from vtrial.sheets.find import find_sheet, refuse_other, shipped
from vtrial.sheets.given import given_sheet
from vtrial.sheets.sheet import Path_, Sheet, read_sheet
from vtrial.sheets.validate import check_shape, raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.units import COMMON, is_unit

MAX_TRAITS = 500
Shape = TypeVar("Shape", bound=BaseModel)


def load_cohort(
    name: str | Path | Mapping[str, object], *, beside: str | Path = ""
) -> Cohort:
    """Load a cohort: the path of a sheet, a file beside another, or a shipped name.

    YAML text of several lines, or a dict of what it would say, is the sheet itself.

    Raises
    ------
    CohortError
        With every fault of the sheet and of its table, each with its line.
    SheetError
        If the file is no readable sheet.
    """
    if (given := given_sheet(name)) is not None:
        refuse_other(given, "cohort")
        return cohort_of(given)
    path = find_sheet(str(name), kind="cohorts", beside=beside)
    if path is None:
        known = sorted(p.stem for p in shipped("cohorts").glob("*.yaml"))
        raise CohortError(
            at="cohort",
            found=f"`{name}`, which is no file here and no shipped cohort",
            allowed=f"the path of a sheet or one of {listed(known)}",
            write=f"cohort: {nearest(Path(str(name)).stem, known) or known[0]}",
        )
    sheet = read_sheet(path)
    refuse_other(sheet, "cohort")
    return cohort_of(sheet)


def cohort_of(sheet: Sheet) -> Cohort:
    """Make a Cohort of a sheet that was read.

    Raises
    ------
    CohortError
        With every fault of the sheet and of its table, each with its line.
    """
    reader = _Reader(sheet)
    cohort = reader.cohort()
    raise_faults(CohortError, reader.faults)
    if cohort.eligibility is not None:
        from vtrial.cohort.screen import scarcity

        raise_faults(CohortError, [_placed(sheet, f) for f in scarcity(cohort)])
    return cohort


class _Reader:
    """Reads the parts of a sheet one by one, so that one fault hides no other."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.faults: list[Fault] = check_shape(sheet, CohortShape)[1]
        self.units: dict[str, str] = {}

    def cohort(self) -> Cohort:
        """Read everything; the result counts only if there are no faults."""
        data = self.sheet.data
        table = self._table()
        traits = self._traits()
        names, matrix = self._correlation(traits)
        derived, self.units, faults = read_derived(self.sheet, self.units)
        self.faults += faults
        if not self.units and not self.faults:
            self._add(("cohort",), "without covariates", "given some", "covariates:")
        sources = self._valid_list(("source",), SourceShape)
        return Cohort(
            name=str(data.get("cohort", "")),
            title=str(data.get("title", "")),
            traits=_ordered(traits),
            correlated=names,
            correlation=matrix,
            derived=derived,
            eligibility=self._eligibility(table),
            table=table,
            sources=tuple(source_of(shape) for _, shape in sources),
            text=self.sheet.text,
        )

    def _add(self, path: Path_, found: str, allowed: str, write: str) -> None:
        self.faults.append(
            self.sheet.fault(path, found=found, allowed=allowed, write=write)
        )

    def _valid(self, data: object, shape: type[Shape]) -> Shape | None:
        """Return a part that has the right shape; what is wrong was told before."""
        try:
            return shape.model_validate(data)
        except ValidationError:
            return None

    def _valid_list(self, path: Path_, shape: type[Shape]) -> list[tuple[int, Shape]]:
        entries = self.sheet.data.get(str(path[0]))
        entries = entries if isinstance(entries, list) else []
        found = [(i, self._valid(entry, shape)) for i, entry in enumerate(entries)]
        return [(i, entry) for i, entry in found if entry is not None]

    def _named(self, path: Path_, name: str, unit: str) -> None:
        """Note a name and its unit, and what is wrong with them."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or len(name) > MAX_NAME:
            self._add(path, f"named `{name}`", "a name of letters, digits and _", "WT")
        elif name in RESERVED:
            self._add(
                path, f"`{name}`, a word of the language", "a name of its own", ""
            )
        elif name in self.units:
            self._add(path, f"`{name}` again", "given once", f"{name}_2")
        if not is_unit(unit):
            near = nearest(unit, COMMON)
            self._add((*path, "unit"), f"`{unit}`", "a unit", f"unit: {near or 'kg'}")
            unit = ""
        self.units[name] = unit

    def _table(self) -> Table | None:
        """Read the table and the file that it names."""
        data = self.sheet.data.get("table")
        shape = self._valid(data, TableShape) if data is not None else None
        if shape is None:
            return None
        table, faults = read_table(self.sheet, shape)
        self.faults += faults
        for name, unit in zip(table.names, table.units, strict=True):
            self._named(("table", "columns", name), name, unit)
        return table

    def _traits(self) -> dict[str, Trait]:
        """Read the covariates that are drawn."""
        entries = self.sheet.data.get("covariates") or {}
        if not isinstance(entries, dict):
            return {}
        if len(entries) > MAX_TRAITS:
            self._add(("covariates",), f"{len(entries)}", f"at most {MAX_TRAITS}", "")
        shapes = {}
        for name, entry in entries.items():
            shape = self._valid(entry, CovariateShape)
            unit = entry.get("unit", "1") if isinstance(entry, dict) else "1"
            self._named(("covariates", name), name, str(unit))
            if shape is not None:
                shapes[name] = shape
        traits = {name: self._trait(name, shape) for name, shape in shapes.items()}
        self._check_cases(traits)
        return traits

    def _trait(self, name: str, shape: CovariateShape) -> Trait:
        """Read one covariate: a marginal, or one for each case."""
        path: Path_ = ("covariates", name)
        parts = {"": shape} if not shape.each else dict(shape.each)
        if bool(shape.by) != bool(shape.each):
            found = "`by` without `each`" if shape.by else "`each` without `by`"
            self._add(path, found, "both", "by: FEMALE, each: {0: {...}, 1: {...}}")
        marginals, cases = [], []
        for case, part in parts.items():
            spot = (*path, "each", case) if shape.each else path
            marginal, faults = read_marginal(
                self.sheet, spot, part, within=shape.within if shape.each else None
            )
            self.faults += faults
            marginals.append(marginal)
            if shape.each:
                cases.append(_number(case))
                if cases[-1] is None:
                    self._add(spot, f"`{case}`", f"a value of `{shape.by}`", "0")
        if shape.each and (extra := set(shape.model_fields_set) & _KINDS):
            self._add(path, f"`{min(extra)}` beside `each`", "one or the other", "")
        return Trait(
            name,
            tuple(marginals),
            unit=shape.unit,
            title=shape.title,
            by=shape.by if shape.each else "",
            cases=tuple(case for case in cases if case is not None),
            source=source_of(shape.source) if shape.source else Source(),
        )

    def _check_cases(self, traits: Mapping[str, Trait]) -> None:
        """Hold the cases of `by` against the values of the covariate it names."""
        for trait in traits.values():
            path: Path_ = ("covariates", trait.name, "by")
            if not trait.by:
                continue
            named = traits.get(trait.by)
            if named is None or not _is_category(named):
                known = [t.name for t in traits.values() if _is_category(t)]
                near = nearest(trait.by, known)
                allowed = (
                    f"a categorical covariate ({listed(known) or 'there is none'})"
                )
                self._add(path, f"`{trait.by}`", allowed, f"by: {near}" if near else "")
                continue
            codes = named.codes or ()
            lacking = [f"{code:g}" for code in codes if code not in trait.cases]
            strange = [f"{case:g}" for case in trait.cases if case not in codes]
            if lacking or strange:
                found = f"without {listed(lacking)}" if lacking else ""
                found += " and " if lacking and strange else ""
                found += f"with {listed(strange)}" if strange else ""
                values = listed(f"{code:g}" for code in codes)
                allowed = f"for each value of `{trait.by}`: {values}"
                self._add((*path[:2], "each"), found, allowed, "")

    def _correlation(
        self, traits: Mapping[str, Trait]
    ) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
        """Read the correlations into one matrix, positive semi-definite."""
        entries = self._valid_list(("correlation",), CorrelationShape)
        pairs: dict[frozenset[str], float] = {}
        known = [
            n
            for n, t in traits.items()
            if any(m.kind != "constant" for m in t.marginals)
        ]
        for index, entry in entries:
            path: Path_ = ("correlation", index)
            pair = frozenset(entry.of)
            for name in entry.of:
                if name not in known and name not in self._broken():
                    found = f"of `{name}`, which is not drawn"
                    allowed = f"of two of {listed(known) or 'the covariates'}"
                    near = nearest(name, known)
                    self._add(
                        path, found, allowed, f"of: [{near}, ...]" if near else ""
                    )
            if len(pair) != 2 or pair in pairs:
                found = "given before" if pair in pairs else "of one with itself"
                self._add(path, found, "of two different covariates, once", "")
            pairs[pair] = entry.is_
        members = {name for pair in pairs for name in pair}
        names = tuple(name for name in known if name in members)
        lower = [
            [pairs.get(frozenset((first, second)), 0.0) for second in names[:i]] + [1.0]
            for i, first in enumerate(names)
        ]
        matrix = settled(lower) if names else ()
        if names and not matrix:
            self._add(
                ("correlation",),
                f"not positive semi-definite ({flaw(lower)})",
                "correlations that can hold together; pairs left out count as 0",
                "",
            )
        return names, matrix

    def _broken(self) -> Collection[str]:
        """Name the covariates whose own faults were told before."""
        entries = self.sheet.data.get("covariates") or {}
        return set(entries) if isinstance(entries, dict) and self.faults else ()

    def _eligibility(self, table: Table | None) -> Expression | None:
        """Read the eligibility condition."""
        text, path = self.sheet.data.get("eligibility"), ("eligibility",)
        if not isinstance(text, str) or not text.strip():
            return None
        try:
            tree = parse_expression(text)
        except ModelError as error:
            for fault in error.faults:
                self._add(path, fault.found, fault.allowed, fault.write)
            return None
        known = list(self.units)
        for name in names_in(tree):
            if name.name not in known:
                self._add(
                    path,
                    f"about `{name.name}`, which the cohort does not give",
                    f"about {listed(known)}",
                    nearest(name.name, known),
                )
        if table is not None and table.draw == "in order":
            self._add(
                path,
                "given, though rows are taken in order",
                "left out, or the rows drawn with replacement",
                "draw: with replacement",
            )
        return tree


_KINDS = {"normal", "lognormal", "uniform", "categorical", "empirical", "constant"}


def source_of(shape: SourceShape) -> Source:
    """Turn the shape of a source into a Source."""
    return Source(shape.cite, shape.doi, shape.url, shape.note)


def _is_category(trait: Trait) -> bool:
    """Return whether a trait is categorical with one distribution for all subjects."""
    return not trait.by and trait.marginals[0].kind == "categorical"


def _ordered(traits: Mapping[str, Trait]) -> tuple[Trait, ...]:
    """Put traits that depend on another one after it."""
    return tuple(sorted(traits.values(), key=lambda trait: bool(trait.by)))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _placed(sheet: Sheet, fault: Fault) -> Fault:
    """Give a fault of the whole cohort the place of its condition."""
    return sheet.fault(
        ("eligibility",), found=fault.found, allowed=fault.allowed, write=fault.write
    )

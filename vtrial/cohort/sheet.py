"""Load a cohort sheet: every fault of it at once, or a Cohort."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from vtrial.cohort.category import codes_of, shares_of, words_of
from vtrial.cohort.cohort import Cohort, Table, Trait
from vtrial.cohort.derive import read_derived
from vtrial.cohort.distribution import KINDS, read_marginal
from vtrial.cohort.screen import scarcity
from vtrial.cohort.shape import (
    CohortShape,
    CorrelationShape,
    CovariateShape,
    MarginalShape,
    SourceShape,
    TableShape,
)
from vtrial.cohort.table import read_table
from vtrial.errors import CohortError, Fault, ModelError, UnitError
from vtrial.model.calculus import substitute
from vtrial.model.covariance import flaw, paired, settled
from vtrial.model.grammar import MAX_NAME, RESERVED, parse_expression
from vtrial.model.model import Source
from vtrial.model.tree import Expression, names_in
from vtrial.sheets.find import find_sheet, refuse_other, shipped
from vtrial.sheets.given import given_sheet
from vtrial.sheets.remedy import proved
from vtrial.sheets.sheet import Path_, Sheet, read_sheet
from vtrial.sheets.validate import check_shape, raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.units import dimension

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
            allowed="the path of a sheet or one of "
            + listed(known, like=Path(str(name)).stem),
            write=nearest(Path(str(name)).stem, known),
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
    cohort, faults = _read(sheet)
    raise_faults(CohortError, faults)
    if cohort.eligibility is not None:
        raise_faults(CohortError, [_placed(sheet, f) for f in scarcity(cohort)])
    return cohort


def cohort_faults(sheet: Sheet) -> list[Fault]:
    """Return every fault of a sheet and of its table; nobody is drawn."""
    return _read(sheet)[1]


def _read(sheet: Sheet) -> tuple[Cohort, list[Fault]]:
    """Read a sheet, and hold its remedies against it."""

    def told(other: Sheet) -> list[Fault]:
        reader = _Reader(other)
        reader.cohort()
        return list(dict.fromkeys(reader.faults))

    reader = _Reader(sheet)
    cohort = reader.cohort()
    faults = list(dict.fromkeys(reader.faults))
    return cohort, proved(sheet, faults, told) if faults else faults


class _Reader:
    """Reads the parts of a sheet one by one, so that one fault hides no other."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.faults: list[Fault] = check_shape(sheet, CohortShape)[1]
        self.units: dict[str, str] = {}
        self.words = words_of(sheet.data.get("covariates"))

    def cohort(self) -> Cohort:
        """Read everything; the result counts only if there are no faults."""
        data = self.sheet.data
        table = self._table()
        traits = self._traits()
        names, matrix = self._correlation(traits)
        codes = self._codes()
        derived, self.units, faults = read_derived(self.sheet, self.units, codes)
        self.faults += faults
        if not self.units and not self.faults:
            allowed = "given some, under `covariates`"
            self._add(("cohort",), "without covariates", allowed, "")
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

    def _add(
        self, path: Path_, found: str, allowed: str, write: str, *, old: str = ""
    ) -> None:
        self.faults.append(
            self.sheet.fault(path, found=found, allowed=allowed, write=write, old=old)
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
            allowed = "a name of letters, digits and _, such as WT"
            self._add(path, f"named `{name}`", allowed, "")
        elif name in RESERVED:
            self._add(
                path, f"`{name}`, a word of the language", "a name of its own", ""
            )
        elif name in self.units:
            self._add(path, f"`{name}` again", "given once", "")
        try:
            dimension(unit)
        except UnitError as error:
            fault, at = error.faults[0], (*path, "unit")
            at = path if isinstance(self.sheet.value(path), str) else at
            self._add(at, fault.found, fault.allowed, fault.write)
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
        """Read one covariate: a marginal, one for each case, or a mixture."""
        path: Path_ = ("covariates", name)
        if bool(shape.by) != bool(shape.each):
            found = "`by` without `each`" if shape.by else "`each` without `by`"
            allowed = "both, such as `by: FEMALE, each: {0: {...}, 1: {...}}`"
            self._add(path, found, allowed, "")
        parts, spots, cases = self._parts(path, shape)
        marginals = []
        for spot, part in zip(spots, parts, strict=True):
            inner = part is not shape
            within, clip = (shape.within, shape.clip) if inner else (None, None)
            marginal, faults = read_marginal(
                self.sheet, spot, part, within=within, clip=clip
            )
            self.faults += faults
            marginals.append(marginal)
        several = "each" if shape.each else "mixture" if shape.mixture else ""
        extra = shape.model_fields_set & {*KINDS, "mixture"} - {several}
        if several and extra:
            found = f"`{min(extra)}` beside `{several}`"
            self._add(path, found, "one or the other", "")
        return Trait(
            name,
            tuple(marginals),
            unit=shape.unit,
            title=shape.title,
            by=shape.by if shape.each else "",
            cases=cases,
            source=source_of(shape.source) if shape.source else Source(),
            shares=self._shares(path, shape),
        )

    def _parts(
        self, path: Path_, shape: CovariateShape
    ) -> tuple[list[MarginalShape], list[Path_], tuple[float, ...]]:
        """Return the marginals of a covariate, where they stand, and their cases."""
        if shape.mixture and not shape.each:
            spots: list[Path_] = [
                (*path, "mixture", place) for place in range(len(shape.mixture))
            ]
            return list(shape.mixture), spots, ()
        if not shape.each:
            return [shape], [path], ()
        cases, words = [], self.words.get(shape.by, {})
        for case in shape.each:
            code = words.get(case, _number(case))
            if code is None:
                spot = (*path, "each", case)
                self._add(spot, f"`{case}`", f"a value of `{shape.by}`", "")
            else:
                cases.append(code)
        spots = [(*path, "each", case) for case in shape.each]
        return list(shape.each.values()), spots, tuple(cases)

    def _shares(self, path: Path_, shape: CovariateShape) -> tuple[float, ...]:
        """Return the shares of a mixture, which add up to 1."""
        if shape.each or not shape.mixture:
            return ()
        names = {str(i): part.share for i, part in enumerate(shape.mixture)}
        faults = shares_of(self.sheet, (*path, "mixture"), names)
        self.faults += faults
        total = sum(names.values())
        return tuple(share / total for share in names.values()) if not faults else ()

    def _check_cases(self, traits: Mapping[str, Trait]) -> None:
        """Hold the cases of `by` against the values of the covariate it names."""
        for trait in traits.values():
            path: Path_ = ("covariates", trait.name, "by")
            if not trait.by:
                continue
            named = traits.get(trait.by)
            if named is None or not _is_category(named):
                known = [t.name for t in traits.values() if _is_category(t)]
                there = listed(known, like=trait.by) or "there is none"
                allowed = f"a categorical covariate ({there})"
                near = nearest(trait.by, known)
                self._add(path, f"`{trait.by}`", allowed, near)
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
                    there = listed(known, like=name) or "the covariates"
                    at, near = (*path, "of"), nearest(name, known)
                    self._add(at, found, f"of two of {there}", near, old=name)
            if len(pair) != 2 or pair in pairs:
                found = "given before" if pair in pairs else "of one with itself"
                self._add(path, found, "of two different covariates, once", "")
            pairs[pair] = entry.is_
        members = {name for pair in pairs for name in pair}
        names = tuple(name for name in known if name in members)
        lower = paired(names, pairs)
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

    def _codes(self) -> dict[str, Expression]:
        """Return what the words of categories stand for, where they stand for one."""
        found = codes_of(
            pair for words in self.words.values() for pair in words.items()
        )
        return {word: code for word, code in found.items() if word not in self.units}

    def _eligibility(self, table: Table | None) -> Expression | None:
        """Read the eligibility condition."""
        text, path = self.sheet.data.get("eligibility"), ("eligibility",)
        if not isinstance(text, str) or not text.strip():
            return None
        try:
            tree = substitute(parse_expression(text), self._codes())
        except ModelError as error:
            for fault in error.faults:
                self.faults.append(self.sheet.inside(path, fault))
            return None
        known = list(self.units)
        for name in names_in(tree):
            if name.name not in known:
                self._add(
                    path,
                    f"about `{name.name}`, which the cohort does not give",
                    f"about {listed(known, like=name.name)}",
                    nearest(name.name, known),
                    old=name.name,
                )
        if table is not None and table.draw == "in order":
            self._add(
                path,
                "given, though rows are taken in order",
                "left out, or the rows drawn: `draw: with replacement`",
                "",
            )
        return tree


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

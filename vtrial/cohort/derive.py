"""Read derived covariates: formulas by name, or equations of the sheet's own."""

import dataclasses
import difflib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from vtrial.cohort.cohort import Derived
from vtrial.cohort.formula import FORMULAS, authors, expression_of, formula
from vtrial.cohort.shape import DerivedShape
from vtrial.errors import Fault, ModelError, UnitError
from vtrial.model.calculus import substitute
from vtrial.model.grammar import RESERVED, parse_assignments, parse_expression
from vtrial.model.model import Source
from vtrial.model.tree import Expression, Statement, names_in
from vtrial.sheets.choice import choice
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import said, shape_faults
from vtrial.sheets.words import listed, nearest
from vtrial.units import dimension

SHAPES = "a list of formulas, a map of equations, or a block of equations"


def read_derived(
    sheet: Sheet, units: Mapping[str, str], codes: Mapping[str, Expression]
) -> tuple[tuple[Derived, ...], dict[str, str], list[Fault]]:
    """Return the derived covariates in an order that can be computed, and all faults.

    `units` are those of the covariates that are drawn, empty where they are not known;
    those of everything come back, derived ones that are at fault included. `codes` are
    the numbers that words of categories stand for.
    """
    reader = _Reader(sheet, dict(units), codes)
    entry = sheet.data.get("derive")
    if isinstance(entry, list):
        for index, name in enumerate(entry):
            reader.formula(("derive", index), str(name), "")
    elif isinstance(entry, dict):
        for name, value in entry.items():
            reader.entry(("derive", name), name, value)
    elif isinstance(entry, str):
        reader.block(entry)
    elif entry is not None:
        reader.add(("derive",), f"`{entry}`", f"{SHAPES}: `[BMI, BSA]`", "")
    return reader.ordered(), reader.units, reader.faults


class _Reader:
    """Collects derived covariates and what is wrong with them."""

    def __init__(
        self, sheet: Sheet, units: dict[str, str], codes: Mapping[str, Expression]
    ) -> None:
        self.sheet, self.units, self.codes = sheet, units, codes
        self.drawn = set(units)
        self.faults: list[Fault] = []
        self.found: dict[str, tuple[Derived, Path_, int]] = {}

    def add(
        self, path: Path_, found: str, allowed: str, write: str, **place: Any
    ) -> None:
        """Note a fault; `place` is what `Sheet.fault` takes of lines and words."""
        fault = self.sheet.fault(
            path, found=found, allowed=allowed, write=write, **place
        )
        self.faults.append(fault)

    def entry(self, path: Path_, name: str, value: object) -> None:
        """Read an entry of a map: whose formula, an equation, or one with a unit."""
        if value is None or (isinstance(value, str) and _is_author(name, value)):
            self.formula(path, name, value or "")
            return
        shape = {"equals": value} if isinstance(value, str | int | float) else value
        try:
            given = DerivedShape.model_validate(_text(shape))
        except ValidationError as error:
            self._misshapen(path, value, error)
            self.units.setdefault(name, "1")
            return
        try:
            dimension(given.unit)
        except UnitError as error:
            fault = error.faults[0]
            self.add((*path, "unit"), fault.found, fault.allowed, fault.write)
        text = path if isinstance(value, str) else (*path, "equals")
        try:
            tree = parse_expression(given.equals)
        except ModelError as error:
            self.faults += [self.sheet.inside(text, one) for one in error.faults]
            self.units.setdefault(name, "1")
            return
        source = given.source
        self._keep(
            text,
            Derived(
                Statement("assign", name, tree),
                unit=given.unit,
                title=given.title,
                source=Source(**source.model_dump()) if source else Source(),
            ),
        )

    def formula(self, path: Path_, name: str, author: str) -> None:
        """Take a published formula by name."""
        found = formula(name, author)
        if found is None:
            known = authors(name)
            names = list(dict.fromkeys(entry.name for entry in FORMULAS))
            if known:
                allowed, near = choice(author, known, place="author")
                self.add(path, f"by `{author}`", f"by {allowed}", near)
            else:
                near = nearest(name, names)
                key = name if isinstance(path[-1], str) else ""
                allowed = f"one of {listed(names, like=name)} (docs/cohort.md), or an "
                allowed += "equation of your own"
                self.add(path, f"`{name}`, no known formula", allowed, near, old=key)
            self.units.setdefault(name, "1")
            return
        lacking = [need for need, _ in found.needs if need not in self.drawn]
        computed = self._later()
        lacking = [need for need in lacking if need not in computed]
        if lacking:
            needs = joined([f"{need} [{unit}]" for need, unit in found.needs])
            self.add(
                path,
                f"{name} without {joined(lacking)}",
                f"a formula whose covariates are there: it needs {needs}",
                "",
            )
            self.units.setdefault(name, found.unit)
            return
        try:
            tree = expression_of(found, self.units)
        except UnitError as error:
            fault = error.faults[0]
            self.add(
                ("covariates", fault.at, "unit"),
                fault.found,
                fault.allowed,
                fault.write,
            )
            self.units.setdefault(name, found.unit)
            return
        statement = Statement("assign", name, tree)
        title, unit, source = found.title, found.unit, found.source
        self._keep(path, Derived(statement, unit=unit, title=title, source=source))

    def block(self, text: str) -> None:
        """Read a block of equations; what they give has no unit."""
        try:
            statements = parse_assignments(text)
        except ModelError as error:
            self.faults += [self.sheet.inside(("derive",), f) for f in error.faults]
            return
        for statement in statements:
            self._keep(("derive",), Derived(statement), line=statement.line)

    def ordered(self) -> tuple[Derived, ...]:
        """Return everything in an order in which each needs only earlier ones."""
        known, waiting, done = set(self.drawn), dict(self.found), []
        while waiting:
            ready = [
                name
                for name, (derived, _, _) in waiting.items()
                if _names(derived) <= known
            ]
            if not ready:
                self._stuck(waiting, known)
                break
            known |= set(ready)
            done += [waiting.pop(name)[0] for name in ready]
        return tuple(done)

    def _keep(self, path: Path_, derived: Derived, *, line: int = 0) -> None:
        """Keep a derived covariate, if its name is free."""
        name = derived.name
        coded = substitute(derived.statement.expression, self.codes)
        statement = dataclasses.replace(derived.statement, expression=coded)
        derived = dataclasses.replace(derived, statement=statement)
        if name in self.drawn or name in self.found:
            where = "drawn" if name in self.drawn else "derived before"
            found = f"`{name}`, which is {where}"
            self.add(path, found, f"a new name, such as {name}_2", "", line=line)
        elif name in RESERVED or not name.isidentifier() or name[:1] == "_":
            self.add(path, f"named `{name}`", "a name of letters and digits", "")
        else:
            self.found[name] = (derived, path, line)
            self.units[name] = derived.unit

    def _later(self) -> set[str]:
        """Name everything that the sheet derives."""
        entry = self.sheet.data.get("derive")
        return (
            {str(name) for name in entry} if isinstance(entry, list | dict) else set()
        )

    def _stuck(
        self, waiting: Mapping[str, tuple[Derived, Path_, int]], known: set[str]
    ) -> None:
        """Add faults for what cannot be computed: unknown names, or cycles."""
        names = sorted(known | set(self.units))
        blocked = set(self.units) - known - set(waiting)  # told before
        for name, (derived, path, _) in waiting.items():
            for unknown in sorted(_names(derived) - set(names)):
                blocked |= {name, unknown}
                place = next(
                    n
                    for n in names_in(derived.statement.expression)
                    if n.name == unknown
                )
                self.add(
                    path,
                    f"about `{unknown}`, which the cohort does not give",
                    f"about {listed(names, like=unknown)}",
                    nearest(unknown, names),
                    line=place.line,
                    column=place.column,
                    old=unknown,
                )
        for _ in waiting:
            blocked |= {n for n, (d, _, _) in waiting.items() if _names(d) & blocked}
        circle = [name for name in waiting if name not in blocked]
        if circle:
            _, path, line = waiting[circle[0]]
            found = f"{joined(circle)}, of which none can be computed first"
            self.add(path, found, "computable one after the other", "", line=line)

    def _misshapen(self, path: Path_, value: object, error: ValidationError) -> None:
        """Add what pydantic found of an entry of the map as faults."""
        if not isinstance(value, dict):
            allowed = "an equation, or a map such as `{equals: 0.9*WT, unit: kg}`"
            self.add(path, said(value), allowed, "")
            return
        self.faults += shape_faults(self.sheet, DerivedShape, error, path)


def _names(derived: Derived) -> set[str]:
    return {name.name for name in names_in(derived.statement.expression)}


def joined(names: Collection[str]) -> str:
    """List names that belong together: `a, b and c`."""
    return " and ".join(listed(names).rsplit(" or ", 1))


def _is_author(name: str, text: str) -> bool:
    """Return whether a text names, or nearly names, the author of a formula."""
    known = [entry.author for entry in FORMULAS]
    if text in known:
        return True
    close = difflib.get_close_matches(text, authors(name), n=1, cutoff=0.7)
    return bool(close)


def _text(shape: object) -> object:
    """Let `equals: 1` stand for an equation."""
    if isinstance(shape, dict) and isinstance(shape.get("equals"), int | float):
        return shape | {"equals": str(shape["equals"])}
    return shape

"""Amounts, rates and times of the dosing words, in the model's units."""

import functools
import math
from collections.abc import Collection, Sequence

from vtrial import units
from vtrial.dosing.grammar import AmountTable, Clause, Ladder, Part, Quantity
from vtrial.dosing.regimen import Level
from vtrial.errors import Fault, ModelError, UnitError
from vtrial.model.grammar import parse_expression
from vtrial.model.model import Model
from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.sheets.synonyms import hint
from vtrial.sheets.words import listed, nearest

PER = {"kg": ("WT", "kg"), "m2": ("BSA", "m2"), "m²": ("BSA", "m2")}
MAX_LEVELS = 1000
MAX_ROWS = 100
MAX_CODES = 50
MAX_ADJUSTMENTS = 10
_NUDGE = 1e-9  # so that 0.3 / 0.1 counts as 3 when rounding up or down


class Measures:
    """Turn quantities into numbers or equations; gather faults."""

    def __init__(self, model: Model, known: Collection[str], at: str) -> None:
        self.model = model
        self.known = sorted(known)
        self.at = at
        self.faults: list[Fault] = []

    def fault(
        self, found: str, allowed: str, write: str, column: int, old: str = ""
    ) -> None:
        """Note a fault at a column of the text, where the words `old` stand."""
        fault = Fault(self.at, found, allowed, write, column=column, old=old)
        self.faults.append(fault)

    def levels(self, part: Part, adjust: Sequence[Clause]) -> tuple[Level, ...]:
        """Read the amounts of a part, with caps and rounding in the order written."""
        head = part.head
        if isinstance(head, Ladder):
            levels = self.ladder(head)
        elif isinstance(head, AmountTable):
            levels = (Level(self.table(head), 1),)
        else:
            levels = (self.level(self.amount(head), head, 1),)
        if len(adjust) > MAX_ADJUSTMENTS:
            found = f"{len(adjust)} caps and roundings"
            allowed = f"at most {MAX_ADJUSTMENTS}"
            self.fault(found, allowed, "", adjust[-1].column)
            return levels
        for clause in adjust:
            if isinstance(clause.value, Quantity):
                other = self.scaled(self.value(clause.value), clause.value)
                adjusted = functools.partial(_ADJUSTED[clause.kind], other)
                levels = tuple(
                    Level(adjusted(x.amount), x.doses, x.nominal) for x in levels
                )
        return levels

    def ladder(self, ladder: Ladder) -> tuple[Level, ...]:
        """Write out the levels of an escalation or a taper."""
        doses, up = ladder.doses, ladder.word == "escalating"
        if doses != round(doses) or not 1 <= doses <= 1e5:
            found, allowed = f"every {doses:g} doses", "a whole number of doses"
            self.fault(found, allowed, "", ladder.column)
            return ()
        numbers = self.rungs(ladder)
        if numbers is None:
            return ()
        first, by, last = numbers
        if (last <= first) if up else (last >= first):
            found = f"`{ladder.word}` from {ladder.first.text} to {ladder.last.text}"
            allowed = f"to an amount {'above' if up else 'below'} the first"
            self.fault(found, allowed, "", ladder.last.column)
            return ()
        signed = by if up else -by
        if ladder.by.unit == "%":
            ratio = 1 + signed / 100
            apart = math.log(last / first) / math.log(ratio) if ratio > 0 else 1.0
        else:
            ratio, apart = 0.0, abs(last - first) / by
        if apart > MAX_LEVELS:
            found, allowed = f"{apart:.0f} levels", f"at most {MAX_LEVELS} levels"
            self.fault(found, allowed, "", ladder.by.column)
            return ()
        steps = range(math.ceil(apart - _NUDGE))
        climb = [first * ratio**k if ratio else first + k * signed for k in steps]
        unit = ladder.first._replace(unit=self.per_unit(_per(ladder.first.unit)[1]))
        each = [Number(float(f"{value:.12g}")) for value in [*climb, last]]
        return tuple(self.level(self.scaled(x, unit), unit, int(doses)) for x in each)

    def level(self, amount: Expression, quantity: Quantity, doses: int) -> Level:
        """Make a level of an amount as `scaled` gives it, with the number written."""
        per = _per(quantity.unit)[1].replace("²", "2")
        head = amount.arguments[0] if per and isinstance(amount, Call) else amount
        number = (head.value, per) if isinstance(head, Number) else None
        return Level(amount, doses, number)

    def rungs(self, ladder: Ladder) -> tuple[float, float, float] | None:
        """Read the first amount, the step and the last of a ladder, or None.

        The step is in the unit of the others or in %.
        """
        before = len(self.faults)
        parts = [ladder.first, ladder.by, ladder.last]
        alike = [q for q in parts if q is not ladder.by or q.unit != "%"]
        pers = {_per(quantity.unit)[1] for quantity in alike}
        if any(quantity.kind != "NUMBER" for quantity in parts) or len(pers) > 1:
            found = f"`{ladder.word}` with amounts of different kinds"
            allowed = "three numbers, all plain, all per kg or all per m2, such as "
            allowed += f"`{ladder.word} 2.5 mg by 2.5 mg every 4 doses to 15 mg`"
            self.fault(found, allowed, "", ladder.column)
            return None
        values = []
        for quantity in parts:
            plain = quantity._replace(unit=_per(quantity.unit)[0])
            step = self.value(plain)
            step = step if plain.unit == "%" else self.scaled(step, plain)
            values.append(step.value if isinstance(step, Number) else 1.0)
        first, by, last = values
        return (first, by, last) if len(self.faults) == before else None

    def per_unit(self, per: str) -> str:
        """Write the model's amount, per kg or per m2 if so."""
        return f"{self.model.amount}/{per}" if per else self.model.amount

    def table(self, table: AmountTable) -> Expression:
        """Read a table of amounts into nested `if`."""
        self.name(table.by, table.name_column)
        codes = max(len(row.when) for row in table.rows)
        if len(table.rows) > MAX_ROWS or codes > MAX_CODES:
            found = f"{len(table.rows)} rows of up to {codes} codes"
            allowed = f"at most {MAX_ROWS} rows, of at most {MAX_CODES} codes"
            self.fault(found, allowed, "", table.column)
            return Number(1.0)
        rows = [row for row in table.rows if row.below is not None]
        bounds = [(row.below, row.within) for row in rows]
        if bounds != sorted(set(bounds)):
            found = f"bounds {', '.join(f'{bound:g}' for bound, _ in bounds)}"
            self.fault(found, "ascending", "", table.column)
        result = self.amount(table.other)
        subject = Name(table.by)
        for row in reversed(table.rows):
            if row.below is not None:
                sign = "<=" if row.within else "<"
                test = Call(sign, (subject, Number(row.below)))
            else:
                tests = [Call("==", (subject, Number(code))) for code in row.when]
                test = functools.reduce(lambda a, b: Call("or", (a, b)), tests)
            result = Call("if", (test, self.amount(row.amount), result))
        return result

    def amount(self, quantity: Quantity) -> Expression:
        """Read an amount into the model's unit: `100 mg`, `5 mg/kg`, `DOSE mg`."""
        if quantity.kind == "NUMBER" and float(quantity.value) == 0:
            self.scaled(Number(1.0), quantity)  # its unit is held against the model's
            return Number(0.0)
        return self.scaled(self.value(quantity), quantity)

    def scaled(self, value: Expression, quantity: Quantity) -> Expression:
        """Bring a value in a quantity's unit to the model's amount."""
        unit, per = _per(quantity.unit)
        scale = self.factor(quantity, unit, self.model.amount, "an amount")
        return self.product(value, scale, per, quantity)

    def rate(self, quantity: object) -> Expression:
        """Read the rate of an infusion into the model's amount an hour."""
        if not isinstance(quantity, Quantity):
            return Number(1.0)
        unit, per = _per(quantity.unit)
        scale = self.factor(quantity, unit, f"{self._amount}/h", "a rate")
        return self.product(self.value(quantity), scale, per, quantity)

    def span(self, quantity: object) -> Expression:
        """Read the duration of an infusion [h]."""
        if not isinstance(quantity, Quantity):
            return Number(1.0)
        scale = self.factor(quantity, quantity.unit, "h", "a duration")
        return self.product(self.value(quantity), scale, "", quantity)

    def hours(self, quantity: object, kind: str) -> float:
        """Read a time that must be above zero [h]."""
        before = len(self.faults)
        hours = self.clock(quantity, kind)
        if hours == 0 and len(self.faults) == before and isinstance(quantity, Quantity):
            found = f"{kind} of `{quantity.text}`"
            self.fault(found, "above zero", "", quantity.column)
        return hours or 1.0

    def moment(self, quantity: object) -> float:
        """Read a time on the clock [h]; day 0 begins at 0."""
        return self.clock(quantity, "a time")

    def clock(self, quantity: object, kind: str) -> float:
        """Read a time of zero or more [h]."""
        if not isinstance(quantity, Quantity):
            return 0.0
        if quantity.kind != "NUMBER":
            found = f"{kind} of `{quantity.text}`"
            alone = meant_alone(quantity)
            allowed = "a number and a unit, the same for everybody, such as `24 h`"
            near = hint("unit", quantity.value)
            self.fault(found, near or allowed, alone, quantity.column, quantity.value)
            return 0.0
        number = float(quantity.value)
        if not 0 <= number < math.inf:
            found = f"{kind} of `{quantity.text}`"
            self.fault(found, "zero or more", "", quantity.column)
            return 0.0
        return number * self.factor(quantity, quantity.unit, "h", kind)

    def looks_like_rate(self, quantity: Quantity) -> bool:
        """Return whether the quantity after `at` is a rate, not a time."""
        unit, _ = _per(quantity.unit)
        head = unit.split("/")[0]
        return "/" in quantity.unit or (
            units.is_unit(head) and not units.compatible(head, "h")
        )

    def value(self, quantity: Quantity) -> Expression:
        """Read what stands before the unit: a number, a name, or an equation."""
        if quantity.kind == "NUMBER":
            number = float(quantity.value)
            if not 0 < number < math.inf:
                found = f"`{quantity.text}`"
                self.fault(found, "above zero", "", quantity.column)
                return Number(1.0)
            return Number(number)
        if quantity.kind == "WORD":
            self.name(quantity.value, quantity.column)
            return Name(quantity.value)
        try:
            expression = parse_expression(quantity.value[1:-1])
        except ModelError as error:
            for fault in error.faults:
                column = quantity.column + max(fault.column, 1)
                told = (fault.found, fault.allowed, fault.write)
                self.fault(*told, column, fault.old)
            return Number(1.0)
        for name in names_in(expression):
            self.name(name.name, quantity.column + max(name.column, 1))
        return expression

    def name(self, name: str, column: int) -> None:
        """Refuse a name that is not a covariate."""
        if name not in self.known:
            found = f"`{name}`, which is no covariate here"
            there = listed(self.known, like=name)
            allowed = f"one of {there}" if self.known else "a number"
            self.fault(found, allowed, nearest(name, self.known), column, name)

    def factor(self, quantity: Quantity, unit: str, to: str, kind: str) -> float:
        """Return what a quantity is multiplied by to be in the unit `to`."""
        column = quantity.unit_column
        if not unit:
            if units.is_unit(to) and units.compatible(to, "1"):
                return units.factor("1", to)
            found = f"`{quantity.text}`, a number without a unit"
            number = quantity.value
            such = f"`{number} h`" if to == "h" else f"`{number} {to}`"
            such += f" or `day {number}`" if kind == "a time" else ""
            self.fault(found, f"{kind} with its unit, such as {such}", "", column)
            return 1.0
        try:
            units.dimension(unit)
        except UnitError as error:
            found = f"`{quantity.unit}`, which is no unit"
            near = hint("unit", quantity.unit)
            allowed = near or f"{kind} in a unit such as {to}"
            write = error.faults[0].write
            self.fault(found, allowed, write, column, quantity.unit)
            return 1.0
        try:
            return units.factor(unit, to, molar_mass=self.model.molar_mass)
        except UnitError:
            found = f"`{quantity.text}`"
            allowed = f"{kind} that converts to {to}"
            if self.model.molar_mass <= 0 and kind in ("an amount", "a rate"):
                allowed += " (mass and moles need the model's `molar_mass`)"
            self.fault(found, allowed, "", column)
            return 1.0

    def product(
        self, value: Expression, scale: float, per: str, quantity: Quantity
    ) -> Expression:
        """Multiply by a conversion and, if so, by body weight or surface."""
        if isinstance(value, Number):
            value = Number(value.value * scale)
        elif scale != 1.0:
            value = Call("*", (Number(scale), value))
        if not per:
            return value
        name, unit = PER[per]
        if name not in self.known:
            found = f"`{quantity.text}`, though nobody's {name} is known"
            allowed = (
                f"an amount for everybody, or {name} [{unit}] among the covariates"
            )
            self.fault(found, allowed, "", quantity.unit_column)
        stated = {c.name: c.unit for c in self.model.covariates}.get(name, unit)
        body: Expression = Name(name)
        if stated != unit and units.is_unit(stated) and units.compatible(stated, unit):
            body = Call("*", (Number(units.factor(stated, unit)), body))
        return Call("*", (value, body))

    @functools.cached_property
    def _amount(self) -> str:
        return self.model.amount


def meant_alone(quantity: Quantity) -> str:
    """Write `day` alone, as in `every day`, with its number."""
    return f"1 {quantity.value}" if quantity.value in ("day", "week", "hour") else ""


def _per(unit: str) -> tuple[str, str]:
    """Part `mg/kg/h` into `mg/h` and `kg`."""
    head, *below = unit.split("/")
    for index, word in enumerate(below):
        if word in PER:
            return "/".join([head, *below[:index], *below[index + 1 :]]), word
    return unit, ""


def _rounded(shift: float, unit: Expression, amount: Expression) -> Expression:
    """Round to multiples of a unit: down after adding a share of it."""
    ratio = Call("+", (Call("/", (amount, unit)), Number(shift)))
    return Call("*", (unit, Call("floor", (ratio,))))


_ADJUSTED = {
    "most": lambda other, amount: Call("min", (amount, other)),
    "least": lambda other, amount: Call("max", (amount, other)),
    "round_near": functools.partial(_rounded, 0.5),
    "round_down": functools.partial(_rounded, _NUDGE),
    "round_up": functools.partial(_rounded, 1.0 - _NUDGE),
}

"""Formulas of body size and kidney function that a sheet can ask for by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from vtrial.errors import UnitError
from vtrial.model.grammar import parse_expression
from vtrial.model.model import Source
from vtrial.model.tree import Call, Expression, Name, Number
from vtrial.units import factor

CREATININE = 113.12  # g/mol, C4H7N3O


@dataclass(frozen=True)
class Formula:
    """A published formula: what it gives, of what, and in which units it counts."""

    name: str
    author: str
    title: str
    unit: str
    equation: str
    needs: tuple[tuple[str, str], ...]
    source: Source


_SIZE = (("WT", "kg"), ("HT", "cm"))
_BSA = "body surface area"
FORMULAS = (
    Formula(
        "BMI",
        "Quetelet",
        "body mass index",
        "kg/m2",
        "WT / (HT/100)^2",
        _SIZE,
        Source(
            cite="Quetelet A. Sur l'homme et le developpement de ses facultes. 1835"
        ),
    ),
    Formula(
        "BSA",
        "Du Bois",
        _BSA,
        "m2",
        "0.007184 * WT^0.425 * HT^0.725",
        _SIZE,
        Source(cite="Du Bois D, Du Bois EF. Arch Intern Med 1916;17:863-871"),
    ),
    Formula(
        "BSA",
        "Mosteller",
        _BSA,
        "m2",
        "sqrt(WT * HT / 3600)",
        _SIZE,
        Source(
            cite="Mosteller RD. N Engl J Med 1987;317:1098",
            doi="10.1056/NEJM198710223171717",
        ),
    ),
    Formula(
        "FFM",
        "Janmahasatian",
        "fat-free mass",
        "kg",
        "if(FEMALE == 1, 9270 * WT / (8780 + 244 * WT/(HT/100)^2),"
        " 9270 * WT / (6680 + 216 * WT/(HT/100)^2))",
        (*_SIZE, ("FEMALE", "1")),
        Source(
            cite="Janmahasatian S et al. Clin Pharmacokinet 2005;44:1051-1065",
            doi="10.2165/00003088-200544100-00004",
        ),
    ),
    Formula(
        "CRCL",
        "Cockcroft-Gault",
        "creatinine clearance",
        "mL/min",
        "(140 - AGE) * WT / (72 * SCR) * if(FEMALE == 1, 0.85, 1)",
        (("AGE", "a"), ("WT", "kg"), ("SCR", "mg/dL"), ("FEMALE", "1")),
        Source(
            cite="Cockcroft DW, Gault MH. Nephron 1976;16:31-41",
            doi="10.1159/000180580",
        ),
    ),
)


def formula(name: str, author: str = "") -> Formula | None:
    """Find a formula by what it gives and, where there are several, whose it is.

    Examples
    --------
    >>> formula("BSA").author, formula("BSA", "Mosteller").equation
    ('Du Bois', 'sqrt(WT * HT / 3600)')
    """
    for entry in FORMULAS:
        if entry.name == name and author.lower() in ("", entry.author.lower()):
            return entry
    return None


def authors(name: str) -> list[str]:
    """List whose formulas there are for something."""
    return [entry.author for entry in FORMULAS if entry.name == name]


def expression_of(found: Formula, units: Mapping[str, str]) -> Expression:
    """Return a formula's expression for covariates that have units of their own.

    A covariate whose unit is not known (empty) counts as being in the formula's.

    Raises
    ------
    UnitError
        If a covariate's unit does not convert to the one in which the formula counts;
        `at` is the covariate's name.
    """
    sizes = {}
    for name, unit in found.needs:
        try:
            mass = CREATININE if name == "SCR" else 0.0
            sizes[name] = factor(units.get(name) or unit, unit, molar_mass=mass)
        except UnitError as error:
            raise UnitError(
                at=name,
                found=f"in `{units[name]}`",
                allowed=f"in a unit that converts to `{unit}` for {found.name}",
                write="",
            ) from error
    return _scaled(parse_expression(found.equation), sizes)


def _scaled(node: Expression, sizes: Mapping[str, float]) -> Expression:
    """Multiply names by factors, all through an expression."""
    if isinstance(node, Name) and sizes.get(node.name, 1.0) != 1.0:
        return Call("*", (node, Number(sizes[node.name])))
    if isinstance(node, Call):
        arguments = tuple(_scaled(argument, sizes) for argument in node.arguments)
        return Call(node.function, arguments)
    return node

"""Define a model as a Python function that writes its equations.

The function is called once with an object that stands for the equations; what it sets
on it becomes a line of the sheet. Nothing is compiled from text, and the Model is the
same as that of the equal sheet.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from vtrial.errors import Fault, ModelError, VtrialError
from vtrial.model.grammar import PROPERTIES, write_statement
from vtrial.model.model import Model
from vtrial.model.sheet import read_model
from vtrial.model.tree import FUNCTIONS, Call, Expression, Name, Number, Statement
from vtrial.sheets.sheet import parse_sheet

KINDS = {"ddt": "derivative", "init": "initial", **{p: p for p in PROPERTIES}}


def define(
    *,
    name: str,
    outputs: Mapping[str, object],
    parameters: Mapping[str, object] | None = None,
    covariates: Mapping[str, object] | None = None,
    random: Sequence[Mapping[str, object]] = (),
    **more: object,
) -> Callable[[Callable[["Equations"], None]], Model]:
    """Make a Model of a Python function that writes the equations.

    Everything but the equations is given as in a sheet, under the same keys. The
    function gets the equations, `m`: setting `m.CL` assigns a variable, `m.ddt.depot`
    writes d/dt, `m.init.depot` the start, `m.F.depot`, `m.lag.depot`, `m.rate.depot`
    and `m.duration.depot` what happens to doses. Reading `m.CL`, `m.eta.CL`, `m.t` or
    `m.tad` gives a name; `m.exp(...)` and the other functions of the equations are
    there, with `m.if_(condition, a, b)` for a choice and `&`, `|`, `~` for logic, and
    `m.lag(m.central, m.TAU)` for a state's past.

    Parameters
    ----------
    name
        The model's name.
    outputs, parameters, covariates, random
        As in a sheet.
    more
        Other keys of a sheet: `title`, `source`, `time`, `amount`, `molar_mass`,
        `uncertainty`, `nonnegative`.

    Returns
    -------
    A decorator: the decorated name is the Model.

    Raises
    ------
    ModelError
        With every fault; one in an equation has the line of the Python file.

    Examples
    --------
    >>> @define(
    ...     name="mine",
    ...     parameters={"tvCL": {"value": 5.0, "unit": "L/h"}, "V": {"value": 50.0}},
    ...     random=[{"of": "CL", "cv": "30 %"}],
    ...     outputs={"conc": {"unit": "mg/L"}},
    ... )
    ... def mine(m):
    ...     m.CL = m.tvCL * m.exp(m.eta.CL)
    ...     m.ddt.central = -m.CL / m.V * m.central
    ...     m.conc = m.central / m.V
    >>> mine.states, mine.etas
    (('central',), ('eta.CL',))
    """
    sections = {
        "model": name,
        **more,
        "covariates": covariates,
        "parameters": parameters,
        "random": list(random),
        "outputs": outputs,
    }

    def trace(function: Callable[["Equations"], None]) -> Model:
        equations = Equations()
        function(equations)
        statements = equations._statements
        text = _sheet(sections, statements)
        source = function.__code__.co_filename
        try:
            return read_model(parse_sheet(text, source=source))
        except VtrialError as error:
            first = text.count("\n") - len(statements)
            lines = {first + n: s.line for n, s in enumerate(statements, start=1)}
            faults = [_in_python(fault, lines) for fault in error.faults]
            raise ModelError.of(faults) from None

    return trace


class Equations:
    """The equations of a model while a Python function writes them."""

    def __init__(self) -> None:
        self.__dict__["_statements"] = []

    def __getattr__(self, name: str) -> Any:
        if name == "eta":
            return _Effects()
        if name in KINDS:
            return _Lines(self._statements, KINDS[name])
        if name == "if_":
            return _function("if")
        if name in FUNCTIONS:
            return _function(name)
        if name.startswith("_"):
            raise AttributeError(name)
        return Symbol(Name(name))

    def __setattr__(self, name: str, value: object) -> None:
        _write(self._statements, "assign", name, value)


class _Lines:
    """Lines of one kind, as `d/dt(...)`: set one by the name of its state."""

    _statements: list[Statement]
    _kind: str

    def __init__(self, statements: list[Statement], kind: str) -> None:
        self.__dict__.update(_statements=statements, _kind=kind)

    def __setattr__(self, name: str, value: object) -> None:
        _write(self._statements, self._kind, name, value)

    def __call__(self, *arguments: object) -> "Symbol":
        """Return what a state was: `m.lag(m.n, m.TAU)`; nothing else is asked so."""
        return _call(self._kind, *arguments)


class _Effects:
    """The random effects: `m.eta.CL`."""

    def __getattr__(self, name: str) -> "Symbol":
        return Symbol(Name(f"eta.{name}"))


class Symbol:
    """An expression on its way into the equations; arithmetic makes longer ones."""

    __slots__ = ("tree",)
    __hash__ = object.__hash__
    __array_ufunc__ = None  # NumPy numbers leave the arithmetic to us

    def __init__(self, tree: Expression) -> None:
        self.tree = tree

    def __add__(self, other: object) -> "Symbol":
        return _call("+", self, other)

    def __radd__(self, other: object) -> "Symbol":
        return _call("+", other, self)

    def __sub__(self, other: object) -> "Symbol":
        return _call("-", self, other)

    def __rsub__(self, other: object) -> "Symbol":
        return _call("-", other, self)

    def __mul__(self, other: object) -> "Symbol":
        return _call("*", self, other)

    def __rmul__(self, other: object) -> "Symbol":
        return _call("*", other, self)

    def __truediv__(self, other: object) -> "Symbol":
        return _call("/", self, other)

    def __rtruediv__(self, other: object) -> "Symbol":
        return _call("/", other, self)

    def __pow__(self, other: object) -> "Symbol":
        return _call("^", self, other)

    def __rpow__(self, other: object) -> "Symbol":
        return _call("^", other, self)

    def __mod__(self, other: object) -> "Symbol":
        return _call("mod", self, other)

    def __neg__(self) -> "Symbol":
        return _call("negative", self)

    def __pos__(self) -> "Symbol":
        return self

    def __abs__(self) -> "Symbol":
        return _call("abs", self)

    def __lt__(self, other: object) -> "Symbol":
        return _call("<", self, other)

    def __le__(self, other: object) -> "Symbol":
        return _call("<=", self, other)

    def __gt__(self, other: object) -> "Symbol":
        return _call(">", self, other)

    def __ge__(self, other: object) -> "Symbol":
        return _call(">=", self, other)

    def __eq__(self, other: object) -> "Symbol":  # type: ignore[override]
        return _call("==", self, other)

    def __ne__(self, other: object) -> "Symbol":  # type: ignore[override]
        return _call("!=", self, other)

    def __and__(self, other: object) -> "Symbol":
        return _call("and", self, other)

    def __or__(self, other: object) -> "Symbol":
        return _call("or", self, other)

    def __invert__(self) -> "Symbol":
        return _call("not", self)

    def __bool__(self) -> bool:
        raise _refused(
            "a condition that Python should decide (if, and, or, not, a < b < c)",
            "part of the equations",
            "m.if_(condition, a, b), &, |, ~",
        )

    def __float__(self) -> float:
        raise _refused(
            "a name of the equations where a number is asked for",
            "a function of the equations",
            "m.exp(...), not math.exp(...)",
        )


def _function(name: str) -> Callable[..., Symbol]:
    """Return a function of the equations, to be called from Python."""
    function = FUNCTIONS[name]

    def apply(*arguments: object) -> Symbol:
        most = len(arguments) if function.most < 0 else function.most
        if not function.least <= len(arguments) <= most:
            found = f"`{name}` with {len(arguments)} arguments"
            raise _refused(found, f"given {function.least}", "")
        return _call(name, *arguments)

    return apply


def _call(function: str, *arguments: object) -> Symbol:
    return Symbol(Call(function, tuple(_tree(argument) for argument in arguments)))


def _tree(value: object) -> Expression:
    """Take an expression or a number."""
    if isinstance(value, Symbol):
        return value.tree
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(cast(float, value)):
        found = f"a {type(value).__name__} (`{value}`)"[:80]
        raise _refused(found, "a number or a name of the equations", "")
    plain = float(cast(float, value))
    if plain < 0:  # as the sheet has it: a sign before a number
        return Call("negative", (Number(-plain),))
    return Number(plain)


def _write(statements: list[Statement], kind: str, name: str, value: object) -> None:
    """Write a line, and note where in the Python file it stands."""
    statements.append(Statement(kind, name, _tree(value), _line()))


def _line() -> int:
    """Return the line of the function that is being traced."""
    return _place()[1]


def _place() -> tuple[str, int]:
    """Return file and line of the function that is being traced."""
    inner, frame = None, sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "trace" and code.co_filename == __file__ and inner:
            return inner.f_code.co_filename, inner.f_lineno
        inner, frame = frame, frame.f_back
    return "", 0


def _refused(found: str, allowed: str, write: str) -> ModelError:
    source, line = _place()
    return ModelError("equations", found, allowed, write, source=source, line=line)


def _sheet(sections: Mapping[str, object], statements: Sequence[Statement]) -> str:
    """Write the sheet that a definition stands for; JSON is YAML, too."""
    lines = [
        f"{key}: {json.dumps(_plain(value))}"
        for key, value in sections.items()
        if value is not None and value != []
    ]
    lines.append("equations: |")
    return "\n".join([*lines, *(f"  {write_statement(s)}" for s in statements)]) + "\n"


def _plain(value: object) -> object:
    """Turn what a Python programmer may hand over into plain data."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.number):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, int | float | str | None) else str(value)


def _in_python(fault: Fault, lines: Mapping[int, int]) -> Fault:
    """Move a fault from the sheet written for it to the line of the Python file."""
    if fault.at == "equations" or fault.line in lines:
        return fault._replace(line=lines.get(fault.line, 0), column=0)
    return fault._replace(line=0, column=0)

"""Residual errors that equations give, as statements that observations compute.

An error's standard deviation, or what is added to a prediction, may be an equation of
anything that the model knows: parameters, covariates, random effects, states, the time,
and the outputs themselves. It becomes a statement of its own name, `conc.sd`, which no
equation of a sheet can spell.
"""

from collections.abc import Mapping, Sequence

from vtrial.errors import Fault
from vtrial.model.calculus import substitute
from vtrial.model.covariance import Matrix, flaw, paired, settled
from vtrial.model.error_shape import ErrorShape, ErrorsShape
from vtrial.model.grammar import check_names, parse_expression
from vtrial.model.model import Law, ResidualError
from vtrial.model.shape import OutputShape
from vtrial.model.tree import Call, Expression, Name, Number, Statement
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed, nearest
from vtrial.units import hours

GIVEN = ("additive", "proportional", "sd", "log", "logit", "beta", "bias")
LAWS: tuple[Law, ...] = ("log", "logit", "beta")
Outputs = Mapping[str, OutputShape]
Parts = Mapping[str, Expression]


def error_of(name: str, outputs: Outputs) -> ResidualError:
    """Return the residual error of an output."""
    shape = outputs[name].error
    if shape is None:
        return ResidualError()
    law: Law = "student" if shape.student else "normal"
    for curved in LAWS:
        law = curved if getattr(shape, curved) is not None else law
    plain = not _is_computed(shape)
    low, high = shape.between or (0.0, 1.0)
    return ResidualError(
        additive=_number(shape.additive) if plain else 0.0,
        proportional=_number(shape.proportional) if plain else 0.0,
        log=_number(shape.log) if plain else 0.0,
        law=law,
        spread="" if plain else f"{name}.sd",
        bias=f"{name}.bias" if shape.bias else "",
        low=low,
        high=high,
        freedom=shape.student or 0.0,
        memory=hours(shape.memory) if shape.memory else 0.0,
    )


def error_statements(outputs: Outputs, assigned: set[str]) -> tuple[Statement, ...]:
    """Return the statements that residual errors ask for, in the sheet's time.

    `assigned`: what the equations assign; another name of an output stands for what it
    equals.
    """
    known: dict[str, Expression] = {
        name: Name(output.equals)
        for name, output in outputs.items()
        if output.equals and name not in assigned
    }
    found = []
    for name, output in outputs.items():
        if output.error is None:
            continue
        parts = _parts(output.error)
        if _is_computed(output.error):
            spread = _spread(output.error, parts, Name(output.equals or name))
            found.append((f"{name}.sd", spread))
        if "bias" in parts:
            found.append((f"{name}.bias", parts["bias"]))
    return tuple(
        Statement("assign", name, substitute(tree, known), 0) for name, tree in found
    )


def error_correlation(
    rows: Sequence[ErrorsShape], outputs: Outputs
) -> tuple[tuple[str, ...], Matrix]:
    """Return the correlation of residual errors; empty if it is none or impossible."""
    pairs = {frozenset(row.of): row.correlation for row in rows}
    members = {name for pair in pairs for name in pair}
    names = tuple(name for name in outputs if name in members)
    return names, settled(paired(names, pairs)) if names else ()


def check_errors(
    sheet: Sheet, shapes: Outputs, rows: Sequence[ErrorsShape], known: set[str]
) -> list[Fault]:
    """Find unknown names in equations of errors, and correlations that cannot be."""
    faults = []
    for name, output in shapes.items():
        for key in GIVEN if output.error else ():
            text = getattr(output.error, key)
            if isinstance(text, str):
                path = ("outputs", name, "error", key)
                statement = Statement(
                    "assign", f"{name}.{key}", parse_expression(text), 0
                )
                found = check_names([statement], {*known, *shapes})
                faults += [
                    sheet.fault(
                        path,
                        found=f.found,
                        allowed=f.allowed,
                        write=f.write,
                        line=max(f.line, 1),
                        column=f.column,
                        old=f.old,
                    )
                    for f in found
                ]
    return faults + _check_correlation(sheet, shapes, rows)


def _check_correlation(
    sheet: Sheet, shapes: Outputs, rows: Sequence[ErrorsShape]
) -> list[Fault]:
    """Find correlations of what has no normal error, and such that cannot hold."""
    drawn = [n for n, o in shapes.items() if o.error and o.error.beta is None]
    faults, seen = [], set()
    for index, row in enumerate(rows):
        path: Path_ = ("errors", index, "of")
        for name in row.of:
            if name not in drawn:
                allowed = f"of outputs with an error: {listed(drawn) or 'none has one'}"
                found, near = f"of `{name}`", nearest(name, drawn)
                faults.append(
                    sheet.fault(path, found=found, allowed=allowed, write=near)
                )
        if len(set(row.of)) != 2 or frozenset(row.of) in seen:
            found = "given before" if frozenset(row.of) in seen else "of one output"
            allowed = "of two different outputs, once"
            faults.append(sheet.fault(path, found=found, allowed=allowed, write=""))
        seen.add(frozenset(row.of))
    if rows and not faults and not error_correlation(rows, shapes)[1]:
        pairs = {frozenset(row.of): row.correlation for row in rows}
        names = sorted({name for pair in pairs for name in pair})
        found = f"not positive semi-definite ({flaw(paired(names, pairs))})"
        allowed = "correlations that can hold together"
        faults.append(sheet.fault(("errors",), found=found, allowed=allowed, write=""))
    return faults


def _is_computed(shape: ErrorShape) -> bool:
    """Return whether the spread is computed, and not two numbers or one."""
    plain = (shape.additive, shape.proportional, shape.log)
    special = shape.sd or shape.logit or shape.beta or shape.exponent
    return bool(special) or any(isinstance(part, str) for part in plain)


def _parts(shape: ErrorShape) -> dict[str, Expression]:
    """Parse what is given."""
    given = {key: getattr(shape, key) for key in GIVEN}
    return {
        key: parse_expression(part) if isinstance(part, str) else Number(float(part))
        for key, part in given.items()
        if part is not None
    }


def _spread(shape: ErrorShape, parts: Parts, prediction: Name) -> Expression:
    """Return the standard deviation, or the precision, as one expression."""
    for key in ("sd", "log", "logit", "beta"):
        if key in parts:
            return parts[key]
    size: Expression | None = None
    if "proportional" in parts:
        power: Expression = Call("abs", (prediction,))
        if shape.exponent is not None:
            power = Call("^", (power, Number(shape.exponent)))
        size = Call("*", (parts["proportional"], power))
    if "additive" not in parts:
        return size or Number(0.0)
    if size is None:
        return parts["additive"]
    squares = [Call("^", (part, Number(2.0))) for part in (parts["additive"], size)]
    return Call("sqrt", (Call("+", tuple(squares)),))


def _number(value: float | str | None) -> float:
    return value if isinstance(value, float) else 0.0

r"""Covariates that move between records: the equations see where they are.

A covariate that was read `linear` becomes a variable of time,

$$ X(t) = X_{before} + X_{slope}\, (t - since), $$

whose three numbers change from period to period. The model then looks at the clock and
is solved in steps of controlled size. What is needed at one moment only (F, lag, rate,
duration, initial values) reads the value at the end of the period instead, which is
that moment: a period ends at each record and additional dose.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vtrial.dosing.table import Events
from vtrial.errors import Fault, SolverError
from vtrial.model.calculus import substitute
from vtrial.model.model import Covariate, Model
from vtrial.model.tree import TIME, Call, Expression, Name, Statement, names_in
from vtrial.sheets.words import listed

SINCE = "|since"  # names that no sheet can hold
ENTRY = ("F", "rate", "duration")


def interpolate(
    model: Model, events: Events
) -> tuple[Model, dict[str, Float[np.ndarray, "subject period"]]]:
    """Return the model that follows moving covariates, and what it asks of subjects.

    A model whose covariates stand still is returned as it is, and so are codes of a
    category (`values`): half-way between two of them there is nothing.

    Raises
    ------
    SolverError
        If what a lagged dose does depends on a covariate that moves meanwhile.
    """
    given = {k: v for k, v in events.covariates.items() if k in model.inputs}
    moving = tuple(
        c
        for c in model.covariates
        if c.name in events.slopes and not c.values and events.slopes[c.name].any()
    )
    if not moving:
        return model, given
    for covariate in moving:
        name, slope = covariate.name, events.slopes[covariate.name]
        value = given.pop(name)
        # A line goes from the value at the record before to that at the period's end.
        earlier = np.concatenate([value[:, :1], value[:, :-1]], axis=1)
        given[f"{name}|record"] = value
        given[f"{name}|before"] = np.where(slope != 0, earlier, value)
        given[f"{name}|slope"] = slope
    given[SINCE] = np.where(np.isfinite(events.periods), events.periods, 0.0)
    return _following(model, moving), given


def _following(model: Model, moving: Sequence[Covariate]) -> Model:
    """Rewrite a model so that some covariates are variables of time."""
    held: dict[str, Expression] = {c.name: Name(f"{c.name}|record") for c in moving}
    static = {s.name for s in model.structure.static}
    _refuse_lagged(model, moving)
    statements = [Statement("assign", c.name, _line(c.name)) for c in moving]
    for statement in model.statements:
        kind, name, expression = statement.kind, statement.name, statement.expression
        reads = any(found.name in held for found in names_in(expression))
        if not reads or kind == "derivative":
            statements.append(statement)
            continue
        at_record = substitute(expression, held)
        if kind != "assign":
            statements.append(Statement(kind, name, at_record, statement.line))
            continue
        statements.append(statement)
        if name in static:
            held[name] = Name(f"{name}|record")
            statements.append(Statement("assign", f"{name}|record", at_record))
    names = {c.name for c in moving}
    still = [c for c in model.covariates if c.name not in names]
    columns = [
        Covariate(f"{c.name}|{part}", c.unit, typical=typical)
        for c in moving
        for part, typical in (
            ("record", c.typical),
            ("before", c.typical),
            ("slope", 0.0),
        )
    ]
    return replace(
        model,
        statements=tuple(statements),
        covariates=(*still, *columns, Covariate(SINCE, "h", typical=0.0)),
    )


def _line(name: str) -> Expression:
    """Write before + slope * (t - since)."""
    passed = Call("-", (Name(TIME), Name(SINCE)))
    moved = Call("*", (Name(f"{name}|slope"), passed))
    return Call("+", (Name(f"{name}|before"), moved))


def _refuse_lagged(model: Model, moving: Sequence[Covariate]) -> None:
    """Refuse F, rate or duration of a lagged dose by a covariate that moves.

    A lag is known only when the subject is; no period ends where the dose enters.
    """
    lagged = {s.name for s in model.structure.properties if s.kind == "lag"}
    names = {c.name for c in moving}
    for statement in model.structure.static:
        if any(found.name in names for found in names_in(statement.expression)):
            names.add(statement.name)
    faults = [
        Fault(
            at=f"{s.kind}({s.name}) of {model.name}",
            found=f"a function of {listed([c.name for c in moving])}, which moves "
            "between the record of a dose and its entry after a lag",
            allowed=f"free of it, or {s.name} without a lag, or covariates in steps",
            write="backward",
        )
        for s in model.structure.properties
        if s.kind in ENTRY
        and s.name in lagged
        and any(found.name in names for found in names_in(s.expression))
    ]
    if faults:
        raise SolverError.of(faults)

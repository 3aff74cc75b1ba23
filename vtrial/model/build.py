"""From the shape of a sheet to the frozen Model: numbers only, every fault known."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vtrial.errors import Fault
from vtrial.model.calculus import substitute
from vtrial.model.chance import Chance
from vtrial.model.classes import classes_of
from vtrial.model.covariance import Matrix, settled
from vtrial.model.error_equations import (
    error_correlation,
    error_of,
    error_statements,
)
from vtrial.model.model import (
    Covariate,
    Model,
    Output,
    Parameter,
    RandomBlock,
    Source,
)
from vtrial.model.shape import (
    UNITS,
    CovariateShape,
    JointShape,
    ModelShape,
    OutputShape,
    ParameterShape,
    RandomShape,
    SourceShape,
)
from vtrial.model.tree import (
    TIME,
    TIME_AFTER_DOSE,
    Call,
    Expression,
    Name,
    Number,
    Statement,
)
from vtrial.units import hours


def build(
    shape: ModelShape,
    statements: Sequence[Statement],
    chance: Chance | None = None,
    *,
    text: str = "",
    warnings: Sequence[Fault] = (),
) -> Model:
    """Make the Model of a sheet without faults; its equations come out in hours."""
    joint = {name: row for row in shape.uncertainty for name in row.of}
    parameters = tuple(
        _parameter(name, entry, joint.get(name))
        for name, entry in shape.parameters.items()
    )
    assigned = {s.name for s in statements if s.kind in ("assign", "derivative")}
    errors = error_statements(shape.outputs, assigned)
    names, correlation = error_correlation(shape.errors, shape.outputs)
    covariates = tuple(_covariate(n, c) for n, c in shape.covariates.items())
    typical = {p.name: p.value for p in parameters}
    typical |= {c.name: c.typical for c in covariates}
    return Model(
        name=shape.model,
        statements=in_hours((*statements, *errors), shape.time),
        parameters=parameters,
        covariates=covariates,
        random=tuple(_block(r) for r in shape.random if isinstance(r, RandomShape)),
        outputs=tuple(_output(name, shape.outputs) for name in shape.outputs),
        population=_population(parameters, shape.uncertainty),
        error_names=names,
        error_correlation=correlation,
        title=shape.title,
        time=shape.time,
        amount=shape.amount,
        molar_mass=shape.molar_mass or 0.0,
        nonnegative=tuple(shape.nonnegative),
        classes=classes_of(shape, typical),
        chance=chance,
        step=hours(shape.step) if shape.step else 0.0,
        unit="" if shape.unit == UNITS[0] else shape.unit,
        text=text,
        sources=tuple(_source(source) for source in shape.source),
        warnings=tuple(warnings),
    )


def in_hours(statements: Sequence[Statement], unit: str) -> tuple[Statement, ...]:
    """Rewrite equations whose time is in `unit` so that their time is in hours."""
    size = hours(f"1 {unit}")
    if size == 1.0:
        return tuple(statements)
    clocks: Mapping[str, Expression] = {
        clock: Call("/", (Name(clock), Number(size)))
        for clock in (TIME, TIME_AFTER_DOSE)
    }
    scales = {"derivative": "/", "rate": "/", "lag": "*", "duration": "*", "noise": "/"}
    converted = []
    for statement in statements:
        expression = substitute(statement.expression, clocks)
        if statement.kind in scales:
            # Noise is per root of the time.
            by = math.sqrt(size) if statement.kind == "noise" else size
            expression = Call(scales[statement.kind], (expression, Number(by)))
        kind, name, line = statement.kind, statement.name, statement.line
        converted.append(Statement(kind, name, expression, line))
    return tuple(converted)


def covariance(row: RandomShape) -> Matrix:
    """Return the covariance matrix of a row of random effects; empty if it is none."""
    if row.covariance is not None:
        return settled(row.covariance)
    deviations = [math.sqrt(variance) for variance in _variances(row)]
    size = range(len(deviations))
    alone = [[float(i == j) for j in range(i + 1)] for i in size]
    together = settled(row.correlation or alone)
    return tuple(
        tuple(
            deviations[i] ** 2 if i == j else entry * deviations[i] * deviations[j]
            for j, entry in enumerate(line)
        )
        for i, line in enumerate(together)
    )


def _variances(row: RandomShape) -> list[float]:
    if row.variance is not None:
        return row.variance
    if row.sd is not None:
        return [sd**2 for sd in row.sd]
    squares = [share**2 for share in row.cv or []]
    if row.convention == "cv^2":
        return squares
    return [math.log1p(square) for square in squares]


def _block(row: RandomShape) -> RandomBlock:
    return RandomBlock(
        names=tuple(row.of),
        covariance=covariance(row),
        level=row.level,
        source=_source(row.source),
        freedom=row.df or 0.0,
        student=row.student or 0.0,
        box_cox=row.box_cox or 0.0,
    )


def _parameter(name: str, entry: ParameterShape, joint: JointShape | None) -> Parameter:
    """Make a parameter; one without uncertainty has the error 0."""
    scale = entry.scale or ("log" if entry.value > 0 else "identity")
    error = entry.se or (entry.rse or 0.0) * abs(entry.value)
    if joint is not None:
        place = joint.of.index(name)
        scale = joint.scales[place]
        error = math.sqrt(joint.covariance[place][place])
        error *= entry.value if scale == "log" else 1.0
    unit, source = entry.unit or "1", _source(entry.source)
    return Parameter(name, entry.value, unit, entry.title, error, scale, source)


def _population(parameters: Sequence[Parameter], rows: Sequence[JointShape]) -> Matrix:
    """Lay all uncertainty into one covariance, if any of it is joint."""
    if not rows:
        return ()
    places = {p.name: index for index, p in enumerate(parameters)}
    total = np.zeros((len(parameters), len(parameters)))
    for index, p in enumerate(parameters):
        spread = p.error / p.value if p.scale == "log" else p.error
        total[index, index] = spread**2
    for row in rows:
        inside = [places[name] for name in row.of]
        total[np.ix_(inside, inside)] = settled(row.covariance)
    return tuple(tuple(float(entry) for entry in line) for line in total)


def _covariate(name: str, entry: CovariateShape) -> Covariate:
    """Make a covariate; the typical code of a category is its first."""
    typical = entry.typical
    if typical is None:
        typical = entry.values[0] if entry.values else math.nan
    values = tuple(entry.values)
    return Covariate(name, entry.unit or "1", entry.title, typical, values)


def _output(name: str, outputs: Mapping[str, OutputShape]) -> Output:
    entry = outputs[name]
    equals, unit = entry.equals or name, entry.unit or "1"
    error = error_of(name, outputs)
    return Output(name, equals, unit, entry.title, error, entry.lloq or 0.0)


def _source(entry: SourceShape | None) -> Source:
    return Source() if entry is None else Source(**entry.model_dump())

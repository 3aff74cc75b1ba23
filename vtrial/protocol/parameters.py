"""Population parameters that a protocol takes from a file: draws, or a NONMEM run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vtrial.errors import DataError
from vtrial.model.covariance import settled
from vtrial.model.model import Model, Parameter
from vtrial.protocol.faults import Faults
from vtrial.protocol.omega import with_omega_of
from vtrial.protocol.population_shape import ParametersShape
from vtrial.sheets.csv_table import Rows
from vtrial.sheets.nonmem_output import read_covariance, read_estimates

PATH = ("parameters",)
MAX_DRAWS = 100_000


def with_parameters_of(
    model: Model, shape: ParametersShape | None, faults: Faults
) -> Model:
    """Return a model whose population parameters are those of a file.

    A CSV file has a row of draws for each replicate; NONMEM's .ext has the final
    estimates, and a .cov of the same name beside it their covariance.
    """
    if shape is None:
        return model
    if shape.file is None:
        if shape.columns or not (shape.omega or shape.df):
            allowed = "a CSV file beside the sheet, or NONMEM's .ext"
            faults.add((*PATH, "file"), found="missing", allowed=allowed)
        return with_omega_of(model, shape, None, faults)
    path = Path(faults.sheet.source).parent / shape.file
    model = with_omega_of(model, shape, path, faults)
    if path.suffix.lower() == ".ext" and shape.omega and not shape.columns:
        return model
    columns = _columns(model, shape, path, faults)
    if columns is None:
        return model
    try:
        if path.suffix.lower() == ".ext":
            return _of_run(model, columns, path, faults)
        return _of_draws(model, columns, path)
    except DataError as error:
        faults.relay((*PATH, "file"), error)
    return model


def _columns(
    model: Model, shape: ParametersShape, path: Path, faults: Faults
) -> dict[str, str] | None:
    """Return which column each parameter is in; None if it cannot be said."""
    known = [parameter.name for parameter in model.parameters]
    unknown = [name for name in shape.columns if name not in known]
    for name in unknown:
        faults.unknown((*PATH, "columns", name), name, known, "parameter")
    if not shape.columns and path.suffix.lower() == ".ext":
        faults.add(
            PATH,
            found="an .ext file without columns",
            allowed="told which THETA is which parameter",
            write="",
        )
        return None
    return None if unknown else dict(shape.columns)


def _of_draws(model: Model, columns: Mapping[str, str], path: Path) -> Model:
    """Read a row of parameters for each replicate."""
    rows = Rows(path, by_subject=False)
    names = columns or {
        p.name: p.name for p in model.parameters if p.name in rows.names
    }
    for name in dict.fromkeys(columns.values()):
        if name not in rows.names:
            rows.fault("the header", f"without `{name}`", "a column of it", name)
    if not names:
        known = ", ".join(parameter.name for parameter in model.parameters)
        rows.fault("the header", "without a parameter", f"columns of {known}", "")
    found = {name: rows.numbers(column) for name, column in names.items()}
    for column in names.values():
        if column in rows.names:
            missing = rows.gaps(column)
            rows.wrong(missing, column, "missing", "given in every row", "")
    if rows.faults:
        raise DataError.of(rows.faults)
    if len(rows) > MAX_DRAWS:
        raise DataError(
            "the table",
            f"{len(rows)} rows",
            f"{MAX_DRAWS:,} at most",
            "",
            source=str(path),
        )
    table = np.stack(list(found.values()), axis=1)
    means = dict(zip(found, table.mean(axis=0).tolist(), strict=True))
    return dataclasses.replace(
        model,
        parameters=_fixed(model, means),
        population=(),
        drawn=tuple(found),
        draws=tuple(tuple(map(float, row)) for row in table),
    )


def _of_run(
    model: Model, columns: Mapping[str, str], path: Path, faults: Faults
) -> Model:
    """Read final estimates, and their covariance where the run has one."""
    final = read_estimates(path)
    lacking = [name for name in columns.values() if name not in final]
    if lacking:
        raise DataError(
            "the file",
            f"without {', '.join(lacking)}",
            f"one of {', '.join(final)}",
            "",
            source=str(path),
        )
    values = {name: final[column] for name, column in columns.items()}
    parameters = _fixed(model, values)
    beside = next(
        (
            path.with_suffix(end)
            for end in (".cov", ".COV")
            if path.with_suffix(end).is_file()
        ),
        None,
    )
    if beside is None:
        return dataclasses.replace(model, parameters=parameters, population=())
    names = [p.name for p in parameters if p.name in columns]
    inner = read_covariance(beside, [columns[name] for name in names])
    whole = settled([list(row[: i + 1]) for i, row in enumerate(inner.tolist())])
    if not whole:
        faults.add(
            (*PATH, "file"),
            found=f"`{beside.name}`, no covariance of these",
            allowed="one that is positive semi-definite",
            write="",
        )
        return model
    return dataclasses.replace(
        model, parameters=parameters, population=_spread(model, names, whole)
    )


def _fixed(model: Model, values: Mapping[str, float]) -> tuple[Parameter, ...]:
    """Return the parameters with other values, each without an error of its own."""
    return tuple(
        dataclasses.replace(p, value=values[p.name], error=0.0, scale="identity")
        if p.name in values
        else dataclasses.replace(p, error=0.0)
        for p in model.parameters
    )


def _spread(
    model: Model, names: list[str], inner: tuple[tuple[float, ...], ...]
) -> tuple[tuple[float, ...], ...]:
    """Lay the covariance of some parameters into that of all; others are known."""
    places = [p.name for p in model.parameters]
    total = np.zeros((len(places), len(places)))
    inside = [places.index(name) for name in names]
    total[np.ix_(inside, inside)] = inner
    return tuple(tuple(map(float, row)) for row in total)

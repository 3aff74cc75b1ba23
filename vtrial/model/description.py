"""Describe a model in words: what it says, and what was found in it."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from vtrial.model.chance import Draw
from vtrial.model.flow_words import flow_words
from vtrial.model.grammar import write_expression, write_statement
from vtrial.model.model import Classes, Model, Output, Parameter, RandomBlock, Source
from vtrial.model.structure import Dependence


def describe(model: Model) -> str:
    """Describe a model for people, section by section.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> print(describe(load_model("theophylline")).splitlines()[0])
    theophylline: Theophylline by mouth in twelve adults
    """
    title = f"{model.name}: {model.title}" if model.title else model.name
    sections = {
        "Sources": [_source_words(source) for source in model.sources],
        f"Equations ({_frame(model)})": [write_statement(s) for s in model.statements],
        "Parameters": _table([_parameter_row(p) for p in model.parameters]),
        "Uncertainty of the parameters, joint": _correlations(
            [p.name for p in model.parameters], model.population
        ),
        "Covariates": _table(_covariate_rows(model)),
        "Random effects": _table([r for b in model.random for r in _random_rows(b)]),
        "Classes": [_class_words(one) for one in model.classes],
        "Between visits": chance_words(model),
        "Flow": flow_words(model.flow),
        "Outputs": _table([_output_row(output) for output in model.outputs]),
        "Residual errors, at the same time": _correlations(
            model.error_names, model.error_correlation
        ),
        "What was found": _analysis_words(model),
        "Warnings": [str(warning) for warning in model.warnings],
    }
    parts = [title]
    for heading, lines in sections.items():
        if lines:
            parts += ["", heading, *(f"  {line}".rstrip() for line in lines)]
    return "\n".join(parts)


def describe_data(model: Model) -> dict[str, object]:
    """Return what `describe` says as plain data, ready for JSON.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> describe_data(load_model("theophylline"))["analysis"]["shape"]
    'one compartment, first-order absorption'
    """
    return {
        "name": model.name,
        "title": model.title,
        "digest": model.digest,
        "time": model.time,
        "amount": model.amount,
        "molar_mass": model.molar_mass or None,
        "sources": [_source_data(source) for source in model.sources],
        "equations": [write_statement(s) for s in model.statements],
        "parameters": [
            {
                "name": p.name,
                "value": p.value,
                "unit": p.unit,
                "title": p.title,
                "error": p.error,
                "scale": p.scale,
                "source": _source_data(p.source),
            }
            for p in model.parameters
        ],
        "population": [list(row) for row in model.population],
        "covariates": [
            {
                "name": c.name,
                "unit": c.unit,
                "title": c.title,
                "typical": None if math.isnan(c.typical) else c.typical,
                "values": list(c.values),
            }
            for c in model.covariates
        ],
        "random": [_block_data(block) for block in model.random],
        "classes": {c.name: len(c.probabilities) for c in model.classes},
        "unit": model.unit or None,
        "between": chance_words(model),
        "flow": flow_words(model.flow),
        "outputs": [
            {
                "name": o.name,
                "equals": o.equals,
                "unit": o.unit,
                "title": o.title,
                "error": dataclasses.asdict(o.error),
                "lloq": o.lloq or None,
            }
            for o in model.outputs
        ],
        "errors": {
            "of": list(model.error_names),
            "correlation": [list(row) for row in model.error_correlation],
        },
        "nonnegative": list(model.nonnegative),
        "analysis": _analysis_data(model),
        "warnings": [str(warning) for warning in model.warnings],
    }


def chance_words(model: Model) -> list[str]:
    """Return what a model leaves to chance between visits, a line each."""
    chance = model.chance
    if chance is None:
        return []
    lines = [f"Held states: {_listing(chance.held)}"] if chance.held else []
    if chance.steps:
        lines.append(f"every {chance.every:g} h")
    for step in chance.steps:
        if isinstance(step, Draw):
            of = ", ".join(map(write_expression, step.arguments))
            lines.append(f"  {step.place} is drawn" + (f", with {of}" if of else ""))
            continue
        sign = "<-" if step.kind == "update" else "="
        lines.append(f"  {step.name} {sign} {write_expression(step.expression)}")
    for event in chance.events:
        cause = write_expression(event.of)
        cause = (
            f"hazard {cause} [1/h]" if event.by == "hazard" else f"when {cause} >= 0"
        )
        often = ", again and again" if event.recurrent else ""
        lines.append(f"{event.name}: {cause}{often}")
        for step in event.then:
            lines.append(f"  {step.name} <- {write_expression(step.expression)}")
    return lines


def _class_words(one: Classes) -> str:
    sizes = ", ".join(map(write_expression, one.probabilities))
    return f"{one.name}: 1 to {len(one.probabilities)}, with probabilities {sizes}"


def _block_data(block: RandomBlock) -> dict[str, object]:
    return {
        "names": list(block.names),
        "covariance": [list(row) for row in block.covariance],
        "level": block.level,
        "df": block.freedom or None,
        "student": block.student or None,
        "box-cox": block.box_cox or None,
        "source": _source_data(block.source),
    }


def _analysis_data(model: Model) -> dict[str, object]:
    found = model.structure
    shape = found.compartments
    return {
        "states": list(found.states),
        "individual": [s.name for s in found.static],
        "moving": [s.name for s in found.dynamic],
        "pattern": [list(row) for row in found.pattern],
        "jacobian": [
            [None if entry is None else write_expression(entry) for entry in row]
            for row in found.jacobian
        ],
        "linear": list(found.linear),
        "is_linear": found.is_linear,
        "is_algebra": found.is_algebra,
        "uses_time": found.uses_time,
        "uses_after_dose": found.uses_after_dose,
        "shape": shape.words if shape else None,
        "outputs": {
            output.name: {
                "reads": list(d.reads),
                "states": list(d.states),
                "inputs": list(d.inputs),
                "time": d.time,
            }
            for output, d in zip(model.outputs, found.dependence, strict=False)
        },
    }


def _frame(model: Model) -> str:
    """Return the units of time and amounts, in words."""
    sheet = f"; the sheet's in {model.time}" if model.time != "h" else ""
    return f"time in h{sheet}; amounts in {model.amount}"


def _analysis_words(model: Model) -> list[str]:
    found = model.structure
    if model.flow is not None:
        return []
    individual = [s.name for s in found.static]
    lines = [f"Individual parameters, once a subject: {_listing(individual)}"]
    if found.is_algebra:
        lines.append("No states: outputs are computed, not integrated")
    else:
        lines += [f"States: {_listing(found.states)}", "d(row)/dt depends on column:"]
        lines += _pattern_words(model)
        lines.append(f"Linear, with constant rates: {_listing(found.linear)}")
        shape = found.compartments
        lines.append(f"Shape: {shape.words if shape else 'none of the known ones'}")
    clocks = [
        words
        for uses, words in (
            (found.uses_time, "the time"),
            (found.uses_after_dose, "the time after dose"),
        )
        if uses
    ]
    if clocks:
        lines.append(f"The equations look at {' and '.join(clocks)}")
    for output, dependence in zip(model.outputs, found.dependence, strict=False):
        lines.append(_dependence_words(output, dependence))
    return lines


def _pattern_words(model: Model) -> list[str]:
    """Draw which derivative depends on which state: c constant, x changing."""
    found = model.structure
    width = max(len(state) for state in found.states)
    signs = zip(found.states, found.pattern, found.constant, strict=True)
    lines = [
        f"  {state:<{width}}  "
        + " ".join(
            ("c" if fixed else "x") if depends else "."
            for depends, fixed in zip(row, constant, strict=True)
        )
        for state, row, constant in signs
    ]
    return [*lines, "  (c: a constant rate, x: one that changes, .: not at all)"]


def _dependence_words(output: Output, dependence: Dependence) -> str:
    clock = ", the time" if dependence.time else ""
    return (
        f"{output.name} is read from {_listing(dependence.reads)}; behind it are "
        f"{_listing([*dependence.states, *dependence.inputs])}{clock}"
    )


def _parameter_row(parameter: Parameter) -> list[str]:
    p = parameter
    uncertain = ""
    if p.error and p.scale == "log":
        uncertain = f"rse {100 * p.error / p.value:.3g} %"
    elif p.error:
        uncertain = f"se {p.error:.4g}"
    return [
        p.name,
        f"{p.value:.6g}",
        p.unit,
        uncertain,
        p.title,
        _source_words(p.source),
    ]


def _correlations(names: Sequence[str], rows: Sequence[Sequence[float]]) -> list[str]:
    """Write a covariance as correlations, where there are any."""
    return [
        f"corr({names[i]}, {names[j]}) = {_correlation(rows, i, j):.3g}"
        for i in range(len(rows))
        for j in range(i)
        if rows[i][j]
    ]


def _covariate_rows(model: Model) -> list[list[str]]:
    return [
        [
            c.name,
            "" if math.isnan(c.typical) else f"typical {c.typical:g}",
            "one of " + ", ".join(f"{v:g}" for v in c.values) if c.values else c.unit,
            c.title,
        ]
        for c in model.covariates
    ]


def _random_rows(block: RandomBlock) -> list[list[str]]:
    """List each random effect's variance, CV if log-normal, and correlations."""
    rows, matrix = [], block.covariance
    for i, name in enumerate(block.names):
        variance = matrix[i][i]
        spread = 100 * math.sqrt(math.expm1(min(variance, 50.0)))
        words = [f"variance {variance:.4g}", f"CV {spread:.3g} % if log-normal"]
        together = [
            f"corr with {block.names[j]} {_correlation(matrix, i, j):.3g}"
            for j in range(i)
            if matrix[i][j]
        ]
        between = _block_words(block)
        source = _source_words(block.source)
        rows.append([f"eta.{name}", *words, between, "; ".join(together), source])
    return rows


def _block_words(block: RandomBlock) -> str:
    """Describe whose effects they are, and of what law, where it is not the usual."""
    levels = {"occasion": "between occasions", "study": "one a study", "subject": ""}
    parts = [levels[block.level]]
    if block.student:
        parts.append(f"Student's t, {block.student:g} degrees of freedom")
    if block.box_cox:
        parts.append(f"Box-Cox shape {block.box_cox:g}")
    if block.freedom:
        parts.append(f"covariance uncertain, {block.freedom:g} degrees of freedom")
    return "; ".join(part for part in parts if part)


def _correlation(matrix: Sequence[Sequence[float]], i: int, j: int) -> float:
    return matrix[i][j] / math.sqrt(matrix[i][i] * matrix[j][j])


def _output_row(output: Output) -> list[str]:
    limit = f"quantified from {output.lloq:g} {output.unit}" if output.lloq else ""
    equals = f"= {output.equals}" if output.equals != output.name else ""
    words = _error_words(output)
    return [output.name, equals, output.unit, words, limit, output.title]


def _error_words(output: Output) -> str:
    """Describe a residual error: its law, its size, its bias and its memory."""
    error, parts = output.error, []
    if error.spread:
        words = {
            "normal": "an error of sd",
            "log": "log error of sd",
            "logit": f"logit error between {error.low:g} and {error.high:g} of sd",
            "beta": f"beta between {error.low:g} and {error.high:g} of precision",
            "student": "an error of scale",
        }
        parts.append(f"{words[error.law]} {error.spread}")
    if error.log:
        parts.append(f"log error, sd {error.log:.4g}")
    if error.proportional:
        parts.append(f"proportional error {100 * error.proportional:.4g} %")
    if error.additive:
        parts.append(f"additive error {error.additive:.4g} {output.unit}")
    said = " and ".join(parts) or "no residual error"
    if error.law == "student":
        said += f", Student's t with {error.freedom:g} degrees of freedom"
    said += f", bias {error.bias}" if error.bias else ""
    return said + (f", memory {error.memory:g} h" if error.memory else "")


def _source_words(source: Source) -> str:
    parts = [source.cite, f"doi:{source.doi}" if source.doi else "", source.url]
    said = " ".join(part for part in parts if part)
    note = f"({source.note})" if source.note and said else source.note
    return f"{said} {note}".strip()


def _source_data(source: Source) -> dict[str, str]:
    given = {
        "cite": source.cite,
        "doi": source.doi,
        "url": source.url,
        "note": source.note,
    }
    return {key: value for key, value in given.items() if value}


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line up columns; empty ones are left out."""
    columns = [c for c in zip(*rows, strict=True) if any(c)]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]


def _listing(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"

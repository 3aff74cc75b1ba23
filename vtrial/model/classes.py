"""Classes of subjects: their probabilities, and tables of the equations by class."""

from collections.abc import Collection, Mapping, Sequence

from vtrial.errors import Fault, ModelError
from vtrial.model.grammar import parse_expression, unknown_names
from vtrial.model.model import Classes, Source
from vtrial.model.plain import compute
from vtrial.model.shape import ClassShape, ModelShape
from vtrial.model.tree import Call, Expression, Number, names_in
from vtrial.sheets.sheet import Sheet


def rows_of(shape: ModelShape) -> list[ClassShape]:
    """List the rows of `random` that are of classes."""
    return [row for row in shape.random if isinstance(row, ClassShape)]


def probabilities_of(row: ClassShape) -> tuple[Expression, ...]:
    """Return the probabilities of a row without faults."""
    return tuple(
        parse_expression(one) if isinstance(one, str) else Number(one)
        for one in row.probabilities
    )


def classes_of(shape: ModelShape, typical: Mapping[str, float]) -> tuple[Classes, ...]:
    """Make the classes of a sheet; `typical` holds parameters and covariates."""
    found = []
    for row in rows_of(shape):
        each = probabilities_of(row)
        sizes = [compute(one, typical) for one in each]
        likely = float(1 + max(range(len(sizes)), key=sizes.__getitem__))
        source = Source(**row.source.model_dump()) if row.source else Source()
        found.append(Classes(row.class_, each, likely, source))
    return tuple(found)


def class_faults(
    sheet: Sheet, shape: ModelShape, known: Collection[str]
) -> list[Fault]:
    """Find probabilities that are no equations of what is `known`."""
    faults = []
    data = sheet.data.get("random")
    places = {
        str(row.get("class")): index
        for index, row in enumerate(data if isinstance(data, list) else [])
        if isinstance(row, dict)
    }
    for row in rows_of(shape):
        for number, text in enumerate(row.probabilities):
            if not isinstance(text, str):
                continue
            path = ("random", places[row.class_], "probabilities", number)
            try:
                found = unknown_names(parse_expression(text), known)
            except ModelError as error:
                found = list(error.faults)
            faults += [sheet.inside(path, fault) for fault in found]
    return faults


def table_faults(
    expressions: Sequence[tuple[Expression, int]], sizes: Mapping[str, int]
) -> list[Fault]:
    """Find tables by class that are longer or shorter than there are classes."""
    faults = []
    for expression, line in expressions:
        stack = [expression]
        while stack:
            node = stack.pop()
            if not isinstance(node, Call):
                continue
            index, length, inner = _table(node)
            stack.extend(inner)
            if index and length != sizes.get(index, length):
                found = f"a table of {length} by `{index}`, of {sizes[index]} classes"
                allowed = f"{sizes[index]} values, one a class"
                at = ("equations", found, allowed, "", "", line, node.column)
                faults.append(Fault(*at))
    return faults


def _table(node: Call) -> tuple[str, int, list[Expression]]:
    """Return the index of a table, how many values it has, and them; no index: none."""
    if node.function != "if" or not node.column:
        return "", 0, list(node.arguments)
    values: list[Expression] = []
    index, rest = "", node
    place = (node.line, node.column)
    while isinstance(rest, Call) and rest.function == "if":
        if (rest.line, rest.column) != place:
            break
        condition, value, other = rest.arguments
        names = [n.name for n in names_in(condition)]
        index = names[0]
        values.append(value)
        rest = other
    return index, len(values) + 1, [*values, rest]

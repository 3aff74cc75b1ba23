"""How the p-values of several comparisons are adjusted."""

from collections.abc import Sequence

from vtrial.protocol.analysis import Multiplicity
from vtrial.protocol.comparison_shape import MultiplicityShape
from vtrial.protocol.faults import Faults


def read_multiplicity(
    shape: MultiplicityShape | None, names: Sequence[str], faults: Faults
) -> Multiplicity | None:
    """Read how p-values are adjusted; `names` are all that comparisons are called."""
    if shape is None:
        return None
    path = ("multiplicity",)
    asked = [(("of", i), name, names) for i, name in enumerate(shape.of)]
    asked += [(("weights", name), name, shape.of) for name in shape.weights]
    asked += [(("transitions", name), name, shape.of) for name in shape.transitions]
    asked += [
        (("transitions", name, other), other, shape.of)
        for name, others in shape.transitions.items()
        for other in others
    ]
    for at, name, allowed in asked:
        if name not in allowed:
            faults.unknown((*path, *at), name, allowed, "comparison")
    graph = shape.method == "graph"
    if graph != bool(shape.weights):
        faults.add(
            (*path, "weights"),
            found="missing" if graph else f"given for `{shape.method}`",
            allowed="given for `graph` and for nothing else, such as "
            f"`{{{shape.of[0]}: 1}}`",
        )
    rows = [
        [shape.transitions.get(a, {}).get(b, 0.0) for b in shape.of] for a in shape.of
    ]
    shares = [shape.weights.get(name, 0.0) for name in shape.of]
    loops = any(row[i] for i, row in enumerate(rows))
    sums = [sum(shares), *(sum(row) for row in rows)]
    if (
        loops
        or min([0.0, *shares, *(x for row in rows for x in row)]) < 0
        or any(total > 1 + 1e-9 for total in sums)
    ):
        faults.add(
            (*path, "transitions"),
            found="a sum over 1, a part below 0, or one handed to itself",
            allowed="shares of alpha, and for each comparison parts of its share, "
            "that sum to at most 1, such as `{first: {second: 1}}`",
        )
    return Multiplicity(
        shape.method,
        tuple(shape.of),
        shape.alpha,
        tuple(shares),
        tuple(map(tuple, rows)),
    )

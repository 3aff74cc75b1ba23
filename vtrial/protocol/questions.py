"""What is asked of the trial: comparisons between arms."""

from collections import Counter
from collections.abc import Mapping, Sequence

from vtrial.protocol.faults import Faults
from vtrial.protocol.known import Known
from vtrial.protocol.protocol import Comparison, Endpoint, Visit
from vtrial.protocol.shape import ComparisonShape
from vtrial.sheets import Path_, listed, nearest

_OF_RESPONSES = ("risk difference", "risk ratio", "odds ratio")
_OF_NUMBERS = ("difference of means", "ratio of geometric means")
BASELINE = "baseline"


def read_analysis(
    shapes: Mapping[int, ComparisonShape],
    endpoints: Sequence[Endpoint],
    visits: Sequence[Visit],
    *,
    known: Known,
    faults: Faults,
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Read the comparisons, and what all of them are called, faulty ones included.

    `shapes` are by their place in the sheet.
    One without a name is called `high with low on peak`, and by its measure, too,
    where another would be called the same.
    """
    called = {place: f"{one.compare} on {one.on}" for place, one in shapes.items()}
    often = Counter(name for i, name in called.items() if not shapes[i].name)
    comparisons, taken = [], []
    for place, shape in shapes.items():
        path = ("analysis", place)
        name = shape.name or called[place]
        if not shape.name and often[name] > 1:
            name += f" by {shape.by}"
        if name in taken:
            faults.add(
                (*path, "name"),
                found=f"`{name}` a second time",
                allowed="a name of its own",
                write=f"name: {name} again",
            )
        taken.append(name)
        comparison = _comparison(path, name, shape, endpoints, visits, known, faults)
        if comparison is not None:
            comparisons.append(comparison)
    return tuple(comparisons), tuple(taken)


def _comparison(
    path: Path_,
    name: str,
    shape: ComparisonShape,
    endpoints: Sequence[Endpoint],
    visits: Sequence[Visit],
    known: Known,
    faults: Faults,
) -> Comparison | None:
    """Read one comparison; None if it cannot be made."""
    pair = _pair((*path, "compare"), shape.compare, known, faults)
    if shape.on not in known.endpoints:
        faults.unknown((*path, "on"), shape.on, known.endpoints, "endpoint")
    endpoint = next((e for e in endpoints if e.name == shape.on), None)
    if endpoint is not None:
        _check_measure((*path, "by"), shape, endpoint, faults)
        _check_adjust((*path, "adjust"), shape, endpoint, visits, known, faults)
    if pair is None or endpoint is None:
        return None
    adjust = tuple(dict.fromkeys(shape.adjust))
    return Comparison(name, *pair, shape.on, shape.by, adjust, shape.level)


def _pair(
    path: Path_, words: str, known: Known, faults: Faults
) -> tuple[str, str] | None:
    """Part `high with low` into two arms; their names may hold `with`, too."""
    parts = words.split(" with ")
    halves = [
        (" with ".join(parts[:cut]).strip(), " with ".join(parts[cut:]).strip())
        for cut in range(1, len(parts))
    ]
    fits = [pair for pair in halves if set(pair) <= set(known.arms)]
    if not halves or (fits and fits[0][0] == fits[0][1]):
        first = nearest(words, known.arms) or next(iter(known.arms), "high")
        other = next((arm for arm in known.arms if arm != first), "another arm")
        faults.add(
            path,
            found=f"`{words}`",
            allowed="an arm `with` another arm, its reference",
            write=f"{first} with {other}",
        )
        return None
    if fits:
        return fits[0]
    near = max(halves, key=lambda pair: sum(arm in known.arms for arm in pair))
    for arm in near:
        if arm not in known.arms:
            faults.unknown(path, arm, known.arms, "arm")
    return None


def _check_measure(
    path: Path_, shape: ComparisonShape, endpoint: Endpoint, faults: Faults
) -> None:
    """Hold the measure against the kind of the endpoint."""
    fitting = _OF_RESPONSES if endpoint.binary else _OF_NUMBERS
    if endpoint.event:
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, a time that may be censored",
            allowed="of a response; a limit makes one of the endpoint",
            write="below: 7 d (in the endpoint), by: risk difference",
        )
    elif shape.by not in fitting:
        kind = "a response (0 or 1)" if endpoint.binary else "a number"
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, which is {kind}",
            allowed=listed(fitting),
            write=fitting[0],
        )


def _check_adjust(
    path: Path_,
    shape: ComparisonShape,
    endpoint: Endpoint,
    visits: Sequence[Visit],
    known: Known,
    faults: Faults,
) -> None:
    """Hold covariates against those known, and the baseline against the visits."""
    if shape.adjust and shape.by in _OF_RESPONSES:
        faults.add(
            path,
            found=f"given for `{shape.by}`",
            allowed="left out, but for means and geometric means",
            write="by: difference of means",
        )
    for index, name in enumerate(shape.adjust):
        if name == BASELINE:
            continue
        if known.covariates and name not in known.covariates:
            names = [BASELINE, *sorted(known.covariates)]
            faults.unknown((*path, index), name, names, "covariate")
    whole = len(visits) == len(known.visits)
    if BASELINE not in shape.adjust or endpoint.values == "true" or not whole:
        return
    times = [t for v in visits if v.name in endpoint.visits for t in v.times]
    if not any(time <= endpoint.baseline for time in times):
        faults.add(
            (*path, shape.adjust.index(BASELINE)),
            found=f"`baseline`, but no visit measures {endpoint.of} up to "
            f"{endpoint.baseline:g} h",
            allowed="measured",
            write="at: day 0, ... (in the visit)",
        )

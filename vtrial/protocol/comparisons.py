"""What is asked of the trial: comparisons between arms."""

from collections import Counter
from collections.abc import Mapping, Sequence

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.registry import kinds
from vtrial.errors import ProtocolError
from vtrial.measure.registry import measures
from vtrial.protocol.analysis import Comparison, Tier, effect_kind
from vtrial.protocol.comparison_shape import ComparisonShape
from vtrial.protocol.doses import read_dosed, read_target
from vtrial.protocol.factors import Weights, compared
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Visit
from vtrial.protocol.scope import Known
from vtrial.protocol.subset import read_where
from vtrial.protocol.times import moment
from vtrial.protocol.values import difference_in, effect_in, number_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

BASELINE = "baseline"
OPTIONS = (
    *("strata", "ties", "until", "weights", "interval", "covariance", "freedom"),
    *("random", "doses", "shapes", "choose", "target"),
)
NUMBERS = ("numbers", "visits", "doses")


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
    called = {
        place: f"{one.compare} on {first_of(one)}" for place, one in shapes.items()
    }
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
    before = len(faults.entries)
    pair, cells = _sides(path, shape, known, faults)
    tiers = _tiers((*path, "on"), shape, endpoints, known, faults)
    endpoint = next((e for e in endpoints if e.name == first_of(shape)), None)
    if endpoint is not None:
        _check_measure((*path, "by"), shape, endpoint, faults)
        _check_adjust((*path, "adjust"), shape, endpoint, visits, known, faults)
        _check_options(path, shape, faults)
    doses, shapes = read_dosed(path, shape, pair, known, faults)
    strata = _covariates((*path, "strata"), shape.strata, known, faults)
    where = read_where((*path, "where"), shape.where, known, faults)
    until = _until((*path, "until"), shape.until, known, faults)
    if pair is None or endpoint is None:
        return None
    above, below = _margin((*path, "margin"), shape, endpoint, faults)
    target = read_target((*path, "target"), shape, endpoint, faults)
    if len(faults.entries) > before:
        return None
    between = above is not None and below is not None
    return Comparison(
        name,
        *pair,
        endpoint.name,
        shape.by,
        adjust=tuple(dict.fromkeys(shape.adjust)),
        level=shape.level or (0.9 if between else 0.95),
        strata=strata,
        where=where,
        until=until,
        weights=tuple(shape.weights or (0.0, 0.0)),  # type: ignore[arg-type]
        interval=shape.interval,
        above=above,
        below=below,
        tiers=tiers,
        covariance=shape.covariance,
        freedom=shape.freedom,
        ties=shape.ties,
        doses=doses,
        shapes=shapes,
        choose=shape.choose,
        target=target,
        cells=cells,
        random=shape.random,
    )


def _sides(
    path: Path_, shape: ComparisonShape, known: Known, faults: Faults
) -> tuple[tuple[str, str] | None, Weights]:
    """Read what is compared: two arms, or levels of factors and the arms' weights."""
    factorial = compared(shape.compare, faults.sheet.data)
    if factorial is None:
        return _pair((*path, "compare"), shape.compare, known, faults), ()
    if not measures()[shape.by].cells:
        words = [word for word, one in measures().items() if one.cells]
        faults.add(
            (*path, "by"),
            found=f"`{shape.by}` of a factor",
            allowed=f"of means of all arms: {listed(words)}",
        )
    if shape.random is not None:
        faults.add(
            (*path, "random"),
            found=f"`{shape.random}`, of a factor",
            allowed="left out: arms are compared by least squares",
            write="",
        )
    return factorial


def first_of(shape: ComparisonShape) -> str:
    """Name the endpoint that is compared: of several, the most important."""
    return shape.on if isinstance(shape.on, str) else shape.on[0].on


def _tiers(
    path: Path_,
    shape: ComparisonShape,
    endpoints: Sequence[Endpoint],
    known: Known,
    faults: Faults,
) -> tuple[Tier, ...]:
    """Read the endpoints of a hierarchy; none where there is one endpoint."""
    on = shape.on
    many = not isinstance(on, str)
    named = [on] if isinstance(on, str) else [one.on for one in on]
    for place, name in enumerate(named):
        if name not in known.endpoints:
            at = (*path, place, "on") if many else path
            faults.unknown(at, name, known.endpoints, "endpoint")
    if many != (measures()[shape.by].of == "tiers"):
        faults.add(
            path,
            found=f"{'a list' if many else 'one endpoint'} for `{shape.by}`",
            allowed="a list of endpoints for wins, such as `[{on: death}, {on: pain}]`,"
            " else one",
            write="" if many and len(named) > 1 else _one_or_list(named[0], many),
        )
    if isinstance(on, str):
        return ()
    tiers = []
    for place, one in enumerate(on):
        unit = next((e.unit for e in endpoints if e.name == one.on), "1")
        margin = 0.0
        if one.margin is not None:
            try:
                margin = number_in(one.margin, unit)
            except ProtocolError as error:
                faults.relay((*path, place, "margin"), error)
        tiers.append(Tier(one.on, one.better == "higher", margin))
    return tuple(tiers)


def _one_or_list(name: str, many: bool) -> str:
    """Write an endpoint alone that stands in a list, or as a list where it does not."""
    return name if many else f"[{{on: {name}}}]"


def _margin(
    path: Path_, shape: ComparisonShape, endpoint: Endpoint, faults: Faults
) -> tuple[float | None, float | None]:
    """Read what the effect is to be shown above and below."""
    if shape.margin is None:
        return None, None
    kind, unit = effect_kind(shape.by, endpoint)
    read: dict[str, float | None] = {"above": None, "below": None}
    for key in read:
        value = getattr(shape.margin, key)
        try:
            if value is not None and kind == "difference":
                read[key] = difference_in(value)
            elif value is not None:
                read[key] = effect_in(value, unit)
        except ProtocolError as error:
            faults.relay((*path, key), error)
    above, below = read["above"], read["below"]
    ratio = measures()[shape.by].ratio
    wrong = above is not None and below is not None and above >= below
    wrong |= ratio and any(one is not None and one <= 0 for one in (above, below))
    if wrong or (above is None and below is None):
        found = [f"{key}: {one:g}" for key, one in read.items() if one is not None]
        faults.add(
            path,
            found=f"`{', '.join(found)}`" if found else "empty",
            allowed="`above`, `below`, or both in this order; over 0 for a ratio, "
            f"such as `{'{above: 0.8, below: 1.25}' if ratio else '{above: -5 pp}'}`",
        )
    return above, below


def _covariates(
    path: Path_, names: Sequence[str], known: Known, faults: Faults
) -> tuple[str, ...]:
    """Hold names against the covariates."""
    for index, name in enumerate(names):
        if known.covariates and name not in known.covariates:
            faults.unknown((*path, index), name, sorted(known.covariates), "covariate")
    return tuple(dict.fromkeys(names))


def _until(
    path: Path_, words: str | None, known: Known, faults: Faults
) -> float | None:
    """Read a horizon [h]."""
    if words is None:
        return None
    try:
        return moment(words, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay(path, error)
        return None


def _check_options(path: Path_, shape: ComparisonShape, faults: Faults) -> None:
    """Find options that the measure does not have, or lacks."""
    measure = measures()[shape.by]
    for key in OPTIONS:
        if key in shape.model_fields_set and key not in measure.options:
            having = _having(key, measure.of)
            faults.add(
                (*path, key),
                found=f"given for `{shape.by}`",
                allowed=f"left out, or given for {listed(having)}",
            )
    unused = "random" in measure.options and shape.random is None
    if unused and "freedom" in shape.model_fields_set:
        faults.add(
            (*path, "freedom"),
            found=f"given for `{shape.by}` without `random`",
            allowed="left out: least squares has its own; or given with `random: "
            "sites`, or `random: subjects` in a crossover",
            write="",
        )
    for key, what, such in measure.needs:
        if getattr(shape, key) is None:
            allowed = f"{what}, such as `{such}`"
            faults.add((*path, key), found="missing", allowed=allowed)
    if shape.margin is not None and not measure.margins:
        faults.add(
            (*path, "margin"),
            found=f"given for `{shape.by}`",
            allowed="left out: it tests whether there is any dose-response",
        )
    if shape.interval and shape.strata:
        faults.add(
            (*path, "interval"),
            found="given together with `strata`",
            allowed="one of the two",
        )


def _having(option: str, of: str) -> list[str]:
    """Name the measures that have an option, those of the same endpoints first."""
    having = [one for one in measures().values() if option in one.options]
    return [one.word for one in sorted(having, key=lambda one: one.of != of)]


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
        faults.add(
            path,
            found=f"`{words}`",
            allowed="an arm `with` another arm, its reference; the arms are "
            + listed(known.arms),
            write=_paired(words, known.arms),
        )
        return None
    if fits:
        return fits[0]
    near = max(halves, key=lambda pair: sum(arm in known.arms for arm in pair))
    for arm in near:
        if arm not in known.arms:
            faults.unknown(path, arm, known.arms, "arm")
    return None


def _paired(words: str, arms: Sequence[str]) -> str:
    """Write two arms that other words than `with` join; "" if there are none."""
    for joint in (" vs ", " vs. ", " versus ", " against ", " and ", " - ", " to "):
        first, found, second = words.partition(joint)
        pair = (first.strip(), second.strip())
        if found and set(pair) <= set(arms) and pair[0] != pair[1]:
            return " with ".join(pair)
    return ""


def _check_measure(
    path: Path_, shape: ComparisonShape, endpoint: Endpoint, faults: Faults
) -> None:
    """Hold the measure against the kind of the endpoint."""
    measure = measures()[shape.by]
    if measure.of == "tiers":
        return
    repeated = [word for word, kind in kinds().items() if kind.repeated]
    what, of = "a number", [NUMBERS]
    if endpoint.binary:
        what, of = "a response (0 or 1)", [("responses", "dosed responses")]
    elif endpoint.event:
        what, of = "a time that may be censored", [("times",)]
    elif endpoint.kind.count:
        what, of = "a count", [("counts",), NUMBERS]
    fitting = [m.word for one in of for m in measures().values() if m.of in one]
    if shape.by not in fitting:
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, which is {what}",
            allowed=f"{listed(fitting, like=shape.by)} (docs/protocol.md)",
        )
    elif measure.of == "visits" and endpoint.kind.repeated is None:
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, the {endpoint.take} of its "
            "values",
            allowed=f"for {listed(repeated)}, of measured values",
        )
    elif measure.of == "visits" and endpoint.formula is not None:
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, which is of an equation",
            allowed="for an endpoint of an output that is measured",
        )
    elif measure.of == "visits" and endpoint.values != "measured":
        faults.add(
            path,
            found=f"`{shape.by}` of `{endpoint.name}`, which takes no measured values",
            allowed="for values that are measured at visits",
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
    measure = measures()[shape.by]
    if shape.adjust and "adjust" not in measure.options:
        having = _having("adjust", measure.of)
        faults.add(
            path,
            found=f"given for `{shape.by}`",
            allowed=f"left out, or given for {listed(having)}; `strata` are for the "
            "others",
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
            allowed="measured, by a visit with `at: day 0, ...`",
        )

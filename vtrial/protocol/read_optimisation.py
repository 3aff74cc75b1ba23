"""Read what is to be optimised from a protocol sheet."""

from collections.abc import Sequence
from typing import get_args

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.protocol.analysis import Analysis
from vtrial.protocol.braces import SECTION, VARY, braces_in, read_variable
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.faults import Faults
from vtrial.protocol.optimisation import (
    WIDTHS,
    Crowd,
    Front,
    Limit,
    Optimisation,
    Sense,
    Variable,
)
from vtrial.protocol.optimisation_shape import (
    CrowdShape,
    LimitShape,
    OptimiseShape,
)
from vtrial.protocol.read_enactment import read_enactment
from vtrial.protocol.shape import ProtocolShape
from vtrial.protocol.values import number_in, share_in
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed, nearest

SUBJECTS = {"search": 1000, "verify": 4000}
OTHER = 1_000_003  # from the seed of the trial to that of the verification


def read_aims(
    shape: ProtocolShape,
    given: Sheet,
    subjects: int,
    endpoints: tuple[Endpoint, ...],
    analysis: Analysis,
    faults: Faults,
) -> tuple[Enactment | None, Optimisation | None]:
    """Read how the trial goes on by what is seen, and what is optimised."""
    enactment = read_enactment(
        shape, subjects, endpoints, analysis.comparisons, faults=faults
    )
    optimisation = read_optimisation(
        shape.optimise, given, endpoints, seed=shape.seed, faults=faults
    )
    return enactment, optimisation


def read_optimisation(
    shape: OptimiseShape | None,
    given: Sheet,
    endpoints: Sequence[Endpoint],
    *,
    seed: int,
    faults: Faults,
) -> Optimisation | None:
    """Read the entry; None where there is none, or if it makes no sense.

    `given` is the sheet with its braces.
    """
    if shape is None:
        return None
    before = len(faults.entries)
    variables = _variables(shape, faults)
    arm = _arm(shape, given, faults)
    names = [one.name for one in endpoints]
    goal, sense = _goal(shape, names, faults)
    by_name = {one.name: one for one in endpoints}
    limits = [
        _limit(place, one, by_name, faults)
        for place, one in enumerate(shape.subject_to)
    ]
    front = None
    if shape.front is not None:
        _known((SECTION, "front", "against"), shape.front.against, names, faults)
        front = Front(shape.front.against, shape.front.better, shape.front.points)
        if front.against == goal:
            faults.add(
                (SECTION, "front", "against"),
                found=f"`{goal}`, the goal itself",
                allowed="another endpoint, against which it is traded",
            )
    crowds = [
        _crowd(key, one, seed + place * OTHER, faults)
        for place, (key, one) in enumerate(
            (("search", shape.search), ("verify", shape.verify))
        )
    ]
    if crowds[0].seed == crowds[1].seed:
        faults.add(
            (SECTION, "verify", "seed"),
            found=f"{crowds[1].seed}, that of the search",
            allowed="another seed: the result is verified on fresh people",
        )
    widths = _widths(shape, faults)
    if len(faults.entries) > before:
        return None
    return Optimisation(
        arm,
        tuple(variables),
        goal,
        sense,
        tuple(one for one in limits if one),
        front,
        crowds[0],
        crowds[1],
        shape.by,
        widths,
        shape.evaluations,
    )


def _variables(shape: OptimiseShape, faults: Faults) -> list[Variable]:
    """Read all variables."""
    found = []
    for name, one in shape.vary.items():
        entry = one.model_dump(by_alias=True, exclude_none=True)
        made = read_variable(name, entry)
        if isinstance(made, Variable):
            found.append(made)
            continue
        key, allowed = made
        path: Path_ = (SECTION, VARY, name, *([key] if key else []))
        value = faults.sheet.value(path)
        said = f"`{value}`" if key else "without them"
        faults.add(path, found=said, allowed=allowed)
    return found


def _arm(shape: OptimiseShape, given: Sheet, faults: Faults) -> str:
    """Name the arm, and hold all braces against the variables."""
    arms = given.data.get("arms")
    names = list(arms) if isinstance(arms, dict) else []
    places = list(braces_in(given))
    for path, word in places:
        if word not in shape.vary and nearest(word, shape.vary):
            faults.unknown(path, word, shape.vary, "variable")
    used = {word for _, word in places}
    for name in shape.vary:
        if name not in used:
            faults.add(
                (SECTION, VARY, name),
                found="a variable that stands nowhere in braces",
                allowed=f"used in arms or rules, as in `dose: "
                f'"{{{name}}} every 24 h x 7"`',
            )
    varied = [
        name for name in names if any(path[:2] == ("arms", name) for path, _ in places)
    ]
    if shape.arm is not None:
        _known((SECTION, "arm"), shape.arm, names, faults, kind="arm")
        return shape.arm
    if len(varied or names) == 1:
        return (varied or names)[0]
    faults.add(
        (SECTION,),
        found="without `arm`, though several may be meant",
        allowed=f"with `arm: NAME`, of {listed(varied or names)}",
    )
    return ""


def _goal(shape: OptimiseShape, names: list[str], faults: Faults) -> tuple[str, Sense]:
    """Return the endpoint that is aimed at, and which way."""
    given = [key for key in get_args(Sense) if getattr(shape, key) is not None]
    if len(given) != 1:
        faults.add(
            (SECTION,),
            found="both `maximise` and `minimise`" if given else "without a goal",
            allowed="one of `maximise` and `minimise`, with an endpoint",
        )
        return "", "maximise"
    name = str(getattr(shape, given[0]))
    _known((SECTION, given[0]), name, names, faults)
    return name, given[0]


def _known(
    path: Path_,
    name: str,
    names: Sequence[str],
    faults: Faults,
    kind: str = "endpoint",
) -> None:
    """Refuse a name that nothing bears."""
    if name not in names:
        faults.unknown(path, name, names, kind)


def _limit(
    place: int, shape: LimitShape, endpoints: dict[str, Endpoint], faults: Faults
) -> Limit | None:
    """Read one constraint."""
    path: Path_ = (SECTION, "subject to", place)
    _known((*path, "on"), shape.on, list(endpoints), faults)
    if (shape.at_most is None) == (shape.at_least is None):
        faults.add(
            path,
            found="with both bounds"
            if shape.at_most is not None
            else "without a bound",
            allowed="one of `at most` and `at least`",
        )
        return None
    side = "at most" if shape.at_most is not None else "at least"
    value = shape.at_most if shape.at_most is not None else shape.at_least
    point = endpoints.get(shape.on)
    bound, confidence = 0.0, None
    try:
        assert value is not None, "one of the two is there"
        if point is not None and point.binary:
            bound = share_in(value)
        elif point is not None:
            bound = number_in(value, point.unit)
    except ProtocolError as error:
        faults.relay((*path, side), error)
    if shape.confidence is not None:
        try:
            confidence = share_in(shape.confidence)
        except ProtocolError as error:
            faults.relay((*path, "confidence"), error)
        if confidence is not None and not 0 < confidence < 1:
            faults.add(
                (*path, "confidence"),
                found=f"`{shape.confidence}`",
                allowed="above 0 and below 100 %",
            )
    return Limit(shape.on, side, bound, confidence)


def _crowd(key: str, shape: CrowdShape, seed: int, faults: Faults) -> Crowd:
    """Read who is simulated."""
    subjects = shape.subjects or SUBJECTS[key]
    replicates = shape.replicates or 0
    if replicates > subjects:
        faults.add(
            (SECTION, key, "replicates"),
            found=f"{replicates}, for {subjects} subjects",
            allowed="at most as many as subjects, who are spread over them",
        )
    return Crowd(subjects, replicates, seed if shape.seed is None else shape.seed)


def _widths(shape: OptimiseShape, faults: Faults) -> tuple[float, ...]:
    """Read the widths of the surrogate."""
    if shape.widths is None:
        return WIDTHS
    found = []
    for place, value in enumerate(shape.widths):
        path: Path_ = (SECTION, "widths", place)
        try:
            one = number_in(value, "1")
        except ProtocolError as error:
            faults.relay(path, error)
            continue
        if not 0 < one <= 10:
            faults.add(path, found=f"{value}", allowed="above 0 and at most 10")
        found.append(one)
    if found != sorted(found, reverse=True):
        faults.add(
            (SECTION, "widths"),
            found="widths that grow",
            allowed="falling ones: each stage is nearer to the response itself",
        )
    return tuple(found)

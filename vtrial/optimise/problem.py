"""A protocol at any values of its variables, and how its arm depends on them."""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from vtrial.cohort.cohort import Cohort
from vtrial.dims import DOSE
from vtrial.dosing.expansion import written
from vtrial.dosing.regimen import Regimen
from vtrial.endpoint.equation import asked_by, called
from vtrial.errors import ProtocolError
from vtrial.model.tree import Number
from vtrial.observe.block_program import Trial
from vtrial.optimise.leaves import VARIED, Parted, named, parted
from vtrial.protocol.load import CHANGES, build_protocol
from vtrial.protocol.optimisation import Optimisation, Variable
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sheets.sheet import parse_sheet

CLOSE = 1e-9  # of the range of a number, within which it is on a line
INSIDE = (0.381966, 0.763932)  # of the range: where lines are held against the sheet
SAME = ("visits", "endpoints", "occasions", "eligible", "design")

Point = tuple[float, ...]
Line = tuple[Float[np.ndarray, " number"], Float[np.ndarray, "number variable"]]


@dataclass(frozen=True, eq=False)
class Lines:
    """How the numbers of an arm go with the variables: along straight lines.

    Fields
    ------
    varied
        Places of the numbers that vary, among all of the arm's.
    origin, slope
        Each of them at variables of 0, and by variable.
    time_slope, gap_slope
        By which the times of the doses, in their order, and the intervals of steady
        states go [h].
    """

    varied: tuple[int, ...]
    origin: Float[np.ndarray, " number"]
    slope: Float[np.ndarray, "number variable"]
    time_slope: Float[np.ndarray, "dose variable"]
    gap_slope: Float[np.ndarray, "dose variable"]

    @property
    def moves(self) -> bool:
        """Whether the times of doses vary."""
        return bool((self.time_slope != 0).any() or (self.gap_slope != 0).any())


@dataclass(frozen=True, eq=False)
class Problem:
    """What is optimised: a protocol whose sheet has variables, and its cohort."""

    protocol: Protocol
    cohort: Cohort

    @property
    def asked(self) -> Optimisation:
        """What is asked."""
        assert self.protocol.optimisation is not None, "the verb has looked"
        return self.protocol.optimisation

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What is varied."""
        return self.asked.variables

    @functools.cached_property
    def needed(self) -> tuple[str, ...]:
        """The endpoints that decide, the goal first, and those they are made of."""
        found = list(self.asked.asked)
        for name in found:  # which grows
            asked = asked_by(self.protocol.endpoint(name))
            for other in self.protocol.endpoints:
                if called(other.name) in asked and other.name not in found:
                    found.append(other.name)
        return tuple(found)

    @property
    def start(self) -> Point:
        """Where the search begins."""
        return tuple(one.start for one in self.variables)

    @property
    def arm(self) -> Arm:
        """The arm, with the variables at their start."""
        return self.protocol.arm(self.asked.arm)

    def at(self, point: Sequence[float]) -> Protocol:
        """Return the protocol with its variables at other values.

        Raises
        ------
        ProtocolError
            If the sheet makes no sense with them.
        """
        return _at(self, tuple(map(float, point)))

    def trial(self, point: Sequence[float], seed: int) -> tuple[Trial, Arm]:
        """Return the trial with a seed, and the arm, ready to be simulated.

        Numbers that vary are data where the arm is else alike, so that another value
        compiles nothing.
        """
        protocol = replace(self.at(point), seed=seed)
        arm = protocol.arm(self.asked.arm)
        mine = parted(arm)
        if mine.frame == self.parted.frame and arm.rules:
            places = [i for i in self.free if mine.kinds[i] == "equation"]
            names = {place: number for number, place in enumerate(places)}
            numbers = tuple(
                (VARIED.format(k), Number(mine.numbers[i])) for i, k in names.items()
            )
            arm = named(arm, names)
            arm = replace(arm, set=(*arm.set, *numbers))
        return Trial(protocol, self.cohort), arm

    @functools.cached_property
    def parted(self) -> Parted:
        """The arm's numbers at the start, apart from what it is made of."""
        return parted(self.arm)

    @functools.cached_property
    def corners(self) -> tuple[Point, ...]:
        """Points that tell how the arm depends on the variables.

        The start, each variable at both its ends, and two points inside.
        """
        start, found = self.start, [self.start]
        for place, one in enumerate(self.variables):
            for end in (one.low, one.high):
                found.append((*start[:place], end, *start[place + 1 :]))
        for share in INSIDE:
            found.append(
                tuple(
                    one.nearest(one.low + share * (one.high - one.low))
                    for one in self.variables
                )
            )
        return tuple(found)

    @functools.cached_property
    def free(self) -> tuple[int, ...]:
        """Places of the numbers that differ between the points."""
        rows = [parted(self.at(p).arm(self.asked.arm)) for p in self.corners]
        alike = [row.numbers for row in rows if row.frame == self.parted.frame]
        table = np.array(alike)
        return tuple(np.flatnonzero((table != table[0]).any(axis=0)).tolist())

    @functools.cached_property
    def why_not(self) -> str:
        """Why there is no gradient; empty if there is one."""
        protocol, arm = self.protocol, self.arm
        if protocol.model.chance is not None or protocol.model.flow is not None:
            return "chance acts between visits"
        if arm.rules:
            return "rules decide, and decisions have no slope"
        shown = [_without_slope(protocol, name) for name in self.needed]
        if any(shown):
            return next(one for one in shown if one)
        try:
            protocols = [self.at(point) for point in self.corners]
        except ProtocolError as error:
            return f"the sheet makes no sense everywhere between the limits: {error}"
        for other in protocols:
            if any(getattr(other, key) != getattr(protocol, key) for key in SAME):
                return "visits or endpoints move with the variables"
        frames = [parted(one.arm(self.asked.arm)) for one in protocols]
        if any(one.frame != self.parted.frame for one in frames):
            return "the number of doses varies"
        kinds = {self.parted.kinds[place] for place in self.free}
        if "shape" in kinds:
            return "a number varies that decides when something happens"
        return "" if self.lines is not None else "a number is no line of the variables"

    @functools.cached_property
    def lines(self) -> Lines | None:
        """How the arm's numbers go with the variables; None where that is no line."""
        arms = [self.at(point).arm(self.asked.arm) for point in self.corners]
        free = [p for p in self.free if self.parted.kinds[p] == "equation"]
        table = np.array([[parted(arm).numbers[p] for p in free] for arm in arms])
        numbers = self._line(table.reshape(len(arms), len(free)))
        given = [written(arm.regimen) for arm in arms if arm.regimen is not None]
        if any((one.order != given[0].order).any() for one in given):
            return None
        none = np.zeros((len(arms), 0))
        times = self._line(np.array([one.time for one in given]) if given else none)
        gaps = [_gaps(arm.regimen) for arm in arms if arm.regimen is not None]
        steady = self._line(np.array(gaps) if gaps else none)
        if numbers is None or times is None or steady is None:
            return None
        return Lines(tuple(free), *numbers, times[1], steady[1])

    def _line(self, table: Float[np.ndarray, "corner number"]) -> Line | None:
        """Lay a line through numbers at the corners; None where there is none."""
        points = np.array(self.corners)
        count = len(self.variables)
        slope = np.zeros((table.shape[1], count))
        for place in range(count):
            low, high = 1 + 2 * place, 2 + 2 * place
            run = points[high, place] - points[low, place]
            slope[:, place] = (table[high] - table[low]) / run
        origin = table[0] - slope @ points[0]
        apart = np.abs(origin + points @ slope.T - table)
        size = np.maximum(np.abs(table).max(axis=0), 1e-300)
        return (origin, slope) if (apart <= CLOSE * size).all() else None


def _gaps(regimen: Regimen) -> Float[np.ndarray, " dose"]:
    """Return the interval of the steady state at each dose [h]; 0 where none is set."""
    gaps = np.zeros(regimen.count)
    begin = 0
    for step in regimen.steps:
        gaps[begin] = step.inner_interval if step.steady else 0.0
        begin += step.count
    return gaps[written(regimen).order]


@functools.lru_cache(maxsize=4096)
def _at(problem: Problem, point: Point) -> Protocol:
    """Load the sheet with other starts."""
    base = problem.protocol
    if point == problem.start:
        return base
    sheet = parse_sheet(base.text, source=base.path or base.name)
    data: dict[str, Any] = copy.deepcopy(dict(sheet.data))
    for one, value in zip(problem.variables, point, strict=True):
        data["optimise"]["vary"][one.name]["start"] = one.written(value)
    made = build_protocol(replace(sheet, data=data))
    kept = {key: getattr(base, key) for key in CHANGES}
    assert made.optimisation is not None, "it is the same sheet"
    starts = made.optimisation.variables
    kept["optimisation"] = replace(problem.asked, variables=starts)
    return replace(made, **kept, numerics=base.numerics)


def _without_slope(protocol: Protocol, name: str) -> str:
    """Say why an endpoint's mean has no slope; empty if it has one."""
    point = protocol.endpoint(name)
    if point.first_of or point.kind.event or point.kind.drawn:
        return f"`{name}` is a time of an event"
    if point.grades:
        return f"`{name}` is a grade"
    if point.kind.count and (point.values, point.of) != ("ledger", DOSE):
        return f"`{name}` counts"
    return ""

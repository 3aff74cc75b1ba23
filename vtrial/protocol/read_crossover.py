"""Read a crossover: its orders of treatments, its periods, and what cannot be in it."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.errors import ProtocolError
from vtrial.measure.registry import measures
from vtrial.protocol.crossover_shape import CrossoverShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.periods import (
    endpoints_of_periods,
    in_period,
    sequence_of,
    visits_of_periods,
)
from vtrial.protocol.protocol import Arm, Crossover, Visit
from vtrial.protocol.shape import ProtocolShape
from vtrial.protocol.times import duration
from vtrial.protocol.williams import williams_square
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

PATH = ("design", "crossover")
MOST_PERIODS, MOST_SEQUENCES = 24, 128
LONGEST_NAME = 60
_BESIDE = ("rules", "optimise", "observed", "costs")
_ENACTED = ("accrual", "looks", "adapt", "escalation", "planned", "trials")


@dataclass(frozen=True)
class Plan:
    """In which orders arms are given, by name, and when periods begin [h]."""

    sequences: Mapping[str, tuple[int, ...]]
    starts: tuple[float, ...]
    length: float
    washout: float
    paired: bool


def read_plan(shape: ProtocolShape, faults: Faults) -> Plan | None:
    """Read the orders and periods of a crossover; None where there is none."""
    asked = shape.design.crossover
    if asked is None:
        return None
    _check_beside(shape, faults)
    arms = list(shape.arms)
    if len(arms) < 2:
        faults.add(PATH, found="given with one arm", allowed="two arms or more")
    sequences = _sequences(asked, arms, faults)
    length = _hours("period", asked.period, 24.0, faults)
    washout = _hours("washout", asked.washout, 0.0, faults)
    count = len(next(iter(sequences.values()), ()))
    starts = tuple(place * (length + washout) for place in range(count))
    return Plan(sequences, starts, length, washout, asked.pairs is not None)


def occasions_of(plan: Plan, occasions: Sequence[float]) -> tuple[float, ...]:
    """Return the occasions of all periods: each begins one, besides those within it."""
    return tuple(sorted({start + at for start in plan.starts for at in occasions}))


def crossed(
    plan: Plan,
    arms: tuple[Arm, ...],
    visits: tuple[Visit, ...],
    endpoints: tuple[Endpoint, ...],
    *,
    occasions: Sequence[float],
    faults: Faults,
) -> dict[str, Any]:
    """Return fields of the protocol: what is done and seen in all periods."""
    _check_doses(plan, arms, faults)
    _check_visits(plan, visits, faults)
    _check_endpoints(plan, endpoints, faults)
    crossover = Crossover(
        arms,
        endpoints,
        tuple(plan.sequences.values()),
        plan.starts,
        plan.length,
        plan.washout,
        plan.paired,
    )
    whole = len(arms) > max(itertools.chain(*plan.sequences.values()), default=0)
    made = [
        sequence_of(name, crossover, order, occasions)
        for name, order in plan.sequences.items()
        if whole  # a faulty arm is none of them
    ]
    return {
        "arms": tuple(made),
        "visits": visits_of_periods(visits, plan.starts),
        "endpoints": endpoints_of_periods(endpoints, plan.starts),
        "crossover": crossover,
    }


def check_within(shape: ProtocolShape, places: Sequence[int], faults: Faults) -> None:
    """Refuse comparisons of a crossover that are not made within persons."""
    crossover = shape.design.crossover
    for place, one in zip(places, shape.analysis, strict=True):
        _check_random(("analysis", place, "random"), one.random, crossover, faults)
    if crossover is None:
        return
    words = [word for word, one in measures().items() if one.crossed is not None]
    for place, one in zip(places, shape.analysis, strict=True):
        if one.by not in words:
            faults.add(
                ("analysis", place, "by"),
                found=f"`{one.by}`, of groups of different people",
                allowed=f"within persons: {listed(words)}",
            )
        if one.adjust:
            faults.add(
                ("analysis", place, "adjust"),
                found="given in a crossover",
                allowed="left out: within a person covariates are the same",
                write="",
            )


def _check_random(
    path: Path_, random: str | None, crossover: CrossoverShape | None, faults: Faults
) -> None:
    """Refuse random intercepts of what is not there to have them."""
    if random == "subjects" and crossover is None:
        faults.add(
            path,
            found="`subjects`, each of whom has one arm",
            allowed="given in a crossover, or `sites`; left out otherwise",
            write="",
        )
    elif random == "sites" and crossover is not None:
        faults.add(
            path,
            found="`sites`, in a crossover",
            allowed="left out (subjects are fixed), or `subjects`",
            write="subjects",
        )
    elif random is not None and crossover is not None and crossover.pairs is not None:
        faults.add(
            path,
            found=f"`{random}`, of pairs of periods",
            allowed="left out: each pair is compared with itself",
            write="",
        )


def _check_beside(shape: ProtocolShape, faults: Faults) -> None:
    """Refuse what a crossover does not go with."""
    for key in _BESIDE:
        if getattr(shape, key):
            faults.add(
                (key,),
                found="given beside `design: crossover`",
                allowed="left out: a crossover has planned periods, without it",
                write="",
            )
    for key in _ENACTED:
        if getattr(shape.design, key):
            faults.add(
                ("design", key),
                found="given beside `crossover`",
                allowed="left out: a crossover is not looked at on its way",
                write="",
            )
    if shape.keep.predictions != "nothing":
        faults.add(
            ("keep", "predictions"),
            found="given beside `design: crossover`",
            allowed="left out",
            write="",
        )
    for name, arm in shape.arms.items():
        if arm.adherence is not None:
            faults.add(
                ("arms", name, "adherence"),
                found="given in a crossover",
                allowed="left out: doses are those of the periods",
                write="",
            )


def _sequences(
    asked: CrossoverShape, arms: Sequence[str], faults: Faults
) -> dict[str, tuple[int, ...]]:
    """Return the orders by name, as places of arms; those that make sense."""
    if asked.pairs is not None:
        return _in_pairs(asked, arms, faults)
    given = asked.sequences
    if given is None or isinstance(given, str):
        orders = williams_square(max(len(arms), 2))
        return _named([tuple(order.tolist()) for order in orders], arms)
    entries = given.items() if isinstance(given, dict) else enumerate(given)
    found: dict[object, tuple[int, ...]] = {}
    before = len(faults.entries)
    for key, order in entries:
        for place, name in enumerate(order):
            if name not in arms:
                faults.unknown((*PATH, "sequences", key, place), name, arms, "arm")
        found[key] = tuple(arms.index(name) for name in order if name in arms)
    if len(faults.entries) > before:
        return {}
    _check_orders(list(found.values()), arms, faults)
    if not isinstance(given, dict):
        return _named(list(found.values()), arms)
    for name in given:
        if name in arms:
            faults.add(
                (*PATH, "sequences", name),
                found=f"`{name}`, as an arm is called",
                allowed="a name of its own",
            )
    return {str(name): order for name, order in found.items()}


def _check_orders(
    orders: Sequence[tuple[int, ...]], arms: Sequence[str], faults: Faults
) -> None:
    """Refuse orders that make no crossover."""
    path = (*PATH, "sequences")
    lengths = sorted({len(order) for order in orders})
    never = [name for at, name in enumerate(arms) if not any(at in o for o in orders)]
    twice = len(set(orders)) < len(orders)
    for wrong, found, allowed in (
        (
            len(lengths) > 1,
            f"of {listed(map(str, lengths))} periods",
            "of as many periods each",
        ),
        (bool(never), f"without {listed(never)}", "such that every arm is in one"),
        (twice, "with an order twice", "orders that differ: `allocation` weighs them"),
        (
            lengths[-1] > MOST_PERIODS or len(orders) > MOST_SEQUENCES,
            f"{len(orders)} of {lengths[-1]} periods",
            f"at most {MOST_SEQUENCES}, of at most {MOST_PERIODS} periods",
        ),
    ):
        if wrong:
            faults.add(path, found=found, allowed=allowed)


def _in_pairs(
    asked: CrossoverShape, arms: Sequence[str], faults: Faults
) -> dict[str, tuple[int, ...]]:
    """Return all orders of so many pairs of periods."""
    if asked.sequences is not None:
        faults.add(
            (*PATH, "sequences"),
            found="given beside `pairs`",
            allowed="one or the other",
            write="",
        )
    if len(arms) != 2:
        faults.add(
            (*PATH, "pairs"), found=f"given with {len(arms)} arms", allowed="two arms"
        )
    orders = itertools.product(((0, 1), (1, 0)), repeat=asked.pairs or 1)
    return _named([tuple(itertools.chain(*order)) for order in orders], arms)


def _named(
    orders: Sequence[tuple[int, ...]], arms: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Name orders by their arms, or by numbers where that is long."""
    known = [*arms, *("-" for _ in range(2 - len(arms)))]
    names = [" then ".join(known[place] for place in order) for order in orders]
    if max(map(len, names), default=0) > LONGEST_NAME:
        names = [f"sequence {place + 1}" for place in range(len(orders))]
    return dict(zip(names, orders, strict=True))


def _hours(key: str, words: str | None, usual: float, faults: Faults) -> float:
    """Read a span of time."""
    if words is None:
        return usual
    try:
        return duration(words)
    except ProtocolError as error:
        faults.relay((*PATH, key), error)
        return usual


def _check_doses(plan: Plan, arms: Sequence[Arm], faults: Faults) -> None:
    """Refuse doses behind their period, and amounts by what another period changes."""
    sets = {target for arm in arms for target, _ in arm.set}
    for arm in arms:
        if arm.regimen is None:
            continue
        last = max(float(np.max(step.times())) for step in arm.regimen.steps)
        if last >= plan.length:
            faults.add(
                ("arms", arm.name, "dose"),
                found=f"with a dose {last:g} h after the start of a period of "
                f"{plan.length:g} h",
                allowed="doses within the period, of which `design: crossover` says "
                "how long it is",
            )
        if both := sorted(sets & set(arm.regimen.needs)):
            faults.add(
                ("arms", arm.name, "dose"),
                found=f"by {listed(both)}, which an arm sets",
                allowed="an amount that does not depend on it",
            )


def _check_visits(plan: Plan, visits: Sequence[Visit], faults: Faults) -> None:
    """Refuse visits that are not in their period or the washout before it."""
    for visit in visits:
        if visit.times[-1] > plan.length or -visit.times[0] > plan.washout:
            faults.add(
                ("visits", visit.name, "at"),
                found=f"from {visit.times[0]:g} h to {visit.times[-1]:g} h",
                allowed=f"within a period of {plan.length:g} h, or the washout of "
                f"{plan.washout:g} h before it: times count from its start",
            )
        every = visits_of_periods([visit], plan.starts)[0].times
        near = min(np.diff(every), default=np.inf)
        if visit.window and 2 * visit.window >= near:
            faults.add(
                ("visits", visit.name, "window"),
                found=f"{visit.window:g} h, with times {near:g} h apart",
                allowed="less than half of what lies between two of its times",
            )


def _check_endpoints(plan: Plan, endpoints: Sequence[Endpoint], faults: Faults) -> None:
    """Refuse endpoints that are not of a period."""
    names = {called(one.name).casefold() for one in endpoints}
    for one in endpoints:
        path = ("endpoints", one.name)
        if one.kind.event or one.kind.drawn or one.first_of:
            faults.add(
                (*path, "take"),
                found=f"`{one.take}`, of one course from the start of the trial",
                allowed="a number that each period has",
            )
        elif one.end > plan.length or -one.start > plan.washout:
            faults.add(
                path,
                found=f"from {one.start:g} h to {one.end:g} h",
                allowed=f"within a period of {plan.length:g} h, or the washout of "
                f"{plan.washout:g} h before it: times count from its start",
            )
        clash = [
            called(in_period(one.name, p)).casefold() for p in range(len(plan.starts))
        ]
        if names & set(clash):
            faults.add(
                path,
                found=f"`{one.name}` beside `{in_period(one.name, 0)}`, or another",
                allowed="names that differ from those of endpoints of a period",
            )


def shown_sizes(plan: Plan | None, arms: int) -> tuple[int, str]:
    """Return how many subjects there are to be at least, and for what."""
    if plan is None:
        return arms, f"{arms} arms"
    if plan.paired:
        return 1, "pairs of periods"
    return len(plan.sequences), f"{len(plan.sequences)} sequences"

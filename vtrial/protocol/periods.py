"""A crossover as it is done, and as it is evaluated: periods and treatments."""

from collections.abc import Sequence
from dataclasses import replace

from vtrial.dosing.regimen import Regimen
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.model.tree import Call, Expression, Name
from vtrial.protocol.protocol import Arm, Crossover, Protocol, Visit


def as_evaluated(protocol: Protocol) -> Protocol:
    """Return a crossover with its treatments for arms, and endpoints of a period.

    Any other protocol is what it was.
    """
    crossover = protocol.crossover
    if crossover is None:
        return protocol
    return replace(protocol, arms=crossover.treatments, endpoints=crossover.endpoints)


def as_shown(protocol: Protocol) -> Protocol:
    """Return a crossover with treatments and, behind them, sequences for arms."""
    crossover = protocol.crossover
    if crossover is None:
        return protocol
    arms = (*crossover.treatments, *protocol.arms)
    return replace(protocol, arms=arms, endpoints=crossover.endpoints)


def in_period(name: str, period: int) -> str:
    """Name an endpoint in a period, from 0.

    Examples
    --------
    >>> in_period("peak", 1)
    'peak in period 2'
    """
    return f"{name} in period {period + 1}"


def endpoints_of_periods(
    endpoints: Sequence[Endpoint], starts: Sequence[float]
) -> tuple[Endpoint, ...]:
    """Return the endpoints of every period."""
    names = {called(one.name): one.name for one in endpoints}
    return tuple(
        _moved(one, period, start, names)
        for period, start in enumerate(starts)
        for one in endpoints
    )


def visits_of_periods(
    visits: Sequence[Visit], starts: Sequence[float]
) -> tuple[Visit, ...]:
    """Return the visits with the times of every period."""
    return tuple(
        replace(
            one, times=tuple(sorted({s + time for s in starts for time in one.times}))
        )
        for one in visits
    )


def sequence_of(
    name: str, crossover: Crossover, order: Sequence[int], occasions: Sequence[float]
) -> Arm:
    """Return the arm in which treatments are given in an order."""
    given = [crossover.treatments[place] for place in order]
    steps = [
        replace(step, at=tuple(start + at for at in step.at))
        for one, start in zip(given, crossover.starts, strict=True)
        if one.regimen is not None
        for step in one.regimen.steps
    ]
    units = [one.regimen.unit for one in given if one.regimen is not None]
    regimen = Regimen(tuple(steps), units[0]) if steps else None
    title = " then ".join(one.title or one.name for one in given)
    arm = Arm(name, "" if title == name else title, regimen)
    targets = {target: None for one in crossover.treatments for target, _ in one.set}
    if not targets:
        return arm
    sets = [dict(one.set) for one in given]
    period = [sum(s <= at for s in crossover.starts) - 1 for at in occasions]
    by_occasion = tuple(
        tuple((target, sets[at].get(target, Name(target))) for target in targets)
        for at in period
    )
    return replace(arm, by_occasion=by_occasion)


def _moved(
    endpoint: Endpoint, period: int, start: float, names: dict[str, str]
) -> Endpoint:
    """Return an endpoint as it is in a period."""
    intercurrent = tuple(
        replace(one, event=in_period(one.event, period)) if one.of_endpoint else one
        for one in endpoint.intercurrent
    )
    equals = endpoint.equals
    if equals is not None:
        equals = _renamed(
            equals, {k: called(in_period(v, period)) for k, v in names.items()}
        )
    return replace(
        endpoint,
        name=in_period(endpoint.name, period),
        title="",
        start=endpoint.start + start,
        end=endpoint.end + start,
        baseline=endpoint.baseline + start,
        equals=equals,
        intercurrent=intercurrent,
        period=start,
    )


def _renamed(expression: Expression, names: dict[str, str]) -> Expression:
    """Give the names of an equation other names."""
    if isinstance(expression, Name):
        return replace(expression, name=names.get(expression.name, expression.name))
    if isinstance(expression, Call):
        inner = tuple(_renamed(part, names) for part in expression.arguments)
        return replace(expression, arguments=inner)
    return expression

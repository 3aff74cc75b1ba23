"""What intercurrent events do to endpoints, by event and by cause (ICH E9(R1))."""

from collections.abc import Iterable, Mapping
from typing import Any

from vtrial.endpoint.endpoint import DROPOUT, STOP, Endpoint, Intercurrent
from vtrial.errors import ProtocolError
from vtrial.protocol.derived import Shapes, check_event, is_derived
from vtrial.protocol.dropout_shape import DropoutShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.protocol.rules import Rule, reason_of
from vtrial.protocol.shape import EndpointShape, StrategyWord
from vtrial.protocol.values import number_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed, nearest

ADHERENCE = "adherence"
OTHER = "other"
Causes = Mapping[str, tuple[str, ...]]  # of dropout and of stop, in the whole sheet
_NOBODY = {
    DROPOUT: "left out: nobody leaves without `dropout` in `design`, or a rule that "
    "says `do: leave`",
    STOP: "left out: nobody stops treatment without a rule that says `do: stop`, or "
    "`stop` in an arm's `adherence`",
}


def causes_of(shape: DropoutShape | None, arms: Iterable[Arm]) -> Causes:
    """Name the causes of a sheet for which subjects leave, and stop treatment."""
    causes = () if shape is None else tuple(shape.causes or (DROPOUT,))
    arms = tuple(arms)
    leaving = (reason_of(rule) for rule in _rules(arms) if rule.leaves)
    return {DROPOUT: (*causes, *leaving), STOP: stopping_causes(arms)}


def leaving_causes(protocol: Protocol) -> tuple[str, ...]:
    """Name the reasons for which anybody may leave, those of all arms, each once."""
    return protocol.design.dropout.reasons(_rules(protocol.arms))


def stopping_causes(arms: Iterable[Arm]) -> tuple[str, ...]:
    """Name the causes for which treatment is stopped in any of some arms."""
    arms = tuple(arms)
    stops = any(arm.adherence is not None and arm.adherence.stop > 0 for arm in arms)
    ruled = (reason_of(rule) for rule in _rules(arms) if rule.stops)
    return (*((ADHERENCE,) if stops else ()), *ruled)


def asks_of_stop(protocol: Protocol) -> bool:
    """Return whether stopping treatment is an intercurrent event of any endpoint."""
    every = (one.event for point in protocol.endpoints for one in point.intercurrent)
    return STOP in every


def read_intercurrent(
    name: str,
    shape: EndpointShape,
    endpoint: Endpoint,
    shapes: Shapes,
    causes: Causes,
    faults: Faults,
) -> dict[str, Any]:
    """Read how intercurrent events are dealt with; fields of the endpoint."""
    path = ("endpoints", name)
    earlier = list(shapes)[: list(shapes).index(name)]
    events: list[Intercurrent] = []
    for event, given in shape.intercurrent.items():
        at = (*path, "intercurrent", event)
        if event == STOP:
            _check_stop(at, earlier, causes, faults)
        elif event != DROPOUT:
            check_event(at, event, earlier, shapes, faults)
        if isinstance(given, dict):
            events += _by_cause(at, event, given, causes, faults)
        else:
            events.append(Intercurrent(event, given))
    words = [
        strategy
        for given in shape.intercurrent.values()
        for strategy in (given.values() if isinstance(given, dict) else [given])
    ]
    composite = "composite" in words
    if shape.intercurrent and (endpoint.event or is_derived(shape)):
        first = next((e for e in shape.intercurrent if e not in (DROPOUT, STOP)), "")
        faults.add(
            (*path, "intercurrent"),
            found="given for a time to an event, or for what is made of others",
            allowed="given for the endpoints that it is made of"
            + f"; an event that counts, too, is one of `first of: [{name}, {first}]`"
            * bool(first),
        )
    return {
        "intercurrent": tuple(events),
        "failure": _failure(path, shape, endpoint, composite, faults),
    }


def _check_stop(
    path: Path_, earlier: list[str], causes: Causes, faults: Faults
) -> None:
    """Refuse the stop of treatment where nobody stops, or an endpoint has its name."""
    if STOP in earlier:
        faults.add(
            path,
            found=f"`{STOP}`, the end of treatment and an endpoint above",
            allowed="the end of treatment alone: the endpoint needs another name",
        )
    elif not causes[STOP]:
        faults.add(
            path, found=f"`{STOP}`, for which there is no cause", allowed=_NOBODY[STOP]
        )


def _by_cause(
    path: Path_,
    event: str,
    given: Mapping[str, StrategyWord],
    causes: Causes,
    faults: Faults,
) -> list[Intercurrent]:
    """Read a strategy for each cause of an event."""
    if event not in causes:
        faults.add(
            path,
            found="strategies by cause",
            allowed=f"one strategy: only `{DROPOUT}` and `{STOP}` have causes",
        )
        return []
    if not given:
        faults.add(path, found="empty", allowed="a strategy, or one by cause")
    known = causes[event]
    rest = tuple(cause for cause in known if cause not in given)
    if OTHER in known and OTHER in given:
        rest = (*rest, OTHER)
    found = []
    for cause, strategy in given.items():
        if cause == OTHER and rest:
            found.append(Intercurrent(event, strategy, rest))
        elif cause in known:
            found.append(Intercurrent(event, strategy, (cause,)))
        elif known:
            _refuse_cause((*path, cause), cause, known, faults)
        elif event == DROPOUT:
            faults.add(
                path, found="for which there is no cause", allowed=_NOBODY[event]
            )
    return found


def _refuse_cause(
    path: Path_, cause: str, known: tuple[str, ...], faults: Faults
) -> None:
    """Tell which causes there are, in place of one that there is not."""
    if cause == OTHER:
        faults.add(
            path,
            found=f"`{OTHER}`, though every cause has a strategy",
            allowed="left out",
        )
        return
    near = nearest(cause, known) or nearest(f"rule {cause}", known)
    faults.add(
        path,
        found=f"`{cause}`, an unknown cause",
        allowed=f"one of these: {listed([*known, OTHER], like=cause)}",
        write=near,
        old=cause,
    )


def _failure(
    path: Path_,
    shape: EndpointShape,
    endpoint: Endpoint,
    composite: bool,
    faults: Faults,
) -> float | None:
    """Read the number after an event of the composite strategy."""
    if shape.failure is None and composite and not endpoint.binary:
        faults.add(
            (*path, "failure"),
            found="missing",
            allowed="the number after an event of the composite strategy, such as "
            "`failure: 0`",
        )
    if shape.failure is not None and not composite:
        faults.add(
            (*path, "failure"),
            found="given, though no event has the composite strategy",
            allowed="left out, or given with `intercurrent: {rescue: composite}`",
        )
    if shape.failure is None:
        return 0.0 if composite else None
    try:
        return number_in(shape.failure, endpoint.unit)
    except ProtocolError as error:
        faults.relay((*path, "failure"), error)
        return None


def _rules(arms: Iterable[Arm]) -> tuple[Rule, ...]:
    """Return the rules of some arms, each once."""
    return tuple({rule.name: rule for arm in arms for rule in arm.rules}.values())

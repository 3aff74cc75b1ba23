"""How the record holds what rules did: doses as they were given, and decisions."""

from vtrial.dims import (
    ACTED,
    AMOUNT,
    DECISIONS,
    DOSE,
    DOSES,
    INTO,
    KNOWN,
    LEARNED,
    MOMENT,
    OUTPUT,
    PLANNED,
    RATE,
    REASON,
    SUBJECT,
    TIME,
    TOLD,
)
from vtrial.observe.frame import frame_of
from vtrial.observe.scheme import Scheme
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.store.variable import Coordinate, Variable
from vtrial.types import Given

HOURS = {"units": "h"}


def ledger_variables(protocol: Protocol, arm: Arm, at: str) -> list[Variable]:
    """List the arrays of an arm with a ledger: (subject, dose), (subject, moment)."""
    frame = frame_of(Scheme(protocol), arm)
    states = list(protocol.model.states)
    reasons = {
        "flag_values": [-1, *map(int, Given)],
        "flag_meanings": ["no dose", *(reason.words for reason in Given)],
    }
    rules = {
        "flag_masks": [1 << place for place in range(len(arm.rules))],
        "flag_meanings": [rule.name for rule in arm.rules],
    }
    dose, doses = (SUBJECT, DOSE), (frame.most_doses,)
    unit = {"units": protocol.model.amount}
    rate = {"units": f"{protocol.model.amount}/h"}
    into = {
        "flag_values": [-1, *range(len(states))],
        "flag_meanings": ["none", *states],
    }
    found = [
        Variable(f"{at}/{DOSES}/{TIME}", dose, doses, attributes=HOURS),
        Variable(f"{at}/{DOSES}/{AMOUNT}", dose, doses, attributes=unit),
        Variable(f"{at}/{DOSES}/{RATE}", dose, doses, attributes=rate),
        Variable(f"{at}/{DOSES}/{INTO}", dose, doses, "int16", -1, attributes=into),
        Variable(f"{at}/{DOSES}/{REASON}", dose, doses, "int8", -1, attributes=reasons),
    ]
    if not arm.rules:
        return found
    moment, moments = (SUBJECT, MOMENT), (frame.moments.count,)
    known = (*moments, len(frame.looked_at))
    found += [
        Variable(f"{at}/{DECISIONS}/{TIME}", moment, moments, attributes=HOURS),
        Variable(
            f"{at}/{DECISIONS}/{ACTED}", moment, moments, "int32", 0, attributes=rules
        ),
    ]
    if frame.looked_at:
        path = f"{at}/{DECISIONS}/{KNOWN}"
        found.append(Variable(path, (*moment, OUTPUT), known))
    if frame.learned:
        path, size = f"{at}/{DECISIONS}/{LEARNED}", (*moments, len(frame.learned))
        found.append(Variable(path, (*moment, TOLD), size))
    return found


def ledger_coordinates(protocol: Protocol, arm: Arm, at: str) -> list[Coordinate]:
    """List the coordinates of what was decided: visits, planned times, outputs."""
    if not arm.rules:
        return []
    frame = frame_of(Scheme(protocol), arm)
    place = frame.moments.place
    visits = [frame.plan.visits[one] for one in place]
    planned = frame.plan.planned[place]
    outputs = list(frame.looked_at)
    units = {"units": [frame.output(name).unit for name in outputs]}
    found = [
        Coordinate(f"{at}/{DECISIONS}/{MOMENT}", visits),
        Coordinate(f"{at}/{DECISIONS}/{PLANNED}", planned, HOURS, MOMENT),
    ]
    if outputs:
        found.append(Coordinate(f"{at}/{DECISIONS}/{OUTPUT}", outputs, units))
    if frame.learned:
        found.append(Coordinate(f"{at}/{DECISIONS}/{TOLD}", list(frame.learned)))
    return found

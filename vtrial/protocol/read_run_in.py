"""Read the run-in: what everybody goes through, and who is randomised after it."""

from collections.abc import Iterator, Sequence

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import end_of
from vtrial.errors import ProtocolError
from vtrial.protocol.design import Design
from vtrial.protocol.eligible import RunIn
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm, Visit
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import ProtocolShape
from vtrial.protocol.times import moment
from vtrial.sheets.words import listed

PATH = ("run in",)
DAY = 24.0


def read_run_in(
    whole: ProtocolShape,
    *,
    arms: Sequence[Arm],
    visits: Sequence[Visit],
    endpoints: Sequence[Endpoint],
    design: Design,
    known: Known,
    faults: Faults,
) -> RunIn | None:
    """Read the run-in; None if there is none, or if it makes no sense."""
    shape = whole.run_in
    if shape is None:
        return None
    before = len(faults.entries)
    for wrong, key, found in (
        (whole.design.crossover, "crossover", "a crossover"),
        (whole.design.escalation, "escalation", "an escalation"),
        (whole.optimise, "optimise", "`optimise`"),
    ):
        if wrong is not None:
            faults.add(
                PATH,
                found=f"given beside {found}",
                allowed=f"left out, or without `{key}`: a run-in is before subjects "
                "are randomised to arms",
            )
    try:
        until = moment(shape.until, cycle=known.cycle)
    except ProtocolError as error:
        faults.relay((*PATH, "until"), error)
        return None
    if not until > 0:
        faults.add(
            (*PATH, "until"),
            found=f"`{shape.until}`",
            allowed="after day 0, at which the run-in begins, such as `day 14`",
        )
        return None
    _check_endpoint(shape.qualify, until, endpoints, faults)
    if len(faults.entries) == before:
        _check_arms(arms, visits, design, until, faults)
    return RunIn(shape.qualify, until) if len(faults.entries) == before else None


def _check_endpoint(
    name: str, until: float, endpoints: Sequence[Endpoint], faults: Faults
) -> None:
    """Refuse what is no response that is known when the run-in ends."""
    path, named = (*PATH, "qualify"), {one.name: one for one in endpoints}
    responses = [one.name for one in endpoints if one.binary and not one.event]
    if name not in named:
        faults.unknown(path, name, responses, "response")
    elif name not in responses:
        faults.add(
            path,
            found=f"`{name}`, which is no response",
            allowed="an endpoint that one has or has not, with `above` or `below`"
            + (f": {listed(responses)}" if responses else ""),
        )
    elif (end := end_of(named[name], named)) > until:
        faults.add(
            path,
            found=f"`{name}`, which is known on day {end / DAY:g}, after the run-in",
            allowed=f"a response that is known by day {until / DAY:g}; or `until: day "
            f"{end / DAY:g}`",
        )


def _check_arms(
    arms: Sequence[Arm],
    visits: Sequence[Visit],
    design: Design,
    until: float,
    faults: Faults,
) -> None:
    """Refuse arms that part before subjects are randomised to them."""
    first = arms[0]
    for arm in arms[1:]:
        for what in _parted(first, arm, visits, until):
            faults.add(
                ("arms", arm.name),
                found=f"unlike `{first.name}` in its {what} before day "
                f"{until / DAY:g}, when the run-in ends",
                allowed="the same until then, for nobody is randomised yet",
            )
    for cause in design.dropout.causes:
        if len(set(cause.hazards)) > 1:
            faults.add(
                ("design", "dropout"),
                found=f"`{cause.name}` with another hazard in each arm",
                allowed="the same in all arms, for nobody is randomised before the "
                "run-in ends",
            )


def _parted(
    one: Arm, other: Arm, visits: Sequence[Visit], until: float
) -> Iterator[str]:
    """Yield in what two arms differ before a time [h]."""
    if _doses(one, until) != _doses(other, until):
        yield "doses"
    if one.set != other.set:
        yield "`set`"
    if one.adherence != other.adherence:
        yield "adherence"
    own = [rule for rule in (*one.rules, *other.rules)]
    apart = [rule for rule in own if (rule in one.rules) != (rule in other.rules)]
    early = {visit.name for visit in visits if min(visit.times) < until}
    if any(early & {*rule.at} for rule in apart):
        yield "rules"


def _doses(arm: Arm, until: float) -> list[tuple[object, ...]]:
    """List the doses before a time [h]: when, how much, how, and into what."""
    found: list[tuple[float, str, tuple[object, ...]]] = []
    for step in arm.regimen.steps if arm.regimen is not None else ():
        rest = (step.compartment, step.rate, step.duration, step.steady)
        interval = step.inner_interval if step.steady else 0.0
        found += [
            (float(time), repr(step.levels[level].amount), (*rest, interval))
            for time, level in zip(step.times(), step.levels_of_doses(), strict=True)
            if time < until
        ]
    return [*sorted(found, key=lambda one: one[:2])]

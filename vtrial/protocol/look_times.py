"""Whether looks are at times at which something is known, and not everything."""

from collections.abc import Sequence

import numpy as np

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import end_of
from vtrial.protocol.enactment import Enactment, Look, Milestone
from vtrial.protocol.faults import Faults

DAY, SLACK = 24.0, 1.5  # [h]; how much later than expected a last look may be
PATH = ("design",)


def check_known(made: Enactment, endpoints: Sequence[Endpoint], faults: Faults) -> None:
    """Refuse looks at which nothing is known yet, and those after everything is.

    Times are those that are expected at the rates of accrual.
    """
    named = {one.name: one for one in endpoints}
    outcome = named.get(made.outcome)
    if outcome is None:
        return
    first, last = made.accrual.reached(np.array([0.5, made.planned - 0.5]))
    late = last + end_of(outcome, named) + made.delay
    waits = {
        name: (one.start if one.event else end_of(one, named)) + made.delay
        for name, one in named.items()
    }
    for place, look in enumerate(made.looks):
        at = expected_at(look, made, waits[look.outcome or made.outcome])
        path = (*PATH, "looks", look.name)
        for name in _asked(place, made):
            soon = first + waits[name]
            if at < soon:
                faults.add(
                    path,
                    found=f"expected {at / DAY:.4g} d after the first day, when no "
                    f"`{name}` is known",
                    allowed=f"later than {soon / DAY:.4g} d: the first outcome is "
                    "measured and reported then; or no adaptation at this look",
                )
        calendar = all(one.counter == "hours" for parts in look.when for one in parts)
        if calendar and at > SLACK * late + DAY:
            faults.add(
                path,
                found=f"{at / DAY:.4g} d after the first day, long after the last "
                "visit",
                allowed=f"up to {late / DAY:.4g} d, when all outcomes are expected to "
                "be known; or a share, such as `100 %`",
            )


def _asked(place: int, made: Enactment) -> list[str]:
    """Name the outcomes of which adaptations must know something at a look."""
    early = made.looks[place].outcome
    asked = [
        early if early and one.looks[0] == place and one.option("early") else ""
        for one in made.adaptations
        if place in one.looks
    ]
    return list(dict.fromkeys(name or made.outcome for name in asked))


def expected_at(look: Look, made: Enactment, wait: float) -> float:
    """Return when a look is expected [h]; `wait` is how long its outcome takes."""
    return min(max(_expected(one, made, wait) for one in parts) for parts in look.when)


def _expected(one: Milestone, made: Enactment, wait: float) -> float:
    """Return when a milestone is expected [h]; events with the subjects at best."""
    if one.counter == "hours":
        return one.number
    count = max(one.counted(made.planned) - 0.5, 0.5)
    enrolled = float(made.accrual.reached(np.array([count]))[0])
    return enrolled + (wait if one.counter == "known" else 0.0)

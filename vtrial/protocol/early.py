"""Selection of arms by an endpoint that is known earlier than that which is tested.

At the look that selects, many subjects have shown the early endpoint alone. So such a
look counts by it, and all who are enrolled by then make the first stage.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import end_of
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.enactment import Adaptation, Enactment, Look
from vtrial.protocol.enactment_shape import AdaptationShape, LookShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.look_times import expected_at
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

KEY, BETTER = "early", "early better"
PATH = ("design",)


def check_early(
    path: Path_,
    shape: AdaptationShape,
    comparisons: Sequence[Comparison],
    endpoints: Sequence[Endpoint],
    faults: Faults,
) -> None:
    """Refuse an early endpoint that is not there, or is not earlier."""
    if shape.early is None:
        if shape.early_better is not None:
            faults.add(
                (*path, BETTER),
                found=f"without `{KEY}`",
                allowed=f"beside `{KEY}: ENDPOINT`, by which arms are selected; or "
                "left out",
            )
        return
    named = {one.name: one for one in endpoints}
    tested = {one.endpoint: named[one.endpoint] for one in comparisons}
    others = [name for name in named if name not in tested]
    early = named.get(shape.early)
    if early is None:
        faults.unknown((*path, KEY), shape.early, others, "endpoint")
    elif early.name in tested:
        faults.add(
            (*path, KEY),
            found=f"`{early.name}`, which the comparisons are on themselves",
            allowed=f"another endpoint: {listed(others)}; or left out, for arms are "
            "selected by their comparisons then"
            if others
            else "left out, for there is no other endpoint",
        )
    else:
        late = min((end_of(one, named) for one in tested.values()), default=np.inf)
        if end_of(early, named) > late:
            faults.add(
                (*path, KEY),
                found=f"`{early.name}`, which is known later than what is tested",
                allowed="an endpoint that is known as early or earlier",
            )


def with_early(
    made: Enactment,
    looks: dict[str, LookShape],
    comparisons: Sequence[Comparison],
    endpoints: Sequence[Endpoint],
    faults: Faults,
) -> Enactment:
    """Let looks that select by an early endpoint count by it, and weigh their stage."""
    found = list(made.looks)
    for rule in made.adaptations:
        early = rule.option(KEY)
        if isinstance(early, str) and rule.looks:
            place = rule.looks[0]
            shape, look = looks.get(found[place].name), found[place]
            said = shape is not None and shape.information is not None
            expected = _expected(look, early, made, endpoints)
            found[place] = replace(
                look,
                outcome=early,
                information=look.information if said else None,
                stage=look.information if said else expected,
            )
            _check_stages(found[place], rule, expected, faults)
            _check_end(rule, made, comparisons, endpoints, faults)
    return replace(made, looks=tuple(found))


def _expected(
    look: Look, early: str, made: Enactment, endpoints: Sequence[Endpoint]
) -> float:
    """Return which share of the planned subjects is expected to be there at a look."""
    named = {one.name: one for one in endpoints}
    at = expected_at(look, made, end_of(named[early], named) + made.delay)
    came = made.accrual.reached(np.arange(made.planned) + 0.5)
    return float((came <= at).mean())


def _check_stages(
    look: Look, rule: Adaptation, expected: float, faults: Faults
) -> None:
    """Refuse a look that leaves nobody to one of the stages, or none to be weighed."""
    path = (*PATH, "looks", look.name)
    if not 0 < expected < 1:
        who = "everybody is" if expected >= 1 else "nobody is"
        faults.add(
            path,
            found=f"expected when {who} enrolled, so that `{rule.name}` has one stage",
            allowed="a look after some have come and before all have, with another "
            "share or `accrual`",
        )
    counters = {one.counter for parts in look.when for one in parts}
    if "events" in counters and look.information is None:
        faults.add(
            path,
            found="counts events, which do not tell how many are enrolled",
            allowed="the share of the subjects that the first stage has, too: "
            "`{at: 30 events, information: 50 %}`",
        )
    if look.information is not None and not 0 < look.information < 1:
        faults.add(
            (*path, "information"),
            found=f"{look.information:g}",
            allowed="the share of the subjects that the first stage has: above 0 % and "
            "below 100 %",
        )


def _check_end(
    rule: Adaptation,
    made: Enactment,
    comparisons: Sequence[Comparison],
    endpoints: Sequence[Endpoint],
    faults: Faults,
) -> None:
    """Refuse a last look that is held before what is tested is known."""
    named = {one.name: one for one in endpoints}
    ends = {
        one.endpoint: end_of(named[one.endpoint], named)
        for one in comparisons
        if one.name in rule.on
    }
    outcome = named.get(made.outcome)
    last = max(ends, key=ends.__getitem__)
    if outcome is not None and end_of(outcome, named) < ends[last]:
        faults.add(
            (*PATH, "outcome"),
            found=f"`{outcome.name}`, by which the last look is held before "
            f"`{last}` is known",
            allowed=f"left out, or `{last}`: the look that selects counts by "
            f"`{rule.option(KEY)}` anyhow",
        )

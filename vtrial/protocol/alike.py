"""Subgroups that may be alike: what a posterior probability over them needs."""

from collections.abc import Sequence

from vtrial.protocol.analysis import Comparison
from vtrial.protocol.faults import Faults
from vtrial.sheets.sheet import Path_

MOST_ALIKE = 8
NEEDED = {
    "heterogeneity": "0.5`: the scale of the deviation between subgroups",
    "spread": "2`: the deviation of the prior of any effect",
}


def check_alike(
    path: Path_,
    given: set[str],
    found: Sequence[Comparison | None],
    faults: Faults,
) -> None:
    """Refuse what is no comparison of the same arms in several subgroups."""
    for key, such in NEEDED.items():
        if key not in given:
            what = f"with `alike`, but without `{key}`"
            faults.add(path, found=what, allowed=f"`{key}: {such}")
    known = [one for one in found if one is not None]
    if len(known) != len(found):
        return
    kinds = {(one.arm, one.reference, one.endpoint, one.by) for one in known}
    apart = len({str(one.where) for one in known if one.where is not None})
    if len(kinds) == 1 and 2 <= apart == len(known) <= MOST_ALIKE:
        return
    faults.add(
        (*path, "alike"),
        found=f"on {len(known)} comparisons that are not of one kind in subgroups",
        allowed=f"from 2 to {MOST_ALIKE} comparisons of the same arms on the same "
        "endpoint, each of another subgroup by its `where`",
    )

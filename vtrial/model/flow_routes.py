"""Routes between the stations of a flow: their order, and who comes where."""

from collections.abc import Sequence

from vtrial.model.flow import Way

Ways = Sequence[Sequence[tuple[Way, ...]]]  # by station, then by class


def in_order(ways: Ways) -> list[int]:
    """Order stations so that every route goes forward; empty if one goes round.

    Examples
    --------
    >>> from vtrial.model.tree import Number
    >>> to = lambda *places: [tuple(Way(place, Number(1.0)) for place in places)]
    >>> in_order([to(-1), to(0), to(1, 0)]), in_order([to(1), to(0)])
    ([2, 1, 0], [])
    """
    left = set(range(len(ways)))
    order: list[int] = []
    while left:
        entered = {w.to for s in left for each in ways[s] for w in each}
        free = sorted(left - entered)
        if not free:
            return []
        order += free
        left -= set(free)
    return order


def reached(first: Sequence[int], ways: Ways, order: Sequence[int]) -> list[list[bool]]:
    """Return for each class whether it comes to each station."""
    found = []
    for group, start in enumerate(first):
        comes = [place == start for place in range(len(ways))]
        for place in order:
            for way in ways[place][group] if comes[place] else ():
                if way.to >= 0:
                    comes[way.to] = True
        found.append(comes)
    return found

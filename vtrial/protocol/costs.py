"""Costs: prices of what endpoints count or time, which add up to an endpoint `cost`."""

import re
from collections.abc import Mapping, Sequence

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.errors import UnitError
from vtrial.model.grammar import parse_expression
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.faults import Faults
from vtrial.sheets.sheet import Path_
from vtrial.units import factor

_BY = "Welch difference of means"
COST, EACH = "cost", "each subject"
_PRICE = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?[A-Z]{3})(?:\s*/\s*(\S.*))?")


def with_cost(
    prices: Mapping[str, str],
    endpoints: tuple[Endpoint, ...],
    names: Sequence[str],
    faults: Faults,
) -> tuple[Endpoint, ...]:
    r"""Add the endpoint `cost` if there are prices.

    $$ \text{cost} = p_0 + \sum_k p_k\, y_k, $$

    where $y_k$ is the number of endpoint $k$ and $p_0$ the price of `each subject`.

    Parameters
    ----------
    prices
        By endpoint, in one currency: `30 USD` of each of its number, or `800 USD/d` of
        a number that has a unit.
    names
        All endpoints of the sheet, those with faults included.
    """
    if not prices:
        return endpoints
    if COST in names:
        faults.add(
            ("costs",),
            found=f"given beside an endpoint `{COST}`",
            allowed=f"the only one that makes `{COST}`: the endpoint must be left out, "
            "or called otherwise",
        )
    there = {point.name: point for point in endpoints}
    before, terms, currencies = len(faults.entries), [], {}
    for name, words in prices.items():
        path: Path_ = ("costs", name)
        if name != EACH and name not in names:
            faults.unknown(path, name, [*names, EACH], "endpoint")
        unit = there[name].unit if name in there else "1"
        price = _price(path, words, unit, faults)
        if price is not None:
            currencies.setdefault(price[1], path)
            terms.append(f"{price[0]!r}" + (f"*{called(name)}" if name != EACH else ""))
    for other, path in list(currencies.items())[1:]:
        first = next(iter(currencies))
        faults.add(
            path,
            found=f"in {other}, while the first is in {first}",
            allowed=f"in {first}: a sheet has one currency",
        )
    if len(faults.entries) > before or any(
        name not in there for name in prices if name != EACH
    ):
        return endpoints
    used = [there[name] for name in prices if name != EACH]
    cost = Endpoint(
        COST,
        of="",
        take="equals",
        start=min((point.start for point in used), default=0.0),
        end=max((point.end for point in used), default=0.0),
        equals=parse_expression(" + ".join(terms)),
        unit=next(iter(currencies)),
        title="cost of a subject",
    )
    return (*endpoints, cost)


def of_cost(
    comparisons: Sequence[Comparison],
    endpoints: Sequence[Endpoint],
    arms: Sequence[str],
) -> tuple[Comparison, ...]:
    """Compare the cost under each arm with that under the first, if nothing else does.

    Costs vary as the events that they come of do, and so each arm with a variance of
    its own.
    """
    asked = any(one.endpoint == COST for one in comparisons)
    if asked or not any(point.name == COST for point in endpoints):
        return ()
    first, *others = arms
    return tuple(
        Comparison(f"{arm} with {first} on {COST}", arm, first, COST, _BY)
        for arm in others
    )


def _price(
    path: Path_, words: str, unit: str, faults: Faults
) -> tuple[float, str] | None:
    """Read a price: how much for each of an endpoint's unit, and in which currency."""
    found = _PRICE.fullmatch(words.strip())
    tail = found[3].strip() if found and found[3] else "1"
    each = "" if unit == "1" else f"/{unit}"
    allowed = (
        f"an amount of a currency for each {unit if each else 'one'}, such as "
        f"`30 USD{each}`"
    )
    if found is None:
        faults.add(path, found=f"`{words}`", allowed=allowed)
        return None
    try:
        return float(found[1]) * factor(unit, tail), found[2]
    except UnitError:
        faults.add(path, found=f"`{words}`, of a number in {unit}", allowed=allowed)
        return None

"""What real trials saw: published outcomes."""

from collections.abc import Mapping, Sequence

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError, UnitError
from vtrial.model.model import Source
from vtrial.model.tree import Expression
from vtrial.protocol.analysis import Comparison, effect_kind
from vtrial.protocol.evidence import Published, Statistic
from vtrial.protocol.faults import Faults
from vtrial.protocol.observed_shape import SourceShape
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import PublishedShape
from vtrial.protocol.subset import read_where
from vtrial.protocol.values import difference_in, effect_in, number_in, share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed
from vtrial.units import quantity


def read_source(shape: SourceShape) -> Source:
    """Return a source as it is cited."""
    return Source(shape.cite, shape.doi, shape.url, shape.note)


def read_published(
    shapes: Mapping[int, PublishedShape],
    endpoints: Sequence[Endpoint],
    analysis: Sequence[Comparison],
    *,
    names: Sequence[str] | None,
    known: Known,
    faults: Faults,
) -> tuple[Published, ...]:
    """Read published outcomes.

    `names` are all that comparisons are called; None if not all could be read.
    """
    read = []
    for place, shape in shapes.items():
        path = ("published", place)
        asked = _asked(path, shape, names, known, faults)
        kind = _kind(asked, endpoints, analysis)
        if asked is None or kind is None:
            continue
        numbers = _numbers(path, shape, *kind, faults)
        statistic = _statistic((*path, "statistic"), shape, kind[0], faults)
        where = _where((*path, "where"), shape, known, faults)
        if numbers is not None:
            said = (statistic, shape.verified, read_source(shape.source), where)
            read.append(Published(*numbers, *asked, *said))
    return tuple(read)


def _asked(
    path: Path_,
    shape: PublishedShape,
    names: Sequence[str] | None,
    known: Known,
    faults: Faults,
) -> tuple[str, str, str] | None:
    """Return endpoint, arm and comparison that an outcome is about."""
    if (shape.comparison is None) == (shape.endpoint is None):
        faults.add(
            path,
            found="about both" if shape.comparison else "about nothing",
            allowed="about an arm's endpoint, or about a comparison, such as "
            "`arm: high, endpoint: peak`",
        )
        return None
    if shape.comparison is not None:
        if names is not None and shape.comparison not in names:
            faults.unknown((*path, "comparison"), shape.comparison, names, "comparison")
            return None
        return "", "", shape.comparison
    before = len(faults.entries)
    arm = shape.arm or (known.arms[0] if len(known.arms) == 1 else "")
    if not arm:
        faults.add(
            (*path, "arm"),
            found="missing",
            allowed=f"given where there are several arms: {listed(known.arms)}",
        )
    elif arm not in known.arms:
        faults.unknown((*path, "arm"), arm, known.arms, "arm")
    endpoint = shape.endpoint or ""
    if endpoint not in known.endpoints:
        faults.unknown((*path, "endpoint"), endpoint, known.endpoints, "endpoint")
    return (endpoint, arm, "") if len(faults.entries) == before else None


def _kind(
    asked: tuple[str, str, str] | None,
    endpoints: Sequence[Endpoint],
    analysis: Sequence[Comparison],
) -> tuple[str, str] | None:
    """Return the kind of number (share, difference, number) and its unit."""
    if asked is None:
        return None
    name, _, comparison = asked
    by = ""
    if comparison:
        found = next((one for one in analysis if one.name == comparison), None)
        if found is None:
            return None
        name, by = found.endpoint, found.by
    endpoint = next((one for one in endpoints if one.name == name), None)
    if endpoint is None:
        return None
    if by:
        return effect_kind(by, endpoint)
    return ("share", "1") if endpoint.binary else ("number", endpoint.unit)


def _statistic(
    path: Path_, shape: PublishedShape, kind: str, faults: Faults
) -> Statistic:
    """Return which statistic of an arm was published, held against the endpoint."""
    share = kind == "share"
    given = shape.statistic
    if given is None:
        return "share" if share else "mean"
    if shape.comparison is not None or share != (given == "share"):
        what = "a comparison" if shape.comparison else "a response"
        what = "a number" if given == "share" and not shape.comparison else what
        faults.add(
            path,
            found=f"`{given}`, of {what}",
            allowed="left out" if what != "a number" else "a statistic of numbers",
        )
    return given


def _where(
    path: Path_, shape: PublishedShape, known: Known, faults: Faults
) -> Expression | None:
    """Read of whom in an arm an outcome is; a comparison says so itself."""
    if shape.where is not None and shape.comparison is not None:
        faults.add(
            path,
            found="given for a comparison",
            allowed="left out: a comparison has its own `where`, in `analysis`",
        )
        return None
    return read_where(path, shape.where, known, faults)


def _numbers(
    path: Path_, shape: PublishedShape, kind: str, unit: str, faults: Faults
) -> tuple[float, float, float] | None:
    """Return the published value and the limits of what counts as within."""

    def absolute(value: float | str) -> float:
        if kind == "number":
            effect = shape.comparison is not None
            return effect_in(value, unit) if effect else number_in(value, unit)
        return share_in(value) if kind == "share" else difference_in(value)

    try:
        value = absolute(shape.value)
    except ProtocolError as error:
        faults.relay((*path, "value"), error)
        return None
    try:
        if isinstance(shape.within, list):
            low, high = (absolute(limit) for limit in shape.within)
        else:
            margin = _margin(shape.within, value, kind, unit)
            low, high = value - margin, value + margin
    except (ProtocolError, UnitError) as error:
        faults.relay((*path, "within"), error)
        return None
    if not low < high or not low <= value <= high:
        faults.add(
            (*path, "within"),
            found=f"from {low:g} to {high:g}",
            allowed=f"around the published value, {value:g}",
            write=_in_order(shape.within) if high < low else "",
        )
        return None
    return value, low, high


def _in_order(within: object) -> str:
    """Write two limits in the other order."""
    return f"[{within[1]}, {within[0]}]" if isinstance(within, list) else ""


def _margin(within: float | str, value: float, kind: str, unit: str) -> float:
    """Return how far the simulated value may be from the published one."""
    percent = isinstance(within, str) and within.strip().endswith("%")
    if kind != "number":
        if percent:
            raise ProtocolError(
                at="within",
                found=f"`{within}`, of a share",
                allowed="percentage points (pp); a relative margin has two limits",
                write=str(within).replace("%", "pp").strip(),
            )
        return difference_in(within)
    if percent and unit != "%":
        return abs(value) * quantity(str(within))[0] / 100
    return effect_in(within, unit)

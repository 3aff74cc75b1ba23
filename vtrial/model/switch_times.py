"""When the clock switches the equations of the typical subject."""

import bisect
import math
from collections.abc import Mapping, Sequence

from vtrial.model.jumps import DOSED, LATER, ULPS, Switch
from vtrial.model.model import Model
from vtrial.model.tree import TIME, TIME_AFTER_DOSE
from vtrial.model.typical import Typical, typical_of

_EPS = 2.0**-52


def switch_times(
    model: Model,
    given: Mapping[str, float],
    doses: Sequence[float],
    *,
    until: float,
    most: int,
) -> list[float]:
    """Return when the clock switches something, as the typical subject has it [h].

    `given` are inputs that are not the typical ones. `doses` [h], ascending, start the
    time after dose anew. The first `most` of those that can be told exactly come back;
    one that must be searched for is left out (see `Switch`).
    """
    exact = [s for s in model.structure.switches if s.is_exact]
    if not exact:
        return []
    known = typical_of(model, given).known
    inner = sorted({dose for dose in doses if 0.0 < dose < until})
    found: list[float] = []
    time = 0.0
    while time < until and len(found) < most:
        place = bisect.bisect_right(inner, time)
        end = inner[place] if place < len(inner) else until
        last = bisect.bisect_right(doses, time)
        time += _ahead(exact, known, time, doses[last - 1] if last else math.nan)
        if time < end:
            found.append(time)
        time = min(time, end)
    return found


def _ahead(
    switches: Sequence[Switch],
    known: Mapping[str, float],
    time: float,
    last_dose: float,
) -> float:
    """Return how far ahead of a time [h] the next switch is; infinite if none is."""
    little = max(LATER, ULPS * _EPS * time)
    dosed = math.isfinite(last_dose)
    since = time + little - last_dose if dosed else 0.0
    clock = {TIME: time + little, TIME_AFTER_DOSE: since, DOSED: float(dosed)}
    typical = Typical({**known, **clock})
    ahead = math.inf
    for switch in switches:
        flag = typical.value(switch.value)
        if flag is not None:
            typical.known[switch.flag] = flag
        distance, slope = (typical.value(e) for e in (switch.distance, switch.slope))
        if distance is not None and slope:
            ahead = min(ahead, _straight(distance, slope, whole=switch.whole))
    return little + ahead


def _straight(distance: float, slope: float, *, whole: bool) -> float:
    """Return when a straight line is at zero, or at the next whole number [h]."""
    if not whole:
        return -distance / slope if distance * slope < 0 else math.inf
    if slope > 0:
        return (math.floor(distance) + 1 - distance) / slope
    return (math.ceil(distance) - 1 - distance) / slope

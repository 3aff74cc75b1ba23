"""The range of what a statistic or an effect can be."""

import math

from vtrial.analysis.replication import WHOLE
from vtrial.endpoint.endpoint import Endpoint
from vtrial.measure.registry import measures

Range = tuple[float, float]
SIGNED = 100  # values that show on which side of 0 a number is


def support_of(endpoint: Endpoint, statistic: str) -> Range:
    """Return the range of a statistic of an endpoint.

    Examples
    --------
    >>> part = Endpoint("p", "conc", "share above", 0.0, 24.0, low=1.0, unit="%")
    >>> support_of(part, "mean"), support_of(part, "share"), support_of(part, "sd")
    ((0.0, 100.0), (0.0, 1.0), (0.0, inf))
    """
    if statistic == "share":
        return 0.0, 1.0
    if statistic in ("sd", "geometric mean"):
        return 0.0, math.inf
    return _range(endpoint)


def support_seen(known: Range, count: int, extremes: Range) -> Range:
    """Let a range end at 0 where none of many values lies on the other side.

    Counts and chances that an equation makes are not negative, which nothing else says.
    A range that is known stays: a standard deviation of losses is above 0.

    Examples
    --------
    >>> support_seen(WHOLE, 600, (0.02, 0.31)), support_seen(WHOLE, 12, (0.02, 0.31))
    ((0.0, inf), (-inf, inf))
    >>> support_seen((0.0, math.inf), 600, (-7.5, -2.0))
    (0.0, inf)
    """
    if count < SIGNED or known != WHOLE:
        return known
    least, most = extremes
    return 0.0 if least >= 0 else -math.inf, 0.0 if most <= 0 else math.inf


def support_of_effect(by: str, endpoint: Endpoint) -> Range:
    """Return the range of an effect."""
    if measures()[by].shares:
        return -1.0, 1.0
    if measures()[by].ratio:
        return 0.0, math.inf
    low, high = _range(endpoint)
    return (low - high, high - low) if math.isfinite(high - low) else WHOLE


def _range(endpoint: Endpoint) -> Range:
    """Return the range of one subject's number, where the way it is made has one."""
    if endpoint.categories:
        return endpoint.categories[0], endpoint.categories[-1]
    return endpoint.kind.support

"""More subjects where a result is promising, and the test that allows for it."""

import numpy as np
from scipy import special

from vtrial.design.kind import Kind, Verdict, View, increment
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment

ZONE = (0.365, 0.9)  # of conditional power, where the sheet gives none


def _share(enactment: Enactment, place: int) -> float:
    """Return which share of the planned information a look has."""
    return enactment.looks[place].information or 0.5


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Enlarge the trial at the first look in the zone, and test at the end.

    Conditional power is that of the effect as it is estimated. Within the zone the
    trial gets as many subjects as bring it to the aimed power (Mehta CR, Pocock SJ,
    Stat Med 2011;30:3267-3284, equation 7), at most all there are. The end is tested
    by the inverse normal method with the weights that were planned, which keeps the
    error whatever the size (Cui L et al., Biometrics 1999;55:853-857).
    """
    limit = -special.ndtri(adaptation.number("alpha", 0.025))
    name = adaptation.on[0]
    z = view.z(name, adaptation)
    first = adaptation.looks[0]
    share = _share(view.enactment, first)
    if view.place == first:
        zone = adaptation.option("zone") or ZONE
        assert isinstance(zone, tuple)
        planned = view.enactment.planned
        early = share * planned
        power = conditional_power(z, share, limit)
        aim = special.ndtri(adaptation.number("power", 0.9))
        asked = promised(z, early, planned, limit=limit, aim=aim)
        promising = (power >= zone[0]) & (power < zone[1])
        more = np.clip(np.ceil(asked), planned, view.most)
        size = np.where(promising, more, view.size).astype(int)
        return Verdict(size=size)
    if not view.last:
        return Verdict()
    before = view.past[name, first]
    begun = view.signed(adaptation, before)
    after = increment(adaptation, before, view.effects(name))
    joined = np.sqrt(share) * begun + np.sqrt(1.0 - share) * after
    success = joined >= limit
    return Verdict({name: success}, {name: ~success})


def conditional_power(z: np.ndarray, share: float, limit: float) -> np.ndarray:
    """Return the power at the end if the effect is as it is estimated.

    Examples
    --------
    >>> conditional_power(np.array([1.9599639845]), 0.5, 1.9599639845).round(4).tolist()
    [0.8745]
    """
    with np.errstate(invalid="ignore"):
        return special.ndtr((z / np.sqrt(share) - limit) / np.sqrt(1.0 - share))


def promised(
    z: np.ndarray, early: float, planned: int, *, limit: float, aim: float
) -> np.ndarray:
    """Return the size at which conditional power is as aimed for.

    `aim` is the normal quantile of the power. NaN where the effect is not in the aimed
    direction.
    """
    rest = planned - early
    with np.errstate(invalid="ignore", divide="ignore"):
        root = (limit * np.sqrt(planned) - z * np.sqrt(early)) / np.sqrt(rest) + aim
        made = early + early / z**2 * np.maximum(root, 0.0) ** 2
    return np.where(z > 0, made, planned)


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse a trial that is looked at once, or several comparisons."""
    if len(adaptation.looks) < 2 or len(adaptation.on) > 1:
        several = len(adaptation.on) > 1
        raise ProtocolError(
            at="sample size",
            found="on several comparisons" if several else "with one look",
            allowed="on one comparison"
            if several
            else "a look before the end, and the end",
            write="",
        )


KINDS = (Kind("sample size", 40, _decide, _check),)

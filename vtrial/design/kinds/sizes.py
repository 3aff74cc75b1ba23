"""More subjects where a result is promising, and the test that allows for it."""

import numpy as np
from scipy import special

from vtrial.design.kind import Kind, Verdict, View, increment, shares_of
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Enlarge the trial at the first look in the zone, and test at the end.

    Within the zone of conditional power the trial gets as many subjects as bring it to
    the aimed power (Mehta CR, Pocock SJ, Stat Med 2011;30:3267-3284), at most all there
    are. The end is tested by the inverse normal method with the weights that were
    planned, which keeps the error whatever the size (Cui L et al., Biometrics
    1999;55:853-857).
    """
    from vtrial.design.sequential.reestimate import promising_zone

    limit = -special.ndtri(adaptation.number("alpha", 0.025))
    name = adaptation.on[0]
    z = view.z(name, adaptation)
    first = adaptation.looks[0]
    (share,) = shares_of(view.enactment, [first])
    if view.place == first:
        planned = view.enactment.planned
        asked = promising_zone(
            z,
            share * planned,
            float(planned),
            float(view.most),
            power=adaptation.number("power", 0.9),
            least=_number(adaptation.option("least")),
            alpha=adaptation.number("alpha", 0.025),
        )
        size = np.where(asked.zone == 1, np.ceil(asked.size - 1e-9), view.size)
        return Verdict(size=size.astype(int))
    if not view.last:
        return Verdict()
    before = view.past[name, first]
    begun = view.signed(adaptation, before)
    after = increment(adaptation, before, view.effects(name))
    joined = np.sqrt(share) * begun + np.sqrt(1.0 - share) * after
    success = joined >= limit
    return Verdict({name: success}, {name: ~success})


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
    shares_of(enactment, adaptation.looks[:1])


KINDS = (Kind("sample size", 40, _decide, _check),)

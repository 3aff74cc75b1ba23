"""Selection of arms at a look, and the closed test that allows for it."""

import numpy as np

from vtrial.design.kind import Kind, Verdict, View, increment, shares_of
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Give up all but the best arms at the first look, and test the others at the end.

    At the end every intersection of hypotheses is tested by Dunnett's test in each
    stage, and both stages are joined by the inverse normal method; an arm is shown if
    all intersections with it are (Bretz F et al., Biom J 2006;48:623-634).
    """
    from vtrial.design.sequential.closed import closed_dunnett

    first = adaptation.looks[0]
    names = adaptation.on
    now = np.stack([view.z(name, adaptation) for name in names], axis=1)
    if view.place == first:
        goes_on = int(adaptation.number("best", 1.0))
        rank = (-now).argsort(axis=1).argsort(axis=1)
        futile = {name: rank[:, i] >= goes_on for i, name in enumerate(names)}
        return Verdict(futile=futile)
    if not view.last:
        return Verdict()
    before = [view.past[name, first] for name in names]
    begun = np.stack([view.signed(adaptation, one) for one in before], axis=1)
    after = np.stack(
        [
            increment(adaptation, one, view.effects(name))
            for one, name in zip(before, names, strict=True)
        ],
        axis=1,
    )
    rank = (-begun).argsort(axis=1).argsort(axis=1)
    gone = rank >= int(adaptation.number("best", 1.0))
    sides = [view.sight.sides(name) for name in names]
    shown = closed_dunnett(
        begun,
        np.where(gone, np.nan, after),
        information=shares_of(view.enactment, [first])[0],
        alpha=adaptation.number("alpha", 0.025),
        ratio=float(view.base[sides[0][0]] / view.base[sides[0][1]]),
    )
    success = {name: shown[:, i] for i, name in enumerate(names)}
    return Verdict(success, {name: ~one for name, one in success.items()})


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse a selection that leaves nothing out, or has no end."""
    if len(adaptation.looks) < 2:
        raise ProtocolError(
            at="select arms",
            found="with one look",
            allowed="the look that selects, and the end: `looks: [interim, final]`",
            write="",
        )
    best = int(adaptation.number("best", 1.0))
    if best >= len(adaptation.on):
        raise ProtocolError(
            at="best",
            found=f"{best} of {len(adaptation.on)} arms",
            allowed=f"fewer than the {len(adaptation.on)} that are compared",
            write="",
        )
    shares_of(enactment, adaptation.looks[:1])


KINDS = (Kind("select arms", 70, _decide, _check),)

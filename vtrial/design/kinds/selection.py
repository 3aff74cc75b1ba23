"""Selection of arms at a look, and the closed test that allows for it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vtrial.design.kind import Kind, Verdict, View, increment, shares_of
from vtrial.design.posterior import believed
from vtrial.design.sight import Lock, Trials_
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment

ByComparison = Float[np.ndarray, "trial comparison"]


class Stages(NamedTuple):
    """The statistics of each stage's own data, and the planned share of the first."""

    begun: ByComparison
    after: ByComparison
    share: float


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Give up all but the best arms at the first look, and test the others at the end.

    At the end every intersection of hypotheses is tested by Dunnett's test in each
    stage, and both stages are joined by the inverse normal method; an arm is shown if
    all intersections with it are (Bretz F et al., Biom J 2006;48:623-634).
    """
    from vtrial.design.sequential.closed import closed_dunnett

    first, names = adaptation.looks[0], adaptation.on
    early = adaptation.option("early")
    if view.place == first:
        found = (
            _shown_early(adaptation, view, view.lock)
            if early
            else np.stack([view.z(name, adaptation) for name in names], axis=1)
        )
        gone = _gone(adaptation, found)
        return Verdict(futile={name: gone[:, i] for i, name in enumerate(names)})
    if not view.last:
        return Verdict()
    if early:
        stages = _by_enrolment(adaptation, view)
        gone = _gone(adaptation, _shown_early(adaptation, view, _begun(view, first)))
    else:
        stages = _by_what_was_known(adaptation, view)
        gone = _gone(adaptation, stages.begun)
    sides = [view.sight.sides(name) for name in names]
    shown = closed_dunnett(
        stages.begun,
        np.where(gone, np.nan, stages.after),
        information=stages.share,
        alpha=adaptation.number("alpha", 0.025),
        ratio=float(view.base[sides[0][0]] / view.base[sides[0][1]]),
    )
    success = {name: shown[:, i] for i, name in enumerate(names)}
    return Verdict(success, {name: ~one for name, one in success.items()})


def _gone(adaptation: Adaptation, found: ByComparison) -> Bool[np.ndarray, "trial _"]:
    """Return which arms are given up by what they have shown: all but the best."""
    rank = (-found).argsort(axis=1).argsort(axis=1)
    return rank >= int(adaptation.number("best", 1.0))


def _by_what_was_known(adaptation: Adaptation, view: View) -> Stages:
    """Part what was known at the look that selected from what has become known since.

    Nothing but the first has led to the selection, so that subjects who were enrolled
    and not known yet may count in the second stage.
    """
    first, names = adaptation.looks[0], adaptation.on
    before = [view.past[name, first] for name in names]
    begun = [view.signed(adaptation, one) for one in before]
    after = [
        increment(adaptation, one, view.effects(name))
        for one, name in zip(before, names, strict=True)
    ]
    share = shares_of(view.enactment, [first])[0]
    return Stages(np.stack(begun, axis=1), np.stack(after, axis=1), share)


def _by_enrolment(adaptation: Adaptation, view: View) -> Stages:
    """Part who was enrolled by the look that selected from who came later.

    The early endpoint goes with the tested one in the same subjects, so that all whose
    early endpoint may have led to the selection are of the first stage, and are
    followed to the end.

    References
    ----------
    Jenkins M, Stone A, Jennison C (2011) Pharm Stat 10:347-356.
    Friede T et al. (2011) Stat Med 30:1528-1540.
    """
    at, stages = view.times[adaptation.looks[0]], []
    for later in (False, True):
        found = []
        for name in adaptation.on:
            lock = view.lock_of(name)
            inside = (lock.enrolled > at[:, None]) == later
            part = lock._replace(arm=np.where(inside, lock.arm, -1))
            found.append(view.signed(adaptation, view.sight.effects(name, part)))
        stages.append(np.stack(found, axis=1))
    share = view.enactment.looks[adaptation.looks[0]].stage
    assert share is not None, "the loader has said it"
    return Stages(stages[0], stages[1], share)


def _begun(view: View, first: int) -> Lock:
    """Return the data as they were locked at an earlier look."""
    at: Trials_ = view.times[first]
    inside = view.lock.enrolled <= at[:, None]
    return Lock(np.where(inside, view.lock.arm, -1), view.lock.enrolled, at)


def _shown_early(adaptation: Adaptation, view: View, lock: Lock) -> ByComparison:
    """Return what the early endpoint is in each compared arm, the best the highest.

    It is a mean, the share of responses, or of a time to an event its hazard.
    """
    seen = view.sight.seen(str(adaptation.option("early")), lock)
    mean = believed(seen, lock.arm, len(view.base)).mean
    arms = [view.sight.sides(name)[0] for name in adaptation.on]
    found = np.asarray(mean[:, arms])
    return -found if adaptation.option("early better") == "lower" else found


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
    if not adaptation.option("early"):
        shares_of(enactment, adaptation.looks[:1])


KINDS = (Kind("select arms", 70, _decide, _check),)

"""Selection of a subgroup at a look, and the closed test that allows for it."""

import numpy as np
from scipy import special

from vtrial.design.kind import Each, Kind, Verdict, View, increment, shares_of
from vtrial.design.sight import Effects
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Adaptation, Enactment

WORD = "select subgroup"
FAR = 8.2  # z beyond which a p-value is not told from 0 or 1


def _decide(adaptation: Adaptation, view: View) -> Verdict:
    """Choose whom to enrol at the first look, and test both hypotheses at the end.

    The predictive power of everybody decides, then that of the subgroup. At the end the
    hypothesis of each, and that of both, is tested in each stage, and stages are joined
    by the inverse normal method (Brannath W et al., Stat Med 2009;28:1445-1463). Where
    only the subgroup was enrolled, the second stage of both is the subgroup's.
    """
    whole, part = adaptation.on
    first = adaptation.looks[0]
    if view.place == first:
        return _chosen(adaptation, view)
    if not view.last:
        return Verdict()
    (share,) = shares_of(view.enactment, [first])
    limit = -special.ndtri(adaptation.number("alpha", 0.025))
    before = [view.past[name, first] for name in adaptation.on]
    now = [view.effects(name) for name in adaptation.on]
    begun = [view.signed(adaptation, one) for one in before]
    after = [
        increment(adaptation, early, late)
        for early, late in zip(before, now, strict=True)
    ]
    alone = _predicted(adaptation, view, before)[0]
    old, new = ([1.0 / one.error**2 for one in side] for side in (before, now))
    joint = both(begun[0], begun[1], _correlation(old[0], old[1]))
    gained = _correlation(new[0] - old[0], new[1] - old[1])
    later = np.where(alone, after[1], both(after[0], after[1], gained))
    joined = [
        np.sqrt(share) * early + np.sqrt(1.0 - share) * late
        for early, late in ((begun[0], after[0]), (begun[1], after[1]), (joint, later))
    ]
    with np.errstate(invalid="ignore"):
        shown = {
            whole: (joined[0] >= limit) & (joined[2] >= limit) & ~alone,
            part: (joined[1] >= limit) & (joined[2] >= limit),
        }
    return Verdict(shown, {name: ~one for name, one in shown.items()})


def _chosen(adaptation: Adaptation, view: View) -> Verdict:
    """Give up everybody's hypothesis where the subgroup goes on alone; or both."""
    whole, part = adaptation.on
    alone, hopeless = _predicted(
        adaptation, view, [view.effects(name) for name in adaptation.on]
    )
    members = view.sight.members(part)
    return Verdict(
        futile={whole: alone | hopeless, part: hopeless},
        only=members | ~alone[:, None],
    )


def _predicted(
    adaptation: Adaptation, view: View, found: list[Effects]
) -> tuple[Each, Each]:
    """Return in which trials the subgroup goes on alone, and in which nothing does."""
    (share,) = shares_of(view.enactment, adaptation.looks[:1])
    limit = -special.ndtri(adaptation.number("alpha", 0.025))
    power = []
    for one in found:
        z = view.signed(adaptation, one)
        gap = (z - limit * np.sqrt(share)) / np.sqrt(1.0 - share)
        power.append(np.nan_to_num(special.ndtr(gap)))
    least = adaptation.number("least", 0.0)
    hopeless = np.maximum(*power) < adaptation.number("futility", 0.0)
    return (power[0] < least) & (power[1] > power[0]) & ~hopeless, hopeless


def _correlation(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the correlation of both statistics: the root of the shared information."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.clip(np.nan_to_num(part / whole, nan=0.0), 0.0, 1.0))


def both(whole: np.ndarray, part: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    r"""Return the statistic of both hypotheses together, from the larger of the two.

    Its p-value is $1 - \Phi_2(m, m; \rho)$ with m the larger statistic, where
    $\Phi_2(m, m; \rho) = \Phi(m) - 2 T(m, \sqrt{(1 - \rho)/(1 + \rho)})$ with Owen's T.

    References
    ----------
    Spiessens B, Debois M (2010) Contemp Clin Trials 31:647-656.
    Owen DB (1956) Ann Math Stat 27:1075-1090.

    Examples
    --------
    >>> float(both(np.array(1.96), np.array(0.3), np.array(1.0)).round(6))
    1.96
    >>> float(special.ndtr(-both(np.array(2.0), np.array(1.0), np.array(0.0))).round(6))
    0.044983
    """
    top = np.fmax(whole, part)
    slope = np.sqrt((1.0 - correlation) / (1.0 + correlation))
    p = special.ndtr(-top) + 2.0 * special.owens_t(top, slope)
    return np.asarray(np.clip(-special.ndtri(np.clip(p, 1e-300, 1.0)), -FAR, None))


def _check(adaptation: Adaptation, enactment: Enactment) -> None:
    """Refuse a selection that has no end, or whose information is not known."""
    if len(adaptation.looks) < 2:
        raise ProtocolError(
            at=WORD,
            found="with one look",
            allowed="the look that selects, and the end: `looks: [interim, final]`",
            write="",
        )
    shares_of(enactment, adaptation.looks[:1])


KINDS = (Kind(WORD, 80, _decide, _check),)

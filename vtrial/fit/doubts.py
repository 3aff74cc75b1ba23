"""What a reader of a fit has to know before its numbers: in words, each with a figure.

Limits are those of practice, not of law: a relative standard error above 50 % (30 % is
asked for of fixed effects), shrinkage above 30 % (Savic RM, Karlsson MO (2009) AAPS J
11:558-569), a condition number above 1000 (Montgomery and Peck).
"""

from typing import TYPE_CHECKING

import numpy as np

from vtrial.fit.estimated import Estimated
from vtrial.fit.mode import Outcome

if TYPE_CHECKING:
    from vtrial.fit.calibration import Fit

UNSURE = 0.5  # relative standard error
SHRUNK = 0.3
TOGETHER = 0.95  # correlation of effects or of estimates
ONE = 0.999  # correlation that cannot be told from 1
NOTHING = 1e-4  # variance of effects, beside which nobody differs
CONDITION = 1000.0


def doubts_of(fit: "Fit") -> list[str]:
    """List what stands against taking a fit's numbers as they are."""
    return [*doubts_of_estimates(fit), *_shrinkage(fit), *_persons(fit)]


def doubts_of_estimates(fit: Estimated) -> list[str]:
    """List what stands against the estimates, whatever is known of single subjects."""
    return [*_search(fit), *_covariances(fit), *_errors(fit)]


def _search(fit: Estimated) -> list[str]:
    """Doubt a search that did not end, and one whose end has no curvature."""
    found = []
    if not fit.converged:
        found.append("The search did not converge: the values are its last, no minimum")
    if not np.isfinite(fit.errors).any():
        found.append(
            "There are no standard errors: the objective is flat, or at a bound, in "
            "some direction"
        )
    elif np.isfinite(fit.condition) and fit.condition > CONDITION:
        found.append(
            f"The condition number is {fit.condition:,.0f}: some estimates can hardly "
            "be told apart"
        )
    return found


def correlations_of(fit: Estimated) -> list[tuple[str, str, float]]:
    """List the correlations of random effects that were estimated, by pair."""
    found = []
    for group in fit.layout.groups:
        whole = np.asarray(fit.values.covariances[group.block], float)
        names = fit.model.random[group.block].names
        size = np.sqrt(np.diag(whole))
        for row, one in enumerate(group.places):
            for other in group.places[:row]:
                if size[one] > 0 and size[other] > 0:
                    share = whole[one, other] / (size[one] * size[other])
                    found.append((names[other], names[one], float(share)))
    return found


def _covariances(fit: Estimated) -> list[str]:
    """Doubt covariances at the edge of what covariances can be."""
    found = []
    for one, other, share in correlations_of(fit):
        if abs(share) > ONE:
            found.append(
                f"The correlation of eta.{one} and eta.{other} ran to "
                f"{'1' if share > 0 else '-1'}, which is the boundary: the data do not "
                "tell the two apart, and standard errors do not hold; fewer "
                "covariances, or one effect in both, would say the same"
            )
        elif abs(share) > TOGETHER:
            found.append(
                f"The correlation of eta.{one} and eta.{other} is {share:.3f}, near "
                "the boundary"
            )
    for group in fit.layout.groups:
        whole = np.asarray(fit.values.covariances[group.block], float)
        for place in group.places:
            if whole[place, place] < NOTHING:
                name = fit.model.random[group.block].names[place]
                found.append(
                    f"The variance of eta.{name} is {whole[place, place]:.2g}, which "
                    "is at 0, the boundary: the data do not show that subjects differ "
                    "in it"
                )
    return found


def _errors(fit: Estimated) -> list[str]:
    """Doubt estimates of which little is known, and those that go with others."""
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(fit.errors / fit.estimates)
        size = np.sqrt(np.diag(fit.covariance))
        together = fit.covariance / np.outer(size, size)
    names = np.array(fit.layout.names)
    covaries = np.array(["," in name for name in names])  # may well be 0
    high = (relative > UNSURE) & ~covaries
    found = []
    if high.any():
        said = ", ".join(
            f"{name} ({100 * one:.0f} %)"
            for name, one in zip(names[high], relative[high], strict=True)
        )
        found.append(f"The relative standard error is above 50 %: {said}")
    rows, columns = np.nonzero(np.abs(np.triu(together, 1)) > TOGETHER)
    for row, column in zip(rows, columns, strict=True):
        found.append(
            f"The estimates of {names[row]} and {names[column]} have a correlation of "
            f"{together[row, column]:.3f}"
        )
    return found


def _shrinkage(fit: "Fit") -> list[str]:
    """Doubt what modes of persons show, where they are drawn to the middle."""
    high = {name: one for name, one in fit.shrinkage.items() if one > SHRUNK}
    left = high.pop("residual", None)
    found = []
    if high:
        said = ", ".join(f"{name} ({100 * one:.0f} %)" for name, one in high.items())
        found.append(
            f"Shrinkage is above 30 %: {said}; individual effects, and figures made "
            "of them, say little"
        )
    if left is not None:
        found.append(
            f"Shrinkage of residuals is {100 * left:.0f} %: IPRED follows the data "
            "whether or not the model holds"
        )
    return found


def _persons(fit: "Fit") -> list[str]:
    """Doubt modes that were not found."""
    lost = fit.study.identity[fit.modes.outcome != Outcome.CONVERGED]
    if not lost.size:
        return []
    named = ", ".join(str(one) for one in lost[:5])
    more = f" and {lost.size - 5} more" if lost.size > 5 else ""
    return [f"The mode of {lost.size} subjects was not found: {named}{more}"]

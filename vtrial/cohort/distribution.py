"""Read a distribution from the words of a sheet."""

import dataclasses
import math

from vtrial.cohort.category import read_categorical
from vtrial.cohort.cohort import Marginal
from vtrial.cohort.marginal import (
    TAILS,
    inside,
    lognormal_mean,
    lognormal_median,
    normal,
)
from vtrial.cohort.parametric import read_parametric
from vtrial.cohort.shape import LognormalShape, MarginalShape
from vtrial.errors import Fault
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.words import listed

KINDS = (
    *("normal", "lognormal", "uniform", "gamma", "beta", "weibull"),
    *("poisson", "binomial", "bernoulli", "categorical", "empirical", "constant"),
)
LEFT = 1e-6
NOTHING = Marginal("constant")


def read_marginal(
    sheet: Sheet,
    path: Path_,
    shape: MarginalShape,
    *,
    within: list[float] | None,
    clip: list[float] | None = None,
) -> tuple[Marginal, list[Fault]]:
    """Return the marginal that stands at a place of the sheet, and its faults.

    `within` and `clip` are limits that were given once for several marginals.
    """
    given = [kind for kind in KINDS if getattr(shape, kind) is not None]
    if len(given) != 1:
        several = " and ".join(listed(given).rsplit(" or ", 1))
        found = f"with {several}" if given else "without a distribution"
        allowed = f"given one of {listed(KINDS)}, such as "
        allowed += "`normal: {mean: 75, sd: 12}`"
        return NOTHING, [sheet.fault(path, found=found, allowed=allowed, write="")]
    low, high = shape.within or within or (-math.inf, math.inf)
    faults = _check_within(sheet, path, shape, given[0], low, high)
    marginal, wrong = _made(sheet, (*path, given[0]), shape, low, high)
    faults += wrong
    if ends := shape.clip or clip:
        marginal = dataclasses.replace(marginal, floor=ends[0], ceiling=ends[1])
        if not ends[0] < ends[1] or marginal.codes is not None:
            found = f"{ends[0]:g} to {ends[1]:g}, of {given[0]}"
            allowed = "a lower and a higher value, of a continuous distribution"
            clipped = (*path, "clip")
            faults.append(sheet.fault(clipped, found=found, allowed=allowed, write=""))
    if not faults and inside(marginal) < LEFT:
        faults.append(
            sheet.fault(
                (*path, "within"),
                found=f"{low:g} to {high:g}, where almost nobody is",
                allowed="a range that the distribution reaches",
                write="",
            )
        )
    return marginal, faults


def _check_within(
    sheet: Sheet, path: Path_, shape: MarginalShape, kind: str, low: float, high: float
) -> list[Fault]:
    """Find a truncation that is none, or of something that has no tails."""
    if low == -math.inf and high == math.inf:
        return []
    allowed = write = ""
    if not low < high:
        allowed = "a lower and a higher value"
        write = f"[{high:.15g}, {low:.15g}]" if high < low and shape.within else ""
    elif kind not in TAILS and shape.within is not None:
        allowed = f"left out of a {kind} distribution, which has no tails"
    elif kind in ("lognormal", "gamma", "weibull") and high <= 0:
        name = {"lognormal": "log-normal", "weibull": "Weibull"}.get(kind, kind)
        allowed = f"above 0 for a {name} distribution"
    if not allowed:
        return []
    found = f"{low:g} to {high:g}"
    return [sheet.fault((*path, "within"), found=found, allowed=allowed, write=write)]


def _made(
    sheet: Sheet, path: Path_, shape: MarginalShape, low: float, high: float
) -> tuple[Marginal, list[Fault]]:
    """Make the one marginal that is given."""
    if shape.normal is not None:
        return normal(shape.normal.mean, shape.normal.sd, low=low, high=high), []
    if shape.lognormal is not None:
        return _lognormal(sheet, path, shape.lognormal, low, high)
    if shape.uniform is not None:
        first, second = shape.uniform
        if first < second:
            return Marginal("uniform", first, second), []
        found, allowed = f"{first:g} to {second:g}", "a lower and a higher value"
        write = f"[{second:.15g}, {first:.15g}]" if second < first else ""
        if first == second:
            allowed += f"; one value alone is `constant: {first:g}`"
        fault = sheet.fault(path, found=found, allowed=allowed, write=write)
        return NOTHING, [fault]
    if shape.categorical is not None:
        return read_categorical(sheet, path, shape.categorical)
    if path[-1] in ("gamma", "beta", "weibull", "poisson", "binomial", "bernoulli"):
        return read_parametric(sheet, path, shape, low, high)
    if shape.empirical is not None:
        return Marginal("empirical", values=tuple(sorted(shape.empirical.values))), []
    return Marginal("constant", shape.constant or 0.0), []


def _lognormal(
    sheet: Sheet, path: Path_, shape: LognormalShape, low: float, high: float
) -> tuple[Marginal, list[Fault]]:
    """Make a log-normal marginal from either pair of words."""
    given = shape.model_fields_set
    if given == {"median", "cv"} and shape.median and shape.cv is not None:
        return lognormal_median(shape.median, shape.cv, low=low, high=high), []
    if given == {"median", "log_sd"} and shape.median and shape.log_sd is not None:
        middle = math.log(shape.median)
        return Marginal("lognormal", middle, shape.log_sd, low=low, high=high), []
    if given == {"mean", "sd"} and shape.mean and shape.sd is not None:
        return lognormal_mean(shape.mean, shape.sd, low=low, high=high), []
    names = sorted(name.replace("_", "-") for name in given)
    words = " and ".join(listed(names).rsplit(" or ", 1))
    found = f"given by {words}" if given else "empty"
    allowed = "given by median and cv, by median and log-sd, or by mean and sd, "
    allowed += "such as `{median: 75, cv: 20 %}`"
    return NOTHING, [sheet.fault(path, found=found, allowed=allowed, write="")]

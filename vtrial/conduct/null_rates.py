"""The type I error of a design at every rate of an interval, simulated or not."""

import numpy as np
import pandas as pd
from scipy import special

from vtrial.analysis.chances import Chances, faults_of_chances
from vtrial.conduct.progress import progress
from vtrial.design.draws import uniforms
from vtrial.design.enact import enact
from vtrial.design.strata import groups_of
from vtrial.design.tilt import tilt_bound
from vtrial.errors import ProtocolError
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.values import share_in
from vtrial.sheets.validate import raise_faults

LEVEL, MOST_POINTS, BETWEEN = 0.95, 400, 8
TOGETHER = 300_000  # subjects of the trials that are enacted side by side
COLUMNS = [
    *("rate", "simulated", "error", "mc_error", "upper", "bound", "from_here"),
    "trials",
]


def read_interval(text: str) -> tuple[float, float]:
    """Read `10 % to 60 %`: the rates between which the error is bounded.

    Raises
    ------
    ProtocolError
        If these are no two rates, or not in this order.

    Examples
    --------
    >>> read_interval("10 % to 60 %")
    (0.1, 0.6)
    """
    words = [one.strip() for one in text.split(" to ")]
    try:
        low, high = (share_in(one) for one in words)
    except ValueError:
        low, high = 1.0, 0.0
    if not 0 < low < high < 1:
        raise ProtocolError(
            at="--null",
            found=f"`{text}`",
            allowed="two rates above 0 % and below 100 %, the lower one first",
            write="10 % to 60 %",
        )
    return low, high


def null_line(
    protocol: Protocol, rates: str, *, points: int = 33, trials: int = 2000
) -> pd.DataFrame:
    """Return the type I error where all arms respond at one rate, and a bound of it.

    The trial is enacted at each of some rates, evenly apart on the logit scale, with
    responses by chance. Between them the tilt bound holds, from the upper limits at the
    points: with 95 % confidence the error is below it at all of the rates at
    once.

    Parameters
    ----------
    protocol
        A sheet with looks whose comparisons are all of its outcome, a response. A claim
        on any of them is an error.
    rates
        Between which the arms' common one may be: `10 % to 60 %`.
    points, trials
        At how many rates the trial is enacted, and how often at each.

    Returns
    -------
    Rows of rates, those in between included: the share of trials that claim anything
    and its Monte Carlo error, Clopper and Pearson's upper limit (where `simulated`),
    the bound at the rate, and that of all rates from there up to the next row's.

    Raises
    ------
    ProtocolError
        If the design asks for more of a subject than a response, or rates are none.

    Notes
    -----
    With one rate in all arms each subject's response has it whatever the arm, so that
    the responses of all are of a family with one parameter, however they are allocated;
    the number of subjects is the greatest that a trial may have. Limits hold for all
    points at once by Bonferroni. The same random numbers serve all points.
    """
    raise_faults(ProtocolError, list(faults_of_chances(protocol)))
    low, high = read_interval(rates)
    if not 2 <= points <= MOST_POINTS:
        raise ProtocolError(
            at="--points",
            found=str(points),
            allowed=f"from 2 to {MOST_POINTS}",
            write="",
        )
    theta = np.linspace(special.logit(low), special.logit(high), points)
    claims = np.zeros(points)
    with progress(points, done=0, words="enacted", unit="rates") as advance:
        for place, rate in enumerate(special.expit(theta)):
            claims[place] = _claims(protocol, float(rate), trials)
            advance(1)
    upper = _upper(claims, trials, (1 - LEVEL) / points)
    return _laid_out(theta, claims, upper, protocol.subjects, trials)


def _claims(protocol: Protocol, rate: float, trials: int) -> int:
    """Count the trials that claim anything at a rate."""
    assert protocol.enactment is not None, "it was looked at"
    many, found = max(1, TOGETHER // protocol.subjects), 0
    for first in range(0, trials, many):
        numbers = np.arange(first, min(first + many, trials))
        shape = {
            "seed": protocol.seed,
            "trials": numbers,
            "subjects": protocol.subjects,
        }
        value = (uniforms("responses", **shape) < rate).astype(float)
        allocation = protocol.design.allocation
        made = enact(
            protocol.enactment,
            allocation,
            Chances(protocol, protocol.enactment, value),
            comparisons=[one.name for one in protocol.analysis.comparisons],
            groups=groups_of(allocation, _no_covariate, **shape),
            **shape,
        )
        found += int(made.success.any(axis=1).sum())
    return found


def _no_covariate(name: str) -> np.ndarray:
    """Refuse to give a covariate; the loader has looked."""
    raise KeyError(name)


def _upper(claims: np.ndarray, trials: int, miss: float) -> np.ndarray:
    """Return Clopper and Pearson's upper limit, each wrong with a probability."""
    rest = np.maximum(trials - claims, 1)
    limit = special.betaincinv(claims + 1, rest, 1 - miss)
    return np.where(claims >= trials, 1.0, limit)


def _laid_out(
    theta: np.ndarray, claims: np.ndarray, upper: np.ndarray, size: int, trials: int
) -> pd.DataFrame:
    """Lay down points and what is between; the bound from either neighbour holds."""
    step = np.diff(theta)[0] / BETWEEN
    where = theta[0] + step * np.arange((len(theta) - 1) * BETWEEN + 1)
    left = np.minimum(np.arange(len(where)) // BETWEEN, len(theta) - 1)
    right = np.minimum(left + 1, len(theta) - 1)

    def normaliser(value: np.ndarray) -> np.ndarray:
        return size * np.logaddexp(0.0, value)

    below, above = (
        tilt_bound(upper[one], theta[one], where - theta[one], normaliser=normaliser)
        for one in (left, right)
    )
    ends = tilt_bound(  # of the next row, from the point below this one
        upper[left], theta[left], where + step - theta[left], normaliser=normaliser
    )
    here = np.minimum(below, above)
    onward = np.minimum(ends, above)  # the one rises from row to row, the other falls
    onward[-1] = here[-1]
    at = np.arange(len(where)) % BETWEEN == 0
    error, limit = np.full(len(where), np.nan), np.full(len(where), np.nan)
    error[at], limit[at] = claims / trials, upper
    spread = np.sqrt(error * (1 - error) / trials)
    columns = [special.expit(where), at, error, spread, limit, here, onward]
    frame = pd.DataFrame(dict(zip(COLUMNS, columns, strict=False)))
    return frame.assign(trials=np.where(at, trials, 0))

r"""Prognostic scores: what a model foretells under control, and the power it buys.

A score is the mean, over what is not known of a subject, of its outcome under control,
given what was known of it at baseline. A trial that adjusts for it linearly estimates
the difference of two means with the asymptotic variance $\nu^2 / n$,

$$ \nu^2 = \frac{\sigma_0^2}{\pi_0} + \frac{\sigma_1^2}{\pi_1} - \pi_0 \pi_1
   \Big(\frac{\rho_0 \sigma_0}{\pi_0} + \frac{\rho_1 \sigma_1}{\pi_1}\Big)^2, $$

where $\sigma$ are the deviations of outcomes, $\rho$ their correlations with the score
and $\pi$ the shares of the arms. With equal arms that is $1 - \rho^2$ of what it is
without a score.

References
----------
Schuler A, Walsh D, Hall D, Walsh J, Fisher C (2022) Int J Biostat 18:329-356.
"""

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from vtrial.dosing.doses import Times
from vtrial.errors import DataError, Fault
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values
from vtrial.model.model import Model
from vtrial.program_cache import kept
from vtrial.sheets.words import listed, nearest
from vtrial.twin.course import asked, paths
from vtrial.twin.given import Ahead, ahead_of
from vtrial.twin.importance import DRAWS, MAKERS, Posterior, in_parts, posterior


@functools.partial(kept, static=1, makers=MAKERS)
def _means(
    ahead: Ahead,
    values: Values,
    data: Data,
    times: Times,
    draws: Float[Array, "subject draw effect"],
) -> dict[str, Float[Array, " subject"]]:
    found = paths(ahead, values, draws, data, times)
    return {name: jnp.nanmean(value[:, :, 0], axis=1) for name, value in found.items()}


@dataclass(frozen=True)
class Prognosis:
    """What is foretold of every subject, and what a trial gains that adjusts for it.

    Fields
    ------
    table
        ID and `score`, in `unit`.
    share
        Of the subjects of a trial with equal arms and without scores; NaN if no
        correlation is known.
    quality
        That of the posterior.
    """

    table: pd.DataFrame
    unit: str
    share: float
    quality: pd.DataFrame


def prognose(
    model: Model,
    study: Study,
    *,
    of: str,
    at: float,
    correlation: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Prognosis:
    """Foretell an outcome under control of every subject of a study.

    Parameters
    ----------
    study
        As in `scores`.
    of, at
        The output that is foretold, and when [h] on the clock of the record.
    correlation
        Of scores with outcomes under control, as seen in a trial before.

    Raises
    ------
    DataError
        If there is no such output, or no such correlation.
    """
    unit = _refuse(model, of)
    share = math.nan if correlation is None else 1.0 - correlation**2
    if correlation is not None and not share > 0:
        found = f"{correlation:g}"
        raise DataError("correlation", found, "between -1 and 1", "0.6")
    known = posterior(model, study, draws=draws, seed=seed)
    return Prognosis(scores(known, of, at), unit, share, known.quality())


def _refuse(model: Model, output: str) -> str:
    """Refuse an output that there is not; return the unit of one that there is."""
    units = {one.name: one.unit for one in model.outputs}
    if output not in units:
        found, allowed = f"of `{output}`", f"of an output: {listed(units)}"
        raise DataError("a score", found, allowed, nearest(output, units))
    return units[output]


def scores(posterior: Posterior, output: str, time: float) -> pd.DataFrame:
    """Return each subject's prognostic score: ID and `score`, in the output's unit.

    Parameters
    ----------
    posterior
        Of a study that holds what was known at baseline: covariates, measurements until
        then, and the doses of control; of subjects without a measurement, too.
    output, time
        What is foretold, and when [h] on the clock of the record.

    Raises
    ------
    DataError
        If there is no such output.
    """
    _refuse(posterior.model, output)
    data, seen, doses = asked(posterior, [time], None, None, instead=False)
    ahead = ahead_of(posterior, posterior.study.model, doses, seen)

    def compute(part: Data, when: Times, draws: np.ndarray) -> Any:
        return _means(ahead, posterior.values, part, when, draws)

    found = in_parts(compute, data, posterior.draws.shape[1], seen, posterior.draws)
    return pd.DataFrame({"ID": posterior.identity, "score": found[output]})


def sample_size(
    effect: float,
    deviation: float,
    *,
    correlation: float = 0.0,
    power: float = 0.9,
    alpha: float = 0.05,
    treated: float = 0.5,
    deviation_treated: float | None = None,
    correlation_treated: float | None = None,
) -> int:
    """Return how many subjects, of both arms, a trial that adjusts for a score needs.

    Parameters
    ----------
    effect, deviation
        [the outcome's unit] The difference of the means, and the outcome's deviation
        under control.
    correlation
        Of the score with the outcome under control; 0 is a trial without a score.
    alpha
        Two-sided.
    treated
        The share of subjects who are treated.
    deviation_treated, correlation_treated
        Under treatment; as under control unless given.

    Raises
    ------
    DataError
        With every number that is out of its range.

    Examples
    --------
    >>> sample_size(0.5, 1.0), sample_size(0.5, 1.0, correlation=0.6)
    (169, 108)
    """
    other = deviation if deviation_treated is None else deviation_treated
    second = correlation if correlation_treated is None else correlation_treated
    inside = {"power": power, "alpha": alpha, "treated": treated}
    faults = [
        Fault(name, f"{value:g}", "between 0 and 1", "")
        for name, value in inside.items()
        if not 0 < value < 1
    ]
    faults += [
        Fault("correlation", f"{value:g}", "between -1 and 1", "")
        for value in {correlation, second}
        if not -1 < value < 1
    ]
    faults += [
        Fault("deviation", f"{value:g}", "above 0", "")
        for value in {deviation, other}
        if not value > 0
    ]
    if not effect or not math.isfinite(effect):
        faults.append(Fault("effect", f"{effect:g}", "a number that is not 0", ""))
    if faults:
        raise DataError.of(faults)
    control = 1.0 - treated
    shared = correlation * deviation / control + second * other / treated
    variance = deviation**2 / control + other**2 / treated
    variance -= control * treated * shared**2
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return math.ceil(variance * reach**2 / effect**2 - 1e-9)

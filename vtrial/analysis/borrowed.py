"""What earlier trials say of an arm, as rows beside what enacted trials did."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vtrial.analysis.operating import Measured
from vtrial.design.borrowing.worth import effective_size
from vtrial.design.informed import prior_of
from vtrial.protocol.borrowing import Borrowing
from vtrial.protocol.protocol import Protocol

PRIOR = "prior of "


def borrowed_rows(
    protocol: Protocol, borrowed: Sequence[Borrowing]
) -> Iterator[tuple[Any, ...]]:
    """Yield mean, deviation and worth of each prior, with the limits of 95 % of it.

    Its worth is the number of subjects by the expected local information ratio, and by
    the moments. Of MAP there is by how much the mixture is off at most, and what the
    deviation between trials is.
    """
    for one in borrowed:
        made = prior_of(one)
        of = PRIOR + one.arm
        unit = "share" if one.binary else protocol.endpoint(one.endpoint).unit
        limits = [float(made.mixture.quantile(level)) for level in (0.025, 0.975)]
        trials = len(one.past)
        yield _row(of, "mean", unit, float(made.mixture.mean), trials, *limits)
        yield _row(of, "deviation", unit, float(made.mixture.deviation), trials)
        for by in ("ELIR", "moment"):
            worth = effective_size(made.mixture, by, deviation=made.unit)
            yield _row(of, f"effective subjects, {by}", "1", worth, trials)
        if made.predicted is not None and made.fitted is not None:
            tau = made.predicted.tau
            mean = float((made.predicted.tau_mass * tau).sum())
            scale = "logit" if one.binary else unit
            yield _row(of, "deviation between trials", scale, mean, trials)
            yield _row(of, "mixture off by at most", "share", made.fitted.apart, trials)


def _row(
    of: str,
    measure: str,
    unit: str,
    value: float,
    trials: int,
    low: float = np.nan,
    high: float = np.nan,
) -> tuple[Any, ...]:
    """Return a row; what is computed has no Monte Carlo error."""
    worth = Measured(value, np.nan, low, high, trials)
    return (of, measure, unit, *worth)

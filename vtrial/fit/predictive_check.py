r"""Prediction-corrected visual predictive check: what was seen within replicates.

In each bin of time, percentiles of values that are corrected for what subjects were
expected to have differ by,

$$ y^c = l + (y - l) \frac{\tilde f - l}{f - l}, $$

with f the population's prediction (PRED) of the value, $\tilde f$ its median in the
bin, and l the least that can be measured (0). Those of the study stand beside the
middle and the 95 % interval of those of its replicates. Values below a limit are left
out of both, and their share is compared by itself.

References
----------
Bergstrand M, Hooker AC, Wallin JE, Karlsson MO (2011) AAPS J 13:143-151.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

PERCENTILES = (5.0, 50.0, 95.0)
INTERVAL = (2.5, 50.0, 97.5)
NOMINAL, AT_A_TIME = 16, 8  # planned times, and values at each, that make bins of them
MOST_BINS, IN_A_BIN = 12, 20


def bins_of(
    time: Float[np.ndarray, " observation"],
) -> Float[np.ndarray, " edge"]:
    """Return the edges of bins: between planned times, else with as many values each.

    Examples
    --------
    >>> bins_of(np.repeat([1.0, 2.0, 4.0], 10)).tolist()
    [1.0, 1.5, 3.0, 4.0]
    """
    each, counts = np.unique(time, return_counts=True)
    if len(each) <= NOMINAL and (counts.min() >= AT_A_TIME or len(each) < 4):
        return np.concatenate([each[:1], (each[1:] + each[:-1]) / 2, each[-1:]])
    count = int(np.clip(len(time) // IN_A_BIN, 3, MOST_BINS))
    edges = np.unique(np.quantile(time, np.linspace(0, 1, count + 1)))
    inner = [_between(each, edge) for edge in edges[1:-1]]
    return np.unique(np.concatenate([edges[:1], inner, edges[-1:]]))


def _between(each: np.ndarray, edge: float) -> float:
    """Return the middle between a time and the next one above."""
    place = int(np.clip(np.searchsorted(each, edge, "right"), 1, len(each) - 1))
    return float(each[place - 1] + each[place]) / 2


def predictive_check(
    rows: pd.DataFrame,
    replicates: Float[np.ndarray, "replicate observation"],
    *,
    time: str,
    least: float = 0.0,
) -> pd.DataFrame:
    """Compare the values of one output with its replicates, a row a bin.

    `rows` have `time`, DV, PRED, `below` and `limit` (NaN: none). Values whose PRED is
    not above `least` cannot be corrected and are left out; if that is true of more than
    half of them, nothing is corrected, which `corrected` says.
    """
    typical = rows["PRED"].to_numpy(float)
    above = typical > least
    corrected = bool(above.mean() > 0.5)
    kept = above if corrected else np.isfinite(typical)
    rows, drawn = rows[kept], replicates[:, kept]
    when, value = rows[time].to_numpy(float), rows["DV"].to_numpy(float)
    typical, limit = (rows[name].to_numpy(float) for name in ("PRED", "limit"))
    below = rows["below"].to_numpy(bool)
    with np.errstate(invalid="ignore"):
        under = drawn < np.where(np.isnan(limit), -np.inf, limit)
    edges = bins_of(when)
    place = np.clip(np.searchsorted(edges, when, "right") - 1, 0, len(edges) - 2)
    found = []
    for number in np.unique(place):
        mine = place == number
        factor = np.median(typical[mine]) - least if corrected else 1.0
        factor = factor / (typical[mine] - least if corrected else 1.0)

        def fair(values: np.ndarray, factor: Any = factor) -> np.ndarray:
            return least + (values - least) * factor if corrected else values

        seen = np.where(below[mine], np.nan, fair(value[mine]))
        theirs = np.where(under[:, mine], np.nan, fair(drawn[:, mine]))
        row = {
            "time": float(np.median(when[mine])),
            "from": float(edges[number]),
            "to": float(edges[number + 1]),
            "observations": int(mine.sum()),
            "corrected": corrected,
        }
        row |= _percentiles(seen, theirs)
        found.append(row | _shares(below[mine], under[:, mine], limit[mine]))
    return pd.DataFrame(found)


def _percentiles(
    seen: Float[np.ndarray, " observation"],
    theirs: Float[np.ndarray, "replicate observation"],
) -> dict[str, float]:
    """Return percentiles of what was seen, and where those of replicates lie."""
    row = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bins without any value
        own = np.nanpercentile(seen, PERCENTILES)
        each = np.nanpercentile(theirs, PERCENTILES, axis=1)
        wide = np.nanpercentile(each, INTERVAL, axis=1)
    for number, level in enumerate(PERCENTILES):
        row[f"p{level:g}"] = float(own[number])
        for word, one in zip(("low", "middle", "high"), wide[:, number], strict=True):
            row[f"p{level:g} {word}"] = float(one)
    return row


def _shares(
    below: Bool[np.ndarray, " observation"],
    under: Bool[np.ndarray, "replicate observation"],
    limit: Float[np.ndarray, " observation"],
) -> dict[str, float]:
    """Return the share below the limit, seen and in replicates."""
    if np.isnan(limit).all():
        return dict.fromkeys(
            ("below", "below low", "below middle", "below high"), np.nan
        )
    wide = np.percentile(under.mean(axis=1), INTERVAL)
    low, middle, high = (float(one) for one in wide)
    return {
        "below": float(below.mean()),
        "below low": low,
        "below middle": middle,
        "below high": high,
    }

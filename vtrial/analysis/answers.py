"""The answer in two small tables of words: endpoints by arm, and comparisons."""

import pandas as pd

from vtrial.analysis.estimates import Estimates, centre_of, in_words
from vtrial.protocol.analysis import effect_kind, effect_unit
from vtrial.protocol.periods import as_evaluated
from vtrial.protocol.protocol import Protocol

MOST_ARMS = 6  # that have columns of their own; more have rows


def summary(
    estimates: Estimates, protocol: Protocol
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return endpoints by arm, and comparisons with their limits, as people write them.

    Of each endpoint there is one statistic: the proportion of responders, or else the
    mean. `limits` hold 95 % of single trials, or are the trial's own 95 % limits if
    there is one; `mc error` is the Monte Carlo error of the effect.
    """
    protocol = as_evaluated(protocol)
    return _endpoints(estimates.endpoints, protocol), _effects(estimates, protocol)


def _endpoints(frame: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Write one statistic of each endpoint; few arms have columns of their own."""
    rows = []
    for point in protocol.endpoints:
        held = frame[frame["endpoint"] == point.name]
        if not len(held):
            continue
        chosen = centre_of(list(held["statistic"]), event=point.event)
        for one in held[held["statistic"] == chosen].to_dict("records"):
            kind = "share" if one["statistic"] == "share" else "plain"
            number = in_words(one["estimate"], kind, str(one["unit"]))
            rows.append((point.name, one["statistic"], one["arm"], number))
    table = pd.DataFrame(rows, columns=["endpoint", "statistic", "arm", "estimate"])
    arms = [arm.name for arm in protocol.arms]
    if not rows or len(arms) > MOST_ARMS:
        return table
    wide = table.pivot_table(
        index=["endpoint", "statistic"],
        columns="arm",
        values="estimate",
        aggfunc="first",
        sort=False,
        fill_value="",
    )
    return wide.reindex(columns=arms, fill_value="").reset_index()


def _effects(estimates: Estimates, protocol: Protocol) -> pd.DataFrame:
    """Write each comparison's effect, its limits and its Monte Carlo error."""
    rows = []
    for one in estimates.contrasts.to_dict("records"):
        by, point = str(one["by"]), protocol.endpoint(str(one["endpoint"]))
        sort, unit = effect_kind(by, point)[0], effect_unit(by, point)
        kind = "points" if sort == "difference" else "plain"
        low, high, effect = (
            in_words(one[name], kind, unit) for name in ("low", "high", "estimate")
        )
        rows.append(
            {
                "comparison": f"{one['arm']} with {one['reference']}",
                "endpoint": point.name,
                "by": by,
                "effect": effect,
                "limits": f"{low} to {high}",
                "mc error": in_words(one["mc_error"], kind, unit, digits=2),
            }
        )
    names = ["comparison", "endpoint", "by", "effect", "limits", "mc error"]
    return pd.DataFrame(rows, columns=names)

"""Randomisation and sites in words."""

from collections.abc import Sequence

import numpy as np

from vtrial.protocol.design import Allocation, Option
from vtrial.protocol.enactment import Site, SiteEffect
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import write_where
from vtrial.report.words import count, listing, number

MONTH, DAY = 730.5, 24.0


def method_words(protocol: Protocol) -> str:
    """Say by which method subjects are randomised that looks at who came before."""
    how = protocol.design.allocation
    words = how.by
    if how.factors:
        words += f" over {factors_in_words(protocol, how)}"
    if how.strata:
        words += f" within strata of {listing(how.strata)}"
    parts = [_option(key, value) for key, value in how.options]
    return f"{words} ({'; '.join(parts)})"


def factors_in_words(protocol: Protocol, how: Allocation) -> str:
    """Name the factors that are balanced."""
    return listing(write_where(one, protocol.words) for one in how.factors)


def _option(key: str, value: Option) -> str:
    """Say one option of a method."""
    if key == "probability" and isinstance(value, float):
        return f"the arm that is wanted with {number(100 * value, 3)}\u202f%"
    if key == "most" and isinstance(value, float):
        return f"{number(value)} apart at most"
    if key == "begin" and isinstance(value, float):
        return f"{number(value)} balls of each arm at first"
    if key == "add" and isinstance(value, float):
        return f"{number(value)} of every other added after each"
    if isinstance(value, tuple):
        return f"{key} {listing(f'{one:g}' for one in value)}"
    return f"{key} {value}"


def effects_in_words(effects: Sequence[SiteEffect]) -> str:
    """Say by how much sites differ; nothing where they do not.

    Examples
    --------
    >>> effects_in_words([SiteEffect("eta.CL", 0.1), SiteEffect("WT", 0.2, True)])
    'they differ in eta.CL (standard deviation 0.1) and WT (log. sd 0.2)'
    """
    told = [
        f"{one.target} ({'log. sd' if one.relative else 'standard deviation'} "
        f"{number(one.spread, 3)})"
        for one in effects
    ]
    return f"they differ in {listing(told)}" if told else ""


def site_words(sites: tuple[Site, ...]) -> str:
    """Say what the sites of one entry of the sheet are like.

    Examples
    --------
    >>> from vtrial.protocol.enactment import Stretch
    >>> site_words((Site("a", (Stretch(0.0, 0.01, 0.01),), 5, "Asia"),))
    'one site in Asia: 7.3 a month, 5 at most'
    """
    first, last = sites[0], sites[-1]
    many = f"{count(len(sites))} sites" if len(sites) > 1 else "one site"
    where = f" in {first.region}" if first.region else ""
    rate = f"{number(first.stretches[-1].last * MONTH, 3)} a month"
    each = " each" if len(sites) > 1 else ""
    words = f"{many}{where}: {rate}{each}"
    if len(first.stretches) > 1:
        rising = first.stretches[-1].start - first.opens
        words += f", rising to it over {number(np.round(rising / DAY, 1), 4)} d"
    if first.cap:
        words += f", {count(first.cap)} at most{each}"
    if last.opens:
        words += f", open from {number(np.round(first.opens / DAY, 1), 4)} d"
        if last.opens > first.opens:
            words += f" to {number(np.round(last.opens / DAY, 1), 4)} d on"
        else:
            words += " on"
    return words

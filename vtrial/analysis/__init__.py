"""What a trial would have seen.

Takes a record's tree and its Protocol.
Does evaluate: endpoints, comparisons, subject flow, bands, and the published beside.
Gives Estimates: tables.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Contrast": "vtrial.analysis.contrast",
        "Estimates": "vtrial.analysis.estimates",
        "MISS": "vtrial.analysis.estimates",
        "compare": "vtrial.analysis.contrast",
        "kaplan_meier": "vtrial.analysis.survival",
        "mmrm": "vtrial.analysis.repeated",
        "published_in_words": "vtrial.analysis.estimates",
        "summarise": "vtrial.analysis.statistic",
    },
)

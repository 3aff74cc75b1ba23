"""What a trial would have seen.

Takes a record's tree and its Protocol.
Does evaluate: endpoints, comparisons, subject flow, bands, and the published beside.
Gives Estimates: tables.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Contrast": "vtrial.measure.contrast",
        "Estimates": "vtrial.analysis.estimates",
        "MISS": "vtrial.analysis.estimates",
        "compare": "vtrial.measure.contrast",
        "kaplan_meier": "vtrial.measure.survival",
        "mmrm": "vtrial.measure.repeated",
        "published_in_words": "vtrial.analysis.estimates",
        "summarise": "vtrial.measure.statistic",
        "summary": "vtrial.analysis.answers",
    },
)

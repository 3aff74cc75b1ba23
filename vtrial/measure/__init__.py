"""Measures: what a comparison of two arms may be.

Takes the values of both arms in many trials, as arrays.
Does compare: by means, shares, counts, times to events, ranks, pairs or a mixed model.
Gives a Contrast of every trial: estimate, limits, p-value and error.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Contrast": "vtrial.measure.contrast",
        "Groups": "vtrial.measure.groups",
        "compare": "vtrial.measure.contrast",
        "kaplan_meier": "vtrial.measure.survival",
        "measures": "vtrial.measure.registry",
        "mmrm": "vtrial.measure.repeated",
        "summarise": "vtrial.measure.statistic",
    },
)

"""The twin.

Takes a Model and what was given to persons and measured of them, at once or bit by bit.
Does find what is probable of each, and what would be under other doses.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "advise": "vtrial.twin.advice",
        "compare": "vtrial.twin.counterfactual",
        "courses": "vtrial.twin.course",
        "individuals": "vtrial.twin.person",
        "posterior": "vtrial.twin.importance",
        "predict": "vtrial.twin.course",
        "times_of": "vtrial.twin.words",
    },
)

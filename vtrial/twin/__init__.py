"""The twin.

Takes a Model and what was given to persons and measured of them, at once or bit by bit.
Does find what is probable of each, and what would be under other doses.
Gives a Posterior, bands of courses, Advice on doses, and alarms.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Record": "vtrial.twin.sequence",
        "Twin": "vtrial.twin.sequence",
        "advise": "vtrial.twin.advice",
        "compare": "vtrial.twin.counterfactual",
        "courses": "vtrial.twin.course",
        "filtered": "vtrial.twin.particle",
        "individuals": "vtrial.twin.person",
        "monitor": "vtrial.twin.alarm",
        "posterior": "vtrial.twin.importance",
        "predict": "vtrial.twin.course",
        "read_stream": "vtrial.twin.stream",
        "times_of": "vtrial.twin.words",
    },
)

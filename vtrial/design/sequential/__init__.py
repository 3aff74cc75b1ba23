"""Numerics of group sequential and adaptive confirmatory tests.

Takes plans, information and statistics.
Does bound, size, combine and estimate.
Gives bounds, probabilities, sizes and decisions, over replicates at once.
"""

from vtrial.lazy import lazy_exports

_HERE = "vtrial.design.sequential"

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "GroupSequential": "vtrial.design.sequential.plan",
        "Boundaries": "vtrial.design.sequential.boundary",
        "boundaries": "vtrial.design.sequential.boundary",
        "boundaries_at": "vtrial.design.sequential.boundary",
        "Characteristics": "vtrial.design.sequential.characteristic",
        "characteristics": "vtrial.design.sequential.characteristic",
        "crossing": "vtrial.design.sequential.recursion",
    },
)

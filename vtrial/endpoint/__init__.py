"""Endpoints.

Takes a subject's values at times, and an Endpoint.
Does make one number of them, or a time to an event, or say why there is none.
Gives an Outcome for every subject.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Endpoint": "vtrial.endpoint.endpoint",
        "Interruption": "vtrial.endpoint.outcome",
        "Outcome": "vtrial.endpoint.outcome",
        "combined": "vtrial.endpoint.outcome",
        "outcomes": "vtrial.endpoint.outcome",
    },
)

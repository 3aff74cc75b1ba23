"""The protocol.

Takes a sheet, and through it a model and the name of a cohort.
Does resolve every name, time, dose and unit in it, or tell every fault at once.
Gives a Protocol: arms, visits, endpoints and comparisons as plain data.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Arm": "vtrial.protocol.protocol",
        "Comparison": "vtrial.protocol.analysis",
        "Protocol": "vtrial.protocol.protocol",
        "Published": "vtrial.protocol.evidence",
        "Visit": "vtrial.protocol.protocol",
        "build_protocol": "vtrial.protocol.load",
        "load_protocol": "vtrial.protocol.load",
        "protocol_schema": "vtrial.protocol.schema",
        "sampling_schema": "vtrial.protocol.sampling",
        "share_in": "vtrial.protocol.values",
    },
)

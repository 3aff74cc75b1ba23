"""The record.

Takes the arrays of a block.
Does write them once, whole, to shards that nobody else writes.
Gives a Record: Zarr on disk, xarray in the hand.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Coordinate": "vtrial.store.variable",
        "Layout": "vtrial.store.layout",
        "Ledger": "vtrial.store.ledger",
        "Record": "vtrial.store.record",
        "Torn": "vtrial.store.check",
        "Variable": "vtrial.store.variable",
        "create_record": "vtrial.store.record",
        "mend_record": "vtrial.store.mend",
        "open_record": "vtrial.store.record",
    },
)

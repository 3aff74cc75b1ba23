"""What tests of vtrial stand on, ours and a stranger's.

Takes a model or a method of solving.
Does hold it to what every one of its kind must do.
Gives Hypothesis strategies, contract suites, and reference numbers of other software.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "SimulateContract": "vtrial.testing.contract",
        "bodies": "vtrial.testing.strategies",
        "body": "vtrial.testing.pool",
        "drugged": "vtrial.testing.pool",
        "drugs": "vtrial.testing.strategies",
        "expressions": "vtrial.testing.strategies",
        "given_at": "vtrial.testing.strategies",
        "grids": "vtrial.testing.strategies",
        "individuals": "vtrial.testing.strategies",
        "reference_folder": "vtrial.testing.reference",
        "schedules": "vtrial.testing.strategies",
    },
)

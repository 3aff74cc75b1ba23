"""What measures the engine and its models.

Takes a model, a protocol or a machine.
Does look for what drives a result, hold it against what was published, or try it out.
Gives tables.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "library_solved": "vtrial.diagnose.catalogue",
        "replay": "vtrial.diagnose.replaying",
        "sensitivity": "vtrial.diagnose.sobol",
        "solving": "vtrial.diagnose.catalogue",
        "validate": "vtrial.diagnose.validation",
    },
)

"""The model.

Takes a sheet, or a Python function.
Does parse its equations, never executing them, and work out what depends on what.
Gives a frozen Model, which can be printed and computed.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Model": "vtrial.model.model",
        "define": "vtrial.model.definition",
        "describe": "vtrial.model.description",
        "describe_data": "vtrial.model.description",
        "library": "vtrial.model.sheet",
        "load_model": "vtrial.model.sheet",
        "log_density": "vtrial.model.residual",
        "measured": "vtrial.model.residual",
        "model_schema": "vtrial.model.sheet",
        "parse_assignments": "vtrial.model.grammar",
        "parse_expression": "vtrial.model.grammar",
        "write_expression": "vtrial.model.grammar",
    },
)

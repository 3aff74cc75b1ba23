"""The corridor.

Takes a Protocol.
Does plan it, refuse what cannot work, have its blocks simulated somewhere, and
continue what was stopped.
Gives a Record.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Plan": "vtrial.conduct.plan",
        "check_sheet": "vtrial.conduct.check",
        "measure_run": "vtrial.conduct.foretold",
        "design_table": "vtrial.conduct.design_grid",
        "read_variation": "vtrial.conduct.design_grid",
        "null_line": "vtrial.conduct.null_rates",
        "size_for": "vtrial.conduct.design_grid",
        "explain": "vtrial.conduct.glossary",
        "reference": "vtrial.conduct.glossary",
        "as_held": "vtrial.conduct.provenance",
        "protocol_for": "vtrial.conduct.provenance",
        "protocol_of": "vtrial.conduct.provenance",
    },
)

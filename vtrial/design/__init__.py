"""The design of a trial.

Takes what every subject would show under every arm, and when it would be known.
Does enrol, randomise, look, decide and stop, in thousands of trials side by side.
Gives the trials as they went. The numerics of designs stand in rooms below:
`sequential`, `escalation`, `randomisation`, `borrowing`.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "BATCH": "vtrial.design.allocation",
        "Decision": "vtrial.design.trials",
        "Trials": "vtrial.design.trials",
        "allocate": "vtrial.design.allocation",
    },
)

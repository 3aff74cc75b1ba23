"""The design of a trial.

Takes an allocation and the identities of subjects.
Does randomise them, each by its own key.
Gives the arm of every subject.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "BATCH": "vtrial.design.allocation",
        "allocate": "vtrial.design.allocation",
    },
)

"""The design of a trial.

Takes an allocation and the identities of subjects.
Does randomise them, each by its own key.
Gives the arm of every subject.
"""

from vtrial.design.allocate import BATCH, allocate

__all__ = ["BATCH", "allocate"]

"""What a block of subjects shows.

Takes a Protocol with its Cohort, and who the subjects are.
Does draw them, solve them under an arm, measure, and reduce to what is kept.
Gives the arrays of one block.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "ObservationTimes": "vtrial.observe.observation_times",
        "Seen": "vtrial.observe.block_program",
        "Trial": "vtrial.observe.block_program",
        "simulate_block": "vtrial.observe.block",
    },
)

"""The solver.

Takes a Model, inputs, Doses and Times.
Does simulate: closed forms where there are any, else steps of controlled size; or
compile a pure Program that does it, for programs of one's own.
Gives a Trajectory with a Status for each subject.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Choice": "vtrial.solver.choice",
        "Numerics": "vtrial.types",
        "Program": "vtrial.solver.program",
        "State": "vtrial.solver.trajectory",
        "Trajectory": "vtrial.solver.trajectory",
        "choose": "vtrial.solver.choice",
        "compile_program": "vtrial.solver.program",
        "predict": "vtrial.solver.prediction",
        "simulate": "vtrial.solver.host",
    },
)

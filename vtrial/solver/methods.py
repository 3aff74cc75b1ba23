"""The ways of solving, by the names that a protocol uses."""

from vtrial.solver.algebra import Algebra
from vtrial.solver.closed import ClosedForm
from vtrial.solver.explicit import Explicit
from vtrial.solver.exponential import MatrixExponential
from vtrial.solver.general import Diffrax
from vtrial.solver.method import AbstractMethod
from vtrial.solver.stiff import Stiff

METHODS: dict[str, type[AbstractMethod]] = {
    "algebra": Algebra,
    "closed form": ClosedForm,
    "matrix exponential": MatrixExponential,
    "explicit": Explicit,
    "stiff": Stiff,
    "diffrax": Diffrax,
}

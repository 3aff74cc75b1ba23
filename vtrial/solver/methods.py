"""The ways of solving, by the names that a protocol uses."""

from vtrial.solver.closed import ClosedForm
from vtrial.solver.explicit import Explicit
from vtrial.solver.method import AbstractMethod

METHODS: dict[str, type[AbstractMethod]] = {
    "closed form": ClosedForm,
    "explicit": Explicit,
}

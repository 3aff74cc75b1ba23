"""How a model would be solved, and why; for one, or for all of the library."""

from typing import NamedTuple

from vtrial.model.model import Model
from vtrial.model.sheet import library, load_model
from vtrial.solver.choice import choose
from vtrial.types import Numerics


class Solving(NamedTuple):
    """What is solved and by which method.

    Fields
    ------
    model, states
        Its name, and how many differential equations it has.
    linear
        The states of the leading block that is linear with constant rates.
    entries, zeros
        Size of the Jacobian, and how many entries are zero whatever the numbers.
    method, reason
        As the solver chooses them; the method of a model without states is `algebra`.
    words
        Both, as the solver says them.
    """

    model: str
    states: int
    linear: tuple[str, ...]
    entries: int
    zeros: int
    method: str
    reason: str
    words: str

    @property
    def sparsity(self) -> str:
        """Sparsity of the Jacobian, in words."""
        if not self.entries:
            return "none, for there are no states"
        share = 100.0 * self.zeros / self.entries
        return f"{self.zeros} of {self.entries} entries are always zero ({share:.0f} %)"


def solving(model: Model, numerics: Numerics = Numerics()) -> Solving:  # noqa: B008
    """Return how a model would be solved.

    Examples
    --------
    >>> print(solving(load_model("theophylline")).words)
    closed form: the model is linear: one compartment, first-order absorption
    """
    found = model.structure
    chosen = choose(model, numerics)
    pattern = [depends for row in found.pattern for depends in row]
    return Solving(
        model=model.name,
        states=len(found.states),
        linear=found.linear,
        entries=len(pattern),
        zeros=pattern.count(False),
        method=chosen.method or chosen.other,
        reason=chosen.reason,
        words=chosen.words,
    )


def library_solved() -> list[Solving]:
    """List how each model of the library would be solved, by name."""
    return [solving(load_model(name)) for name in sorted(library())]

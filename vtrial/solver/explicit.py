"""Explicit Runge-Kutta methods by their tableaux, for equations that are not stiff."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Array, Float

from vtrial.solver.adaptive import AbstractAdaptive, TrialStep
from vtrial.solver.dense_output import Polynomial
from vtrial.solver.field import Field
from vtrial.solver.method import Amounts
from vtrial.solver.tableau import TSIT5, Tableau


@dataclass(frozen=True)
class Explicit(AbstractAdaptive):
    """An explicit Runge-Kutta method by its tableau, first same as last (FSAL)."""

    tableau: Tableau = TSIT5

    @property
    def order(self) -> int:
        """Order of the step's error."""
        return self.tableau.order

    @property
    def gains(self) -> tuple[float, float]:
        """Gains of a PI controller: on this error, and on the one before."""
        return 0.9, 0.1

    @property
    def is_dense(self) -> bool:
        """Whether a step has dense output: always, a polynomial of degree 4."""
        return True

    def enter(
        self, field: Field, amounts: Amounts, time: Float[Array, " lane"]
    ) -> Amounts:
        """Return the first stage's slope; later steps have it from the step before."""
        return field(time, amounts)

    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: Amounts,
    ) -> TrialStep:
        """Try one step: all stages, the result, and the embedded error."""
        # First same as last: the first slope was computed by the step before.
        fields = [field] * len(self.tableau.nodes)
        return self.through(fields, time, amounts, size, carried)

    def through(
        self,
        fields: Sequence[Field],
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        first: Amounts,
    ) -> TrialStep:
        """Try one step by the vector fields of its stages, from its first slope."""
        tableau, slopes, reached = self.tableau, [first], amounts
        stages = zip(fields, tableau.nodes, tableau.stages, strict=True)
        for field, node, weights in stages:
            reached = _moved(amounts, size, weights, slopes)
            slopes.append(field(time + node * size, reached))
        errors = tuple(
            size * _sum(self.tableau.error, [slope[i] for slope in slopes])
            for i in range(len(amounts))
        )
        # The last stage lies at the end of the step, so `reached` is the result.
        error = self.scaled(fields[-1], errors, amounts, reached)
        return TrialStep(reached, error, slopes[-1], slopes)

    def inside(
        self,
        state: int,
        before: Float[Array, " lane"],
        size: Float[Array, " lane"],
        trial: TrialStep,
    ) -> Polynomial:
        """Return the dense output of a step: its slopes, weighted by rising power."""
        slopes = [slope[state] for slope in trial.stages]
        powers = zip(*self.tableau.inside, strict=True)
        return (before, *(size * _sum(weights, slopes) for weights in powers))


def _moved(
    amounts: Amounts,
    size: Float[Array, " lane"],
    weights: tuple[float, ...],
    slopes: list[Amounts],
) -> Amounts:
    """Return amounts after a step along weighted slopes."""
    return tuple(
        a + size * _sum(weights, [slope[i] for slope in slopes])
        for i, a in enumerate(amounts)
    )


def _sum(
    weights: tuple[float, ...], values: list[Float[Array, " lane"]]
) -> Float[Array, " lane"]:
    """Return the weighted sum of values."""
    # XLA does not drop 0 * v, which is NaN where v is infinite: drop it here.
    terms = [w * v for w, v in zip(weights, values, strict=True) if w]
    return sum(terms[1:], terms[0])

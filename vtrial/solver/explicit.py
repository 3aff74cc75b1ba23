"""An explicit Runge-Kutta method of order 5, for equations that are not stiff.

References
----------
Tsitouras Ch. (2011) Comput. Math. Appl. 62:770-775.
"""

from dataclasses import dataclass

from jaxtyping import Array, Float

from vtrial.solver.adaptive import AbstractAdaptive, Trial
from vtrial.solver.dense_output import Polynomial
from vtrial.solver.field import Field
from vtrial.solver.method import Amounts

NODES = (0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0)
STAGES = (
    (0.161,),
    (-0.008480655492356989, 0.335480655492357),
    (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (
        5.86145544294642,
        -12.92096931784711,
        8.159367898576159,
        -0.071584973281401,
        -0.028269050394068383,
    ),
    (
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    ),
)
ERROR = (
    -0.00178001105222577714,
    -0.0008164344596567469,
    0.007880878010261995,
    -0.1447110071732629,
    0.5823571654525552,
    -0.45808210592918697,
    1 / 66,
)

# Weights of the stages inside a step: of the powers 1 to 4 of the part that is done.
INSIDE = (
    (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
    (0.0, 0.13169999999999998, -0.2234, 0.1017),
    (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
    (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
    (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
    (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
    (0.0, 1.5, -4.0, 2.5),
)


@dataclass(frozen=True)
class Explicit(AbstractAdaptive):
    """Tsitouras' method of order 5(4); the last slope of a step opens the next."""

    @property
    def order(self) -> int:
        """Order of the step's error."""
        return 5

    @property
    def gains(self) -> tuple[float, float]:
        """Look back by one step."""
        return 0.9, 0.1

    @property
    def is_dense(self) -> bool:
        """Say so."""
        return True

    def enter(
        self, field: Field, amounts: Amounts, time: Float[Array, " lane"]
    ) -> Amounts:
        """Compute the slope."""
        return field(time, amounts)

    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: Amounts,
    ) -> Trial:
        """Try one step."""
        slopes, reached = [carried], amounts
        for node, weights in zip(NODES, STAGES, strict=True):
            reached = _moved(amounts, size, weights, slopes)
            slopes.append(field(time + node * size, reached))
        errors = tuple(
            size * _sum(ERROR, [slope[i] for slope in slopes])
            for i in range(len(amounts))
        )
        error = self.scaled(field, errors, amounts, reached)
        return Trial(reached, error, slopes[-1], slopes)

    def inside(
        self,
        state: int,
        before: Float[Array, " lane"],
        size: Float[Array, " lane"],
        trial: Trial,
    ) -> Polynomial:
        """Weigh the slopes, to order 4."""
        slopes = [slope[state] for slope in trial.stages]
        powers = zip(*INSIDE, strict=True)
        return (before, *(size * _sum(weights, slopes) for weights in powers))


def _moved(
    amounts: Amounts,
    size: Float[Array, " lane"],
    weights: tuple[float, ...],
    slopes: list[Amounts],
) -> Amounts:
    """Go a step along a weighted mean of slopes."""
    return tuple(
        a + size * _sum(weights, [slope[i] for slope in slopes])
        for i, a in enumerate(amounts)
    )


def _sum(
    weights: tuple[float, ...], values: list[Float[Array, " lane"]]
) -> Float[Array, " lane"]:
    """Add up values by weight."""
    terms = [w * v for w, v in zip(weights, values, strict=True) if w]
    return sum(terms[1:], terms[0])

"""An L-stable Rosenbrock method of order 4, for stiff equations.

References
----------
Hairer E., Wanner G. (1996) Solving Ordinary Differential Equations II, 2nd ed.,
IV.7 and IV.10: the code RODAS.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.solver.adaptive import AbstractAdaptive, Field, Trial
from vtrial.solver.factor import Factored, Rows
from vtrial.solver.method import Amounts

DIAGONAL = 0.25
NODES = (0.0, 0.386, 0.21, 0.63, 1.0, 1.0)
DRIFT = (0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0)
STAGES = (
    (),
    (1.544,),
    (0.9466785280815826, 0.2557011698983284),
    (3.314825187068521, 2.896124015972201, 0.9986419139977817),
    (
        1.221224509226641,
        6.019134481288629,
        12.53708332932087,
        -0.6878860361058950,
    ),
)
COUPLING = (
    (),
    (-5.6688,),
    (-2.430093356833875, -0.2063599157091915),
    (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
    (
        7.496443313967647,
        -10.24680431464352,
        -33.99990352819905,
        11.70890893206160,
    ),
    (
        8.083246795921522,
        -7.981132988064893,
        -31.52159432874371,
        16.31930543123136,
        -6.058818238834054,
    ),
)


@dataclass(frozen=True)
class Stiff(AbstractAdaptive):
    """RODAS, with the Jacobian by formula and only its non-zero entries computed."""

    @property
    def order(self) -> int:
        """Order of the step's error."""
        return 4

    def enter(self, field: Field, amounts: Amounts) -> tuple[()]:
        """Carry nothing."""
        del field, amounts
        return ()

    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: tuple[()],
    ) -> Trial:
        """Try one step: one factorisation, six stages."""
        matrix = Factored(self._matrix(field, time, amounts, size))
        drift = self._drift(field, time, amounts)
        parts: list[Amounts] = []
        reached = amounts
        for stage, coupling in enumerate(COUPLING):
            if stage < len(STAGES):
                reached = _moved(amounts, STAGES[stage], parts)
            else:  # the last stage improves on the one before
                reached = _moved(reached, (1.0,), [parts[-1]])
            slopes = field(time + NODES[stage] * size, reached)
            right = _moved(slopes, tuple(c for c in coupling), parts, 1 / size)
            if drift is not None and DRIFT[stage]:
                right = _moved(right, (DRIFT[stage],), [drift], size)
            parts.append(matrix.solve(right))
        after = _moved(reached, (1.0,), [parts[-1]])
        return Trial(after, self.scaled(parts[-1], amounts, after), carried)

    def _matrix(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
    ) -> Rows:
        """Return 1 / (size DIAGONAL) - Jacobian."""
        clock, since = field.clocks(time)
        whole = field.whole(time, amounts)
        full = self.model.jacobian(clock, whole, field.individual, after_dose=since)
        jacobian = [[full[i][j] for j in field.stepped] for i in field.stepped]
        shift = 1 / (DIAGONAL * size)
        rows: Rows = []
        for i, row in enumerate(jacobian):
            rows.append(
                [
                    None
                    if entry is None
                    else jnp.broadcast_to(-entry.astype(size.dtype), size.shape)
                    for entry in row
                ]
            )
            own = rows[i][i]
            rows[i][i] = shift if own is None else shift + own
        return rows

    def _drift(
        self, field: Field, time: Float[Array, " lane"], amounts: Amounts
    ) -> Amounts | None:
        """Return the derivative by time alone; None if there is none."""
        if field.is_autonomous:
            return None
        ones = jnp.ones_like(time)
        return jax.jvp(lambda t: field(t, amounts), (time,), (ones,))[1]


def _moved(
    origin: Amounts,
    weights: tuple[float, ...],
    parts: list[Amounts],
    scale: Float[Array, " lane"] | None = None,
) -> Amounts:
    """Add a weighted sum of parts, times a scale."""
    if not weights:
        return origin
    moved = []
    for i, value in enumerate(origin):
        total = weights[0] * parts[0][i]
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total = total + weight * part[i]
        moved.append(value + (total if scale is None else scale * total))
    return tuple(moved)

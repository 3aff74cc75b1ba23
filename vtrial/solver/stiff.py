"""An L-stable Rosenbrock method of order 5, for stiff equations.

References
----------
Steinebach G. (2023) BIT Numer. Math. 63:27, doi 10.1007/s10543-023-00967-x: Rodas5P.
Hairer E., Wanner G. (1996) Solving Ordinary Differential Equations II, 2nd ed., IV.7:
its form without products by the Jacobian.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.solver.adaptive import AbstractAdaptive, TrialStep
from vtrial.solver.factor import Factored, Rows
from vtrial.solver.field import Field
from vtrial.solver.method import Amounts

CAUTION = 4.0  # the estimate is too small for steps of a wide range of rates
DIAGONAL = 0.21193756319429014
NODES = (
    0.0,
    0.6358126895828704,
    0.4095798393397535,
    0.9769306725060716,
    0.4288403609558664,
    1.0,
    1.0,
    1.0,
)
DRIFT = (
    0.21193756319429014,
    -0.42387512638858027,
    -0.3384627126235924,
    1.8046452872882734,
    2.325825639765069,
    0.0,
    0.0,
    0.0,
)
STAGES = (
    (),
    (3.0,),
    (2.849394379747939, 0.45842242204463923),
    (-6.954028509809101, 2.489845061869568, -10.358996098473584),
    (
        2.8029986275628964,
        0.5072464736228206,
        -0.3988312541770524,
        -0.04721187230404641,
    ),
    (
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
    ),
)
COUPLING = (
    (),
    (-14.155112264123755,),
    (-17.97296035885952, -2.859693295451294),
    (147.12150275711716, -1.41221402718213, 71.68940251302358),
    (
        165.43517024871676,
        -0.4592823456491126,
        42.90938336958603,
        -5.961986721573306,
    ),
    (
        24.854864614690072,
        -3.0009227002832186,
        47.4931110020768,
        5.5814197821558125,
        -0.6610691825249471,
    ),
    (
        30.91273214028599,
        -3.1208243349937974,
        77.79954646070892,
        34.28646028294783,
        -19.097331116725623,
        -28.087943162872662,
    ),
    (
        37.80277123390563,
        -3.2571969029072276,
        112.26918849496327,
        66.9347231244047,
        -40.06618937091002,
        -54.66780262877968,
        -9.48861652309627,
    ),
)


@dataclass(frozen=True)
class Stiff(AbstractAdaptive):
    """Rodas5P, with the Jacobian by formula and only its non-zero entries computed."""

    @property
    def order(self) -> int:
        """Order of the step's error."""
        return 5

    def enter(
        self, field: Field, amounts: Amounts, time: Float[Array, " lane"]
    ) -> tuple[()]:
        """Carry nothing: every Rosenbrock step begins anew."""
        del field, amounts, time
        return ()

    def attempt(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
        carried: tuple[()],
    ) -> TrialStep:
        """Try one step: one factorisation, eight stages."""
        # All stages share one matrix, 1 / (h gamma) - J, and need no products by J.
        matrix = Factored(self._matrix(field, time, amounts, size))
        drift = self._drift(field, time, amounts)
        parts: list[Amounts] = []
        reached = amounts
        for stage, coupling in enumerate(COUPLING):
            if stage < len(STAGES):
                reached = _moved(amounts, STAGES[stage], parts)
            else:  # the last stages improve on the one before
                reached = _moved(reached, (1.0,), [parts[-1]])
            slopes = field(time + NODES[stage] * size, reached)
            right = _moved(slopes, tuple(c for c in coupling), parts, 1 / size)
            # Non-autonomous equations add h times each stage's share of df/dt.
            if drift is not None and DRIFT[stage]:
                right = _moved(right, (DRIFT[stage],), [drift], size)
            parts.append(matrix.solve(right))
        after = _moved(reached, (1.0,), [parts[-1]])
        error = CAUTION * self.scaled(field, parts[-1], amounts, after)
        return TrialStep(after, error, carried)

    def _matrix(
        self,
        field: Field,
        time: Float[Array, " lane"],
        amounts: Amounts,
        size: Float[Array, " lane"],
    ) -> Rows:
        """Return 1 / (size DIAGONAL) - Jacobian.

        A root or a power below 1 has no slope at zero, and hardly one near it that
        lasts for a step: states that stay nonnegative count as their tolerance at
        least.
        """
        jacobian = field.jacobian(time, self._lifted(field, amounts))
        shift = 1 / (DIAGONAL * size)
        rows: Rows = []
        for i, row in enumerate(jacobian):
            rows.append(
                [
                    None
                    if entry is None
                    else jnp.broadcast_to(
                        -_finite(entry.astype(size.dtype)), size.shape
                    )
                    for entry in row
                ]
            )
            # The diagonal is never a structural zero: 1 / (h gamma) stands there.
            own = rows[i][i]
            rows[i][i] = shift if own is None else shift + own
        return rows

    def _drift(
        self, field: Field, time: Float[Array, " lane"], amounts: Amounts
    ) -> Amounts | None:
        """Return the partial derivative in time; None for autonomous equations."""
        if field.is_autonomous:
            return None
        ones = jnp.ones_like(time)
        drift = jax.jvp(lambda t: field(t, amounts), (time,), (ones,))[1]
        return tuple(map(_finite, drift))

    def _lifted(self, field: Field, amounts: Amounts) -> Amounts:
        """Raise nonnegative states to their absolute tolerance."""
        kept = self.model.structure.nonnegative.states
        return tuple(
            jnp.maximum(amount, least.astype(amount.dtype))
            if self.model.states[place] in kept
            else amount
            for place, amount, least in zip(
                self.stepped, amounts, field.atol, strict=True
            )
        )


def _finite(slope: Float[Array, "..."]) -> Float[Array, "..."]:
    """Replace a slope that is not finite by zero: the error estimate knows better."""
    return jnp.where(jnp.isfinite(slope), slope, 0.0)


def _moved(
    origin: Amounts,
    weights: tuple[float, ...],
    parts: list[Amounts],
    scale: Float[Array, " lane"] | None = None,
) -> Amounts:
    """Return the origin plus a weighted sum of parts, times a scale."""
    if not weights:
        return origin
    moved = []
    for i, value in enumerate(origin):
        total = weights[0] * parts[0][i]
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total = total + weight * part[i]
        moved.append(value + (total if scale is None else scale * total))
    return tuple(moved)

r"""First-order conditional estimation with interaction, as NONMEM defines it.

The integral over a subject's effects is approximated at its mode $\hat\eta$ (Laplace),
with the expected information in the place of the second derivatives:

$$ O_i = L_i(\hat\eta) + \log\det\tfrac12 H_i(\hat\eta), \qquad
   \tfrac12 H_i = \sum_j \left(\frac{\nabla f \nabla f'}{V}
   + \frac{\nabla V \nabla V'}{2 V^2}\right) + \Omega^{-1}, $$

where the slopes are by $\eta$. Its gradient is exact: the mode moves with the
population values as the implicit function theorem says, so that with x one of these

$$ \frac{dO_i}{dx} = \frac{\partial O_i}{\partial x}
   - \frac{\partial O_i}{\partial \eta'} L_{\eta\eta}^{-1} L_{\eta x}. $$

References
----------
Wang Y (2007) J Pharmacokinet Pharmacodyn 34:575-593 (the objective).
Almquist J, Leander J, Jirstrand M (2015) J Pharmacokinet Pharmacodyn 42:191-209 (the
gradient).
Wolfinger R (1993) Biometrika 80:791-795 (Laplace's approximation of mixed models).
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Float

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS, Modes, Outcome, in_parts, modes, size_of
from vtrial.fit.parameters import Layout
from vtrial.fit.study import Data, Study
from vtrial.fit.sums import exact_sum, products_of
from vtrial.fit.values import Values
from vtrial.model.model import Model
from vtrial.program_cache import kept

Curve = Literal["expected", "exact"]


class Scores(NamedTuple):
    """Each subject's part of the objective, and its slope by what is estimated.

    Fields
    ------
    objective
        O of each subject.
    slope
        By the vector of the layout.
    """

    objective: Float[Array, " subject"]
    slope: Float[Array, "subject estimate"]


register_namedtuple_serialization(Scores, serialized_name="vtrial:fit.Scores")


class Point(NamedTuple):
    """The objective at a vector.

    Fields
    ------
    objective
        The sum over subjects; infinite where a mode was not found.
    slopes
        By subject.
    parts
        Of the objective, by subject.
    modes
        Of the subjects, from which the next search may start.
    """

    objective: float
    slopes: Float[np.ndarray, "subject estimate"]
    parts: Float[np.ndarray, " subject"]
    modes: Modes

    @property
    def gradient(self) -> Float[np.ndarray, " estimate"]:
        """The sum of the subjects' slopes."""
        return exact_sum(self.slopes)

    @property
    def products(self) -> Float[np.ndarray, "estimate estimate"]:
        """The sum of the products of each subject's slopes."""
        return products_of(self.slopes)


@dataclass(frozen=True)
class Focei:
    """The objective of a study as a function of what is estimated.

    `curve` says which second derivatives it takes: those `expected`, which is FOCEI,
    or the `exact` ones, which is Laplace's approximation.
    """

    model: Model
    study: Study
    likelihood: Likelihood
    layout: Layout
    base: Values
    curve: Curve = "expected"

    def at(
        self, vector: Float[np.ndarray, " estimate"], start: np.ndarray | None = None
    ) -> Point:
        """Return the objective and its slopes, modes searched from `start`."""
        values = jax.tree.map(np.asarray, self.layout.values(vector, self.base))
        found = modes(
            self.model,
            self.study,
            values=values,
            start=start,
            likelihood=self.likelihood,
        )

        def compute(part: Data, eta: np.ndarray) -> Scores:
            return scores(
                self.likelihood,
                self.layout,
                self.curve,
                jnp.asarray(vector),
                self.base,
                part,
                jnp.asarray(eta),
            )

        size = size_of(self.study.subjects)
        given = in_parts(compute, size, self.study.data, found.eta)
        lost = (found.outcome == Outcome.NO_DENSITY).any()
        total = np.inf if lost else float(exact_sum(given.objective))
        return Point(total, given.slope, given.objective, found)


def objective_of(found: Modes) -> Float[np.ndarray, " subject"]:
    """Return O of each subject, given its mode: no more is to be computed.

    NONMEM's objective function is the sum, without the constant n log 2 pi.
    """
    if not found.eta.shape[1]:
        return found.objective
    half = np.linalg.slogdet(np.linalg.inv(found.covariance))[1]
    return found.objective + half


@functools.partial(kept, static=3, makers=MAKERS)
def scores(
    likelihood: Likelihood,
    layout: Layout,
    curve: Curve,
    vector: Float[Array, " estimate"],
    base: Values,
    data: Data,
    eta: Float[Array, "subject effect"],
) -> Scores:
    """Return each subject's objective at its mode, and its exact slope.

    Every direction, of estimates and of effects, goes through one program: it is
    compiled once, though magnitudes of errors need no solution.
    """
    count, size = eta.shape
    total = len(layout)
    of = functools.partial(_parts, likelihood, layout, curve, base, data)
    axes = jnp.eye(total + size)

    def along(axis: Array) -> Any:
        own = jnp.broadcast_to(axis[None, total:], (count, size))
        return jax.jvp(of, (vector, eta), (axis[:total], own))

    found, slopes = jax.vmap(along, out_axes=(None, 0))(axes)
    joint, gradient, extra = slopes
    slope = jnp.swapaxes((joint + extra)[:total], 0, 1)
    if size:
        # L is at its minimum: only the determinant asks where the mode goes.
        curved = jnp.transpose(gradient[total:], (1, 2, 0))
        moved = jnp.transpose(gradient[:total], (1, 2, 0))
        follow = jnp.linalg.solve(curved, moved)
        slope = slope - jnp.einsum("ks,skx->sx", extra[total:], follow)
    return Scores(found[0] + found[2], slope)


def _parts(
    likelihood: Likelihood,
    layout: Layout,
    curve: Curve,
    base: Values,
    data: Data,
    vector: Float[Array, " estimate"],
    eta: Float[Array, "subject effect"],
) -> tuple[
    Float[Array, " subject"],
    Float[Array, "subject effect"],
    Float[Array, " subject"],
]:
    """Return L, its gradient by the effects, and log det of half its information."""
    values = layout.values(vector, base)
    if curve == "expected" or not eta.shape[1]:
        seen = likelihood.look(values, eta, data)
        _, size = jnp.linalg.slogdet(0.5 * seen.information)
        return seen.objective, seen.gradient, size

    def of(eta: Array) -> tuple[Array, Array]:
        seen = likelihood.look(values, eta, data)
        return seen.gradient, seen.objective

    def along(axis: Array) -> tuple[Array, Array, Array]:
        own = jnp.broadcast_to(axis[None], eta.shape)
        gradient, change, objective = jax.jvp(of, (eta,), (own,), has_aux=True)
        return gradient, change, objective

    axes = jnp.eye(eta.shape[1])
    gradient, second, objective = jax.vmap(along, out_axes=(None, 2, None))(axes)
    _, size = jnp.linalg.slogdet(0.5 * second)
    return objective, gradient, size

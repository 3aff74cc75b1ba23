r"""How each subject's mode follows what is estimated.

At a mode the gradient of L vanishes, so that with x what is estimated
$d\hat\eta/dx = -L_{\eta\eta}^{-1} L_{\eta x}$.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Float

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.mode import MAKERS, in_parts, size_of
from vtrial.fit.parameters import Layout
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.program_cache import kept


class Bend(NamedTuple):
    """Derivatives of L at given effects.

    Fields
    ------
    second, cross
        Of its gradient, by the effects and by the vector.
    information
        Twice the expected information, that of the effects' law included.
    """

    second: Float[Array, "subject effect effect"]
    cross: Float[Array, "subject effect estimate"]
    information: Float[Array, "subject effect effect"]

    def follow(self) -> Float[np.ndarray, "subject effect estimate"]:
        """Return how modes move with the vector; 0 where that cannot be told."""
        second, cross = np.asarray(self.second), np.asarray(self.cross)
        flat = ~np.isfinite(second).all(axis=(1, 2))
        flat = flat | ~np.isfinite(cross).all(axis=(1, 2))
        mask = np.reshape(flat, (-1, 1, 1))
        safe = np.where(mask, np.eye(second.shape[1]), second)
        return -np.linalg.solve(safe, np.where(mask, 0.0, cross))


register_namedtuple_serialization(Bend, serialized_name="vtrial:fit.Bend")


def bend_of(
    problem: Problem,
    vector: Float[np.ndarray, " estimate"],
    eta: Float[np.ndarray, "subject effect"],
) -> Bend:
    """Return the derivatives of every subject."""

    def compute(part: Data, own: np.ndarray) -> Bend:
        at = jnp.asarray(vector)
        return bend(*problem[2:4], at, problem.base, part, jnp.asarray(own))

    study = problem.study
    found = in_parts(compute, size_of(study.subjects), study.data, eta)
    return Bend(*found)


@functools.partial(kept, static=2, makers=MAKERS)
def bend(
    likelihood: Likelihood,
    layout: Layout,
    vector: Float[Array, " estimate"],
    base: Values,
    data: Data,
    eta: Float[Array, "subject effect"],
) -> Bend:
    """Return the derivatives of some subjects, every direction by one program."""
    count, size = eta.shape
    total = len(layout)

    def of(vector: Array, eta: Array) -> tuple[Array, Array]:
        seen = likelihood.look(layout.values(vector, base), eta, data)
        return seen.gradient, seen.information

    def along(axis: Array) -> tuple[Array, Array]:
        own = jnp.broadcast_to(axis[None, total:], (count, size))
        at, way = (vector, eta), (axis[:total], own)
        _, change, information = jax.jvp(of, at, way, has_aux=True)
        return change, information

    axes = jnp.eye(total + size)
    change, information = jax.vmap(along, out_axes=(2, None))(axes)
    return Bend(change[:, :, total:], change[:, :, :total], information)

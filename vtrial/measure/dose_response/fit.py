r"""Fit curves by generalised least squares, in many trials at once.

Where a curve begins and how high it goes are linear, and are solved for; its own
parameters are sought on a grid within bounds, which then closes in on the best point of
each trial. What is minimised is

$$ Q(\theta) = \min_{e_0, e_1} (y - f)^T S^{-1} (y - f), $$

and curves are compared by $Q + 2 p$ with $p$ parameters, a generalised AIC.

References
----------
Golub GH, Pereyra V (1973) SIAM J Numer Anal 10:413-432.
Pinheiro J, Bornkamp B, Glimm E, Bretz F (2014) Stat Med 33:1646-1661.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vtrial.errors import ProtocolError
from vtrial.measure.dose_response.registry import shapes
from vtrial.measure.dose_response.shape import PLACE, Doses, Shape

GRID, CLOSER, LEVELS = 31, 5, 32  # points a parameter, then a level; levels
SHRINK = 0.5  # of the range from level to level

Estimates = Float[np.ndarray, "replicate dose"]
Covariance = Float[np.ndarray, "*replicate dose dose"]


@dataclass(frozen=True)
class Fitted:
    """A shape fitted in each of many trials.

    Parameters
    ----------
    word
        Of the shape.
    linear
        Where the curve begins, and by what its columns are multiplied: one, but two of
        a quadratic.
    theta
        The shape's own parameters that were sought, in its order.
    loss
        The weighted sum of squares that is left.
    criterion
        The generalised AIC: less is better.
    highest
        The highest dose of the trial.
    """

    word: str
    linear: Float[np.ndarray, "replicate column"]
    theta: Float[np.ndarray, "replicate parameter"]
    loss: Float[np.ndarray, " replicate"]
    criterion: Float[np.ndarray, " replicate"]
    highest: float

    def at(self, doses: Doses) -> Float[np.ndarray, "replicate dose"]:
        """Return the fitted curves at doses."""
        shape = shapes()[self.word]
        doses = np.asarray(doses, float)
        if shape.linear is not None:
            columns = shape.linear(doses, self.highest)
            return self.linear[:, :1] + self.linear[:, 1:] @ columns.T
        curve = shape.curve(doses, self.theta, self.highest)
        return self.linear[:, :1] + self.linear[:, 1:] * curve


def fit_shape(
    word: str,
    doses: Doses,
    estimate: Estimates,
    covariance: Covariance,
    *,
    bounds: Sequence[tuple[float, float]] | None = None,
) -> Fitted:
    """Fit a shape to the estimates at the doses, in each trial.

    Parameters
    ----------
    word
        Of a shape in `shapes()` that can be fitted: any but a step.
    doses
        Of the trial.
    estimate
        At each dose.
    covariance
        Of the estimates: of all trials alike, or one for each.
    bounds
        Between which each of the shape's parameters is sought; usual ones if not
        given.

    Raises
    ------
    ProtocolError
        If the shape cannot be fitted, there are fewer doses than parameters, or bounds
        are not positive and rising.

    Examples
    --------
    >>> doses = np.array([0.0, 10, 25, 50, 100])
    >>> mean = 1 + 2 * doses / (20 + doses)
    >>> made = fit_shape("emax", doses, mean[None], np.eye(5))
    >>> made.linear.round(6).tolist(), made.theta.round(5).tolist()
    ([[1.0, 2.0]], [[20.0]])
    """
    shape, doses = shapes()[word], np.asarray(doses, float)
    top = float(doses.max())
    root = whitening(covariance)
    data = _times(np.asarray(estimate, float)[:, None], root)[:, 0]
    one = _times(np.ones((1, 1, doses.size)), root)[:, 0]
    if shape.linear is not None:
        columns = np.column_stack([np.ones(doses.size), shape.linear(doses, top)])
        design = root @ columns
        _enough(word, columns.shape[1], doses.size)
        linear = (np.linalg.pinv(design) @ data[..., None])[..., 0]
        rest = data - (design @ linear[..., None])[..., 0]
        loss = (rest**2).sum(axis=1)
        nothing = np.zeros((len(data), 0))
        criterion = loss + 2 * columns.shape[1]
        return Fitted(word, linear, nothing, loss, criterion, top)
    limits = _limits(shape, top, bounds)
    _enough(word, 2 + len(limits), doses.size)
    problem = _Problem(shape, doses, top, root, data, one)
    theta = _sought(problem, np.log(limits))
    loss, linear = problem.solved(theta[:, None])
    criterion = loss[:, 0] + 2 * (2 + len(limits))
    return Fitted(word, linear[:, 0], theta, loss[:, 0], criterion, top)


def whitening(covariance: Covariance) -> Float[np.ndarray, "some dose dose"]:
    """Return matrices W with W S W' = I, one for each covariance S."""
    matrix = np.asarray(covariance, float)
    matrix = matrix.reshape(-1, *matrix.shape[-2:])
    return np.linalg.inv(np.linalg.cholesky(matrix))


def _times(rows: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Multiply each row of (replicate or 1, row, dose) by its trial's matrix."""
    return rows @ root.transpose(0, 2, 1)


@dataclass(frozen=True)
class _Problem:
    """What is minimised, all multiplied by the inverse root of the covariance."""

    shape: Shape
    doses: np.ndarray
    top: float
    root: np.ndarray
    data: np.ndarray
    one: np.ndarray

    def solved(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and linear parameters for theta of (replicate or 1, point)."""
        turned = _times(self.shape.curve(self.doses, theta, self.top), self.root)
        length = np.linalg.norm(self.one, axis=1, keepdims=True)
        unit = self.one / length
        level = (turned @ unit[..., None])[..., 0]
        rest = turned - level[..., None] * unit[:, None]
        start = (self.data * unit).sum(axis=1, keepdims=True)
        free = self.data - start * unit
        square = np.maximum((rest**2).sum(axis=-1), 1e-300)
        along = (rest @ free[..., None])[..., 0]
        height = along / square
        loss = (free**2).sum(axis=1)[:, None] - along * height
        begins = (start - height * level) / length
        return np.maximum(loss, 0.0), np.stack([begins, height], axis=-1)


def _sought(problem: _Problem, limits: np.ndarray) -> np.ndarray:
    """Return the parameters of least loss: a grid first, closing in on its best."""
    axes = [np.linspace(low, high, GRID) for low, high in limits]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = points.reshape(-1, len(limits))
    loss, _ = problem.solved(np.exp(points)[None])
    best = points[np.argmin(loss, axis=1)]
    reach = (limits[:, 1] - limits[:, 0]) / (GRID - 1)
    side = np.linspace(-1, 1, CLOSER)
    around = np.stack(np.meshgrid(*[side] * len(limits), indexing="ij"), axis=-1)
    around = around.reshape(-1, len(limits))
    for _ in range(LEVELS):
        near = np.clip(best[:, None] + reach * around, limits[:, 0], limits[:, 1])
        loss, _ = problem.solved(np.exp(near))
        best = near[np.arange(len(near)), np.argmin(loss, axis=1)]
        reach = reach * SHRINK
    return np.exp(best)


def _limits(
    shape: Shape, top: float, bounds: Sequence[tuple[float, float]] | None
) -> np.ndarray:
    """Return the bounds of a shape's parameters; refuse what cannot be."""
    if shape.bounds is None:
        able = [one.word for one in shapes().values() if one.bounds or one.linear]
        allowed = f"one that can be fitted: {', '.join(able)}"
        raise ProtocolError(f"{PLACE}.shape", shape.word, allowed, "shape: emax")
    given = np.asarray(shape.bounds(top) if bounds is None else bounds, float)
    good = given.shape == (len(shape.parameters), 2)
    if not good or not ((given[:, 0] > 0) & (given[:, 0] < given[:, 1])).all():
        allowed = f"a pair that rises from above 0 for {', '.join(shape.parameters)}"
        raise ProtocolError(f"{PLACE}.bounds", str(given.tolist()), allowed, "")
    return given


def _enough(word: str, parameters: int, doses: int) -> None:
    """Refuse more parameters than doses."""
    if parameters > doses:
        allowed = f"at least {parameters}, the parameters of {word}"
        raise ProtocolError(f"{PLACE}.doses", str(doses), allowed, "")

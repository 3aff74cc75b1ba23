"""Newton's method for the likelihoods of many trials at once."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

MOST_STEPS = 30
LONGEST_STEP = 4.0  # of any coefficient
SETTLED = 1e-8  # a Newton step below this leaves an error of its square


class Likelihood(NamedTuple):
    """The log-likelihood of each trial, its gradient and its information."""

    value: np.ndarray
    score: np.ndarray
    information: np.ndarray


@runtime_checkable
class Problem(Protocol):
    """A model with a log-likelihood in each of many trials."""

    def rows(self, chosen: np.ndarray) -> "Problem":
        """Return some of the trials."""
        ...

    def at(self, slopes: np.ndarray) -> Likelihood:
        """Return the likelihood of every trial at its own coefficients."""
        ...


class NewtonFit(NamedTuple):
    """Coefficients (replicate, coefficient), the likelihood there, the last step."""

    slopes: np.ndarray
    at: Likelihood
    step: np.ndarray


def climb(problem: Problem, start: np.ndarray) -> NewtonFit:
    """Maximise every trial's likelihood by Newton's method; converged trials stop.

    A step that would lower the likelihood is halved, and none is longer than
    `LONGEST_STEP`. After `MOST_STEPS` steps a trial stays where it is: a last step
    that is not small says so.
    """
    slopes = start.copy()
    at = problem.at(slopes)
    last = np.full(slopes.shape, np.inf)
    part = np.ones(len(slopes))
    climbing = np.arange(len(slopes))
    for _ in range(MOST_STEPS):
        score, information = (field[climbing] for field in at[1:])
        step = np.einsum("rij,rj->ri", inverse(information), score)
        longest = np.abs(step).max(axis=1, initial=0.0)
        length = np.minimum(part[climbing], LONGEST_STEP / np.maximum(longest, 1e-300))
        trial = slopes[climbing] + length[:, None] * step
        there = problem.at(trial)
        before = at.value[climbing]
        up = there.value >= before - 1e-10 * (1 + np.abs(before))
        part[climbing] = np.where(up, 1.0, part[climbing] / 2)
        risen = climbing[up]
        slopes[risen], last[risen] = trial[up], np.abs(step[up])
        for field, new in zip(at, there, strict=True):
            field[risen] = new[up]
        going = ~up | (longest > SETTLED)
        climbing = climbing[going]
        if not len(climbing):
            break
        if not going.all():
            problem = problem.rows(going)
    return NewtonFit(slopes, at, last)


def inverse(information: np.ndarray) -> np.ndarray:
    """Invert the information of every trial, made positive definite for ascent.

    Eigenvalues count by their size; what does not vary has no part in the inverse.
    """
    if information.shape[1] == 1:
        there = np.abs(information) > 1e-300
        return np.where(there, 1 / np.where(there, np.abs(information), 1.0), 0.0)
    values, vectors = np.linalg.eigh(information)
    size = np.abs(values)
    there = size > 1e-12 * size.max(axis=1, keepdims=True, initial=1e-300)
    turned = np.where(there, 1 / np.where(there, size, 1.0), 0.0)
    return np.einsum("rik,rk,rjk->rij", vectors, turned, vectors)


def told(information: np.ndarray, place: int = 0) -> np.ndarray:
    """Return where a coefficient is identifiable beside the others."""
    own = information[:, place, place]
    others = np.delete(np.arange(information.shape[1]), place)
    if not len(others):
        return own > 1e-12
    cross = information[:, place, others]
    rest = inverse(information[:, others[:, None], others])
    taken = np.einsum("ri,rij,rj->r", cross, rest, cross)
    return own - taken > 1e-9 * np.maximum(own, 1e-3)

"""By the likelihood itself, sampled about each subject's mode."""

from dataclasses import replace

import jax
import numpy as np

from vtrial.fit.marginal import Marginal, marginal_of
from vtrial.fit.method import Answer, How, Method
from vtrial.fit.minimum import Minimum, minimise
from vtrial.fit.mode import Modes, modes
from vtrial.fit.problem import Problem
from vtrial.fit.uncertainty import covariance_of, curvature

ROUNDS, STEPS = 40, 3  # of a search, about modes that are then looked for anew
MOVED = 0.02  # standard errors by Fisher's scores, within which it has ended


def modes_at(
    problem: Problem, vector: np.ndarray, start: np.ndarray | None = None
) -> Modes:
    """Return each subject's mode at a vector."""
    values = problem.layout.values(vector, problem.base)
    return modes(
        problem.model,
        problem.study,
        values=jax.tree.map(np.asarray, values),
        start=start,
        likelihood=problem.likelihood,
    )


def sampled(problem: Problem, how: How, vector: np.ndarray) -> tuple[Marginal, Modes]:
    """Draw about the modes at a vector."""
    found = modes_at(problem, vector)
    draws = how.options["draws"]
    marginal = marginal_of(problem, vector, found, draws=draws, seed=how.seed)
    return marginal, found


def judged(
    problem: Problem, how: How, vector: np.ndarray, *, converged: bool = True
) -> Answer:
    """Answer with the likelihood at a vector, and with its curvature there.

    What is drawn is not what a search for that vector drew, which it would flatter.
    """
    marginal, found = sampled(problem, replace(how, seed=how.seed + 1), vector)
    point = marginal.at(vector)
    best = Minimum(vector, point, (), True)
    covariance = covariance_of(
        curvature(marginal.at, best), point.products, how.covariance
    )
    told = {"draws": how.options["draws"], "effective": float(point.effective.min())}
    return Answer(
        vector=vector,
        covariance=covariance,
        by=how.covariance,
        converged=converged,
        objective=point.objective,
        error=point.error,
        parts=point.parts,
        likelihood="importance sampling",
        modes=found,
        told=told,
    )


def _estimate(problem: Problem, how: How) -> Answer:
    """Minimise by a few steps at a time, and draw about the modes anew.

    Subjects' draws come from the same normal scores each time, so that the rounds end.
    """
    vector, course, ended = how.start, [], False
    for number in range(min(ROUNDS, how.most)):
        marginal, _ = sampled(problem, how, vector)
        best = minimise(marginal.at, vector, most=STEPS)
        move = best.vector - vector
        far = float(np.sqrt(max(move @ best.point.products @ move, 0.0))) / 2
        if not course:
            course.append(best.course[0])
        course.append(float(best.point.objective))
        vector = best.vector
        if how.tell is not None:
            how.tell(number, best.point.objective, far**2)
        if far < MOVED:
            ended = True
            break
    found = judged(problem, how, vector, converged=ended)
    return replace(found, course=tuple(course))


KINDS = (
    Method(
        word="importance",
        place=40,
        says="the maximum of the likelihood itself, which is sampled about each "
        "subject's mode; the objective has an error by chance, which is told",
        estimate=_estimate,
        options={"draws": 500},
    ),
)

"""By the mode of each subject: FOCEI, and Laplace's approximation itself."""

import functools

import numpy as np

from vtrial.fit.focei import Curve, Focei
from vtrial.fit.method import Answer, How, Method
from vtrial.fit.minimum import minimise
from vtrial.fit.problem import Problem
from vtrial.fit.uncertainty import covariance_of, curvature

WORDS = {"expected": "FOCEI", "exact": "Laplace"}


def _estimate(curve: Curve, problem: Problem, how: How) -> Answer:
    """Minimise the objective by its exact gradient."""
    focei = Focei(*problem, curve=curve)

    def evaluate(vector: np.ndarray, before: object) -> object:
        start = getattr(before, "modes", None)
        return focei.at(vector, None if start is None else start.eta)

    best = minimise(evaluate, how.start, most=how.most, tell=how.tell)
    curved = curvature(evaluate, best)
    return Answer(
        vector=best.vector,
        covariance=covariance_of(curved, best.point.products, how.covariance),
        by=how.covariance,
        objective=float(best.point.objective),
        parts=best.point.parts,
        likelihood=WORDS[curve],
        modes=best.point.modes,
        converged=best.converged,
        course=best.course,
    )


KINDS = (
    Method(
        word="focei",
        place=10,
        says="first-order conditional estimation with interaction: Laplace's "
        "approximation at each subject's mode, with expected second derivatives",
        estimate=functools.partial(_estimate, "expected"),
    ),
    Method(
        word="laplace",
        place=20,
        says="the same with the second derivatives themselves, which an error of "
        "Student's t or values below a limit may ask for",
        estimate=functools.partial(_estimate, "exact"),
    ),
)

"""By the first-order approximation."""

import jax.numpy as jnp
import numpy as np

from vtrial.errors import Fault, FitError
from vtrial.fit.first_order import first_order
from vtrial.fit.focei import Scores
from vtrial.fit.marginal import Sum
from vtrial.fit.method import Answer, How, Method
from vtrial.fit.methods.importance import modes_at
from vtrial.fit.minimum import minimise
from vtrial.fit.mode import in_parts, size_of
from vtrial.fit.problem import Problem
from vtrial.fit.study import Data
from vtrial.fit.uncertainty import covariance_of, curvature


def _estimate(problem: Problem, how: How) -> Answer:
    """Minimise the objective, and look for the modes where it is least."""
    _refuse(problem)
    study = problem.study

    def evaluate(vector: np.ndarray, before: object) -> Sum:
        def compute(part: Data) -> Scores:
            return first_order(*problem[2:4], jnp.asarray(vector), problem.base, part)

        given = in_parts(compute, size_of(study.subjects), study.data)
        total = float(given.objective.sum())
        return Sum(total, given.slope, given.objective, 0.0, np.zeros(0))

    best = minimise(evaluate, how.start, most=how.most, tell=how.tell)
    curved = curvature(evaluate, best)
    return Answer(
        vector=best.vector,
        covariance=covariance_of(curved, best.point.products, how.covariance),
        by=how.covariance,
        objective=best.point.objective,
        parts=best.point.parts,
        likelihood="FO",
        modes=modes_at(problem, best.vector),
        converged=best.converged,
        course=best.course,
    )


def _refuse(problem: Problem) -> None:
    """Refuse what no linear model of normal errors has."""
    study, faults = problem.study, []
    for output in problem.model.outputs:
        if output.error.law in ("beta", "student"):
            found = f"of the law {output.error.law}"
            allowed = "normal, on some scale: fo knows no other; try focei"
            faults.append(Fault(f"outputs.{output.name}.error", found, allowed, ""))
    if below := int(study.data.below.sum()):
        found, allowed = (
            f"{below} below a limit",
            "left out (M1): fo knows no other way",
        )
        faults.append(Fault("DV", found, allowed, "--below M1", study.source))
    if faults:
        raise FitError.of(faults)


KINDS = (
    Method(
        word="fo",
        place=15,
        says="first-order: predictions are linear in the effects about zero; quick, "
        "and far off where subjects differ much",
        estimate=_estimate,
    ),
)

"""By the normal law that is nearest to the posterior distribution."""

import math

import numpy as np

from vtrial.fit.method import Answer, How, Method
from vtrial.fit.problem import Problem


def _estimate(problem: Problem, how: How) -> Answer:
    """Fit a normal law to all sites together, and draw from it."""
    from vtrial.fit import posterior
    from vtrial.fit.variational import PORTION, nearest

    given, vector, _ = posterior.begun(problem, how)
    subjects, effects = given.reference.pull.shape

    def tell(step: int, loss: float) -> None:
        if how.tell is not None:
            how.tell(step, 2.0 * loss, math.nan)

    found = nearest(
        problem.likelihood,
        problem.layout,
        given,
        seed=how.seed,
        position=posterior.positions_of(problem.layout, vector, (subjects, effects)),
        steps=how.options["iterations"],
        draws=how.options["draws"],
        tell=tell,
    )
    last = found.losses[-max(len(found.losses) // 4, 2) :]
    half = len(last) // 2
    moved = float(last[half:].mean() - last[:half].mean())
    told = {
        "elbo": -float(last.mean()),
        "moved": moved,
        "steps": PORTION * len(found.losses),
        "converged": abs(moved) < 0.1 and bool(np.isfinite(found.losses).all()),
    }
    return posterior.answered(
        problem, how, found.vector[None], more={}, told=told, by="variational"
    )


KINDS = (
    Method(
        word="vi",
        place=60,
        says="the normal law nearest to the posterior distribution (NumPyro's SVI); "
        "quick, and often too sure",
        estimate=_estimate,
        options={"draws": 1000, "iterations": 3000},
        by=False,
    ),
)

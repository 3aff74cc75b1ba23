"""What every method is given: a model, a study, and what of the one the other tells."""

from collections.abc import Collection
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from vtrial.errors import Fault, FitError
from vtrial.fit.likelihood import TIGHT, Likelihood, likelihood_of
from vtrial.fit.parameters import Layout, layout_of
from vtrial.fit.study import Study
from vtrial.fit.values import Values, values_of
from vtrial.model.model import Model
from vtrial.types import Numerics

NAMED = 5  # subjects that a fault names


class Problem(NamedTuple):
    """A study whose likelihood is a function of what is estimated.

    Fields
    ------
    model, study, likelihood
        Of one another.
    layout
        What is estimated.
    base
        What is not, and where priors lie.
    """

    model: Model
    study: Study
    likelihood: Likelihood
    layout: Layout
    base: Values


def problem_of(
    model: Model,
    study: Study,
    *,
    fixed: Collection[str] = (),
    numerics: Numerics = TIGHT,
) -> Problem:
    """Lay out what a study can tell of a model; the sheet's numbers are the base.

    Raises
    ------
    VtrialError
        If the model has no likelihood here, or what is `fixed` is not there.
    """
    layout, base = layout_of(model, fixed=fixed), values_of(model)
    return Problem(model, study, likelihood_of(model, study, numerics), layout, base)


def refuse_start(problem: Problem, begin: Float[np.ndarray, " estimate"]) -> None:
    """Refuse to start where an observation cannot be: say which, by its line.

    Raises
    ------
    FitError
        With the first of these subjects.
    """
    study, likelihood = problem.study, problem.likelihood
    eta = jnp.zeros((study.subjects, len(likelihood.effects)))
    values = problem.layout.values(begin, problem.base)
    seen = likelihood.stand(values, eta, study.data)
    sound = np.asarray(seen.sound) | ~study.data.real
    lost = np.flatnonzero(~sound.all(axis=1))
    if not lost.size:
        return
    faults = []
    for subject in lost[:NAMED]:
        place = int(np.argmin(sound[subject]))
        row, value = study.row[subject, place], float(seen.predicted[subject, place])
        found = f"predicted as {value:g}, where the error has no law"
        allowed = "possible at the start: a proportional error asks for more than 0; "
        allowed += "set MDV to 1, or give the error an additive part"
        at = f"DV of subject {study.identity[subject]}"
        line = int(study.line[row])
        faults.append(Fault(at, found, allowed, "", study.source, line))
    raise FitError.of(faults)

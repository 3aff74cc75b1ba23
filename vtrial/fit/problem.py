"""What every method is given: a model, a study, and what of the one the other tells."""

from typing import NamedTuple

from vtrial.fit.likelihood import Likelihood
from vtrial.fit.parameters import Layout
from vtrial.fit.study import Study
from vtrial.fit.values import Values
from vtrial.model.model import Model


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

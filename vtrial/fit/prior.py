"""What is held of a model before a study: priors from its sheet, or weak ones.

A parameter with a published standard error, alone or with others, has the prior of the
sheet; another a normal one about its value, on the scale on which it is estimated. The
standard deviations of random effects and the magnitudes of residual errors are
log-normal about the sheet's; those of effects with degrees of freedom are as sure as
these say. Correlations are of the LKJ distribution.

References
----------
Lewandowski D, Kurowicka D, Joe H (2009) J Multivar Anal 100:1989-2001 (LKJ).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.fit.parameters import Layout
from vtrial.fit.values import Values
from vtrial.model.model import Model

WEAK = 2.0  # of a logarithm: 95 % within a factor of 50
WIDE = 3.0  # of a value that is no logarithm, in its own size and at least one
SPREAD = 1.0  # of the logarithm of a standard deviation: within a factor of 7
LKJ = 2.0


class Prior(NamedTuple):
    """Normal priors on the layout's scale.

    Fields
    ------
    typical, root
        Middles of the parameters, and the triangle of their covariance.
    spread, spread_error
        Of the logarithm of each effect's standard deviation, group after group.
    size, size_error
        Of the logarithm of each magnitude of a residual error.
    """

    typical: Float[np.ndarray, " typical"]
    root: Float[np.ndarray, "typical typical"]
    spread: Float[np.ndarray, " effect"]
    spread_error: Float[np.ndarray, " effect"]
    size: Float[np.ndarray, " size"]
    size_error: Float[np.ndarray, " size"]


def prior_of(model: Model, layout: Layout, base: Values) -> Prior:
    """Return the priors of what is estimated; `base` is where they lie."""
    middle = layout.vector(base)
    count = len(layout.typical)
    given = {p.name: p for p in model.parameters}
    order = {p.name: place for place, p in enumerate(model.parameters)}
    covariance = np.zeros((count, count))
    joint = np.array(model.population, float) if model.population else None
    for row, (name, by_log) in enumerate(layout.typical):
        own = given[name]
        known = own.error / (abs(own.value) if by_log else 1.0)
        weak = WEAK if by_log else WIDE * max(1.0, abs(own.value))
        covariance[row, row] = (known if known > 0 else weak) ** 2
        if joint is None or joint[order[name], order[name]] <= 0:
            continue
        for column, (other, _) in enumerate(layout.typical):
            entry = joint[order[name], order[other]]
            if joint[order[other], order[other]] > 0:
                covariance[row, column] = entry
    spread, error = [], []
    for group in layout.groups:
        block = model.random[group.block]
        matrix = np.asarray(base.covariances[group.block])
        free = block.freedom - len(block.names) - 3
        # The relative error of a variance is twice that of its root.
        sure = 0.5 * math.sqrt(2.0 / free) if free > 0 else SPREAD
        spread += [0.5 * math.log(matrix[place, place]) for place in group.places]
        error += [sure] * len(group.places)
    sizes = len(layout.sizes)
    return Prior(
        typical=middle[:count],
        root=np.linalg.cholesky(covariance),
        spread=np.array(spread, float),
        spread_error=np.array(error, float),
        size=middle[len(middle) - sizes :],
        size_error=np.full(sizes, SPREAD),
    )


def said(prior: Prior, layout: Layout) -> dict[str, Any]:
    """Return the priors in words, by name."""
    found = {}
    deviations = np.sqrt(np.sum(prior.root**2, axis=1))
    typical = zip(layout.typical, prior.typical, deviations, strict=True)
    for (name, by_log), middle, deviation in typical:
        law = "log-normal" if by_log else "normal"
        at = math.exp(middle) if by_log else middle
        found[name] = f"{law} about {at:.4g}, {deviation:.3g}"
    names = [
        n
        for n, kind in zip(layout.names, layout.kinds, strict=True)
        if kind == "covariance" and "," not in n
    ]
    for name, at, error in zip(names, prior.spread, prior.spread_error, strict=True):
        found[name] = f"root log-normal about {math.exp(at):.4g}, {error:.3g}"
    if any(len(group.places) > 1 for group in layout.groups):
        found["correlations"] = f"LKJ of {LKJ:g}"
    sizes = zip(layout.sizes, prior.size, prior.size_error, strict=True)
    for (output, word), at, error in sizes:
        found[f"{output}.{word}"] = f"log-normal about {math.exp(at):.4g}, {error:.3g}"
    return found

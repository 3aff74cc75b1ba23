"""Courses of persons at close times, so that a line between values is what it seems."""

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.dosing.doses import Times
from vtrial.fit.likelihood import TIGHT, Likelihood, likelihood_of
from vtrial.fit.mode import MAKERS, in_parts, size_of, taken
from vtrial.fit.study import Data, Study
from vtrial.fit.values import Values
from vtrial.program_cache import kept
from vtrial.types import Numerics
from vtrial.units import factor

if TYPE_CHECKING:
    import pandas as pd

    from vtrial.fit.calibration import Fit

PERSONS = 24
POINTS = 64
LAST = 1_000_000  # rank of what is looked at after all that happens at the same time


def courses_of(fit: "Fit", *, numerics: Numerics = TIGHT) -> "pd.DataFrame":
    """Return PRED and IPRED of the first persons from their first record to the last.

    A row a person, output and time: ID, output, TIME, PRED, IPRED.
    """
    import pandas as pd

    study, eta = fit.study, fit.modes.eta[:PERSONS]
    rows = np.arange(len(eta))
    noisy = [i for i, o in enumerate(fit.model.outputs) if o.error.varies]
    seen = np.unique(study.data.output[study.data.real])
    noisy = [place for place in noisy if place in seen]
    data = _closely(taken(study.data, rows), noisy)
    close = Study(
        study.identity[:PERSONS],
        data,
        study.row[:PERSONS],
        study.line,
        study.occasions,
        study.model,
    )
    likelihood = likelihood_of(fit.model, close, numerics)

    def compute(part: Data, own: np.ndarray) -> Float[Array, "subject which time"]:
        return _courses(likelihood, fit.values, part, jnp.asarray(own))

    found = in_parts(compute, size_of(len(eta)), data, eta)
    shape = data.real.shape
    names = np.array([output.name for output in fit.model.outputs])
    when = np.asarray(data.times.time) / factor(fit.model.time, "h")
    return pd.DataFrame(
        {
            "ID": np.broadcast_to(close.identity[:, None], shape).ravel(),
            "output": names[data.output].ravel(),
            "TIME": when.ravel(),
            "PRED": found[:, 0].ravel(),
            "IPRED": found[:, 1].ravel(),
        }
    )


def _closely(data: Data, outputs: list[int]) -> Data:
    """Look at every output at close times."""
    when = np.asarray(data.times.time)
    end = np.where(data.real, when, -np.inf).max(axis=1)
    share = np.linspace(0.0, 1.0, POINTS)
    grid = data.begin[:, None] + (end - data.begin)[:, None] * share
    wide = np.repeat(grid, len(outputs), axis=1)  # times stay in order
    which = np.broadcast_to(np.tile(outputs, POINTS), wide.shape)
    laid: dict[str, Any] = {"time": wide, "rank": np.full(wide.shape, LAST)}
    return data._replace(
        times=Times(**laid),
        values=np.ones(wide.shape),
        output=np.array(which),
        below=np.zeros(wide.shape, bool),
        real=np.ones(wide.shape, bool),
    )


@functools.partial(kept, static=1, makers=MAKERS)
def _courses(
    likelihood: Likelihood,
    values: Values,
    data: Data,
    eta: Float[Array, "subject effect"],
) -> Float[Array, "subject which time"]:
    """Predict without effects, and with them."""

    def one(at: Float[Array, "subject effect"]) -> Float[Array, "subject time"]:
        return likelihood.stand(values, at, data).predicted

    found = jax.lax.map(one, jnp.stack([jnp.zeros_like(eta), eta]))
    return jnp.swapaxes(found, 0, 1)

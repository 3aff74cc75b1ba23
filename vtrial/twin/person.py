"""The individual parameters of persons: their medians and what lies around them."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from vtrial.model.model import Model
from vtrial.model.tree import names_in
from vtrial.twin.importance import Posterior

LEVEL = 0.9


def parameters_of(model: Model) -> list[str]:
    """Name the individual parameters that random effects move, in the sheet's order.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> parameters_of(load_model("theophylline"))
    ['KA', 'CL', 'V']
    """
    moved = set(model.etas)
    found = []
    for statement in model.structure.static:
        if any(name.name in moved for name in names_in(statement.expression)):
            moved.add(statement.name)
            found.append(statement.name)
    return found or list(model.etas)


def last_covariates(posterior: Posterior) -> dict[str, np.ndarray]:
    """Return what holds from the last record of each subject on, (subject) each."""
    data = posterior.study.data
    place = last_period(posterior)
    return {
        name: np.take_along_axis(
            np.broadcast_to(value, (len(place), value.shape[1])), place[:, None], axis=1
        )[:, 0]
        for name, value in data.covariates.items()
    }


def last_period(posterior: Posterior) -> np.ndarray:
    """Return which column of the covariates is the last of each subject."""
    real = np.isfinite(posterior.study.data.periods)
    real[:, 0] = True  # the first begins at minus infinity
    last = real.shape[1] - 1 - np.argmax(real[:, ::-1], axis=1)
    return np.broadcast_to(last, (posterior.study.subjects,))


def individual_draws(posterior: Posterior) -> dict[str, np.ndarray]:
    """Return each individual parameter, (subject, draw), as after the last record.

    The last column, behind the draws, is that of the mode, and the one behind it that
    of the typical person with the same covariates.
    """
    effects = posterior.likelihood.effects
    mode = posterior.modes.eta[:, None, :]
    eta = np.concatenate([posterior.draws, mode, np.zeros_like(mode)], axis=1)
    count, many, size = eta.shape
    period = last_period(posterior)
    turn = np.broadcast_to(posterior.study.data.occasion, (count, *_width(posterior)))
    turn = np.take_along_axis(turn, period[:, None], axis=1)
    inputs: dict[str, Array] = {
        k: jnp.asarray(v) for k, v in posterior.values.typical.items()
    }
    for name, value in last_covariates(posterior).items():
        inputs[name] = jnp.asarray(value)[:, None]
    flat = effects.inputs(
        jnp.asarray(eta.reshape(count * many, size)),
        jnp.asarray(np.repeat(turn, many, axis=0)),
    )
    for name, value in flat.items():
        shape = (count, many) if value.shape[0] > 1 else (1, 1)
        inputs[name] = value.reshape(shape)
    found = posterior.study.model.individual(inputs)
    return {
        name: np.broadcast_to(np.asarray(found[name]), (count, many))
        for name in parameters_of(posterior.model)
    }


def _width(posterior: Posterior) -> tuple[int, ...]:
    return posterior.study.data.occasion.shape[1:]


def individuals(posterior: Posterior, *, level: float = LEVEL) -> pd.DataFrame:
    """Return the individual parameters of each subject: a row a subject and parameter.

    Columns are ID, PARAMETER, `median`, `low` and `high` (between which the middle
    `level` of the posterior lies), `mode` (as NONMEM's individual estimates), and
    `typical`: the model's for such covariates, before anything was measured. They are
    those after the last record.
    """
    draws = individual_draws(posterior)
    shares = np.array([0.5, (1 - level) / 2, (1 + level) / 2])
    names = list(draws)
    every = np.stack([draws[name] for name in names], axis=1)  # subject, name, draw
    middle, low, high = np.quantile(every[:, :, :-2], shares, axis=2)
    rows = {
        "ID": np.repeat(posterior.identity, len(names)),
        "PARAMETER": np.tile(names, posterior.study.subjects),
        "median": middle.ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
        "mode": every[:, :, -2].ravel(),
        "typical": every[:, :, -1].ravel(),
    }
    return pd.DataFrame(rows)

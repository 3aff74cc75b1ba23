"""Courses of persons, past and to come: bands over the posterior's draws."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from vtrial.dosing.doses import Doses, Times
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.program_cache import kept
from vtrial.twin.given import (
    Ahead,
    When,
    ahead_of,
    last_record,
    next_dose,
    regimen_of,
    seen_at,
    under,
)
from vtrial.twin.importance import MAKERS, Posterior, in_parts, spread_out
from vtrial.twin.person import LEVEL
from vtrial.units import factor

POINTS = 200
AHEAD = 24.0  # [h] behind the last record, unless it is said
Paths = dict[str, Float[Array, "subject draw time"]]


def paths(
    ahead: Ahead,
    values: Values,
    eta: Float[Array, "subject draw effect"],
    data: Data,
    times: Times,
) -> Paths:
    """Solve the course of every draw of some subjects; pure under `jit`.

    What is observed is without residual error; NaN where it could not be solved.
    """
    count, many, size = eta.shape
    wide = spread_out(data, many)
    seen: Any = jax.tree.map(
        lambda leaf: leaf if leaf.shape[0] == 1 else jnp.repeat(leaf, many, axis=0),
        times,
    )
    flat = eta.reshape(count * many, size)
    inputs = dict(values.typical) | dict(wide.covariates)
    inputs |= ahead.effects.inputs(flat, jnp.asarray(wide.occasion))
    path = ahead.program.solve(
        inputs, wide.doses, seen, periods=wide.periods, begin=wide.begin
    )
    return {
        name: value.reshape(count, many, value.shape[1])
        for name, value in path.outputs.items()
    }


@functools.partial(kept, static=1, makers=MAKERS)
def _bands(
    ahead: Ahead,
    values: Values,
    data: Data,
    times: Times,
    draws: Float[Array, "subject draw effect"],
    shares: Float[Array, " share"],
) -> dict[str, Float[Array, "share subject time"]]:
    found = paths(ahead, values, draws, data, times)
    return {
        name: jnp.moveaxis(jnp.nanquantile(value, shares, axis=1), 0, 1)
        for name, value in found.items()
    }


@functools.partial(kept, static=1, makers=MAKERS)
def _paths(
    ahead: Ahead,
    values: Values,
    data: Data,
    times: Times,
    draws: Float[Array, "subject draw effect"],
) -> Paths:
    return paths(ahead, values, draws, data, times)


def courses(
    posterior: Posterior,
    times: When = None,
    *,
    person: object = None,
    dose: str | Sequence[str] | None = None,
    start: float | None = None,
    instead: bool = False,
) -> pd.DataFrame:
    """Return one person's course for each draw of the posterior: a row a draw and time.

    Columns are ID (of the draw, from 1), TIME in the model's unit, and the outputs,
    without residual error. Parameters are those of `predict`; `person` is an ID, the
    first unless given.

    Raises
    ------
    DataError
        If there is no such person.
    """
    place = posterior.place(person)
    data, seen, doses = asked(posterior, times, dose, start, instead)
    ahead = ahead_of(posterior, posterior.study.model, doses, seen)
    one = np.array([place])
    pick = lambda leaf: leaf if leaf.shape[0] == 1 else np.asarray(leaf)[one]  # noqa: E731
    part, when = jax.tree.map(pick, data), jax.tree.map(pick, seen)
    found = _paths(ahead, posterior.values, part, when, posterior.draws[one])
    time, many = np.asarray(when.time)[0], posterior.draws.shape[1]
    clock = factor("h", posterior.model.time)
    rows = {"ID": np.repeat(np.arange(1, many + 1), time.size)}
    rows["TIME"] = np.tile(time * clock, many)
    names = [output.name for output in posterior.model.outputs]
    rows |= {name: np.asarray(found[name])[0].ravel() for name in names}
    return noted(pd.DataFrame(rows), posterior)


def predict(
    posterior: Posterior,
    times: When = None,
    *,
    dose: str | Sequence[str] | None = None,
    start: float | None = None,
    instead: bool = False,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return what each output is at asked times, past and to come, with an interval.

    A row a subject, time and output: ID, TIME in the model's unit, OUTPUT, `median`,
    `low` and `high`, between which the middle `level` of the posterior lies. They are
    of true values, without residual error, before a dose at the same time.

    Parameters
    ----------
    times
        [h] On the clock of the record; unless given, from each person's first record to
        a day behind the last.
    dose
        Dosing words, counted from `start`: given behind what the record holds.
    start
        [h] When that begins; unless given, at the next dose that is due.
    instead
        Whether nothing is given of what the record holds from `start` on.

    Raises
    ------
    DosingError
        With every fault of the dosing words.
    """
    data, seen, doses = asked(posterior, times, dose, start, instead)
    ahead = ahead_of(posterior, posterior.study.model, doses, seen)
    shares = np.array([0.5, (1 - level) / 2, (1 + level) / 2])

    def compute(part: Data, when: Times, draws: np.ndarray) -> Any:
        return _bands(ahead, posterior.values, part, when, draws, shares)

    many = posterior.draws.shape[1]
    found = in_parts(compute, data, many, seen, posterior.draws)
    return long_table(posterior, found, np.asarray(seen.time))


def asked(
    posterior: Posterior,
    times: When,
    dose: str | Sequence[str] | None,
    start: float | None,
    instead: bool,
) -> tuple[Data, Times, Doses]:
    """Return subjects' data under the doses that are asked about, and when to look."""
    regimen = None if dose is None else regimen_of(posterior, dose)
    begins = begins_at(posterior, start)
    doses = under(posterior, regimen, begins, instead=instead)
    data = posterior.study.data._replace(doses=doses)
    if times is None:
        end = last_record(posterior) + AHEAD
        if regimen is not None:
            end = np.maximum(end, begins + regimen.end)
        share = np.linspace(0.0, 1.0, POINTS + 1)
        when = data.begin[:, None] + share * (end - data.begin)[:, None]
    else:
        grid = np.sort(np.atleast_1d(np.asarray(times, float)))
        when = np.broadcast_to(grid, (posterior.study.subjects, grid.size))
    return data, seen_at(when), doses


def begins_at(posterior: Posterior, start: float | None) -> np.ndarray:
    """Return when what is asked about begins, of each subject [h]."""
    if start is None:
        return next_dose(posterior)
    return np.full(posterior.study.subjects, float(start))


def long_table(
    posterior: Posterior,
    found: dict[str, np.ndarray],
    time: Float[np.ndarray, "subject time"],
    names: Sequence[str] = ("median", "low", "high"),
) -> pd.DataFrame:
    """Lay bands, (subject, band, time) by output, out as rows."""
    outputs = [output.name for output in posterior.model.outputs]
    every = np.stack([found[name] for name in outputs], axis=3)  # s, band, time, output
    count, _, width, many = every.shape
    clock = factor("h", posterior.model.time)
    rows = {
        "ID": np.repeat(posterior.identity, width * many),
        "TIME": np.repeat((time * clock).ravel(), many),
        "OUTPUT": np.tile(outputs, count * width),
    }
    rows |= {word: every[:, place].ravel() for place, word in enumerate(names)}
    return noted(pd.DataFrame(rows), posterior)


def noted(table: pd.DataFrame, posterior: Posterior) -> pd.DataFrame:
    """Note units and titles beside a table, as figures read them."""
    outputs = posterior.model.outputs
    table.attrs["units"] = {"TIME": posterior.model.time} | {
        o.name: o.unit for o in outputs
    }
    table.attrs["titles"] = {o.name: o.title or o.name for o in outputs}
    return table

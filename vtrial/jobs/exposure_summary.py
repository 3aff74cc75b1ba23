"""What a population is exposed to, in a few numbers: peak, its time, area."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import outcomes
from vtrial.errors import DataError
from vtrial.jobs.population import ID, REP, STATUS, TIME, TITLES, UNITS

_TAKEN = {"Cmax": "maximum", "Tmax": "time of maximum", "AUC": "area"}


def exposure(table: pd.DataFrame) -> pd.DataFrame:
    """Return median and 5th and 95th percentile of each output's Cmax, Tmax and AUC.

    They are of the values at the times that there are, the area under straight lines
    between them; each subject's are found first. `n` counts the subjects that have one.

    Parameters
    ----------
    table
        Of `simulate_population`.

    Raises
    ------
    DataError
        If subjects have different times, or the table does not say its units.
    """
    units = table.attrs.get(UNITS, {})
    who = [name for name in (ID, REP) if name in table]
    count = table[TIME].nunique()
    titles = table.attrs.get(TITLES)
    whole = len(table) == count * len(table[who].drop_duplicates())
    if titles is None or not whole or not set(titles) <= set(table):
        raise DataError(
            "the table",
            "not one of `simulate_population`",
            "a row for each subject and time, with units",
            "",
        )
    times = table[TIME].to_numpy(float)[:count]
    rows = []
    for name in titles:
        value = table[name].to_numpy(float).reshape(-1, count)
        if STATUS in table:
            solved = table[STATUS].to_numpy().reshape(-1, count)[:, 0] == "solved"
            value = value[solved]
        rows += [
            {"output": name, "what": what}
            | _spread(_numbers(take, times, value))
            | {"unit": _unit(what, units.get(name, "1"), units.get(TIME, "h"))}
            for what, take in _TAKEN.items()
        ]
    return pd.DataFrame(rows)


def _numbers(take: str, times: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return one number of each subject."""
    endpoint = Endpoint("x", of="x", take=take, start=0.0, end=np.inf)
    made = jax.jit(functools.partial(outcomes, endpoint))
    return np.asarray(made(jnp.asarray(times)[None], jnp.asarray(value)).outcome)


def _spread(numbers: np.ndarray) -> dict[str, float | int]:
    """Return median and outer percentiles."""
    there = numbers[np.isfinite(numbers)]
    if not there.size:
        return {"n": 0, "median": np.nan, "p5": np.nan, "p95": np.nan}
    low, middle, high = map(float, np.percentile(there, [5, 50, 95]))
    return {"n": there.size, "median": middle, "p5": low, "p95": high}


def _unit(what: str, output: str, time: str) -> str:
    """Return the unit of a number."""
    if what == "Tmax":
        return time
    return output if what == "Cmax" else f"{output}*{time}" if output != "1" else time

"""Random effects of the subjects of an event table: drawn, or those of a NONMEM run.

A run's .phi file has a row a subject: SUBJECT_NO, ID, ETA(1), ETA(2), ..., their
covariances and the objective function. Where the method of estimation knows MU, the
columns are PHI(1), ..., which are sums of MU and ETA, and no random effects.

References
----------
Bauer RJ, NONMEM Users Guide: Introduction to NONMEM 7 (raw output files).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.draw import sample
from vtrial.dosing.table import Events
from vtrial.errors import DataError
from vtrial.keys import subject_number
from vtrial.model.model import Model
from vtrial.sheets.nonmem_output import read_individuals
from vtrial.sheets.words import listed, nearest

MOST_OCCASIONS = 1000
Effects = dict[str, Float[np.ndarray, "subject *period"]]


def drawn_effects(model: Model, events: Events, seed: int) -> Effects:
    """Draw every random effect for each subject, and for each of its occasions.

    A subject is known by its ID: the whole number n is subject n - 1 of a population
    with the same seed. The occasion is OCC, from 1 where these are whole numbers.
    """
    number = np.array([subject_number(str(one)) for one in events.identity], np.int64)
    turns = _turns(events)
    people = sample(
        Cohort("nobody"),
        model,
        seed=seed,
        replicate=np.zeros_like(number),
        subject=number,
        occasions=1 if turns is None else int(turns.max()) + 1,
        uncertainty=False,
    )
    effects = {name: np.asarray(value) for name, value in people.effects.items()}
    if turns is None:
        return effects
    rows = np.arange(number.size)[:, None]
    return {k: v[rows, turns] if v.ndim == 2 else v for k, v in effects.items()}


def _turns(events: Events) -> Int[np.ndarray, "subject period"] | None:
    """Return which occasion each period is of, from 0; None where there are none."""
    if events.occasions is None:
        return None
    labels = events.occasions.astype(str)
    whole = [re.fullmatch(r"(\d{1,4})(\.0*)?", one.strip()) for one in labels.ravel()]
    numbers = [int(found[1]) if found else 0 for found in whole]
    if min(numbers) >= 1 and max(numbers) <= MOST_OCCASIONS:
        return np.array(numbers).reshape(labels.shape) - 1
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def estimated_effects(
    path: str | Path,
    columns: Mapping[str, str],
    model: Model,
    identities: Shaped[np.ndarray, " subject"],
) -> Effects:
    """Read the random effects of each subject from a .phi file.

    `columns` says which ETA each is: `{"eta.CL": "ETA1"}`; those that are not named are
    zero. IDs are matched as numbers.

    Raises
    ------
    DataError
        If the file is no such file, if effects, ETAs or subjects are not there.
    """
    names, held, values = read_individuals(path)
    source, faults = str(path), []

    def wrong(at: str, found: str, allowed: str, write: str = "") -> None:
        faults.append(DataError(at, found, allowed, write, source=source).faults[0])

    etas = [name for name in names if name.startswith("ETA(")]
    if not etas:
        allowed = "columns ETA(1), ETA(2) and so on; PHI(1) is MU and ETA together"
        wrong("the file", f"with {listed(names[:4])}", allowed)
    elif not columns:
        pairs = zip(model.etas, etas, strict=False)
        such = ", ".join(f"{ours}={_short(theirs)}" for ours, theirs in pairs)
        allowed = f"told which ETA is which random effect, such as `{such}`"
        wrong("columns", "missing", allowed)
    for ours, theirs in columns.items():
        if ours not in model.etas:
            near = nearest(ours, model.etas)
            wrong("columns", f"`{ours}`", listed(model.etas), near)
        if etas and _short(theirs) not in map(_short, etas):
            wrong("columns", f"`{theirs}`", listed(map(_short, etas)))
    place = {one: row for row, one in enumerate(held.tolist())}
    rows = [place.get(_as_number(str(one)), -1) for one in identities]
    lacking = [str(one) for one, row in zip(identities, rows, strict=True) if row < 0]
    if lacking:
        told = f"without a row of {listed(lacking[:5])}"
        wrong("ID", told, "of all subjects of the events")
    if faults:
        raise DataError.of(faults)
    short = [_short(name) for name in names]
    return {
        ours: values[rows, short.index(_short(theirs))]
        for ours, theirs in columns.items()
    }


def _short(name: str) -> str:
    """Write `ETA(1)` as `ETA1`."""
    return re.sub(r"[()\s]", "", name).upper()


def _as_number(text: str) -> float:
    """Read an ID as NONMEM does; NaN, which no row has, where it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")

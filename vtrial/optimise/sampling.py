"""A sampling design judged, and the best there is among candidates."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float

from vtrial.errors import Fault, ModelError
from vtrial.keys import purpose_key
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.optimise.exchange import (
    Matrix,
    Sight,
    determinant_sights,
    exchange,
    expected_gain,
    gain_sights,
    log_determinant,
    places_of,
)
from vtrial.optimise.fisher import Asked, estimated, information
from vtrial.optimise.gain import (
    DRAWS,
    About,
    Cloud,
    Gain,
    draw_cloud,
    gain_in,
    nested_gain,
)
from vtrial.protocol.sampling import Group, Sampling, load_sampling
from vtrial.sheets.validate import raise_faults

Criterion = Literal["determinant", "gain"]
GIVEN, FOUND = "given", "found"
WINDOWED = 32  # subjects who are off the times by chance


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """What a sampling design tells, and what the best one would.

    Fields
    ------
    name, criterion, about
        Of the design; by what it is judged, and of whom it is to tell.
    groups
        A row a group, output and design (`given` or `found`): `dose`, `subjects`,
        `times` [h].
    table
        A row a parameter. By the determinant: its `value`, and the relative standard
        errors [%] that are expected (`rse given`, `rse found`). By the gain: how much
        of the standard deviation that it has beforehand is left [%].
    score
        The criterion of either design: a logarithm, or nats.
    efficiency
        Of the design given: as many times the subjects as it has would the best one
        need; NaN where nothing was looked for, or by the gain.
    windowed
        Efficiency of the better design, by the determinant, if everybody is measured
        somewhere within the sheet's window about each time; NaN without a window.
    gain
        Of the better design, with nested Monte Carlo if asked for; None by the
        determinant.
    course
        What is typically seen at all candidates, for a figure.
    """

    name: str
    criterion: Criterion
    about: About
    groups: pd.DataFrame
    table: pd.DataFrame
    score: dict[str, float]
    efficiency: float
    windowed: float
    gain: Gain | None
    course: pd.DataFrame

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "sampling": self.name,
            "criterion": self.criterion,
            "about": self.about,
            "score": self.score,
            "efficiency": self.efficiency,
            "windowed": self.windowed,
            "gain": self.gain._asdict() if self.gain else None,
            "groups": self.groups.to_dict("records"),
            "parameters": self.table.to_dict("records"),
        }


def plan_sampling(
    model: str | Path | Mapping[str, object] | Model,
    design: str | Path | Mapping[str, object] | Sampling,
    *,
    criterion: Criterion = "determinant",
    about: About = "population",
    draws: int = DRAWS,
    nested: int = 0,
    seed: int = 0,
) -> SamplingPlan:
    """Judge a sampling design, and look for a better one among its candidates.

    Parameters
    ----------
    criterion
        `determinant`: of the expected Fisher information at the model's values
        (D-optimal). `gain`: the expected information gain over the prior.
    about
        By the gain: what is learnt of the population, or of one person.
    draws, nested
        By the gain: draws from the prior, and studies of nested Monte Carlo.

    Raises
    ------
    ModelError
        If the design does not fit the model, or nothing is uncertain beforehand.
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    wanted = design if isinstance(design, Sampling) else load_sampling(design, loaded)
    _refuse(wanted, criterion, about, nested)
    if criterion == "gain":
        known = wanted.known
        cloud = draw_cloud(loaded, about=about, known=known, draws=draws, seed=seed)
        judge = _by_gain(loaded, wanted, cloud)
    else:
        judge = _by_determinant(loaded, wanted)
    designs = {GIVEN: list(wanted.groups)}
    if wanted.among or wanted.doses:
        designs[FOUND] = exchange(judge.sights, wanted.groups, judge.worth)
    told = {name: _told(judge.sights, groups) for name, groups in designs.items()}
    score = {name: judge.worth(matrix) for name, matrix in told.items()}
    last = list(designs)[-1]
    gain, ratio = None, math.nan
    if criterion == "gain":
        gain = Gain(*gain_in(told[last]))
        if nested:
            more = {"about": about, "known": wanted.known, "seed": seed}
            bounds = nested_gain(loaded, designs[last], studies=nested, **more)
            gain = Gain(gain.laplace, gain.error, *bounds)
    elif FOUND in score:
        ratio = math.exp((score[GIVEN] - score[FOUND]) / len(told[GIVEN]))
    return SamplingPlan(
        wanted.name,
        criterion,
        about,
        _groups(wanted, designs),
        judge.table(told),
        score,
        ratio,
        _windowed(loaded, wanted, designs[last], seed) if gain is None else math.nan,
        gain,
        _course(wanted, judge.sights, designs),
    )


class _Judge(NamedTuple):
    """What groups tell, what that is worth, and how it is laid out as a table."""

    sights: list[list[Sight]]
    worth: Callable[[Matrix], float]
    table: Callable[[Mapping[str, Matrix]], pd.DataFrame]


def _by_determinant(model: Model, wanted: Sampling) -> _Judge:
    """Judge by Fisher's information at the model's values."""
    asked = Asked(model, estimated(model, wanted.known))
    sights = determinant_sights(
        model,
        wanted.groups,
        wanted.among,
        doses=wanted.doses,
        known=wanted.known,
        form=wanted.form,
    )

    def table(told: Mapping[str, Matrix]) -> pd.DataFrame:
        columns: dict[str, Any] = {"parameter": asked.names, "value": asked.values}
        for name, matrix in told.items():
            error = _errors(matrix)
            columns[f"rse {name}"] = 100 * error / np.abs(asked.values)
        return pd.DataFrame(columns)

    return _Judge(sights, log_determinant, table)


def _by_gain(model: Model, wanted: Sampling, cloud: Cloud) -> _Judge:
    """Judge by what is expected to be learnt, over draws from the prior."""
    sights = gain_sights(
        model, wanted.groups, wanted.among, doses=wanted.doses, cloud=cloud
    )

    def table(told: Mapping[str, Matrix]) -> pd.DataFrame:
        columns: dict[str, Any] = {"unknown": cloud.names}
        for name, matrix in told.items():
            left = np.linalg.inv(np.eye(matrix.shape[-1]) + matrix)
            sizes = np.sqrt(np.diagonal(left, axis1=1, axis2=2))
            columns[f"left {name}"] = 100 * sizes.mean(axis=0)
        return pd.DataFrame(columns)

    return _Judge(sights, expected_gain, table)


def _windowed(
    model: Model, wanted: Sampling, groups: Sequence[Group], seed: int
) -> float:
    """Return how efficient a design is where everybody is off the times by chance.

    What subjects tell adds up, so it is the mean over where they are measured.
    """
    if not wanted.window:
        return math.nan
    key = purpose_key(jax.random.key(seed), "window")
    size = WINDOWED, sum(len(places_of(group)) for group in groups)
    # Each time is off by the middles of as many parts of its window, in an order of
    # its own (a Latin hypercube).
    order = np.argsort(np.asarray(jax.random.uniform(key, size, float)), axis=0)
    shifts = wanted.window * ((2 * order + 1) / WINDOWED - 1)
    whole = [
        information(model, _shifted(groups, one), known=wanted.known, form=wanted.form)
        for one in [np.zeros(size[1]), *shifts]
    ]
    exact, *off = (one.matrix for one in whole)
    change = log_determinant(np.mean(off, axis=0)) - log_determinant(exact)
    return math.exp(change / len(exact))


def _shifted(
    groups: Sequence[Group], shifts: Float[np.ndarray, " time"]
) -> list[Group]:
    """Return groups whose times are moved, not before the start."""
    found, left = [], iter(shifts.tolist())
    for group in groups:
        times = {
            name: [max(time + next(left), 0.0) for time in sorted(map(float, mine))]
            for name, mine in group.times.items()
        }
        found.append(replace(group, times=times))
    return found


def _refuse(wanted: Sampling, criterion: Criterion, about: About, nested: int) -> None:
    """Refuse what does not go together."""
    faults = []
    if criterion == "determinant" and (about == "person" or nested):
        found = "asked for by the determinant"
        named = "one person" if about == "person" else "nested Monte Carlo"
        faults.append(Fault(named, found, "asked for by the gain", "--criterion gain"))
    if criterion == "gain" and wanted.window:
        found, allowed = "given", "left out: it is for the determinant"
        faults.append(Fault("window", found, allowed, ""))
    people = sum(group.subjects for group in wanted.groups)
    if about == "person" and people != 1:
        found = f"{people} subjects in {len(wanted.groups)} groups"
        allowed = "one group of one subject, where one person is to be known"
        faults.append(Fault("groups", found, allowed, "subjects: 1"))
    raise_faults(ModelError, faults)


def _errors(matrix: Matrix) -> Float[np.ndarray, " parameter"]:
    """Return standard errors by Cramér and Rao; NaN where a design tells nothing."""
    if not np.isfinite(log_determinant(matrix)):
        return np.full(len(matrix), np.nan)
    return np.sqrt(np.diag(np.linalg.inv(matrix)))


def _told(sights: Sequence[Sequence[Sight]], groups: Sequence[Group]) -> Matrix:
    """Return the information of a design, whose groups are among the sights."""
    parts = []
    for mine, group in zip(sights, groups, strict=True):
        sight = next(one for one in mine if one.group.dose == group.dose)
        parts.append(sight.of([sight.where.index(one) for one in places_of(group)]))
    return sum(parts[1:], parts[0])


def _groups(wanted: Sampling, designs: Mapping[str, Sequence[Group]]) -> pd.DataFrame:
    """Lay groups out: who is dosed and measured how."""
    return pd.DataFrame(
        {
            "design": design,
            "group": name,
            "dose": group.dose,
            "subjects": group.subjects,
            "output": output,
            "times": tuple(map(float, times)),
        }
        for design, groups in designs.items()
        for name, group in zip(wanted.names, groups, strict=True)
        for output, times in group.times.items()
    )


def _course(
    wanted: Sampling,
    sights: Sequence[Sequence[Sight]],
    designs: Mapping[str, Sequence[Group]],
) -> pd.DataFrame:
    """Lay out what is typically seen, and where each design looks."""
    last = list(designs)[-1]
    frames = []
    for place, name in enumerate(wanted.names):
        best = designs[last][place]
        sight = next(one for one in sights[place] if one.group.dose == best.dose)
        looked = {d: set(places_of(groups[place])) for d, groups in designs.items()}
        frames.append(
            pd.DataFrame(
                {
                    "group": name,
                    "output": [output for output, _ in sight.where],
                    "time": [time for _, time in sight.where],
                    "mean": sight.mean,
                    **{
                        design: [one in mine for one in sight.where]
                        for design, mine in looked.items()
                    },
                }
            )
        )
    return pd.concat(frames, ignore_index=True)

"""What a person was given, and what may be given from some time on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float, Int

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.expansion import expand
from vtrial.dosing.regimen import Regimen
from vtrial.dosing.schedule import FINEST, observed, schedule_of_doses
from vtrial.dosing.words import parse_regimen
from vtrial.fit.study import Data, roomy
from vtrial.fit.values import Effects
from vtrial.model.model import Model
from vtrial.solver.program import Program, compile_program
from vtrial.solver.request import laid_out, overlaps_of
from vtrial.twin.importance import FILTERING, Posterior
from vtrial.twin.person import last_covariates, last_period
from vtrial.types import Numerics

LATER = 2**30  # the rank of a dose behind every record
Hours = Float[np.ndarray, " subject"]
When = ArrayLike | Sequence[float] | None


@dataclass(frozen=True)
class Ahead:
    """What courses are compiled from."""

    program: Program
    effects: Effects


def last_record(posterior: Posterior) -> Hours:
    """Return the time of each subject's last dose or observation [h]."""
    data = posterior.study.data
    both = [np.asarray(part) for part in (data.doses.time, data.times.time)]
    wide = [
        np.broadcast_to(part, (posterior.study.subjects, part.shape[1]))
        for part in both
    ]
    every = np.concatenate([data.begin[:, None], *wide], axis=1)
    return np.max(np.where(np.isfinite(every), every, -np.inf), axis=1)


def next_dose(posterior: Posterior) -> Hours:
    """Return when each subject's next dose is due, not before the last record [h].

    That is whole intervals, of the last two doses, after the last dose; with fewer
    doses, or a last one that goes on, at the last record.
    """
    end = last_record(posterior)
    time = np.asarray(posterior.study.data.doses.time)
    time = np.broadcast_to(time, (posterior.study.subjects, time.shape[1]))
    past = np.sort(np.where(np.isfinite(time), time, -np.inf), axis=1)
    if past.shape[1] < 2:
        return end
    last, before = past[:, -1], past[:, -2]
    known = np.isfinite(before) & (last > before + FINEST)
    every = np.where(known, last - np.where(known, before, 0.0), 1.0)
    since = np.where(known, end - np.where(known, last, 0.0), 0.0)
    rounds = np.maximum(np.ceil(since / every - 1e-9), 1.0)
    return np.where(known, last + rounds * every, end)


def regimen_of(posterior: Posterior, words: str | Sequence[str]) -> Regimen:
    """Read dosing words for the persons of a posterior.

    Raises
    ------
    DosingError
        With every fault of the words.
    """
    return parse_regimen(words, model=posterior.model)


def under(
    posterior: Posterior, regimen: Regimen | None, start: Hours, *, instead: bool
) -> Doses:
    """Return what each subject is given with a regimen from a start of its own on [h].

    `instead`: no dose of the record that stands at that start or behind it is given.
    """
    data, count = posterior.study.data, posterior.study.subjects
    fields: dict[str, Any] = {}
    past = np.array(np.broadcast_to(data.doses.time, (count, _width(data.doses))))
    if instead:
        past = np.where(past >= start[:, None] - FINEST, np.inf, past)
    new: dict[str, np.ndarray] = {}
    if regimen is not None:
        covariates = last_covariates(posterior)
        asked = {name: covariates[name] for name in regimen.needs}
        made = expand(regimen, asked)  # pyright: ignore[reportArgumentType]
        new = {n: np.asarray(v) for n, v in made._asdict().items() if v is not None}
        new = {n: np.broadcast_to(v, (count, v.shape[1])) for n, v in new.items()}
        new["time"] = new["time"] + start[:, None]
        new["rank"] = np.full(new["time"].shape, LATER)
        new["period"] = np.broadcast_to(
            last_period(posterior)[:, None], new["time"].shape
        )
    for name, value in data.doses._asdict().items():
        if value is None:
            continue
        old = past if name == "time" else np.broadcast_to(value, past.shape)
        fields[name] = np.concatenate([old, new[name]], axis=1) if new else old
    order = np.argsort(fields["time"], axis=1, kind="stable")
    fields = {n: np.take_along_axis(v, order, axis=1) for n, v in fields.items()}
    return Doses(**fields)


def _width(doses: Doses) -> int:
    return np.asarray(doses.time).shape[1]


def seen_at(
    time: Float[np.ndarray, "subject time"],
    rank: Int[np.ndarray, "#subject time"] | int = -1,
) -> Times:
    """Return observation times, by their rank before all that happens then or after."""
    return Times(time, np.broadcast_to(rank, time.shape))  # type: ignore[arg-type]


def ahead_of(
    posterior: Posterior,
    model: Model,
    doses: Doses,
    times: Times,
    numerics: Numerics = FILTERING,
) -> Ahead:
    """Choose how courses under such doses are solved; nothing is compiled yet."""
    data: Data = posterior.study.data
    schedule = schedule_of_doses(doses)
    if schedule.steady:
        inputs = posterior.study.model.typical() | data.covariates
        batch = laid_out(
            posterior.study.model,
            inputs,
            doses,
            times,
            begin=data.begin,
            periods=data.periods,
            start=None,
            until=None,
        )
        # Lag and duration differ between subjects: twice the typical is room enough.
        overlaps = 2 * overlaps_of(posterior.study.model, batch)
        schedule = replace(schedule, overlaps=overlaps)
    schedule = observed(schedule, doses, times)
    schedule = replace(schedule, between=roomy(schedule.between or 1))
    program = compile_program(model, schedule, numerics)
    return Ahead(program, posterior.likelihood.effects)

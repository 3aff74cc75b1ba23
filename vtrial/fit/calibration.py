"""Calibration: from a model and a study to a Fit, by one of several methods.

A method is a file of `methods/` that knows one thing: from a problem, to estimates of a
vector with their covariance.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vtrial.dosing.periods import Convention
from vtrial.fit.estimated import Estimated
from vtrial.fit.folder import beside, refuse_folder, write_fit
from vtrial.fit.goodness import Goodness, goodness_of
from vtrial.fit.likelihood import TIGHT
from vtrial.fit.method import OPTIONS, Answer, How
from vtrial.fit.minimum import Tell
from vtrial.fit.mode import Modes
from vtrial.fit.parameters import Layout
from vtrial.fit.problem import Problem, problem_of, refuse_start
from vtrial.fit.registry import method_of
from vtrial.fit.start import start_of
from vtrial.fit.study import Below, Study, read_study
from vtrial.fit.uncertainty import By, condition_of
from vtrial.fit.values import Values
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.types import Numerics

NORMAL = 1.959963984540054  # the quantile of 97.5 %


@dataclass(frozen=True)
class Fit(Estimated):
    """What a study told of a model, beside the estimates.

    Fields
    ------
    study
        To what the model was fitted.
    parts
        Of the objective, those of each subject.
    modes, effects, goodness
        Of each subject, by the effects' names; PRED, IPRED and residuals of each
        observation.
    traces, draws, worth, told
        Columns of what happened by step or draw; the draws of the vector from its
        posterior distribution, or None, and what each subject's data are worth at some
        of these; and what the method knows of itself.
    """

    study: Study
    parts: Float[np.ndarray, " subject"]
    modes: Modes
    effects: tuple[str, ...]
    goodness: Goodness
    traces: Mapping[str, np.ndarray]
    draws: Float[np.ndarray, "draw estimate"] | None
    worth: Float[np.ndarray, "thinned subject"] | None
    told: Mapping[str, Any]


def calibrate(
    model: str | Path | Model,
    data: str | Path,
    *,
    into: str | Path | None = None,
    method: str = "focei",
    start: str | Path | None = None,
    fixed: Collection[str] = (),
    outputs: Mapping[str, str] | None = None,
    column: str = "DVID",
    below: Below = "M3",
    covariates: Convention = "backward",
    covariance: By = "sandwich",
    most: int = 200,
    seed: int = 1,
    draws: int | None = None,
    warmup: int | None = None,
    chains: int | None = None,
    iterations: int | None = None,
    numerics: Numerics = TIGHT,
    tell: Tell | None = None,
) -> Fit:
    """Estimate what a study tells of a model; write a folder if `into` is given.

    Parameters
    ----------
    model
        A sheet, whose numbers are where the search starts.
    data
        The study's table in NONMEM's format; see `read_study`, also on `outputs`,
        `column` and `below`.
    into
        A new folder: estimates, individuals, predictions, and `model.yaml`, the sheet
        at its estimates with their uncertainty.
    method
        `focei`, or another of the docs' table.
    start
        The folder of another fit, at whose estimates the search starts.
    fixed
        What is not estimated: `tvKA`, `eta.KA`, `conc.additive`.
    covariates
        How they hold between records: `backward` as in NONMEM, `forward` or `linear`.
    covariance
        Of the estimates: by curvature and scores (`sandwich`), curvature (`R`) or
        scores (`S`).
    most
        Steps of the search.
    seed
        Of methods that draw.
    draws, warmup, chains, iterations
        Of methods that ask for them; see their `options`.
    tell
        Is told each step's number, the objective, and by how much it may still fall.

    Raises
    ------
    VtrialError
        If model, data and what is fixed do not go together; all of it at once.
    FitError
        If some subject has no likelihood at the start.
    """
    begun = time.perf_counter()
    loaded = model if isinstance(model, Model) else load_model(model)
    given: dict[str, int | None] = dict(
        zip(OPTIONS, (draws, warmup, chains, iterations), strict=True)
    )
    chosen = method_of(method, given)
    if into is not None:
        refuse_folder(Path(into))
    study = read_study(
        loaded,
        data,
        outputs=outputs,
        column=column,
        below=below,
        convention=covariates,
    )
    problem = problem_of(loaded, study, fixed=fixed, numerics=numerics)
    layout = problem.layout
    begin = layout.vector(problem.base)
    if start is not None:
        begin = start_of(Path(start), loaded, layout)
    refuse_start(problem, begin)
    how = How(
        start=begin,
        started=start is not None,
        covariance=covariance,
        most=most,
        seed=seed,
        options={**chosen.options} | {k: v for k, v in given.items() if v is not None},
        beside=None if into is None else beside(Path(into)),
        tell=tell,
    )
    answer = chosen.estimate(problem, how)
    found = _fit(problem, answer, method, time.perf_counter() - begun)
    if into is not None:
        write_fit(found, Path(into))
    return found


def _fit(problem: Problem, answer: Answer, method: str, seconds: float) -> Fit:
    """Say what was found in the estimates' own units, and of each subject."""
    layout, base = problem.layout, problem.base
    values = layout.values(answer.vector, base)
    own, errors, low, high = natural_of(layout, base, answer.vector, answer.covariance)
    if answer.draws is not None:
        every = layout.naturals(answer.draws, base)
        errors = every.std(axis=0, ddof=1)
        low, high = np.quantile(every, [0.025, 0.975], axis=0)
    modes = answer.modes
    goodness = goodness_of(problem.likelihood, problem.study, values, modes.eta)
    return Fit(
        model=problem.model,
        study=problem.study,
        method=method,
        layout=layout,
        vector=answer.vector,
        covariance=answer.covariance,
        estimates=own,
        errors=errors,
        low=low,
        high=high,
        values=values,
        objective=answer.objective,
        parts=answer.parts,
        error=answer.error,
        likelihood=answer.likelihood,
        course=answer.course,
        converged=answer.converged,
        modes=modes,
        effects=problem.likelihood.effects.labels,
        goodness=goodness,
        shrinkage=_shrinkage(problem, values, modes, goodness),
        condition=condition_of(answer.covariance),
        covariance_by=answer.by,
        seconds=seconds,
        traces=answer.traces,
        draws=answer.draws,
        worth=answer.worth,
        told=answer.told,
    )


def natural_of(
    layout: Layout,
    base: Values,
    vector: Float[np.ndarray, " estimate"],
    covariance: Float[np.ndarray, "estimate estimate"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return estimates in their own units, standard errors, and 95 % intervals."""
    own, slope = np.asarray(layout.natural(vector, base)), layout.slopes(vector, base)
    errors = np.sqrt(np.diag(slope @ covariance @ slope.T))
    return own, errors, *_interval(layout, own, errors)


def _interval(
    layout: Layout, own: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals: on the log scale of what cannot be below 0."""
    by_log = {name for name, log in layout.typical if log}
    above = [
        name in by_log or (kind == "covariance" and "," not in name) or kind == "size"
        for name, kind in zip(layout.names, layout.kinds, strict=True)
    ]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        factor = np.exp(NORMAL * errors / np.abs(own))
    low = np.where(above, own / factor, own - NORMAL * errors)
    high = np.where(above, own * factor, own + NORMAL * errors)
    return low, high


def _shrinkage(
    problem: Problem, values: Values, modes: Modes, goodness: Goodness
) -> dict[str, float]:
    """Return how much narrower modes, and residuals, are than the model's."""
    omega = np.sqrt(np.diag(problem.likelihood.effects.covariance(values)))
    spread = modes.eta.std(axis=0, ddof=1) if len(modes.eta) > 1 else omega * np.nan
    labels = problem.likelihood.effects.labels
    found = {
        name: float(1 - mine / whole)
        for name, mine, whole in zip(labels, spread, omega, strict=True)
    }
    left = np.asarray(goodness.weighted)
    return found | {"residual": float(1 - left[np.isfinite(left)].std(ddof=1))}

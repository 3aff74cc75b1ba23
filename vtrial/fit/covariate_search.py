r"""Which covariates explain how subjects differ: step by step, or all at once.

Step by step (Jonsson and Karlsson), the relation that lowers the objective most by its
$\chi^2$ test is taken as long as its p-value is small enough; then the one that is
missed least is dropped as long as its p-value is not smaller still. The full model
(Gastonguay) takes all that were asked for, and shows what they do with intervals.

All models of a search are one program: the full one, in which coefficients that are not
tried are held at 0. Each starts where the model before it ended.

References
----------
Jonsson EN, Karlsson MO (1998) Pharm Res 15:1463-1468.
Gastonguay MR (2004) AAPS J 6:W4354.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from scipy.special import chdtrc

from vtrial.errors import FitError
from vtrial.fit.calibration import Fit, calibrate
from vtrial.fit.covariate_sheet import (
    Relation,
    baseline,
    pairs_in,
    relations_of,
    with_covariates,
    with_relations,
    with_values,
)
from vtrial.fit.focei import Focei
from vtrial.fit.folder import put_table, refuse_folder
from vtrial.fit.held import Held, minimise_free
from vtrial.fit.likelihood import TIGHT, likelihood_of
from vtrial.fit.minimum import Tell
from vtrial.fit.parameters import layout_of
from vtrial.fit.study import Study, read_study
from vtrial.fit.values import values_of
from vtrial.model.model import Model
from vtrial.model.sheet import load_model

if TYPE_CHECKING:
    import pandas as pd

ENDS = (5.0, 95.0)  # percentiles of the subjects, at which a reach is told
_READ = {"outputs": "outputs", "column": "column", "below": "below"}


class Searched(NamedTuple):
    """What a search for covariates found.

    Fields
    ------
    fit
        Of the model that it ended in.
    relations
        What is in that model.
    steps
        A row a model that was tried; empty of a full model.
    forest
        A row a relation and value: by what ratio the parameter differs.
    """

    fit: Fit
    relations: tuple[Relation, ...]
    steps: "pd.DataFrame"
    forest: "pd.DataFrame"


def search(
    model: str | Path | Model,
    data: str | Path,
    relations: str,
    *,
    full: bool = False,
    forward: float = 0.05,
    backward: float = 0.01,
    into: str | Path | None = None,
    tell: Tell | None = None,
    said: Any = None,
    **options: Any,
) -> Searched:
    """Search for covariates that change parameters, and fit the model that is found.

    Parameters
    ----------
    relations
        What may be: `CL~WT, V~WT, CL~SEX`.
    full
        Take all of them, instead of step by step.
    forward, backward
        p-values: a relation is taken below the one, and dropped above the other.
    into
        As in `calibrate`; `steps.csv` and `forest.csv` are written, too.
    said
        Is told each step in words.
    options
        Those of `calibrate`.

    Raises
    ------
    VtrialError
        If model, data and relations do not go together.
    """
    import pandas as pd

    if into is not None:
        refuse_folder(Path(into))
    for name, level in (("forward", forward), ("backward", backward)):
        if not 0 < level < 1:
            raise FitError(name, f"{level:g}", "a p-value, between 0 and 1", "0.05")
    pairs = pairs_in(relations)
    loaded = model if isinstance(model, Model) else load_model(model)
    loaded = with_covariates(loaded, [covariate for _, covariate in pairs])
    study = _read(loaded, data, options)
    every = relations_of(loaded, study, pairs)
    rows: list[dict[str, Any]] = []
    wide = with_relations(loaded, every)
    kept, start = list(every), wide
    if not full:
        walk = _Walk(loaded, wide, data, every, options, rows, said)
        kept, held = walk.go(forward, backward)
        start = walk.model_of(kept, held)
    fit = calibrate(start, data, into=into, tell=tell, **options)
    steps = pd.DataFrame(rows, columns=list(_COLUMNS))
    forest = pd.DataFrame(_forest(fit, study, kept))
    if into is not None:
        for name, table in (("steps", steps), ("forest", forest)):
            if len(table):
                put_table(table, Path(into) / f"{name}.csv")
    return Searched(fit, tuple(kept), steps, forest)


_COLUMNS = ("step", "tried", "verdict", "objective", "change", "df", "p")


def _read(model: Model, data: str | Path, options: Mapping[str, Any]) -> Study:
    """Read the study as `calibrate` does."""
    given = {name: options[key] for key, name in _READ.items() if key in options}
    convention = options.get("covariates", "backward")
    return read_study(model, data, convention=convention, **given)


class _Walk:
    """A search step by step: the full model's objective, and where it stands."""

    def __init__(
        self,
        plain: Model,
        wide: Model,
        data: str | Path,
        every: Sequence[Relation],
        options: Mapping[str, Any],
        rows: list[dict[str, Any]],
        said: Any,
    ) -> None:
        self.plain, self.every, self.rows, self.said = plain, every, rows, said
        study = _read(wide, data, options)
        likelihood = likelihood_of(wide, study, options.get("numerics", TIGHT))
        layout = layout_of(wide, fixed=options.get("fixed", ()))
        self.problem = Focei(wide, study, likelihood, layout, values_of(wide))

    def go(self, forward: float, backward: float) -> tuple[list[Relation], Held]:
        """Take relations one by one, then drop them one by one."""
        kept: list[Relation] = []
        held = self._best([], None)
        self._note("start", "no relation", "", held.objective, float("nan"), 0)
        number = 0
        while left := [one for one in self.every if one not in kept]:
            number += 1
            tried = [(one, self._best([*kept, one], held)) for one in left]
            rises = [held.objective - other.objective for _, other in tried]
            chosen = self._choose(f"forward {number}", tried, rises, forward)
            if chosen is None:
                break
            kept, held = [*kept, tried[chosen][0]], tried[chosen][1]
        number = 0
        while kept:
            number += 1
            rest = [[other for other in kept if other != one] for one in kept]
            tried = [
                (one, self._best(some, held))
                for one, some in zip(kept, rest, strict=True)
            ]
            rises = [other.objective - held.objective for _, other in tried]
            chosen = self._drop(f"backward {number}", tried, rises, backward)
            if chosen is None:
                break
            kept, held = rest[chosen], tried[chosen][1]
        return kept, held

    def _best(self, relations: Sequence[Relation], before: Held | None) -> Held:
        """Fit the model with some relations, from where another one ended."""
        layout = self.problem.layout
        begin = layout.vector(self.problem.base) if before is None else before.vector
        names = {name for one in self.every for name in one.names}
        mine = {name for one in relations for name in one.names}
        free = np.array([n not in names or n in mine for n in layout.names])
        coefficient = np.array([n in names for n in layout.names])
        vector = np.where(coefficient & ~free, 0.0, begin)
        eta = None if before is None else before.eta
        return minimise_free(self.problem, vector, free, eta=eta)

    def _choose(
        self, step: str, tried: list[Any], falls: list[float], level: float
    ) -> int | None:
        """Choose the relation of the least p-value, if that is small enough."""
        p = [_p(one, fall) for (one, _), fall in zip(tried, falls, strict=True)]
        # Where p underflows for several, the larger fall of a degree decides.
        per = [f / len(one.names) for (one, _), f in zip(tried, falls, strict=True)]
        best = min(range(len(p)), key=lambda i: (p[i], -per[i]))
        chosen = best if p[best] < level else None
        self._record(step, tried, falls, "taken", chosen)
        return chosen

    def _drop(
        self, step: str, tried: list[Any], rises: list[float], level: float
    ) -> int | None:
        """Choose the relation of the largest p-value, if that is too large."""
        p = [_p(one, rise) for (one, _), rise in zip(tried, rises, strict=True)]
        worst = int(np.argmax(p))
        chosen = worst if p[worst] > level else None
        self._record(step, tried, rises, "dropped", chosen)
        return chosen

    def _record(
        self,
        step: str,
        tried: list[Any],
        changes: list[float],
        verdict: str,
        chosen: int | None,
    ) -> None:
        for place, (one, held) in enumerate(tried):
            word = verdict if place == chosen else ""
            if not held.converged:
                word = f"{word}, not converged".removeprefix(", ")
            df, change = len(one.names), changes[place]
            self._note(step, one.words, word, held.objective, change, df)

    def _note(
        self,
        step: str,
        tried: str,
        verdict: str,
        objective: float,
        change: float,
        df: int,
    ) -> None:
        """Write a row of the log, and say it."""
        p = float(chdtrc(df, max(change, 0.0))) if df else float("nan")
        row = (step, tried, verdict, objective, change, df, p)
        self.rows.append(dict(zip(_COLUMNS, row, strict=True)))
        if self.said is not None:
            more = f", change {change:.3f}, p {p:.2g} {verdict}" if df else ""
            self.said(f"{step}: {tried}: objective {objective:.3f}{more}".rstrip())

    def model_of(self, kept: Sequence[Relation], held: Held) -> Model:
        """Return the model of some relations alone, at what was found."""
        narrow = with_relations(self.plain, kept) if kept else self.plain
        values = jax.tree.map(
            np.asarray, self.problem.layout.values(held.vector, self.problem.base)
        )
        names = {p.name for p in narrow.parameters}
        typical = {k: v for k, v in values.typical.items() if k in names}
        return with_values(narrow, values._replace(typical=typical))


def _p(relation: Relation, change: float) -> float:
    """Return the p-value of a change of the objective."""
    return float(chdtrc(len(relation.names), max(change, 0.0)))


def _forest(fit: Fit, study: Study, kept: Sequence[Relation]) -> list[dict[str, Any]]:
    """Return by what ratio each relation changes its parameter, with intervals."""
    units = {c.name: c.unit for c in fit.model.covariates}
    place = {name: number for number, name in enumerate(fit.layout.names)}
    rows = []
    for relation in kept:
        values = baseline(study, relation.covariate)
        if relation.form == "category":
            at = [(code, "") for code in relation.codes]
        else:
            ends = np.percentile(values, ENDS)
            at = [
                (float(value), f" ({level:g}th percentile)")
                for value, level in zip(ends, ENDS, strict=True)
            ]
        unit = units[relation.covariate]
        unit = f" {unit}" if unit and unit != "1" else ""
        for value, more in at:
            along = relation.along(value)
            shift = sum(fit.estimates[place[n]] * far for n, far in along.items())
            error = sum(abs(fit.errors[place[n]] * far) for n, far in along.items())
            ends = np.exp(shift + 1.959963984540054 * error * np.array([-1.0, 1.0]))
            said = f"{relation.parameter}, {relation.covariate} {value:.3g}{unit}{more}"
            rows.append(
                {
                    "what": said,
                    "parameter": relation.parameter,
                    "covariate": relation.covariate,
                    "value": value,
                    "reference": relation.centre,
                    "ratio": float(np.exp(shift)),
                    "low": float(ends[0]),
                    "high": float(ends[1]),
                }
            )
    return rows

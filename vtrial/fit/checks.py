"""All that is looked at to judge a fit, as tables: residuals, replicates, persons."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr

from vtrial.fit.doubts import correlations_of
from vtrial.fit.folder import order_of, put_table, tables_of
from vtrial.fit.likelihood import TIGHT, likelihood_of
from vtrial.fit.predictive_check import predictive_check
from vtrial.fit.profile import profile_of
from vtrial.fit.replicates import npde_of, replicates_of
from vtrial.fit.smooth_course import courses_of
from vtrial.types import Numerics
from vtrial.units import factor

if TYPE_CHECKING:
    import pandas as pd

    from vtrial.fit.calibration import Fit

SIMULATIONS = 1000
FEWEST, SHAPED = 8, 5000  # values that tests are made of; those of a test of shape


def checks_of(
    fit: "Fit",
    *,
    simulations: int = SIMULATIONS,
    seed: int = 0,
    profile: Sequence[str] = (),
    into: str | Path | None = None,
    numerics: Numerics = TIGHT,
) -> "dict[str, pd.DataFrame]":
    """Compute what a fit is judged by; write it into its folder if `into` is given.

    Returns `estimates`, `individuals`, `predictions` and `course` as the folder has
    them, predictions with NPDE and TAD, the time after the last dose; and

    - `check`, the prediction-corrected visual predictive check, a row a bin;
    - `tests` whether NPDE are standard normal, a row an output;
    - `courses`, PRED and IPRED of the first persons at close times;
    - `effects`, a row a random effect; `correlations` of them as estimated, by pair;
    - `covariates` of each subject, at first;
    - `profile` of the likelihood, along the estimates that are named.

    Parameters
    ----------
    simulations
        Studies that are drawn from the fit, for NPDE and the check.
    seed
        Of what is drawn.

    Raises
    ------
    FitError
        If there are too few simulations, or `profile` names what has none.
    """
    import pandas as pd

    likelihood = likelihood_of(fit.model, fit.study, numerics)
    profiled = profile_of(fit, profile, numerics=numerics)
    drawn = replicates_of(
        likelihood, fit.study, fit.values, count=simulations, seed=seed
    )
    frames = tables_of(fit)
    order, real = order_of(fit.study), fit.study.data.real
    table = frames["predictions"]
    table["NPDE"] = npde_of(fit.study, drawn, seed=seed)[real][order]
    table.insert(2, "TAD", _after_dose(fit)[real][order])
    flat = np.swapaxes(drawn, 0, 1)[:, real][:, order]
    rows = table.assign(limit=_limits(fit)[real][order])
    names = ("effect", "other", "correlation")
    frames |= {
        "check": _check(fit, rows, flat),
        "courses": courses_of(fit, numerics=numerics),
        "tests": pd.DataFrame(_tests(table)),
        "effects": pd.DataFrame(_effects(fit)),
        "correlations": pd.DataFrame(correlations_of(fit), columns=list(names)),
        "covariates": pd.DataFrame(_covariates(fit)),
        "profile": profiled,
    }
    if into is not None:
        for name, frame in frames.items():
            if len(frame):
                put_table(frame, Path(into) / f"{name}.csv")
    return frames


def _after_dose(fit: "Fit") -> Float[np.ndarray, "subject observation"]:
    """Return the time since the last dose, in the model's unit; NaN before any."""
    doses, data = fit.study.data.doses, fit.study.data
    given = np.where(np.isin(np.asarray(doses.event), (1, 4)), doses.time, np.inf)
    given = np.broadcast_to(given, (fit.study.subjects, given.shape[1]))
    when = np.asarray(data.times.time)
    gone = when[:, :, None] - given[:, None, :]
    last = np.where(gone >= 0, gone, np.inf).min(axis=2, initial=np.inf)
    return np.where(np.isfinite(last), last, np.nan) / factor(fit.model.time, "h")


def _limits(fit: "Fit") -> Float[np.ndarray, "subject observation"]:
    """Return below which value each could not be measured; NaN where nothing says it.

    That of the value, if it is below one; else that of the output, or what most values
    of the output that are below one have.
    """
    data = fit.study.data
    found = np.where(data.below, data.values, np.nan)
    for number, output in enumerate(fit.model.outputs):
        mine = data.real & (data.output == number)
        told = data.values[mine & data.below]
        each, counts = np.unique(told, return_counts=True)
        usual = float(each[np.argmax(counts)]) if len(each) else output.lloq or np.nan
        found = np.where(mine & ~data.below, usual, found)
    return found


def _check(
    fit: "Fit", rows: "pd.DataFrame", drawn: Float[np.ndarray, "replicate observation"]
) -> "pd.DataFrame":
    """Check each output, by time or, where doses are many, by time after dose."""
    import pandas as pd

    doses = np.isfinite(np.asarray(fit.study.data.doses.time)).sum(axis=1)
    many = len(doses) and np.median(doses) > 1 and rows["TAD"].notna().mean() > 0.5
    time = "TAD" if many else "TIME"
    parts = []
    for output in fit.model.outputs:
        mine = (rows["output"] == output.name).to_numpy()
        known = mine & np.isfinite(drawn).all(axis=0) & rows[time].notna().to_numpy()
        if known.sum() > 1:
            least = output.error.low if output.error.law in ("logit", "beta") else 0.0
            part = predictive_check(
                rows[known], drawn[:, known], time=time, least=least
            )
            parts.append(part.assign(output=output.name, by=time))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _tests(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    """Test whether NPDE have mean 0, variance 1 and a normal shape, all by one p.

    It is the least of the three (t, chi-squared, Shapiro and Wilk) times three.
    """
    from scipy import stats

    found = []
    for output, part in rows.groupby("output", sort=False):
        own = part["NPDE"].dropna().to_numpy(float)
        if len(own) < FEWEST:
            continue
        count, spread = len(own), float(own.var(ddof=1))
        each = stats.chi2.cdf((count - 1) * spread, count - 1)
        p = [
            2 * float(stdtr(count - 1, -abs(own.mean()) / np.sqrt(spread / count))),
            2 * min(float(each), 1 - float(each)),
            float(stats.shapiro(own[:SHAPED])[1]),
        ]
        found.append(
            {
                "output": output,
                "observations": count,
                "mean": float(own.mean()),
                "variance": spread,
                "p mean": p[0],
                "p variance": p[1],
                "p shape": p[2],
                "p": min(1.0, 3 * min(p)),
            }
        )
    return found


def _effects(fit: "Fit") -> list[dict[str, Any]]:
    """Return a row an effect: its deviation, and whether modes are about 0."""
    from vtrial.fit.values import effects_of

    effects = effects_of(fit.model, fit.study.occasions)
    deviation = np.sqrt(np.diag(np.asarray(effects.covariance(fit.values))))
    rows = []
    for place, name in enumerate(fit.effects):
        own = fit.modes.eta[:, place]
        error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.nan
        far = abs(own.mean()) / error if error > 0 else np.nan
        rows.append(
            {
                "effect": name,
                "sd": float(deviation[place]),
                "mean": float(own.mean()),
                "p": float(2 * stdtr(len(own) - 1, -far)) if len(own) > 1 else np.nan,
                "shrinkage": fit.shrinkage[name],
            }
        )
    return rows


def _covariates(fit: "Fit") -> dict[str, np.ndarray]:
    """Return what covariates are of each subject at its first record."""
    held = fit.study.data.covariates
    table: dict[str, Any] = {"ID": fit.study.identity}
    for covariate in fit.model.covariates:
        if covariate.name in held:
            values = np.asarray(held[covariate.name])[:, 0]
            table[covariate.name] = np.broadcast_to(values, (fit.study.subjects,))
    return table

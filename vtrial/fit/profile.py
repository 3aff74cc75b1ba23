r"""The profile of a likelihood: how much worse the best is that has a parameter held.

$$ \Delta(x) = \min_{\theta_j = x} O(\theta) - \min O(\theta), $$

which is $\chi^2_1$ at the truth, so that values with $\Delta < 3.84$ are a 95 %
interval, whatever the curve's shape.

References
----------
Venzon DJ, Moolgavkar SH (1988) J R Stat Soc C 37:87-94.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vtrial.errors import Fault, FitError
from vtrial.fit.focei import Focei
from vtrial.fit.held import minimise_free
from vtrial.fit.likelihood import TIGHT, likelihood_of
from vtrial.fit.values import values_of
from vtrial.sheets.words import listed, nearest
from vtrial.types import Numerics

if TYPE_CHECKING:
    from vtrial.fit.calibration import Fit

STEPS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # standard errors from the estimate
ROOT = 1.959963984540054  # of 3.84
ENOUGH = 2.3  # root of a rise, beyond which nothing is asked


def profile_of(
    fit: "Fit", names: Sequence[str], *, numerics: Numerics = TIGHT
) -> pd.DataFrame:
    """Follow the objective of FOCEI along some estimates, all others searched anew.

    A row a value: `parameter`, `value` in its own unit, `rise` of the objective; `low`
    and `high` end the 95 % interval, NaN where the curve does not rise so far.

    Raises
    ------
    FitError
        If a name is no estimate that goes by itself, or the fit is no minimum of FOCEI.
    """
    _refuse(fit, names)
    if not names:
        return pd.DataFrame(columns=["parameter", "value", "rise", "low", "high"])
    likelihood = likelihood_of(fit.model, fit.study, numerics)
    base = values_of(fit.model)
    problem = Focei(fit.model, fit.study, likelihood, fit.layout, base)
    return pd.concat([_profile(fit, problem, name) for name in names])


def _profile(fit: "Fit", problem: Focei, name: str) -> pd.DataFrame:
    """Walk from the estimate to both sides."""
    place = fit.layout.names.index(name)
    free = np.arange(len(fit.layout)) != place
    known = float(np.sqrt(fit.covariance[place, place]))
    step = known if np.isfinite(known) and known > 0 else 0.1
    found: list[tuple[float, float]] = [(float(fit.estimates[place]), 0.0)]
    for side in (-1.0, 1.0):
        vector, eta = np.array(fit.vector, float), fit.modes.eta
        for far in STEPS:
            vector = vector.copy()
            vector[place] = fit.vector[place] + side * far * step
            held = minimise_free(problem, vector, free, eta=eta, most=40)
            vector, eta = held.vector, held.eta
            value = np.asarray(problem.layout.natural(vector, problem.base))[place]
            rise = held.objective - fit.objective
            found.append((float(value), rise))
            if not rise < ENOUGH**2:
                break
    found.sort()
    value, rise = (np.array(part) for part in zip(*found, strict=True))
    low, high = _ends(value, rise, float(fit.estimates[place]))
    return pd.DataFrame(
        {"parameter": name, "value": value, "rise": rise, "low": low, "high": high}
    )


def _ends(value: np.ndarray, rise: np.ndarray, best: float) -> tuple[float, float]:
    """Return where the root of the rise reaches that of 3.84, between values."""
    root = np.sqrt(np.maximum(rise, 0.0))
    ends = []
    for side in (value <= best, value >= best):
        there, away = root[side], value[side]
        order = np.argsort(there)
        far = there[order]
        ends.append(
            float(np.interp(ROOT, far, away[order])) if far[-1] >= ROOT else np.nan
        )
    return ends[0], ends[1]


def _refuse(fit: "Fit", names: Sequence[str]) -> None:
    """Refuse what is no direction of the vector by itself."""
    alone: list[str] = [name for name, _ in fit.layout.typical]
    for group in fit.layout.groups:
        alone.append(f"omega({fit.model.random[group.block].names[group.places[0]]})")
    alone += [f"{output}.{word}" for output, word in fit.layout.sizes]
    faults: list[Any] = [
        Fault("profile", f"`{n}`", listed(alone, 30, like=n), nearest(n, alone))
        for n in names
        if n not in alone
    ]
    if names and fit.method != "focei":
        allowed = "of a fit by focei, whose objective is followed"
        faults.append(Fault("profile", f"of a fit by {fit.method}", allowed, ""))
    if faults:
        raise FitError.of(faults)

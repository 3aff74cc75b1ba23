"""Predictive checks of endpoints and categories: curves of events, and shares.

What was observed stands beside where 90 % of the simulated trials lie.

References
----------
Kaplan EL, Meier P (1958) J Am Stat Assoc 53:457-481.
Karlsson MO, Holford N (2008) PAGE 17, abstract 1434.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float

from vtrial.analysis.estimates import PREDICTIVE_EVENTS, PREDICTIVE_SHARES
from vtrial.analysis.predictive import (
    BETWEEN,
    arms_beside,
    first_at,
    looks_at,
    nearest,
    of_shares,
)
from vtrial.analysis.reading import Chunk, has_measurements
from vtrial.dims import EVENT
from vtrial.endpoint.endpoint import MOST_CATEGORIES, Endpoint, up_to
from vtrial.measure.survival import SurvivalCurve, survival_curve
from vtrial.protocol.evidence import ObservedOutcomes
from vtrial.protocol.protocol import Protocol

POINTS = 101
MOST_STEPS = 300  # events of the real study at which curves are read besides
KNOWN = 0.5  # of the trials, where a band is drawn
Numbers = Float[np.ndarray, "*any"]


@dataclass
class PredictiveEvents:
    """Curves of the trials seen so far, by place among the observed outcomes, and arm.

    Each part holds curves and numbers at risk, a row a trial.
    """

    parts: defaultdict[tuple[int, str], list[SurvivalCurve]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """See some more trials."""
        for place, seen in enumerate(protocol.evidence.outcomes):
            endpoint = protocol.endpoint(seen.endpoint)
            if not endpoint.event or not seen.value:
                continue
            for arm in arms_beside(seen.arm, protocol):
                time = chunk.own(arm, endpoint.name)
                event = chunk.own(arm, endpoint.name, EVENT)
                event = np.where(np.isfinite(time), event, np.nan)
                if np.isfinite(time).any():
                    curve = survival_curve(time, event, _grid(seen))
                    self.parts[place, arm].append(curve)

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate the observed curves and the interval of those of single trials."""
        frames = [pd.DataFrame(columns=PREDICTIVE_EVENTS)]
        for (place, arm), parts in self.parts.items():
            seen = protocol.evidence.outcomes[place]
            curve = SurvivalCurve(*map(np.concatenate, zip(*parts, strict=True)))
            frames.append(_frame(arm, seen, curve))
        return pd.concat(frames[1:] or frames, ignore_index=True)


@dataclass
class PredictiveShares:
    """Shares of categories in the trials seen so far, a row a trial.

    Keys are whether it is of an output, the place among what was observed, and the arm;
    each part is (trial, time, category), with one time for an endpoint.
    """

    categories: dict[tuple[bool, int], np.ndarray] = field(default_factory=dict)
    parts: defaultdict[tuple[bool, int, str], list[np.ndarray]] = field(
        default_factory=lambda: defaultdict(list)
    )
    planned: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, chunk: Chunk, protocol: Protocol) -> None:
        """See some more trials."""
        for place, seen in enumerate(protocol.evidence.outcomes):
            endpoint = protocol.endpoint(seen.endpoint)
            if endpoint.event:
                continue
            arms = arms_beside(seen.arm, protocol)
            own = {arm: chunk.own(arm, endpoint.name)[:, :, None] for arm in arms}
            known = _of_endpoint(endpoint)
            self._see((False, place), own, np.asarray(seen.value), known)
        if has_measurements(chunk.tree, chunk.arms[0]):
            for place, seen in enumerate(protocol.evidence.observed):
                if of_shares(seen):
                    self._measure(chunk, protocol, place)

    def _measure(self, chunk: Chunk, protocol: Protocol, place: int) -> None:
        """See an output in some more trials, at the visits that measure it."""
        seen = protocol.evidence.observed[place]
        endpoint = looks_at(seen, protocol)
        if not endpoint.visits:
            return
        planned = chunk.planned(endpoint)
        self.planned[place] = np.unique(planned)
        own = {}
        for arm in arms_beside(seen.arm, protocol):
            values = chunk.measured(arm, endpoint)[:, :, first_at(planned)]
            inside = chunk.in_arm(arm)[:, :, None]
            own[arm] = graded(np.where(inside, values, np.nan), seen.grades)
        values = graded(np.array(seen.value, float), seen.grades)
        self._see((True, place), own, values, up_to(seen.grades))

    def table(self, protocol: Protocol) -> pd.DataFrame:
        """Tabulate the observed proportions and the interval of single trials' ones."""
        rows: list[tuple[object, ...]] = []
        for (of_output, place, arm), parts in self.parts.items():
            simulated = np.concatenate(parts)
            categories = self.categories[of_output, place]
            if of_output:
                seen = protocol.evidence.observed[place]
                times = self.planned[place]
                near = nearest(times, np.array(seen.time))
                values = graded(np.array(seen.value, float), seen.grades)
                name = seen.output
            else:
                outcomes = protocol.evidence.outcomes[place]
                times, name = np.array([np.nan]), outcomes.endpoint
                values = np.asarray(outcomes.value, float)
                near = np.zeros(len(values), int)
            for i, time in enumerate(times):
                mine = values[near == i]
                shares = _shares(mine[None, :, None], categories)[0, 0]
                for j, category in enumerate(categories):
                    spread = _between(simulated[:, i, j])
                    if len(mine) and np.isfinite(spread).all():
                        head = (arm, name, time, category, len(mine), shares[j])
                        rows.append((*head, *spread))
        return pd.DataFrame(rows, columns=PREDICTIVE_SHARES)

    def _see(
        self,
        key: tuple[bool, int],
        own: dict[str, np.ndarray],
        observed: np.ndarray,
        known: tuple[float, ...],
    ) -> None:
        """Count the shares of some more trials; the first ones fix the categories."""
        if key not in self.categories:
            both = np.concatenate([observed, *(v.ravel() for v in own.values())])
            found = known or tuple(np.unique(both[np.isfinite(both)]))
            few = found if len(found) <= MOST_CATEGORIES else np.unique(observed)
            self.categories[key] = np.asarray(few, float)
        for arm, values in own.items():
            self.parts[*key, arm].append(_shares(values, self.categories[key]))


def graded(values: Numbers, grades: tuple[float, ...]) -> Numbers:
    """Return how many limits of grades each value has passed; itself without limits.

    Falling limits are passed from above. What is missing stays missing.

    Examples
    --------
    >>> print(graded(np.array([2.5, 1.2, 0.4]), (2.0, 1.5, 1.0, 0.5)))
    [0. 2. 4.]
    """
    if not grades:
        return values
    limits = np.asarray(grades)
    falling = limits[0] > limits[-1]
    number = values[..., None]
    passed = (number < limits) if falling else (number > limits)
    return np.where(np.isfinite(values), passed.sum(axis=-1), np.nan)


def _of_endpoint(endpoint: Endpoint) -> tuple[float, ...]:
    """Return the categories an endpoint has; none where only values tell.

    Of a response only one is asked for: the other is the rest.
    """
    return (1.0,) if endpoint.binary else endpoint.categories


def _shares(
    values: Float[np.ndarray, "trial subject time"],
    categories: Float[np.ndarray, " category"],
) -> Float[np.ndarray, "trial time category"]:
    """Return the share of each category among the values that there are."""
    known = np.isfinite(values).sum(axis=1)
    counted = [np.isclose(values, category).sum(axis=1) for category in categories]
    total = np.where(known > 0, known, np.nan)
    return np.stack(counted, axis=2) / total[:, :, None]


def _between(simulated: np.ndarray) -> np.ndarray:
    """Return where most trials lie; NaN where too few of them have a number."""
    if np.isfinite(simulated).mean() < KNOWN:
        return np.full(len(BETWEEN), np.nan)
    return np.nanquantile(simulated, BETWEEN)


def _grid(seen: ObservedOutcomes) -> np.ndarray:
    """Return the times at which curves are read: even ones, and the real events."""
    latest = max(seen.value) or 1.0
    steps = np.unique([t for t, e in zip(seen.value, seen.event, strict=True) if e])
    steps = steps if len(steps) <= MOST_STEPS else []
    return np.unique(np.concatenate([np.linspace(0.0, latest, POINTS), steps]))


def _frame(arm: str, seen: ObservedOutcomes, curve: SurvivalCurve) -> pd.DataFrame:
    """Return one arm's observed curve and its band as a table."""
    grid = _grid(seen)
    time, event = (np.asarray(part, float)[None] for part in (seen.value, seen.event))
    real = survival_curve(time, event, grid)
    spread = np.stack([_between(curve.survival[:, i]) for i in range(len(grid))])
    happened = np.where(event[0] == 1, time[0], np.inf)
    columns = {
        "arm": arm,
        "endpoint": seen.endpoint,
        "time": grid,
        "observed": real.survival[0],
        "low": spread[:, 0],
        "median": spread[:, 1],
        "high": spread[:, 2],
        "at_risk": real.at_risk[0],
        "events": (happened[None, :] <= grid[:, None]).sum(axis=1).astype(float),
        "expected_at_risk": curve.at_risk.mean(axis=0),
    }
    return pd.DataFrame(columns, columns=PREDICTIVE_EVENTS)

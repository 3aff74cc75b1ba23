"""Sizes of trials of times to an event: events, subjects and how long it takes.

The test knows events only: `LogRank` is an outcome whose size is the number of events.
Subjects and times follow from how subjects enter and how long they are followed.

References
----------
Schoenfeld DA (1983) Biometrics 39:499-503.
Freedman LS (1982) Stat Med 1:121-129.
Hsieh FY (1992) Stat Med 11:1091-1098 (Freedman's formula for unequal arms).
Lachin JM, Foulkes MA (1986) Biometrics 42:507-519.
Wassmer G, Brannath W (2016) Group Sequential and Confirmatory Adaptive Designs in
Clinical Trials, section 5.4.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from vtrial.design.sequential.boundary import Boundaries
from vtrial.design.sequential.given import Array, ArrayLike
from vtrial.design.sequential.hazard import Hazard
from vtrial.design.sequential.plan import GroupSequential
from vtrial.design.sequential.recruitment import Recruitment
from vtrial.design.sequential.root import root
from vtrial.design.sequential.sizing import Power, Size, power, size
from vtrial.errors import ProtocolError

Method = Literal["Schoenfeld", "Freedman", "Hsieh-Freedman"]
_LONGEST = 1e6  # follow-ups after which no more events are waited for
_CLOSE = 1e-13


@dataclass(frozen=True)
class LogRank:
    """The log-rank test of two arms; its size is the number of events.

    Parameters
    ----------
    hazard_ratio
        Hazard of the first arm over that of the second, that the trial is sized for.
    null
        Hazard ratio of the hypothesis; not 1 for `Schoenfeld` only.
    ratio
        Size of the first arm over that of the second.
    method
        How the mean of Z follows from D events and the hazard ratio h, with r the ratio
        of the arms: `Schoenfeld` log(h / null) sqrt(r D) / (1 + r); `Freedman`
        (h - 1) / (1 + r h) sqrt(r D); `Hsieh-Freedman` 2 (h - 1) / (h + 1) sqrt(r D) /
        (1 + r).

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential, size
    >>> plan = GroupSequential((1.0,), alpha=0.025, beta=0.1)
    >>> print(round(size(LogRank(0.5), plan).total, 3))
    87.479
    """

    hazard_ratio: float | int
    null: float | int = 1.0
    ratio: float | int = 1.0
    method: Method = "Schoenfeld"

    def __post_init__(self) -> None:
        """Refuse what the method does not know."""
        for at in ("hazard_ratio", "null", "ratio"):
            value = getattr(self, at)
            if value <= 0:
                _refuse(at, value, "above 0")
        if self.null != 1 and self.method != "Schoenfeld":
            _refuse("null", self.null, f"1 by the method of {self.method}")

    @property
    def allocation(self) -> float:
        """Size of the first arm over that of the second."""
        return float(self.ratio)

    @property
    def up(self) -> bool:
        """Whether the hazard ratio is above that of the hypothesis."""
        return self.hazard_ratio > self.null

    @property
    def distance(self) -> float:
        """Mean of Z at one event."""
        h, r = float(self.hazard_ratio), float(self.ratio)
        if self.method == "Freedman":
            return (h - 1) / (1 + r * h) * float(np.sqrt(r))
        both = float(np.sqrt(r)) / (1 + r)
        if self.method == "Schoenfeld":
            return float(np.log(h / self.null)) * both
        return 2 * (h - 1) / (h + 1) * both

    def fixed_size(self, alpha: float, power: float, sides: int = 1) -> float:
        """Return the events with which one look has a power."""
        if self.hazard_ratio == self.null:
            _refuse("hazard_ratio", self.hazard_ratio, f"other than {self.null:g}")
        return float(((ndtri(power) - ndtri(alpha / sides)) / self.distance) ** 2)

    def drift(self, size: float | int, alpha: float, sides: int = 1) -> float:
        """Return the mean of Z at a number of events."""
        return self.distance * float(np.sqrt(size))

    def at_bound(self, z: Array, size: Array) -> Array:
        """Return the hazard ratio at which the statistic is on a bound."""
        r = float(self.ratio)
        return self.null * np.exp(
            np.asarray(z) * (1 + r) / np.sqrt(r * np.asarray(size))
        )


@dataclass(frozen=True)
class Survival:
    """Two arms of times to an event, and how subjects enter.

    Parameters
    ----------
    first, second
        Laws of the arms.
    recruitment
        How subjects of both arms enter.
    test
        The test, with its hazard ratio and the ratio of the arms.

    Raises
    ------
    ProtocolError
        If nobody has an event.
    """

    first: Hazard
    second: Hazard
    recruitment: Recruitment
    test: LogRank

    def __post_init__(self) -> None:
        """Refuse arms without events."""
        if not (np.any(self.first.rates) or np.any(self.second.rates)):
            _refuse("rates", self.first.rates, "above 0 in an arm")

    @property
    def share(self) -> float:
        """Share of the first arm."""
        return self.test.allocation / (1 + self.test.allocation)

    def events(self, time: ArrayLike) -> Array:
        """Return the number of events of both arms by a time, on average."""
        first = self.recruitment.seen(self.first, time)
        second = self.recruitment.seen(self.second, time)
        return self.share * first + (1 - self.share) * second

    def probability(self, time: ArrayLike) -> Array:
        """Return the share of all subjects who have had their event by a time."""
        return self.events(time) / self.recruitment.total

    def time_of(self, events: float | int) -> float:
        """Return when a number of events has been reached, on average.

        Raises
        ------
        ProtocolError
            If so many never come.
        """
        end = float(self.recruitment.end)
        high = end
        while float(self.events(high)) < events:
            high *= 2
            if high > _LONGEST * end:
                _refuse(
                    "events",
                    f"{float(events):.6g}",
                    f"at most {float(self.events(high)):.6g}, for no more come; more "
                    "subjects or less dropout",
                )
        return root(lambda t: float(self.events(t)) - events, 0.0, high, xtol=_CLOSE)

    def with_recruitment(self, recruitment: Recruitment) -> "Survival":
        """Return the same arms with another entry."""
        return replace(self, recruitment=recruitment)


@dataclass(frozen=True)
class SurvivalSize:
    """How many events and subjects, and how long.

    Parameters
    ----------
    events
        Size or power of the test, counted in events.
    subjects, first, second
        Largest number of subjects, and that of each arm.
    recruitment
        How they enter.
    follow_up
        Time from the last entry to the last look.
    times, entered
        When each look comes and how many have entered by then, on average.
    duration
        When the last look comes.
    mean_duration, mean_subjects
        How long a trial lasts and how many enter, on average, under the arms' laws.
    """

    events: Size | Power
    subjects: float
    first: float
    second: float
    recruitment: Recruitment
    follow_up: float
    times: Array
    entered: Array
    duration: float
    mean_duration: float
    mean_subjects: float


def survival_size(
    trial: Survival,
    design: GroupSequential,
    *,
    follow_up: float | int | None = None,
    subjects: float | int | None = None,
    extend: bool = False,
) -> SurvivalSize:
    """Return the events, subjects and time with which a plan has its power.

    Parameters
    ----------
    follow_up
        Time from the last entry to the last look. The number of subjects follows, at
        rates in the given proportions; with `extend`, the rates stay as they are and
        the time of entry follows.
    subjects
        Number of subjects, instead of the follow-up, which then follows; they enter at
        rates in the given proportions, with `extend` at the given rates for as long as
        it takes. With neither, the recruitment is as given, and the follow-up follows.

    Raises
    ------
    ProtocolError
        If the events never come with these subjects.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential
    >>> second = Hazard((0.02,))
    >>> trial = Survival(second.times(0.5), second, Recruitment((1.0,)), LogRank(0.5))
    >>> plan = GroupSequential((0.5, 1.0))
    >>> print(round(survival_size(trial, plan, follow_up=6).subjects, 3))
    406.471
    """
    needed = size(trial.test, design)
    entry = trial.recruitment
    if follow_up is None:
        if subjects is not None:
            entry = entry.reaching(subjects) if extend else entry.scaled(subjects)
    elif subjects is not None:
        _refuse("subjects", subjects, "without `follow_up`, which says the same")
    elif extend:
        entry = _extended(trial, needed.total, float(follow_up))
    else:
        share = float(trial.probability(entry.end + follow_up))
        entry = entry.scaled(needed.total / share)
    stops = needed.characteristics.rejection + needed.characteristics.futility
    return _timed(trial.with_recruitment(entry), needed, stops)


def best_ratio(
    trial: Survival, design: GroupSequential, *, follow_up: float | int
) -> float:
    """Return the ratio of the arms that needs the fewest subjects, between 1/20 and 20.

    The ratio of the trial's own test does not matter.
    """

    def subjects(log_ratio: float) -> float:
        test = replace(trial.test, ratio=float(np.exp(log_ratio)))
        tried = replace(trial, test=test)
        events = test.fixed_size(design.total_alpha, 1 - design.beta, design.sides)
        return events / float(tried.probability(trial.recruitment.end + follow_up))

    most = float(np.log(20.0))
    found: Any = minimize_scalar(
        subjects, bounds=(-most, most), method="bounded", options={"xatol": 1e-10}
    )
    return float(np.exp(found.x))


def difference_size(
    trial: Survival,
    alpha: float,
    power: float,
    *,
    follow_up: float | int,
    sides: int = 1,
) -> float:
    """Return the subjects with which the difference of constant hazards has a power.

    Lachin and Foulkes (1986): with phi = hazard^2 / (share with an event) and the arms'
    shares q, (z_alpha sqrt(phi(mean) (1/q1 + 1/q2)) + z_power
    sqrt(phi(first) / q1 + phi(second) / q2))^2 over the squared difference.

    Raises
    ------
    ProtocolError
        If a hazard changes with time, or both are the same.

    Examples
    --------
    >>> second = Hazard((0.3,))
    >>> trial = Survival(Hazard((0.2,)), second, Recruitment((1,), end=3), LogRank(2/3))
    >>> print(round(difference_size(trial, 0.05, 0.9, follow_up=2), 1))
    376.2
    """
    laws = (trial.first, trial.second)
    for law in laws:
        if len(law.rates) > 1 or law.shape != 1:
            _refuse(
                "rates", law.rates, "constant hazards for a test of their difference"
            )
    one, two = (float(law.rates[0]) for law in laws)
    if one == two:
        _refuse("rates", (one, two), "two that differ")
    q = trial.share
    entry, end = trial.recruitment, trial.recruitment.end + follow_up

    def phi(law: Hazard) -> float:
        return float(law.rates[0]) ** 2 * entry.total / float(entry.seen(law, end))

    pooled = [Hazard((q * one + (1 - q) * two,), dropout=law.dropout) for law in laws]
    null = phi(pooled[0]) / q + phi(pooled[1]) / (1 - q)
    other = phi(trial.first) / q + phi(trial.second) / (1 - q)
    z = -ndtri(alpha / sides) * np.sqrt(null) + ndtri(power) * np.sqrt(other)
    return float((z / (one - two)) ** 2)


def survival_power(
    trial: Survival,
    design: GroupSequential,
    events: float | int,
    *,
    bounds: Boundaries | None = None,
    up: bool = True,
) -> SurvivalSize:
    """Return what a plan reaches with a largest number of events.

    Parameters
    ----------
    up
        Whether a test of one side is for hazard ratios above the hypothesis.

    Raises
    ------
    ProtocolError
        If the events never come with these subjects.
    """
    reached = power(trial.test, design, events, bounds=bounds, up=up)
    stops = reached.rejection + reached.futility
    return _timed(trial, reached, stops)


def _extended(trial: Survival, events: float, follow_up: float) -> Recruitment:
    """Return entry at the given rates for as long as the events need."""

    def missing(end: float) -> float:
        made = trial.with_recruitment(trial.recruitment.until(end))
        return float(made.events(end + follow_up)) - events

    high = float(trial.recruitment.end)
    while missing(high) < 0:
        high *= 2
    return trial.recruitment.until(root(missing, 1e-9, high, xtol=_CLOSE))


def _timed(trial: Survival, found: Size | Power, stops: Array) -> SurvivalSize:
    """Put events together with when they come and whom they come from."""
    entry = trial.recruitment
    times = np.array([trial.time_of(float(events)) for events in found.looks])
    entered = entry.entered(times)
    stop = np.append(np.ravel(stops)[:-1], 1 - float(np.ravel(stops)[:-1].sum()))
    total = entry.total
    return SurvivalSize(
        events=found,
        subjects=total,
        first=total * trial.share,
        second=total * (1 - trial.share),
        recruitment=entry,
        follow_up=float(times[-1]) - float(entry.end),
        times=times,
        entered=entered,
        duration=float(times[-1]),
        mean_duration=float(stop @ times),
        mean_subjects=float(stop @ entered),
    )


def _refuse(at: str, found: object, allowed: str) -> None:
    """Raise what is wrong with a trial of times to events."""
    raise ProtocolError(
        at=f"survival.{at}", found=str(found), allowed=allowed, write=""
    )

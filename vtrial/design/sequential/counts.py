"""Sizes of trials of counts: negative binomial rates of two arms.

The size of the test is its information, of the log of the rate ratio: a subject with
exposure t and rate lambda brings lambda t / (1 + k lambda t) of it to the arm's sum,
and the information is one over the sum of the inverses of both arms' sums.

References
----------
Zhu H, Lakkis H (2014) Stat Med 33:376-387 (size of negative binomial trials).
Mütze T, Glimm E, Schmidli H, Friede T (2019) Stat Methods Med Res 28:2326-2347 (group
sequential looks at such counts).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from vtrial.design.sequential.boundary import boundaries
from vtrial.design.sequential.given import Array
from vtrial.design.sequential.plan import GroupSequential
from vtrial.design.sequential.recruitment import Recruitment
from vtrial.design.sequential.root import root
from vtrial.design.sequential.sizing import Power, Size, power, size
from vtrial.errors import ProtocolError

_LONGEST = 1e7  # multiples of the time of entry after which no more is waited for
_CLOSE = 1e-12
_FARTHEST = 20.0  # logs of rate ratios that a bound may stand for
_STEP = 0.25


@dataclass(frozen=True)
class RateRatio:
    """The test of a rate ratio; its size is the information of the log of it.

    Parameters
    ----------
    effect
        Rate of the first arm over that of the second, that the trial is sized for.
    null
        Rate ratio of the hypothesis.
    ratio
        Size of the first arm over that of the second.
    """

    effect: float | int
    null: float | int = 1.0
    ratio: float | int = 1.0

    @property
    def allocation(self) -> float:
        """Size of the first arm over that of the second."""
        return float(self.ratio)

    @property
    def up(self) -> bool:
        """Whether the rate ratio is above that of the hypothesis."""
        return self.effect > self.null

    @property
    def distance(self) -> float:
        """Mean of Z at information 1."""
        return float(np.log(self.effect / self.null))

    def fixed_size(self, alpha: float, power: float, sides: int = 1) -> float:
        """Return the information with which one look has a power."""
        if self.effect == self.null:
            _refuse("effect", self.effect, f"other than {self.null:g}")
        return float(((ndtri(power) - ndtri(alpha / sides)) / self.distance) ** 2)

    def drift(self, size: float | int, alpha: float, sides: int = 1) -> float:
        """Return the mean of Z at an information."""
        return self.distance * float(np.sqrt(size))

    def at_bound(self, z: Array, size: Array) -> Array:
        """Return the rate ratio that is as many standard errors from the hypothesis."""
        return self.null * np.exp(np.asarray(z) / np.sqrt(np.asarray(size)))


@dataclass(frozen=True)
class Counts:
    """Negative binomial counts of two arms.

    Parameters
    ----------
    first, second
        Rates of the arms, per unit of time.
    overdispersion
        k, with which a mean of m has the variance m + k m^2; 0 for Poisson's law.
    exposure
        How long a subject is followed at most; to the end of the trial without.
    null
        Rate ratio of the hypothesis.
    ratio
        Size of the first arm over that of the second.

    Raises
    ------
    ProtocolError
        If there are no such counts.
    """

    first: float | int
    second: float | int
    overdispersion: float | int = 0.0
    exposure: float | int = np.inf
    null: float | int = 1.0
    ratio: float | int = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        for at in ("first", "second", "exposure", "null", "ratio"):
            if getattr(self, at) <= 0:
                _refuse(at, getattr(self, at), "above 0")
        if self.overdispersion < 0:
            _refuse("overdispersion", self.overdispersion, "0 or above")

    @property
    def test(self) -> RateRatio:
        """The test of the rate ratio."""
        return RateRatio(self.first / self.second, self.null, self.ratio)

    @property
    def up(self) -> bool:
        """Whether the rate ratio is above that of the hypothesis."""
        return self.test.up

    @property
    def best_ratio(self) -> float:
        """The ratio of the arms that needs the fewest subjects at a given exposure."""
        one, two = self._each
        return float(np.sqrt(two / one))

    @property
    def per_subject(self) -> float:
        """Information of one subject of the second arm and those beside it."""
        one, two = self._each
        return float(1 / (1 / (self.ratio * one) + 1 / two))

    @property
    def _each(self) -> tuple[Array, Array]:
        """What a subject with the whole exposure brings to the sum of each arm."""
        if not np.isfinite(self.exposure):
            _refuse("exposure", self.exposure, "a time that is the same for all")
        whole = np.asarray(float(self.exposure))
        return self._brought(self.first, whole), self._brought(self.second, whole)

    def information(
        self, entries: tuple[Array, Array], time: float, *, effect: float | None = None
    ) -> float:
        """Return the information at a time, of subjects with given times of entry.

        Parameters
        ----------
        entries
            Times of entry of both arms.
        effect
            Rate ratio at which to take the first arm's rate; that of the arms without.
        """
        first = self.first if effect is None else effect * self.second
        sums = []
        for entered, rate in zip(entries, (first, self.second), strict=True):
            followed = np.clip(time - entered, 0.0, float(self.exposure))
            sums.append(float(self._brought(float(rate), followed).sum()))
        return 0.0 if min(sums) <= 0 else 1 / (1 / sums[0] + 1 / sums[1])

    def effect_at(self, z: float, information: Callable[[float], float]) -> float:
        """Return the rate ratio at which the statistic is on a bound; NaN if none is.

        Parameters
        ----------
        information
            Information at a rate ratio.

        Notes
        -----
        Of several, that which is nearest to the hypothesis.
        """
        if not np.isfinite(z):
            return float("nan")
        side = 1.0 if z > 0 else -1.0

        def missing(away: float) -> float:
            known = information(self.null * float(np.exp(side * away)))
            return away * float(np.sqrt(known)) - abs(z)

        # rare events bring little information, so the statistic may turn back
        near = 0.0
        for away in np.arange(1, int(_FARTHEST / _STEP) + 1) * _STEP:
            if missing(float(away)) >= 0:
                found = root(missing, near, float(away), xtol=_CLOSE)
                return self.null * float(np.exp(side * found))
            near = float(away)
        return float("nan")

    def _brought(self, rate: float | int, followed: Array) -> Array:
        """Return the information that subjects bring to their arm's sum."""
        mean = float(rate) * followed
        return mean / (1 + self.overdispersion * mean)


@dataclass(frozen=True)
class CountSize:
    """How much information and how many subjects, and how long.

    Parameters
    ----------
    information
        Size or power of the test, counted in information.
    subjects, first, second
        Number of subjects, and that of each arm; whole.
    entries
        Times of entry of both arms.
    times, entered
        When each look comes and how many have entered by then.
    duration
        When the last look comes.
    mean_duration, mean_subjects
        How long a trial lasts and how many enter, on average, at the arms' rates.
    upper_effect, lower_effect
        The bounds as rate ratios, at the information that a look has if the second
        arm's rate is that of the plan.
    """

    information: Size | Power
    subjects: int
    first: int
    second: int
    entries: tuple[Array, Array]
    times: Array
    entered: Array
    duration: float
    mean_duration: float
    mean_subjects: float
    upper_effect: Array
    lower_effect: Array


def entry_times(recruitment: Recruitment, subjects: float | int) -> Array:
    """Return when an arm's subjects enter, evenly in each piece of the recruitment.

    In the first piece from its beginning to its end, in later ones from the first entry
    of both arms after it.

    Examples
    --------
    >>> print(entry_times(Recruitment((1,), end=6), 4))
    [0. 2. 4. 6.]
    """
    starts = np.asarray(recruitment.starts, float)
    ends = np.append(starts[1:], float(recruitment.end))
    rates = np.asarray(recruitment.rates, float)
    share = rates * (ends - starts)
    wanted = np.ceil(float(subjects) * share / share.sum() - 1e-9).astype(int)
    made = []
    for piece, count in enumerate(wanted):
        begin = starts[piece] + (1 / rates[piece] if piece and count else 0.0)
        made.append(np.linspace(begin, ends[piece], count))
    return np.concatenate(made)


def count_size(
    trial: Counts,
    design: GroupSequential,
    recruitment: Recruitment,
    *,
    follow_up: float | int | None = None,
) -> CountSize:
    """Return the information, subjects and time with which a plan has its power.

    Parameters
    ----------
    recruitment
        How subjects of both arms enter.
    follow_up
        Time from the last entry to the last look; the number of subjects follows. With
        an exposure that is the same for all, that exposure by default. Without either,
        subjects enter as the recruitment says, and the last look comes when they have
        brought the information.

    Raises
    ------
    ProtocolError
        If the information never comes with these subjects.

    Examples
    --------
    >>> from vtrial.design.sequential import GroupSequential
    >>> trial = Counts(0.7, 1.0, overdispersion=0.4, exposure=1)
    >>> plan = GroupSequential((1.0,), 0.025, 0.1)
    >>> count_size(trial, plan, Recruitment((1,)), follow_up=1).subjects
    534
    """
    needed = size(trial.test, design)
    if follow_up is None:
        share = trial.ratio / (1 + trial.ratio)
        entries = (
            entry_times(recruitment, recruitment.total * share),
            entry_times(recruitment, recruitment.total * (1 - share)),
        )
        end = _time_of(trial, entries, needed.total, float(recruitment.end))
    else:
        end = float(recruitment.end + follow_up)
        entries = _enough(trial, recruitment, needed.total, end)
    stops = needed.characteristics.rejection + needed.characteristics.futility
    bounds = needed.boundaries
    z = (bounds.upper, bounds.lower, 1.0 if trial.up or bounds.sides == 2 else -1.0)
    return _timed(trial, needed, entries, (stops, needed.looks, z, end))


def count_power(
    trial: Counts,
    design: GroupSequential,
    recruitment: Recruitment,
    *,
    follow_up: float | int,
    up: bool = True,
) -> CountSize:
    """Return what a plan reaches with the subjects of a recruitment.

    Parameters
    ----------
    follow_up
        Time from the last entry to the last look.
    up
        Whether a test of one side is for rate ratios above the hypothesis.
    """
    share = trial.ratio / (1 + trial.ratio)
    entries = (
        entry_times(recruitment, recruitment.total * share),
        entry_times(recruitment, recruitment.total * (1 - share)),
    )
    end = float(recruitment.end + follow_up)
    most = trial.information(entries, end)
    bounds = boundaries(design)
    reached = power(trial.test, design, most, bounds=bounds, up=up)
    stops = reached.rejection + reached.futility
    z = (bounds.upper, bounds.lower, 1.0 if up or bounds.sides == 2 else -1.0)
    return _timed(trial, reached, entries, (stops, reached.looks, z, end))


def _enough(
    trial: Counts, recruitment: Recruitment, information: float, end: float
) -> tuple[Array, Array]:
    """Return the entries of the fewest whole subjects that bring an information."""
    if end - recruitment.end >= trial.exposure:  # all have the same exposure
        exact = information / trial.per_subject
        first, second = np.ceil(np.array([trial.ratio, 1.0]) * exact - 1e-9)
        total = recruitment.scaled(first + second)
        return entry_times(total, float(first)), entry_times(total, float(second))

    def entries(second: int) -> tuple[Array, Array]:
        first = int(np.ceil(second * trial.ratio - 1e-9))
        total = recruitment.scaled(first + second)
        return entry_times(total, first), entry_times(total, second)

    low, high = 0, 2
    while trial.information(entries(high), end) < information:
        low, high = high, 2 * high
        if high > _LONGEST:
            _refuse("follow_up", end, "a longer one, for no number of subjects will do")
    while high - low > 1:
        middle = (low + high) // 2
        enough = trial.information(entries(middle), end) >= information
        low, high = (low, middle) if enough else (middle, high)
    return entries(high)


def _time_of(
    trial: Counts, entries: tuple[Array, Array], information: float, end: float
) -> float:
    """Return when subjects have brought an information."""
    high = end
    while trial.information(entries, high) < information:
        high *= 2
        if high > _LONGEST * end:
            _refuse(
                "subjects",
                sum(len(entered) for entered in entries),
                f"more, for they bring {trial.information(entries, high):.6g} of the "
                f"information {information:.6g} at most",
            )
    return root(
        lambda t: trial.information(entries, t) - information, 0.0, high, xtol=_CLOSE
    )


def _timed(
    trial: Counts,
    found: Size | Power,
    entries: tuple[Array, Array],
    rest: tuple[Array, Array, tuple[Array, Array, float], float],
) -> CountSize:
    """Put information together with when it comes and whom it comes from."""
    stops, looks, (upper, lower, sign), end = rest
    early = [_time_of(trial, entries, float(goal), end) for goal in looks[:-1]]
    times = np.append(early, end)
    entered = np.array(
        [sum(int((arm <= time + _CLOSE).sum()) for arm in entries) for time in times]
    )
    stop = np.append(stops[:-1], 1 - float(stops[:-1].sum()))
    effects = [
        np.array(
            [
                trial.effect_at(
                    float(sign * bound),
                    lambda x, t=time: trial.information(entries, float(t), effect=x),
                )
                for bound, time in zip(z, times, strict=True)
            ]
        )
        for z in (upper, lower)
    ]
    return CountSize(
        information=found,
        subjects=len(entries[0]) + len(entries[1]),
        first=len(entries[0]),
        second=len(entries[1]),
        entries=entries,
        times=times,
        entered=entered,
        duration=float(times[-1]),
        mean_duration=float(stop @ times),
        mean_subjects=float(stop @ entered),
        upper_effect=effects[0],
        lower_effect=effects[1],
    )


def _refuse(at: str, found: object, allowed: str) -> None:
    """Raise what is wrong with a trial of counts."""
    raise ProtocolError(at=f"counts.{at}", found=str(found), allowed=allowed, write="")

"""What a measure's kernel sees, and what it gives: arrays of many trials."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

Values = Float[np.ndarray, "replicate subject"]
Numbers = Float[np.ndarray, " replicate"]


class Tier(NamedTuple):
    """One endpoint of a hierarchy.

    Fields
    ------
    value
        A number or a time; NaN compares with nobody.
    event
        Given for times: 1 where the time is that of the event, 0 where it is censored.
        Who is known to have had the event first loses. At the same time censoring
        comes after the event.
    higher
        Whether a larger number (a later event) is better.
    margin
        By how much at least values must differ: more than this wins.
    """

    value: Values
    event: Values | None = None
    higher: bool = True
    margin: float = 0.0


class Visits(NamedTuple):
    """Values after the baseline at all visits, of all subjects in the trial.

    Fields
    ------
    value, baseline
        NaN where there is none; `baseline` None if nothing is adjusted for it.
    arm
        Each subject's arm, below 0 for whoever takes no part.
    versus
        The arm and its reference.
    """

    value: Float[np.ndarray, "replicate subject visit"]
    baseline: Values | None
    arm: Int[np.ndarray, "replicate subject"]
    versus: tuple[int, int]


class Dosed(NamedTuple):
    """Values under several doses, of all subjects in the trial.

    Fields
    ------
    value
        NaN where there is none.
    place
        Of each subject's dose among them, from the lowest; below 0 for whoever takes
        no part.
    doses
        How many there are.
    versus
        The places of the arm and of its reference.
    """

    value: Values
    place: Int[np.ndarray, "replicate subject"]
    doses: int
    versus: tuple[int, int]


class Crossed(NamedTuple):
    """Values of persons under several treatments, one after another.

    Fields
    ------
    value
        A person's periods stand side by side; NaN where there is none.
    place
        Of the treatment in each period, from 0.
    sequence
        Of each person's order of treatments.
    treatments, sequences
        How many there are.
    periods
        Among how many periods of a person values are compared: all of them, or those
        of a pair (`paired`).
    versus
        The places of the treatment and of its reference.
    """

    value: Values
    place: Int[np.ndarray, "replicate subject"]
    sequence: Int[np.ndarray, "replicate person"]
    treatments: int
    sequences: int
    periods: int
    paired: bool
    versus: tuple[int, int]


class Random(NamedTuple):
    """A random intercept.

    Fields
    ------
    of
        Of each site, or of each subject of a crossover.
    freedom
        By whom degrees of freedom are counted.
    """

    of: Literal["sites", "subjects"]
    freedom: Literal["Kenward-Roger", "Satterthwaite"]


class Cells(NamedTuple):
    """The values of all arms, and what is asked of their means.

    Fields
    ------
    value
        NaN where there is none.
    place
        Of each subject's arm; below 0 for whoever takes no part.
    weights
        By which each arm's mean counts; they add up to 0.
    """

    value: Values
    place: Int[np.ndarray, "replicate subject"]
    weights: Float[np.ndarray, " arm"]


class Groups(NamedTuple):
    """The subjects of an arm and of its reference.

    Fields
    ------
    value
        The endpoint's number; NaN for whoever is in neither, or has none.
    treated
        Who is in the arm, and not in the reference.
    event
        Of times: 1 where it is that of the event, 0 where it is censored.
    span
        [h] How long the endpoint looks.
    covariates, strata
        What is adjusted for; numbers of strata, below 0 for whoever is in none.
    visits, tiers, dosed
        For measures of these, which have no `value`.
    crossed
        Of a crossover: everybody under every treatment. Rows are then periods.
    cells
        Of a factorial trial: the values of all arms.
    site
        The place of each subject's site, for comparisons that ask for it.
    random
        Of a mixed model: what has a random intercept.
    """

    value: Values
    treated: Bool[np.ndarray, "replicate subject"]
    event: Values | None = None
    span: float = 0.0
    covariates: Float[np.ndarray, "replicate subject covariate"] | None = None
    strata: Int[np.ndarray, "replicate subject"] | None = None
    visits: Visits | None = None
    tiers: Sequence[Tier] = ()
    dosed: Dosed | None = None
    crossed: Crossed | None = None
    cells: Cells | None = None
    site: Int[np.ndarray, "replicate subject"] | None = None
    random: Random | None = None


class Contrast(NamedTuple):
    """A comparison in each trial, with confidence limits and two-sided p-value.

    `error` is the standard error; of the logarithm, for ratios.
    """

    estimate: Numbers
    low: Numbers
    high: Numbers
    p: Numbers
    error: Numbers


class Effect(NamedTuple):
    """An effect in each trial with its standard error and degrees of freedom.

    Ratios stand as their logarithms. Infinite freedom is the normal distribution.
    """

    estimate: Numbers
    error: Numbers
    freedom: Numbers


class Pairs(NamedTuple):
    """A paired effect in each trial, and its error; NaN where pairs make none.

    `apart` is the error of two groups of so many who are not the same.
    """

    effect: Numbers
    error: Numbers
    apart: Numbers

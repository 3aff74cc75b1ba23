"""What a method of estimation is: its word, what it asks, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vtrial.fit.minimum import Tell
from vtrial.fit.mode import Modes
from vtrial.fit.problem import Problem
from vtrial.fit.uncertainty import By

OPTIONS: tuple[str, ...] = ("draws", "warmup", "chains", "iterations")


@dataclass(frozen=True)
class How:
    """How a method is to go about it.

    Fields
    ------
    start
        The vector to begin at.
    started
        Whether that is of another fit, and so already a good one.
    covariance
        `sandwich`, `R` or `S`; of methods that have none of their own.
    most
        Steps of a search.
    seed
        Of what is drawn.
    options
        Numbers that the method asks for, by word.
    beside
        A folder for what may be gone on with, or None.
    tell
        Is told of each step: its number, the objective or NaN, and by how much it may
        still fall.
    """

    start: Float[np.ndarray, " estimate"]
    started: bool
    covariance: By
    most: int
    seed: int
    options: Mapping[str, int]
    beside: Path | None = None
    tell: Tell | None = None


@dataclass(frozen=True)
class Answer:
    """What a method found.

    Fields
    ------
    vector, covariance
        The estimates and how sure they are, as the layout has them.
    by
        How their covariance came about.
    objective, parts, error
        -2 log-likelihood without n log 2 pi, of each subject, and the standard error
        of a sum that was drawn; 0 of one that was not.
    likelihood
        How that was approximated.
    modes
        Of each subject at the estimates.
    course
        The objective after each step; empty where there is none by step.
    converged
        Whether the method's own test of that was passed.
    traces
        Columns of a table, a row a step or a draw.
    draws
        Of the vector, where the method draws from its posterior distribution.
    worth
        What each subject's data are worth at some of these, effects integrated out:
        log p(y_i | theta_s).
    told
        What else is to be known: R-hat by name, divergences, priors.
    """

    vector: Float[np.ndarray, " estimate"]
    covariance: Float[np.ndarray, "estimate estimate"]
    by: str
    objective: float
    parts: Float[np.ndarray, " subject"]
    likelihood: str
    modes: Modes
    converged: bool
    error: float = 0.0
    course: tuple[float, ...] = ()
    traces: Mapping[str, np.ndarray] = field(default_factory=dict)
    draws: Float[np.ndarray, "draw estimate"] | None = None
    worth: Float[np.ndarray, "thinned subject"] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method of estimation.

    Fields
    ------
    word, place
        What `--method` says, and where it stands among others.
    says
        What it does, in the docs' words.
    estimate
        The method itself.
    options
        What it may be told, and the numbers unless told.
    by
        Whether `covariance` is a choice.
    """

    word: str
    place: int
    says: str
    estimate: Callable[[Problem, How], Answer]
    options: Mapping[str, int] = field(default_factory=dict)
    by: bool = True

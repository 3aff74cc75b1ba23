"""Subjects: who takes part, drawn by identity."""

import functools
import threading
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.keys import subject_key
from vtrial.model.model import Model

WIDTH = 1024  # subjects who are drawn side by side
MAX_SCREENED = 10_000  # attempts to find one who is eligible
MAKERS = ("keys.py", "types.py", "model", "cohort")  # of what is kept compiled
TRACING = threading.Lock()  # NumPyro's stack of handlers is shared by all threads


class Subjects(NamedTuple):
    """Some subjects of some replicates, with everything that makes them who they are.

    `replicate` and `subject` say who: number of the replicate trial, and of the
    subject in it, from 0. `screened` counts how many were screened until this one was
    eligible (1: the first). `covariates` are by name, in the model's units where the
    model knows them, else in the cohort's. `parameters` are the population's, the same
    for all subjects of a replicate. `effects` are the random effects by name
    (`eta.CL`), with a column an occasion if they change between occasions. `classes`
    say of which class of the model each subject is, from 1, by the name of the class.
    `turn` counts who was turned away in this one's place because of what was measured;
    without it nobody was measured before.
    """

    replicate: Int[Array, " subject"]
    subject: Int[Array, " subject"]
    screened: Int[Array, " subject"]
    covariates: dict[str, Float[Array, " subject"]]
    parameters: dict[str, Float[Array, " subject"]]
    effects: dict[str, Float[Array, "subject *occasion"]]
    classes: dict[str, Float[Array, " subject"]]
    turn: Int[Array, " subject"] | None = None

    def keys(
        self, seed: Int[Array, ""] | int, place: Int[Array, " place"]
    ) -> Key[Array, " place"]:
        """Return the keys of some of them, from which all that they do is drawn."""
        find = functools.partial(subject_key, seed)
        turn = None if self.turn is None else self.turn[place]
        return jax.vmap(find)(self.replicate[place], self.subject[place], turn)

    def inputs(self) -> dict[str, Float[Array, "subject *occasion"]]:
        """Return all that a model's equations ask for; one column an occasion, if any.

        If one random effect changes between occasions, everything gets the axis.
        """
        values = self.parameters | self.covariates | self.effects | self.classes
        if all(value.ndim == 1 for value in values.values()):
            return values
        return {k: v if v.ndim == 2 else v[:, None] for k, v in values.items()}

    def without_effects(self) -> "Subjects":
        """Return the same subjects with random effects of zero."""
        none = {name: jnp.zeros_like(value) for name, value in self.effects.items()}
        return self._replace(effects=none)

    def typical(self, model: Model) -> "Subjects":
        """Return the same subjects with parameters at their values and no effects."""
        values = {
            p.name: jnp.full(self.subject.shape, p.value, dtype=float)
            for p in model.parameters
        }
        classes = {
            c.name: jnp.full(self.subject.shape, c.typical, dtype=float)
            for c in model.classes
        }
        typical = self.without_effects()
        return typical._replace(parameters=values, classes=classes)


class Draw(NamedTuple):
    """One subject as the program returns it; `eligible` is 1 or 0."""

    parameters: dict[str, Float[Array, ""]]
    covariates: dict[str, Float[Array, ""]]
    effects: dict[str, Float[Array, " *occasion"]]
    eligible: Float[Array, ""]
    classes: dict[str, Float[Array, ""]]


class Drawn(NamedTuple):
    """What one compiled call gives for `WIDTH` subjects."""

    draw: Draw
    screened: Int[Array, " subject"]


@dataclass(frozen=True, repr=False)
class Asked:
    """Of what subjects are drawn, and what of it."""

    cohort: Cohort
    model: Model | None
    occasions: int
    uncertainty: bool

    def __repr__(self) -> str:
        """Return a key of all that decides what is traced."""
        model = self.model.digest if self.model else ""
        return f"{self.cohort.digest} {model} {self.occasions} {self.uncertainty}"

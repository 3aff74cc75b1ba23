"""Subjects: who takes part, drawn by identity."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int


class Subjects(NamedTuple):
    """Some subjects of some replicates, with everything that makes them who they are.

    `replicate` and `subject` say who: number of the replicate trial, and of the
    subject in it, from 0. `screened` counts how many were screened until this one was
    eligible (1: the first). `covariates` are by name, in the model's units where the
    model knows them, else in the cohort's. `parameters` are the population's, the same
    for all subjects of a replicate. `effects` are the random effects by name
    (`eta.CL`), with a column an occasion if they change between occasions.
    """

    replicate: Int[Array, " subject"]
    subject: Int[Array, " subject"]
    screened: Int[Array, " subject"]
    covariates: dict[str, Float[Array, " subject"]]
    parameters: dict[str, Float[Array, " subject"]]
    effects: dict[str, Float[Array, "subject *occasion"]]

    def inputs(self) -> dict[str, Float[Array, "subject *occasion"]]:
        """Return all that a model's equations ask for; one column an occasion, if any.

        If one random effect changes between occasions, everything gets the axis.
        """
        values = self.parameters | self.covariates | self.effects
        if all(value.ndim == 1 for value in values.values()):
            return values
        return {k: v if v.ndim == 2 else v[:, None] for k, v in values.items()}

"""Doses of dosing words, in one step."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import ArrayLike

from vtrial.dosing.doses import Doses
from vtrial.dosing.expansion import expand
from vtrial.dosing.words import parse_regimen
from vtrial.errors import DosingError
from vtrial.model.model import Model
from vtrial.sheets.words import listed


def doses(
    words: str | Sequence[str],
    model: Model,
    **covariates: ArrayLike | Sequence[float],
) -> Doses:
    """Write out every dose of dosing words, for `vtrial.simulate`.

    Covariates that amounts ask for are given by name, one number or one a subject;
    without any, the model's typical ones hold.

    Raises
    ------
    DosingError
        With every fault of the words, or if a covariate is neither given nor typical.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> given = doses("5 mg/kg every 24 h x 2", load_model("one-compartment-oral"))
    >>> given.amount.tolist(), given.time.tolist()
    ([[350.0, 350.0]], [[0.0, 24.0]])
    """
    regimen = parse_regimen(words, model=model, known=list(covariates))
    typical = {one.name: one.typical for one in model.covariates}
    known = {
        name: jnp.atleast_1d(jnp.asarray(value, float))
        for name, value in {**typical, **covariates}.items()
    }
    there = {name for name, value in known.items() if not jnp.isnan(value).any()}
    lacking = [name for name in regimen.needs if name not in there]
    if lacking:
        raise DosingError(
            "dose",
            f"by {listed(lacking)}, of which nothing is known",
            "given the covariates that it asks for",
            f"doses(..., {lacking[0]}=70.0)",
        )
    return expand(regimen, known)

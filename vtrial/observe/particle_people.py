"""Who the particles of a twin are: people of the cohort, with what is known."""

import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.draw import sample
from vtrial.cohort.subjects import Subjects
from vtrial.keys import purpose_number
from vtrial.observe.bringing import first_occasion
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.rules import Watch


def particles_of(
    protocol: Protocol,
    cohort: Cohort,
    people: Subjects,
    place: Int[np.ndarray, " place"],
    watch: Watch,
    inputs: dict[str, Array],
) -> dict[str, Float[np.ndarray, "place particle"]]:
    """Draw the particles of some subjects; return their inputs of the model.

    Random effects, and covariates that are unknown, are those of people whom the
    cohort might have sent instead, keyed by the subject and the particle; population
    values are the sheet's. Other covariates are the subject's, as `inputs` has them.
    """
    model, many = protocol.model, watch.particles
    distinct, back = np.unique(place, return_inverse=True)
    replicate, subject = (
        np.repeat(np.asarray(part)[distinct], many)
        for part in (people.replicate, people.subject)
    )
    others = sample(
        cohort,
        model,
        seed=protocol.seed ^ purpose_number(watch.purpose),
        replicate=replicate,
        subject=subject,
        uncertainty=False,
        turn=np.tile(np.arange(1, many + 1), distinct.size),
    )
    found = {
        name: np.asarray(value).reshape(-1, many)[back]
        for name, value in others.inputs().items()
        if name in model.inputs
    }
    known = {one.name for one in model.covariates} - {*watch.unknown}
    for name in known:
        mine = np.asarray(first_occasion(inputs[name]))
        found[name] = np.repeat(mine[:, None], many, axis=1)
    return found

"""Draw subjects by identity from the cohort's program.

Every site of the program draws with a key of its own, folded from who the subject is
and what the site is called; nothing else decides what comes out. Subjects are drawn
`WIDTH` at a time by one compiled function, whatever the block, so that not even the
last bit depends on the company.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, ArrayLike, Int

from vtrial.cohort.check import refuse_conflicts
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.screen import scarce
from vtrial.cohort.subjects import (
    MAKERS,
    MAX_SCREENED,
    TRACING,
    WIDTH,
    Asked,
    Draw,
    Drawn,
    Subjects,
)
from vtrial.errors import CohortError
from vtrial.model.model import Model
from vtrial.program_cache import kept

register_namedtuple_serialization(Draw, serialized_name="vtrial:Draw")
register_namedtuple_serialization(Drawn, serialized_name="vtrial:Drawn")


def sample(
    cohort: Cohort,
    model: Model | None,
    *,
    seed: int,
    replicate: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    subject: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    occasions: int = 1,
    uncertainty: bool = True,
    turn: Int[np.ndarray, " subject"] | None = None,
) -> Subjects:
    """Draw subjects, each by replicate and number, which always give the same one.

    Covariates that the model knows are in its units, others in the cohort's. The
    population parameters are one draw for each replicate. Random effects that change
    between occasions have a column an occasion if there is more than one. At another
    `turn` than 0 somebody else comes in a subject's place, random effects included.

    Raises
    ------
    CohortError
        If the cohort and the model contradict each other, or if somebody is not
        eligible after ten thousand attempts.
    """
    refuse_conflicts(cohort, model)
    asked = Asked(cohort, model, occasions, uncertainty)
    named = [replicate, subject] if turn is None else [replicate, subject, turn]
    who = np.stack([np.asarray(part, np.int64) for part in named])
    count = who.shape[1]
    padded = np.pad(who, ((0, 0), (0, -count % WIDTH if count else WIDTH)))
    key = np.int64(seed)
    starts = range(0, padded.shape[1], WIDTH)
    with TRACING:
        parts = [_draw(asked, key, *padded[:, at : at + WIDTH]) for at in starts]
    whole = jax.tree.map(lambda *arrays: _joined(arrays, count), *parts)
    _refuse_unfit(cohort, whole.screened)
    parameters = [p.name for p in model.parameters] if model else []
    effects = list(model.etas) if model else []
    classes = [c.name for c in model.classes] if model else []
    return Subjects(
        replicate=jnp.asarray(who[0]),
        subject=jnp.asarray(who[1]),
        screened=whole.screened,
        turn=None if turn is None else jnp.asarray(who[2]),
        covariates={name: whole.draw.covariates[name] for name in cohort.names},
        parameters={name: whole.draw.parameters[name] for name in parameters},
        effects={name: whole.draw.effects[name] for name in effects},
        classes={name: whole.draw.classes[name] for name in classes},
    )


@functools.partial(kept, static=1, makers=MAKERS)
def _draw(
    asked: Asked,
    seed: Int[ArrayLike, ""],
    replicate: Int[ArrayLike, " subject"],
    subject: Int[ArrayLike, " subject"],
    *turn: Int[ArrayLike, " subject"],
) -> Drawn:
    """Draw `WIDTH` subjects; compiled once for a cohort and a model."""
    from vtrial.cohort.trace import drawn  # NumPyro is slow to import

    return drawn(asked, *map(jnp.asarray, (seed, replicate, subject, *turn)))


def _joined(arrays: tuple[Array, ...], count: int) -> Array:
    """Put the parts of a block together and drop what filled the last one up."""
    whole = arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays)
    return whole[:count]


def _refuse_unfit(cohort: Cohort, screened: Int[Array, " subject"]) -> None:
    """Refuse a cohort in which no eligible candidate was found for some subject."""
    if len(screened) and int(screened.max()) > MAX_SCREENED:
        raise CohortError.of([scarce(cohort)])

"""Draw subjects by identity from the cohort's program.

Every site of the program draws with a key of its own, folded from who the subject is
and what the site is called; nothing else decides what comes out. Subjects are drawn
`WIDTH` at a time by one compiled function, whatever the block, so that not even the
last bit depends on the company.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, ArrayLike, Bool, Int, Key

from vtrial.cohort.check import refuse_conflicts
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.keyed import TRACING, Keys, draw
from vtrial.cohort.prior import Draw, program
from vtrial.cohort.screen import MAX_SCREENED, WIDTH, keys_of, passes, scarce
from vtrial.cohort.subjects import Subjects
from vtrial.errors import CohortError
from vtrial.model.model import Model
from vtrial.program_cache import kept

MAKERS = ("keys.py", "types.py", "model", "cohort")


class Drawn(NamedTuple):
    """What one compiled call gives for `WIDTH` subjects."""

    draw: Draw
    screened: Int[Array, " subject"]


register_namedtuple_serialization(Draw, serialized_name="vtrial:Draw")
register_namedtuple_serialization(Drawn, serialized_name="vtrial:Drawn")


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


def sample(
    cohort: Cohort,
    model: Model | None,
    *,
    seed: int,
    replicate: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    subject: Int[Array, " subject"] | Int[np.ndarray, " subject"],
    occasions: int = 1,
    uncertainty: bool = True,
) -> Subjects:
    """Draw subjects, each by replicate and number, which always give the same one.

    Covariates that the model knows are in its units, others in the cohort's. The
    population parameters are one draw for each replicate. Random effects that change
    between occasions have a column an occasion if there is more than one.

    Raises
    ------
    CohortError
        If the cohort and the model contradict each other, or if somebody is not
        eligible after ten thousand attempts.
    """
    refuse_conflicts(cohort, model)
    asked = Asked(cohort, model, occasions, uncertainty)
    who = np.stack([np.asarray(replicate, np.int64), np.asarray(subject, np.int64)])
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
    return Subjects(
        replicate=jnp.asarray(who[0]),
        subject=jnp.asarray(who[1]),
        screened=whole.screened,
        covariates={name: whole.draw.covariates[name] for name in cohort.names},
        parameters={name: whole.draw.parameters[name] for name in parameters},
        effects={name: whole.draw.effects[name] for name in effects},
    )


@functools.partial(kept, static=1, makers=MAKERS)
def _draw(
    asked: Asked,
    seed: Int[ArrayLike, ""],
    replicate: Int[ArrayLike, " subject"],
    subject: Int[ArrayLike, " subject"],
) -> Drawn:
    """Draw `WIDTH` subjects; compiled once for a cohort and a model."""

    def one(replicate: Int[Array, ""], subject: Int[Array, ""]) -> Drawn:
        keys = keys_of(jnp.asarray(seed), replicate, subject)
        attempt = _attempt(asked.cohort, keys, subject)
        declare = functools.partial(
            program,
            asked.cohort,
            asked.model,
            occasions=asked.occasions,
            uncertainty=asked.uncertainty,
            subject=subject,
        )
        return Drawn(draw(declare, Keys(**keys, attempt=attempt)), attempt + 1)

    return jax.vmap(one)(jnp.asarray(replicate), jnp.asarray(subject))


def _attempt(
    cohort: Cohort, keys: dict[str, Key[Array, ""]], subject: Int[Array, ""]
) -> Int[Array, ""]:
    """Find the first attempt, from 0, at which the subject is eligible."""
    first = jnp.zeros((), int)
    if cohort.eligibility is None:
        return first

    def unfit(attempt: Int[Array, ""]) -> Bool[Array, ""]:
        fit = passes(cohort, keys, subject, attempt)
        return ~fit & (attempt < MAX_SCREENED)

    return lax.while_loop(unfit, lambda attempt: attempt + 1, first)


def _joined(arrays: tuple[Array, ...], count: int) -> Array:
    """Put the parts of a block together and drop what filled the last one up."""
    whole = arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays)
    return whole[:count]


def _refuse_unfit(cohort: Cohort, screened: Int[Array, " subject"]) -> None:
    """Refuse a cohort in which no eligible candidate was found for some subject."""
    if len(screened) and int(screened.max()) > MAX_SCREENED:
        raise CohortError.of([scarce(cohort)])

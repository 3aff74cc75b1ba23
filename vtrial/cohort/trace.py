"""The program of a cohort, drawn from for subjects side by side."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.keyed import Keys, draw
from vtrial.cohort.prior import people, program
from vtrial.cohort.subjects import MAX_SCREENED, Asked, Draw, Drawn
from vtrial.keys import purpose_key, replicate_key, subject_key
from vtrial.model.model import Model
from vtrial.model.tree import evaluate


def drawn(
    asked: Asked,
    seed: Int[Array, ""],
    replicate: Int[Array, " subject"],
    subject: Int[Array, " subject"],
    turn: Int[Array, " subject"] | None = None,
) -> Drawn:
    """Draw subjects, each at the first attempt at which it is eligible."""

    def one(
        replicate: Int[Array, ""],
        subject: Int[Array, ""],
        turn: Int[Array, ""] | None,
    ) -> Drawn:
        keys = keys_of(seed, replicate, subject, turn)
        attempt = _attempt(asked.cohort, keys, subject)
        declare = functools.partial(
            program,
            asked.cohort,
            asked.model,
            occasions=asked.occasions,
            uncertainty=asked.uncertainty,
            subject=subject,
            replicate=replicate,
        )
        found = draw(declare, Keys(**keys, attempt=attempt))
        classes = _classes(asked.model, keys["subject"], found)
        return Drawn(found._replace(classes=classes), attempt + 1)

    return jax.vmap(one)(replicate, subject, turn)


def _classes(
    model: Model | None, key: Key[Array, ""], found: Draw
) -> dict[str, Float[Array, ""]]:
    """Draw of which class of the model a subject is, each by a key of its own."""
    known, classes = found.parameters | found.covariates, {}
    for one in model.classes if model else ():
        sizes = [evaluate(p, known).astype(float) for p in one.probabilities]
        upper = jnp.cumsum(jnp.maximum(jnp.stack(sizes), 0.0))
        own = purpose_key(key, f"class {one.name}")
        drawn = jax.random.uniform(own, (), float) * upper[-1]
        classes[one.name] = 1.0 + jnp.sum(drawn >= upper[:-1], dtype=float)
    return classes


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


def screened(
    cohort: Cohort, subject: Int[Array, " subject"]
) -> Bool[Array, " subject"]:
    """Return whether candidates of replicate 0 are eligible at the first attempt."""

    def one(number: Int[Array, ""]) -> Bool[Array, ""]:
        return passes(cohort, keys_of(0, 0, number), number)

    return jax.vmap(one)(subject)


def keys_of(
    seed: Int[Array, ""] | int,
    replicate: Int[Array, ""] | int,
    subject: Int[Array, ""] | int,
    turn: Int[Array, ""] | None = None,
) -> dict[str, Key[Array, ""]]:
    """Return the keys of a subject and of the replicate that it is in."""
    return {
        "replicate": replicate_key(seed, replicate),
        "subject": subject_key(seed, replicate, subject, turn),
    }


def passes(
    cohort: Cohort,
    keys: dict[str, Key[Array, ""]],
    subject: Int[Array, ""],
    attempt: Int[Array, ""] | int = 0,
) -> Bool[Array, ""]:
    """Return whether a subject is eligible at an attempt."""
    who = Keys(**keys, attempt=jnp.asarray(attempt))
    return draw(lambda: people(cohort, subject=subject)[1] > 0, who)

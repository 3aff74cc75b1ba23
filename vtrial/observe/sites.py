"""How subjects of a site differ from those of others, by effects that they share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.subjects import Subjects
from vtrial.keys import purpose_key, purpose_number, replicate_key
from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.enactment import Accrual
from vtrial.protocol.protocol import Protocol

PURPOSE = "effects of sites"
Numbers = Int[np.ndarray, " subject"]


def with_sites(
    people: Subjects,
    protocol: Protocol,
    cohort: Cohort,
    *,
    seed: int,
    replicate: Numbers,
    number: Numbers,
) -> Subjects:
    """Return the same subjects with what they share with others of their site.

    What is multiplied is what a cohort or a model gives; what is added is in its unit.
    Derived covariates follow those that they are made of. A site's effect is drawn by
    the seed, the trial and the site's name: who else is there does not matter.
    """
    accrual = protocol.design.sites
    assert accrual is not None, "the caller has looked"
    targets = {e.target: None for site in accrual.sites for e in site.effects}
    if not targets:
        return people
    size = int(people.subject.shape[0])
    rows = np.pad(replicate, (0, size - replicate.size), mode="edge")
    place = _site_of(protocol, accrual, seed, replicate, number)
    place = np.pad(place, (0, size - place.size), mode="edge")
    named = np.array([purpose_number(one.name) for one in accrual.sites], np.uint32)
    for target in targets:
        parts = [
            {e.target: e for e in site.effects}.get(target) for site in accrual.sites
        ]
        spread = np.array([0.0 if e is None else e.spread for e in parts])
        scores = _scores(
            jnp.asarray(rows),
            jnp.asarray(named[place]),
            np.int64(seed),
            np.uint32(purpose_number(target)),
        )
        relative = np.array([e is not None and e.relative for e in parts])
        by = scores * spread[place]
        people = _moved(people, target, by, jnp.asarray(relative[place]))
    moved = {k: v for k, v in people.covariates.items() if k in targets}
    if not moved:
        return people
    from vtrial.cohort.prior import derived_anew  # it brings NumPyro

    derived = derived_anew(cohort, protocol.model, people.covariates)
    return people._replace(covariates={**derived, **moved})


def _site_of(
    protocol: Protocol,
    accrual: Accrual,
    seed: int,
    replicate: Numbers,
    number: Numbers,
) -> Numbers:
    """Return the place of each subject's site; of candidates beyond, as of the last."""
    trials, row = np.unique(replicate, return_inverse=True)
    found = _enrolled(accrual, seed, tuple(trials.tolist()), protocol.subjects)
    return found[row.reshape(-1), np.minimum(number, protocol.subjects - 1)]


@functools.lru_cache(maxsize=16)
def _enrolled(
    accrual: Accrual, seed: int, trials: tuple[int, ...], subjects: int
) -> Int[np.ndarray, "trial subject"]:
    """Return the sites of whole trials, which blocks share."""
    return enrolled_at(
        accrual, seed=seed, trials=np.asarray(trials), subjects=subjects
    ).site


@jax.jit
def _scores(
    replicate: Int[Array, " subject"],
    site: UInt[Array, " subject"],
    seed: Int[Array, ""] | np.int64,
    target: UInt[Array, ""] | np.uint32,
) -> Float[Array, " subject"]:
    """Draw the standard score of each subject's site."""

    def one(replicate: Int[Array, ""], site: UInt[Array, ""]) -> Float[Array, ""]:
        key = purpose_key(replicate_key(jnp.asarray(seed), replicate), PURPOSE)
        key = jax.random.fold_in(jax.random.fold_in(key, site), target)
        return jax.random.normal(key, (), float)

    return jax.vmap(one)(replicate, site)


def _moved(
    people: Subjects,
    target: str,
    by: Float[Array, " subject"],
    relative: Bool[Array, " subject"],
) -> Subjects:
    """Add to what subjects have, or multiply it."""
    changed = {}
    for part in ("effects", "parameters", "covariates"):
        values = getattr(people, part)
        if target not in values:
            continue
        value = values[target]
        if value.ndim == 2:
            by, relative = by[:, None], relative[:, None]
        moved = jnp.where(relative, value * jnp.exp(by), value + by)
        changed[part] = {**values, target: moved.astype(value.dtype)}
    return people._replace(**changed)

"""Allocate subjects to arms, each by its own identity alone.

A block of permuted blocks here is a run of subjects within which arms are balanced; it
has nothing to do with the blocks in which a trial is computed.
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int

from vtrial.design.randomisation.cluster import by_cluster
from vtrial.design.randomisation.in_order import in_order
from vtrial.keys import purpose_key, replicate_key, subject_key
from vtrial.program_cache import kept
from vtrial.protocol.design import Allocation

BATCH = 4096
PURPOSE = "allocation"
MAKERS = ("keys.py", "design/allocation.py")

Identities = Int[np.ndarray, " subject"]


def allocate(
    allocation: Allocation,
    *,
    seed: int,
    replicate: Identities,
    subject: Identities,
    strata: Identities | None = None,
    levels: Int[np.ndarray, "subject factor"] | None = None,
) -> Identities:
    """Return the index of each subject's arm.

    An allocation depends on seed and identity alone, not on who else is in the call;
    but stratified, or by a method that looks back, it depends on who stands before a
    subject in its batch.

    Parameters
    ----------
    allocation
        Weights and method. `simple` draws each subject with the weights. `permuted
        block` balances every run of `block` subjects of a replicate. `stratified`
        does so among subjects of one stratum within a batch of `BATCH` subjects.
        By `clusters` these are of sites, which `strata` says, and not of subjects.
        `counts` gives each arm its number of subjects, in an order of chance. The
        methods that look back begin anew with each batch.
    seed
        Of the trial.
    replicate, subject
        Numbers of the replicate trial and of the subject in it, from 0.
    strata
        A whole number for each subject's stratum, from 0 to 2^32 - 1, that depends on
        the stratum alone. If stratified, or by a method that looks back, a call holds
        every subject of each of its batches, up to the last that it asks for.
    levels
        For minimisation: each subject's level of every factor, from 0.

    Raises
    ------
    ValueError
        If it is stratified and `strata` is missing, or minimises without `levels`.

    Examples
    --------
    >>> subject = np.arange(6)
    >>> blocked = Allocation((1, 2), "permuted block", 6)
    >>> arm = allocate(blocked, seed=1, replicate=0 * subject, subject=subject)
    >>> np.bincount(arm).tolist()
    [2, 4]
    """
    if allocation.clusters:
        if strata is None:
            raise ValueError("sites are randomised: of which is each subject?")
        plain = functools.partial(
            allocate, replace(allocation, clusters=False), seed=seed
        )
        return by_cluster(replicate, strata, plain)
    if allocation.by == "simple":
        return _simple(allocation.weights, seed, replicate, subject)
    if allocation.by in ("permuted block", "counts"):
        number, place = np.divmod(subject, allocation.block)
        whole = np.zeros_like(subject)
        return _permuted(allocation, seed, replicate, whole, number, place)
    batch = subject // BATCH
    if allocation.looks_back:
        if allocation.by == "minimisation" and levels is None:
            raise ValueError("minimisation needs the levels of its subjects")
        within = np.zeros_like(subject) if strata is None else strata
        group = np.stack([replicate, batch, within], axis=1)
        return in_order(
            allocation, seed=seed, group=group, subject=subject, levels=levels
        )
    if strata is None:
        raise ValueError("stratified allocation needs the strata of its subjects")
    place = _place_within(replicate, batch, strata, subject)
    number, place = np.divmod(place, allocation.block)
    return _permuted(allocation, seed, replicate, strata, batch * BATCH + number, place)


def _simple(
    weights: tuple[int, ...], seed: int, replicate: Identities, subject: Identities
) -> Identities:
    """Draw every subject's arm with the weights, by the subject's own key."""
    size = _rounded_up(subject.size)
    who = _padded(replicate, size), _padded(subject, size)
    drawn = _draw(weights, *who, np.int64(seed))
    return np.asarray(drawn)[: subject.size].astype(int)


@functools.partial(kept, static=1, makers=MAKERS)
def _draw(
    weights: tuple[int, ...],
    replicate: Int[Array, " subject"],
    subject: Int[Array, " subject"],
    seed: Int[ArrayLike, ""],
) -> Int[Array, " subject"]:
    """Draw a whole number below the sum of the weights, and return its arm."""
    limits = jnp.cumsum(jnp.asarray(weights, jnp.int32))

    def one(replicate: Int[Array, ""], subject: Int[Array, ""]) -> Int[Array, ""]:
        key = purpose_key(subject_key(jnp.asarray(seed), replicate, subject), PURPOSE)
        ticket = jax.random.randint(key, (), 0, limits[-1], jnp.int32)
        return jnp.searchsorted(limits, ticket, side="right")

    return jax.vmap(one)(replicate, subject)


def _permuted(
    allocation: Allocation,
    seed: int,
    replicate: Identities,
    stratum: Identities,
    number: Identities,
    place: Identities,
) -> Identities:
    """Return what stands at a place of a permuted block; each block is drawn once."""
    blocks, which = np.unique(
        np.stack([replicate, stratum, number], axis=1), axis=0, return_inverse=True
    )
    size = _rounded_up(len(blocks))
    columns = (_padded(column, size) for column in blocks.T)
    slots = np.repeat(np.arange(len(allocation.weights)), allocation.weights)
    slots = np.tile(slots, allocation.block // slots.size)
    drawn = np.asarray(_shuffle(tuple(slots.tolist()), *columns, np.int64(seed)))
    return drawn[which.reshape(-1), place].astype(int)


@functools.partial(kept, static=1, makers=MAKERS)
def _shuffle(
    slots: tuple[int, ...],
    replicate: Int[Array, " block"],
    stratum: Int[Array, " block"],
    number: Int[Array, " block"],
    seed: Int[ArrayLike, ""],
) -> Int[Array, "block place"]:
    """Shuffle the slots of each block, by the block's own key."""
    sorted_ = jnp.asarray(slots, jnp.int32)

    def one(
        replicate: Int[Array, ""], stratum: Int[Array, ""], number: Int[Array, ""]
    ) -> Int[Array, " place"]:
        key = purpose_key(replicate_key(jnp.asarray(seed), replicate), PURPOSE)
        for part in (stratum, number):
            key = jax.random.fold_in(key, part)
        return jax.random.permutation(key, sorted_)

    return jax.vmap(one)(replicate, stratum, number)


def _place_within(
    replicate: Identities, batch: Identities, stratum: Identities, subject: Identities
) -> Identities:
    """Count the subjects before each one in its stratum, batch and replicate."""
    order = np.lexsort((subject, stratum, batch, replicate))
    group = np.stack([replicate, batch, stratum], axis=1)[order]
    fresh = np.ones(subject.size, bool)
    fresh[1:] = (group[1:] != group[:-1]).any(axis=1)
    index = np.arange(subject.size)
    place = np.empty(subject.size, int)
    place[order] = index - np.maximum.accumulate(np.where(fresh, index, 0))
    return place


def _rounded_up(count: int) -> int:
    """Return the next power of two, so that few shapes are compiled."""
    return max(64, 1 << max(count - 1, 0).bit_length())


def _padded(values: Identities, size: int) -> Int[Array, " padded"]:
    """Pad with zeros, whose draws nobody reads."""
    return jnp.asarray(np.pad(values, (0, size - values.size)))

"""Random keys by name: of a subject and a purpose, never of order or place."""

import hashlib
import re

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


def purpose_key(key: Key[Array, ""], purpose: str) -> Key[Array, ""]:
    """Fold a purpose, written in words, into a key.

    Examples
    --------
    >>> import jax
    >>> key = jax.random.key(7)
    >>> bool(purpose_key(key, "covariates") == purpose_key(key, "random effects"))
    False
    """
    return jax.random.fold_in(key, purpose_number(purpose))


def purpose_number(purpose: str) -> int:
    """Return the 32 bits that stand for a purpose."""
    digest = hashlib.blake2s(purpose.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def replicate_key(
    seed: Int[Array, ""] | int, replicate: Int[Array, ""] | int
) -> Key[Array, ""]:
    """Return the key of one replicate trial."""
    return jax.random.fold_in(jax.random.key(seed), replicate)


def subject_key(
    seed: Int[Array, ""] | int,
    replicate: Int[Array, ""] | int,
    subject: Int[Array, ""] | int,
    turn: Int[Array, ""] | None = None,
) -> Key[Array, ""]:
    """Return the key of one subject: the same in any block and any arm.

    Subjects are folded in after a purpose of their own, so that no subject's key is
    a key that the replicate draws from for itself. Who comes in a subject's place,
    at a `turn` above 0, is somebody else.
    """
    person = purpose_key(replicate_key(seed, replicate), "subject")
    key = jax.random.fold_in(person, subject)
    if turn is None:
        return key
    other = jax.random.fold_in(purpose_key(key, "screened again"), turn)
    return jnp.where(turn > 0, other, key)


def subject_number(identity: str) -> int:
    """Return the number by which a subject's draws are keyed.

    Examples
    --------
    >>> subject_number("17"), subject_number("17.0")
    (16, 16)
    """
    whole = re.fullmatch(r"0*(\d{1,9})(\.0*)?", identity.strip())
    if whole and int(whole[1]) > 0:
        return int(whole[1]) - 1
    return purpose_number(f"ID {identity.strip()}") >> 1

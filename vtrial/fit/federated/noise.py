"""A site's noise, and its own account of what it has told of its people.

The account lies beside the site's data and never leaves it. Its secret decides the
noise, so that the same question gets the same reply however often it is asked, and
costs once.
"""

import hashlib
import json
import math
import secrets
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vtrial.errors import FitError
from vtrial.fit.federated.message import Question
from vtrial.fit.federated.privacy import Budget, epsilon_of
from vtrial.fit.federated.shared import put
from vtrial.fit.sums import exact_sum

REPLACED = 2.0  # times the norm: how far a sum moves when one person is another


def noised(
    slopes: Float[np.ndarray, "subject estimate"], question: Question, secret: bytes
) -> Float[np.ndarray, " estimate"]:
    """Sum slopes that are cut to a norm, and add the noise of a question."""
    sound = np.where(np.isfinite(slopes).all(axis=1, keepdims=True), slopes, 0.0)
    norm = np.linalg.norm(sound, axis=1, keepdims=True)
    cut = sound * np.minimum(1.0, question.clip / np.maximum(norm, 1e-300))
    seed = hashlib.sha256(secret + question.digest.encode()).digest()
    draw = np.random.default_rng(int.from_bytes(seed, "big"))
    size = question.sigma * REPLACED * question.clip
    return exact_sum(cut) + size * draw.standard_normal(slopes.shape[1])


def account_of(data: Path, site: str) -> Path:
    """Return where a site keeps account of its data."""
    return data.with_name(f".{data.name}.{site}.spent.json")


def spend(path: Path, question: Question, budget: Budget) -> bytes:
    """Note what a question costs before it is answered; return the account's secret.

    Raises
    ------
    FitError
        If more would be told than the budget allows.
    """
    held = {"secret": secrets.token_hex(32), "spent": {}}
    if path.is_file():
        held = json.loads(path.read_text(encoding="utf-8"))
    spent: dict[str, float] = held["spent"] | {question.digest: 1.0 / question.sigma}
    total = epsilon_of(math.hypot(*spent.values()), budget.delta)
    if total > budget.epsilon * (1 + 1e-9):
        found = f"{total:.3g} after one more round, the {len(spent)}th"
        allowed = f"at most {budget.epsilon:g}: nothing more is told of these people"
        raise FitError("epsilon that is spent", found, allowed, "")
    held["spent"] = spent
    put(path, json.dumps(held))
    return bytes.fromhex(held["secret"])

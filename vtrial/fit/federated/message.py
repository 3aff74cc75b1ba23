"""What crosses between a coordinator and its sites: two kinds of small messages.

Numbers are written so that they come back bit by bit.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from vtrial.errors import FitError

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


@dataclass(frozen=True)
class Question:
    """What a coordinator asks of every site.

    Fields
    ------
    round
        From 1.
    model, engine
        Digests of the model's sheet and of the code, which every site must share.
    method, fixed
        As `vtrial fit` has them.
    vector
        At which sums are wanted.
    start
        The round from whose modes the search for modes begins; 0: from zero.
    clip, sigma
        The norm to which each subject's slope is cut, and the noise's standard
        deviation in units of the sum's sensitivity; 0: exact sums.
    """

    round: int
    model: str
    engine: str
    method: str
    fixed: tuple[str, ...]
    vector: Vector
    start: int
    clip: float = 0.0
    sigma: float = 0.0

    @cached_property
    def digest(self) -> str:
        """Name all that is asked."""
        return hashlib.sha256(written(self).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """A site's sums over its subjects, or why it gives none.

    Fields
    ------
    site, round, question
        Who answers what; the question's digest.
    subjects, observations
        How many the sums are of.
    objective, gradient, products
        -2 log-likelihood; its slope; and the products of the subjects' slopes: each
        the sum, and what its rounding left. Empty where somebody has no likelihood;
        with noise there is one gradient only.
    refused
        Why there are no sums; empty if there are.
    """

    site: str
    round: int
    question: str
    subjects: int = 0
    observations: int = 0
    objective: Vector = ()
    gradient: Matrix = ()
    products: tuple[Matrix, ...] = ()
    refused: str = ""


Message = TypeVar("Message", Question, Reply)


def written(message: Question | Reply) -> str:
    """Write a message as JSON."""
    return json.dumps(asdict(message), allow_nan=False)


def message_of(text: str, kind: type[Message], source: str) -> Message:
    """Read a message of a kind.

    Raises
    ------
    FitError
        If it is none.
    """
    try:
        found = json.loads(text, object_hook=_tuples)
        return kind(**found)
    except (TypeError, ValueError) as error:
        allowed = f"a {kind.__name__.lower()}, as vtrial writes it"
        raise FitError(source, "something else", allowed, "") from error


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: _tuple(value) for key, value in entry.items()}


def _tuple(value: object) -> object:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def listed_as(values: np.ndarray) -> Any:
    """Return an array as a message holds it."""
    return _tuple(values.tolist())

r"""The Shape: a curve of the dose, but for where it begins and how high it goes.

A dose-response is $f(d) = e_0 + e_1 f_0(d, \theta)$. A candidate is a shape with
guesses of $\theta$; where it begins and how high it goes do not matter for contrasts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vtrial.errors import ProtocolError

Doses = Float[np.ndarray, " dose"]
PLACE = "dose response"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One shape of dose-response.

    Parameters
    ----------
    word
        What a sheet says.
    place
        Where it stands in lists, from low to high.
    says
        What the docs add to the word.
    parameters
        Names of its own parameters, theta.
    curve
        `curve(dose, theta, highest)`: the curve at doses, for theta in the last axis,
        and the highest dose of the trial; doses are the last axis of what it returns.
    bounds
        `bounds(highest)`: between which each parameter is sought, in steps of equal
        ratios; none for a curve without parameters.
    linear
        `linear(dose, highest)`: columns of a curve that is linear in all that is
        fitted, without the constant one.
    allowed
        `allowed(theta, doses)`: what guesses must be, where these are not.
    """

    word: str
    place: int
    says: str
    parameters: tuple[str, ...]
    curve: Callable[[Doses, np.ndarray, float], np.ndarray]
    bounds: Callable[[float], tuple[tuple[float, float], ...]] | None = None
    linear: Callable[[Doses, float], np.ndarray] | None = None
    allowed: Callable[[tuple[float, ...], Doses], str] = lambda theta, doses: ""


@dataclass(frozen=True)
class Candidate:
    """A shape with guesses of its parameters."""

    word: str
    guesses: tuple[float, ...] = ()


def candidate(word: str, *guesses: float | int) -> Candidate:
    """Return a candidate: a shape with guesses of its parameters.

    Parameters
    ----------
    word
        Of a shape in `shapes()`.
    guesses
        One for each of its parameters, in their order; doses in the trial's unit.

    Raises
    ------
    ProtocolError
        If there is no such shape, or it has another number of parameters.

    Examples
    --------
    >>> candidate("emax", 25.0)
    Candidate(word='emax', guesses=(25.0,))
    """
    from vtrial.measure.dose_response.registry import shapes

    known = shapes()
    if word not in known:
        allowed = f"one of {', '.join(known)}"
        raise ProtocolError(f"{PLACE}.shape", repr(word), allowed, "shape: emax")
    names = known[word].parameters
    if len(guesses) != len(names):
        found = f"{len(guesses)} guesses for {word}"
        allowed = f"one each of {', '.join(names)}" if names else "none"
        raise ProtocolError(f"{PLACE}.guesses", found, allowed, "")
    return Candidate(word, tuple(float(guess) for guess in guesses))


def course(of: Candidate, doses: Doses, highest: float | None = None) -> Doses:
    """Return a candidate's curve at doses, without its beginning and its height.

    Raises
    ------
    ProtocolError
        If its guesses are not what its shape needs.
    """
    from vtrial.measure.dose_response.registry import shapes

    shape = shapes()[of.word]
    doses = np.asarray(doses, float)
    if wrong := shape.allowed(of.guesses, doses):
        found = f"{of.guesses} for {of.word}"
        raise ProtocolError(f"{PLACE}.guesses", found, wrong, "")
    top = float(doses.max()) if highest is None else highest
    return shape.curve(doses, np.asarray(of.guesses, float), top)

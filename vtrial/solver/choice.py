"""Which method solves a model, and why."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from vtrial.errors import SolverError
from vtrial.model.model import Model
from vtrial.types import Method, Numerics

SPREAD = 300.0  # of rates: from here on an explicit method only keeps stable
STABLE = 3.3  # Tsitouras' method is stable up to this step times the fastest rate
OFTEN = 20.0  # steps a day that are no burden: doses and visits cost as many
NOTHING = 1e-11  # of the fastest rate: a state that only accumulates
DOSED = (0.0, 1.0, 100.0)  # amounts given to the first state when rates are compared


class Choice(NamedTuple):
    """The method, and the reason in words."""

    method: Method | None
    reason: str

    @property
    def words(self) -> str:
        """Say both."""
        return f"{self.method or 'algebra'}: {self.reason}"


@functools.lru_cache(maxsize=256)
def choose(model: Model, numerics: Numerics) -> Choice:
    """Choose how a model is solved; `numerics.method` "auto" goes by its structure.

    Raises
    ------
    SolverError
        If the method that is asked for cannot solve the model.
    """
    structure, asked = model.structure, numerics.method
    if structure.is_algebra:
        return Choice(None, "the model has no differential equations")
    shape = structure.compartments
    exact = structure.is_linear and shape is not None
    if asked == "closed form" and not exact:
        raise _refused(model, asked, "recognised as one to three linear compartments")
    if asked == "matrix exponential" and not structure.is_linear:
        raise _refused(model, asked, "linear with constant coefficients")
    if asked != "auto":
        return Choice(asked, "the protocol asks for it")
    if exact and shape is not None:
        return Choice("closed form", f"the model is linear: {shape.words}")
    if structure.is_linear:
        return Choice(
            "matrix exponential",
            f"the model is linear with {len(model.states)} states and constant rates",
        )
    return _by_stiffness(model)


def _by_stiffness(model: Model) -> Choice:
    """Compare the fastest and the slowest rate of the typical subject."""
    rates = typical_rates(model)
    if not rates.size:
        return Choice("stiff", "the rates of the typical subject cannot be told")
    fast, slow = rates.max(), rates.min()
    often = 24.0 * fast / STABLE
    compared = (
        f"the typical subject's rates reach from {slow:.2g} to {fast:.2g} per hour,"
        f" and stability alone would take an explicit method {often:.2g} steps a day"
    )
    is_stiff = fast > SPREAD * slow and often > OFTEN
    return Choice("stiff" if is_stiff else "explicit", compared)


def typical_rates(model: Model) -> np.ndarray:
    """Return the rates [1/h] of the typical subject, at rest and after doses.

    They are the sizes of the Jacobian's eigenvalues at the initial state, with some
    amount added to the first state or not; what is next to nothing beside the fastest
    (a state that only accumulates) is left out.
    """
    values = {
        name: 1.0 if np.isnan(value) else value
        for name, value in model.typical().items()
    }
    size = len(model.states)

    @jax.jit
    def matrices() -> list[jax.Array]:
        individual = model.individual(values)
        initial = model.initial(individual)
        found = []
        for amount in DOSED:
            state = [jax.numpy.asarray(value, float) for value in initial]
            state[0] = state[0] + amount
            rows = model.jacobian(0.0, state, individual)
            flat = [0.0 if e is None else e for row in rows for e in row]
            full = [jax.numpy.asarray(e, float).reshape(()) for e in flat]
            found.append(jax.numpy.stack(full).reshape(size, size))
        return found

    rates: list[np.ndarray] = []
    for matrix in map(np.asarray, matrices()):
        if np.isfinite(matrix).all():
            sizes = np.abs(np.linalg.eigvals(matrix))
            rates.append(sizes[sizes > NOTHING * sizes.max()])
    return np.concatenate(rates) if rates else np.zeros(0)


def _refused(model: Model, method: Method, allowed: str) -> SolverError:
    return SolverError(
        at=f"numerics.method of {model.name}",
        found=f"`{method}`, but the model is not {allowed}",
        allowed="a method that can solve the model",
        write="method: auto",
    )

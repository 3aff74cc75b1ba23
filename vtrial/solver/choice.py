"""Which method solves a model, and why."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vtrial.dosing.schedule import Schedule
from vtrial.errors import SolverError
from vtrial.model.model import Model
from vtrial.model.plain import start_jacobians
from vtrial.sheets.words import listed
from vtrial.types import Method, Numerics

SPREAD = 300.0  # of rates: from here on an explicit method only keeps stable
STABLE = 3.3  # Tsitouras' method is stable up to this step times the fastest rate
OFTEN = 20.0  # steps a day that are no burden: doses and visits cost as many
NEAR = 10.0  # subjects whose rates differ so much from the typical one's are rare
NOTHING = 1e-11  # of the fastest rate: a state that only accumulates
DOSED = (0.0, 1.0, 100.0)  # amounts given to the first state when rates are compared


class Choice(NamedTuple):
    """The method, and the reason in words.

    Where subjects may differ, `methods` are the explicit and the stiff one, and
    subjects whose fastest rate is more than `border` times the typical one are stiff.
    """

    method: Method | None
    reason: str
    methods: tuple[Method, Method] | None = None
    border: float = 1.0
    other: str = "algebra"  # of METHODS, where a protocol can ask for none

    @property
    def words(self) -> str:
        """Method and reason, in one line."""
        return f"{self.method or self.other}: {self.reason}"


@functools.lru_cache(maxsize=256)
def choose(model: Model, numerics: Numerics) -> Choice:
    """Choose how a model is solved; `numerics.method` "auto" goes by its structure.

    Raises
    ------
    SolverError
        If the method that is asked for cannot solve the model.
    """
    model = model.within
    structure, asked = model.structure, numerics.method
    if model.flow is not None:
        reason = "people are followed from arrival to leaving"
        return Choice(None, reason, other="queue")
    if model.noisy:
        reason = f"noise is followed in steps of {model.step:g} h"
        return Choice(None, reason, other="brownian")
    if structure.is_algebra:
        return Choice(None, "the model has no differential equations")
    if structure.delays:
        return _looking_back(model, numerics)
    shape = structure.driver
    exact = structure.is_closed
    if asked == "closed form" and not exact:
        raise _refused(model, asked, "recognised as one to three linear compartments")
    if asked == "matrix exponential" and not structure.is_linear:
        raise _refused(model, asked, "linear with constant coefficients")
    mixed = asked in ("hybrid explicit", "hybrid stiff")
    if mixed and (shape is None or len(shape.states) == len(model.states)):
        raise _refused(model, asked, "driven by linear compartments")
    if asked != "auto":
        return Choice(asked, "the protocol asks for it")
    if exact:
        return Choice("closed form", _closed_words(model))
    if structure.is_linear:
        return Choice(
            "matrix exponential",
            f"the model is linear with {len(model.states)} states and constant rates",
        )
    return _by_stiffness(model)


def choose_under(model: Model, schedule: Schedule, numerics: Numerics) -> Choice:
    """Choose how a model is solved, for doses of a schedule.

    What is infused into a state that grows by its own size has no closed form.

    Raises
    ------
    SolverError
        If the method that is asked for cannot solve the model.
    """
    model = model.within
    choice = choose(model, numerics)
    if model.structure.delays and (schedule.steady or schedule.resets):
        raise _without_past(model, schedule)
    if model.noisy:
        return choice
    growth = [one.state for one in model.structure.growth if one.is_relative]
    places = [model.states.index(name) for name in growth]
    if numerics.method != "auto" or not schedule.enters(places) or not places:
        return choice
    name: Method = "hybrid explicit" if model.structure.driver else "explicit"
    return choice._replace(method=name)


def _looking_back(model: Model, numerics: Numerics) -> Choice:
    """Choose the method of steps for equations that look back; no other can."""
    names = dict.fromkeys(delay.state for delay in model.structure.delays)
    past = f"the past of {listed([f'`{name}`' for name in names])}"
    if numerics.method != "auto":
        raise _refused(
            model, numerics.method, f"free of {past}, which it keeps none of"
        )
    if numerics.precision != 64:
        raise SolverError(
            at=f"numerics.precision of {model.name}",
            found=f"{numerics.precision} bits, too few to tell moments of {past} apart",
            allowed="64 bits for equations with `lag(x, TAU)`",
            write="precision: 64",
        )
    reason = f"the equations read {past}, by the dense output of its steps"
    return Choice(None, reason, other="method of steps")


def _without_past(model: Model, schedule: Schedule) -> SolverError:
    """Refuse what would begin without a past."""
    kinds = {"a steady state": schedule.steady, "a reset": schedule.resets}
    found = listed([words for words, there in kinds.items() if there])
    return SolverError(
        at=model.name,
        found=f"{found}, which has no past, where the equations read one "
        f"(`lag({model.structure.delays[0].state}, ...)`)",
        allowed="doses that are given one after another; what is compiled under "
        "`jax.jit` is told so by a `Program` with a schedule",
        write="",
    )


def _closed_words(model: Model) -> str:
    """Describe what has a closed form: linear compartments, growth that they drive."""
    shape, growth = model.structure.driver, model.structure.growth
    first = f"the model is linear: {shape.words}" if shape else ""
    if not growth:
        return first
    names = ", ".join(f"`{one.state}`" for one in growth)
    rest = f"what changes {names} does not depend on {'them' if growth[1:] else 'it'}"
    return f"{first}; {rest}" if first else rest


def _by_stiffness(model: Model) -> Choice:
    """Compare the fastest and the slowest rate of the typical subject."""
    driver = model.structure.driver
    rates = typical_rates(model, model.structure.driven)
    names: tuple[Method, Method] = ("explicit", "stiff")
    first = ""
    if driver:
        names = ("hybrid explicit", "hybrid stiff")
        first = f"{driver.words} in closed form drive the rest: "
    if not rates:
        return Choice(names[1], f"{first}the typical subject's rates cannot be told")
    fast = float(np.median([each.max() for each in rates]))
    slow = min(each.min() for each in rates)
    often = 24.0 * fast / STABLE
    compared = (
        f"{first}the typical subject's rates reach from {slow:.2g} to {fast:.2g} per"
        f" hour, and stability alone would take an explicit method {often:.2g} steps"
        " a day"
    )
    border = max(SPREAD * slow, OFTEN * STABLE / 24.0) / fast
    found = Choice(names[int(border < 1)], compared)
    if not 1 / NEAR < border < NEAR:
        return found
    apart = f"; {names[1]} from {border:.2g} times that fastest rate on"
    return found._replace(reason=compared + apart, methods=names, border=border)


def typical_rates(model: Model, without: Sequence[str] = ()) -> list[np.ndarray]:
    """Return the rates [1/h] of the typical subject, at rest and after doses each.

    They are the sizes of the Jacobian's eigenvalues at the initial state, with some
    amount added to the first state or not; what is next to nothing beside the fastest
    (a state that only accumulates) is left out, as are the states `without`.
    """
    kept = [i for i, name in enumerate(model.states) if name not in without]
    values = {
        name: 1.0 if np.isnan(value) else value
        for name, value in model.typical().items()
    }
    rates: list[np.ndarray] = []
    for whole in start_jacobians(model, values, DOSED):
        matrix = whole[np.ix_(kept, kept)]
        if np.isfinite(matrix).all():
            sizes = np.abs(np.linalg.eigvals(matrix))
            rates.append(sizes[sizes > NOTHING * sizes.max()])
    return [each for each in rates if each.size]


def _refused(model: Model, method: Method, allowed: str) -> SolverError:
    return SolverError(
        at=f"numerics.method of {model.name}",
        found=f"`{method}`, but the model is not {allowed}",
        allowed="a method that can solve the model",
        write="method: auto",
    )

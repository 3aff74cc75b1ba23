"""The numbers of a model that data can change, as one tree of arrays, and its effects.

The sheet's numbers are the start; none of them is ever compiled in.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vtrial.errors import Fault, ModelError
from vtrial.model.model import Model

SIZES = ("additive", "proportional", "log")


class Values(NamedTuple):
    """Population values of a model.

    Fields
    ------
    typical
        The parameters by name, in their units.
    covariances
        Of each block of random effects, in the model's order.
    sizes
        By output, the magnitudes of its residual error: `additive` in its unit,
        `proportional` and `log` without one.
    """

    typical: dict[str, Float[Array, ""]]
    covariances: tuple[Float[Array, "effect effect"], ...]
    sizes: dict[str, dict[str, Float[Array, ""]]]


def values_of(model: Model) -> Values:
    """Return the numbers that stand in a model.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> sorted(values_of(load_model("theophylline")).sizes)
    ['conc']
    """
    sizes = {
        output.name: {
            word: jnp.asarray(getattr(output.error, word), float)
            for word in SIZES
            if getattr(output.error, word)
        }
        for output in model.outputs
    }
    return Values(
        {p.name: jnp.asarray(p.value, float) for p in model.parameters},
        tuple(jnp.asarray(block.covariance, float) for block in model.random),
        {name: held for name, held in sizes.items() if held},
    )


@dataclass(frozen=True)
class Effects:
    """Which random effects a person's vector holds, and in which order; hashable.

    First those of the subject, then those of each occasion. An effect whose variance
    is 0 is 0 and has no place.

    Fields
    ------
    names
        As equations write them, one a place: `eta.CL`.
    block, within
        Of each place: which block of the model, which effect in it.
    turn
        Of each place: which occasion, from 0; -1 for one of the subject.
    still
        The effects that are 0.
    """

    names: tuple[str, ...]
    block: tuple[int, ...]
    within: tuple[int, ...]
    turn: tuple[int, ...]
    still: tuple[str, ...]
    shapes: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> tuple[str, ...]:
        """One name a place: `eta.CL`, and `eta.CL[2]` at the second occasion."""
        pairs = zip(self.names, self.turn, strict=True)
        return tuple(n if turn < 0 else f"{n}[{turn + 1}]" for n, turn in pairs)

    def covariance(self, values: Values) -> Float[Array, "effect effect"]:
        """Return the covariance of a person's vector."""
        count = len(self)
        found = jnp.zeros((count, count))
        for one in range(count):
            for other in range(count):
                same = self.block[one] == self.block[other]
                if same and self.turn[one] == self.turn[other]:
                    part = values.covariances[self.block[one]]
                    entry = part[self.within[one], self.within[other]]
                    found = found.at[one, other].set(entry)
        return found

    def inputs(
        self,
        eta: Float[Array, "subject effect"],
        occasion: Int[Array, "subject period"],
    ) -> dict[str, Float[Array, "subject #period"]]:
        """Return every effect of the model by name, as the solver takes it."""
        found = {name: jnp.zeros((1, 1)) for name in self.still}
        for name in dict.fromkeys(self.names):
            places = [i for i, known in enumerate(self.names) if known == name]
            part = eta[:, jnp.asarray(places)]
            if self.turn[places[0]] >= 0:
                part = jnp.take_along_axis(part, occasion, axis=1)
            shape = self.shapes[places[0]]
            found[name] = jnp.expm1(shape * part) / shape if shape else part
        return found


def effects_of(model: Model, occasions: int = 1) -> Effects:
    """Lay out the random effects of a person with so many occasions.

    Raises
    ------
    ModelError
        If the model leaves to chance what no likelihood here knows.
    """
    refuse_unlikely(model)
    places: list[tuple[str, int, int, int]] = []
    still: list[str] = []
    for level in ("subject", "occasion"):
        turns = [-1] if level == "subject" else list(range(occasions))
        for turn in turns:
            for number, block in enumerate(model.random):
                if block.level != level:
                    continue
                for place, name in enumerate(block.names):
                    if block.covariance[place][place] > 0:
                        places.append((f"eta.{name}", number, place, turn))
                    elif turn <= 0:
                        still.append(f"eta.{name}")
    names, blocks, within, turn = zip(*places, strict=True) if places else ((),) * 4
    shapes = tuple(model.random[number].box_cox for number in blocks)
    return Effects(names, blocks, within, turn, tuple(still), shapes)


def refuse_unlikely(model: Model) -> None:
    """Refuse a model whose likelihood is not known here.

    Raises
    ------
    ModelError
        With everything that stands in the way.
    """
    found: list[tuple[str, str, str]] = []
    if model.flow is not None or model.chance is not None:
        allowed = "of equations alone: what is left to chance has no likelihood here"
        found.append((model.name, "left to chance between visits", allowed))
    if model.classes:
        names = ", ".join(row.name for row in model.classes)
        allowed = "without classes, or each of them a covariate"
        found.append(("random", f"of the classes {names}", allowed))
    for block in model.random:
        name = ", ".join(block.names)
        if block.level == "study":
            allowed = "of level subject or occasion: a study alone cannot tell them"
            found.append((f"random effect {name}", "of level study", allowed))
        if block.student:
            found.append((f"random effect {name}", "of Student's t", "of a normal law"))
    if model.error_correlation:
        allowed = "independent of each other"
        found.append(("errors", "correlated between outputs", allowed))
    for output in model.outputs:
        if output.error.memory:
            at, allowed = f"outputs.{output.name}.error", "independent in time"
            found.append((at, "correlated in time", allowed))
    if not any(output.error.varies for output in model.outputs):
        allowed = (
            "given for an output that is measured, as `error: {proportional: 10 %}`"
        )
        found.append(("error", "missing in every output", allowed))
    if found:
        raise ModelError.of(Fault(*one, "") for one in found)


def number_of(value: object) -> float:
    """Return a number of a tree as Python's."""
    return float(np.asarray(value))

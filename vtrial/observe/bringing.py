"""What subjects under an arm bring to the solver: inputs, doses, keys."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.export import register_namedtuple_serialization
from jaxtyping import Array, Float, Int, Key

from vtrial.cohort.subjects import Subjects
from vtrial.dosing.doses import Doses
from vtrial.dosing.expansion import expand, written
from vtrial.dosing.regimen import Regimen
from vtrial.model.tree import evaluate
from vtrial.observe.adherence import Habits, habits_of, taken_by
from vtrial.observe.realised import Ledger
from vtrial.protocol.protocol import Arm, Protocol

Inputs = dict[str, Array]


class Identity(NamedTuple):
    """Who some rows of the record are: replicate trial, and number in it."""

    replicate: np.ndarray
    number: np.ndarray


class Borne(NamedTuple):
    """The model's inputs, doses and keys of subjects; what they took, if not all."""

    inputs: Inputs
    doses: Doses
    keys: Key[Array, " place"]
    given: Ledger | None


register_namedtuple_serialization(Borne, serialized_name="vtrial:observe.Borne")


def brought(
    protocol: Protocol,
    shape: Arm,
    numbers: Inputs,
    people: Subjects,
    place: Int[Array, " place"],
    seed: Int[Array, ""] | int,
) -> Borne:
    """Return what subjects under an arm bring to the solver.

    It is given by its shape and its numbers (see `alike`); the seed is data, so that
    another one compiles nothing.
    """
    inputs = inputs_under(shape, numbers, people, place)
    doses = expand(shape.regimen, asked_by([shape.regimen], inputs, numbers))
    known, given = set(protocol.model.inputs), None
    kept = {k: v for k, v in inputs.items() if k in known}
    keys = people.keys(seed, place)
    habits = habits_under(shape, keys)
    if habits is not None:
        doses, given = taken_by(habits, doses)
    return Borne(kept, doses, keys, given)


def asked_by(
    regimens: Sequence[Regimen | None], inputs: Inputs, numbers: Inputs
) -> Inputs:
    """Return what amounts ask for: values of subjects, and an arm's numbers behind."""
    needs = sorted({name for one in regimens if one for name in one.needs})
    mine = {n: first_occasion(inputs[n]) for n in needs if n not in numbers}
    return mine | {name: numbers[name] for name in needs if name in numbers}


def habits_under(shape: Arm, keys: Key[Array, " place"]) -> Habits | None:
    """Return how subjects under an arm take its doses; None: as they are written."""
    if shape.adherence is None or shape.regimen is None or not shape.adherence.doses:
        return None
    return habits_of(shape.adherence, keys, written(shape.regimen).time)


def inputs_under(
    shape: Arm, numbers: Inputs, people: Subjects, place: Int[Array, " place"]
) -> Inputs:
    """Return everything that is known of subjects by name, as an arm sets it."""
    inputs = {k: v[place] for k, v in people.inputs().items()}
    like = next(iter(inputs.values()), place)
    alike = {name: number.reshape(()) for name, number in numbers.items()}
    inputs |= {
        target: jnp.broadcast_to(evaluate(expression, inputs | alike), like.shape)
        for target, expression in shape.set
    }
    return inputs | _by_occasion(shape, inputs, alike) if shape.by_occasion else inputs


def _by_occasion(shape: Arm, inputs: Inputs, alike: Inputs) -> Inputs:
    """Return every input with a column an occasion, as an arm sets it on each."""
    columns: list[Inputs] = []
    for place, sets in enumerate(shape.by_occasion):
        now = {
            k: v[:, place % v.shape[1]] if v.ndim == 2 else v for k, v in inputs.items()
        }
        like = next(iter(now.values()))
        columns.append(
            now
            | {
                target: jnp.broadcast_to(evaluate(value, now | alike), like.shape)
                for target, value in sets
            }
        )
    return {k: jnp.stack([one[k] for one in columns], axis=1) for k in columns[0]}


def periods_of(protocol: Protocol) -> Float[Array, "1 period"]:
    """Return the starts of occasions [h]; the first holds from ever."""
    return jnp.asarray([-jnp.inf, *protocol.occasions[1:]])[None, :]


def first_occasion(value: Array) -> Array:
    """Return the first occasion of an input."""
    return value[:, 0] if value.ndim == 2 else value


def padded(places: np.ndarray, length: int) -> np.ndarray:
    """Lengthen by repeating the last entry."""
    return np.pad(places, (0, length - places.size), mode="edge")

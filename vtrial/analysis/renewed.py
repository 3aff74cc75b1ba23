"""Endpoints that a sheet asks for otherwise than they were run.

A limit makes a response of a number. Where the record holds the number, the response to
another limit is made of it; where it holds every measured value, so is the number. What
was reduced when it was simulated, and cannot be made of what is stored, is refused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import asked_by, called
from vtrial.endpoint.outcome import Outcome, combined, grade, outcomes, respond
from vtrial.protocol.difference import ABSENT, Difference, endpoint_differences
from vtrial.protocol.protocol import Protocol

Numbers = Float[np.ndarray, "replicate subject"]
Looked = Float[np.ndarray, "row visit"]


class Recipe(NamedTuple):
    """How an endpoint is made: of the stored number of `source`, if it is named.

    Otherwise of the endpoints that it combines, or else of measured values.
    """

    endpoint: Endpoint
    source: str = ""


class Shelf(NamedTuple):
    """What is stored of some subjects under an arm.

    Fields
    ------
    outcome
        An endpoint's outcomes, by name.
    covariate
        A covariate, by name.
    names
        Of all endpoints.
    looked_at
        The times [h], values and planned times [h] that an endpoint looks at.
    """

    outcome: Callable[[str], Outcome]
    covariate: Callable[[str], Numbers]
    names: Sequence[str]
    looked_at: Callable[[Endpoint], tuple[Looked, Looked, Looked]]


@dataclass(frozen=True)
class Stored:
    """What a record holds: the endpoints of its protocol, and perhaps measurements."""

    protocol: Protocol
    covariates: frozenset[str]
    measurements: bool

    def recipes(
        self, asked: Sequence[Endpoint]
    ) -> tuple[dict[str, Recipe], list[Difference]]:
        """Return how each endpoint that differs is made, and what cannot be made."""
        recipes: dict[str, Recipe] = {}
        wrong: list[Difference] = []
        as_run: set[str] = set()
        known = {point.name: point for point in self.protocol.endpoints}
        for point in asked:
            held = known.get(point.name)
            differ = endpoint_differences(held, point) if held else []
            if held and not differ and _parts(point, known) <= as_run:
                as_run.add(point.name)
                continue
            recipe = self._recipe(point, as_run, as_run | recipes.keys())
            if recipe is not None:
                recipes[point.name] = recipe
            elif differ:
                wrong += differ
            else:
                path = ("endpoints", point.name)
                said = "of endpoints as they were" if held else ABSENT
                wrong.append(Difference(path, said, "changed" if held else "there"))
        return recipes, wrong

    def _recipe(
        self, point: Endpoint, as_run: set[str], ready: set[str]
    ) -> Recipe | None:
        """Return what an endpoint can be recomputed from; None if nothing stored."""
        names = [held.name for held in self.protocol.endpoints]
        for held in self.protocol.endpoints:
            if _is_number_of(held, point) and _parts(held, names) <= as_run:
                return Recipe(point, held.name)
        if _combines(point):
            named = {called(name) for name in ready} | self.covariates
            whole = set(point.first_of) <= ready and set(asked_by(point)) <= named
            return Recipe(point) if whole else None
        return Recipe(point) if self._measured(point) else None

    def _measured(self, point: Endpoint) -> bool:
        """Return whether all measured values that an endpoint reads are stored."""
        looks = point.values == "measured" and not point.kind.drawn
        looks &= point.formula is None
        measured = {v.name: v.measure for v in self.protocol.visits}
        there = point.visits and all(
            point.of in measured.get(name, ()) for name in point.visits
        )
        leaves = point.period is not None and self.protocol.design.dropout.causes
        looks &= not (point.intercurrent or leaves)
        return bool(self.measurements and looks and there)


def made(recipe: Recipe, shelf: Shelf) -> Outcome:
    """Make the outcomes of an endpoint."""
    point = recipe.endpoint
    if recipe.source:
        found = shelf.outcome(recipe.source)
        number = jnp.asarray(found.outcome)
        number = grade(point.grades, number) if point.grades else number
        number, event = respond(point, number, jnp.asarray(found.event))
        return found._replace(outcome=number, event=event)
    if not _combines(point):
        time, value, planned = map(jnp.asarray, shelf.looked_at(point))
        return outcomes(point, time, value, planned)
    asked = asked_by(point)
    parts = {name: shelf.outcome(name) for name in _parts(point, shelf.names)}
    own = {called(name) for name in parts}
    covariates = {n: jnp.asarray(shelf.covariate(n)) for n in asked if n not in own}
    return combined(point, parts, covariates)


def _combines(point: Endpoint) -> bool:
    """Return whether an endpoint is derived from others."""
    return point.equals is not None or bool(point.first_of)


def _parts(point: Endpoint, names: Iterable[str]) -> set[str]:
    """Name the endpoints among `names` that an endpoint depends on."""
    asked = set(asked_by(point))
    named = {name for name in names if called(name) in asked}
    events = {one.event for one in point.intercurrent if one.of_endpoint}
    return named | set(point.first_of) | events


def _is_number_of(held: Endpoint, point: Endpoint) -> bool:
    """Return whether a stored endpoint is the number behind another's response."""
    limited = held.binary or held.grades or held.failure is not None
    drawn = point.kind.drawn and held.name != point.name
    if limited or drawn or point.failure is not None:
        return False
    bare = replace(
        point, name=held.name, below=None, above=None, grades=(), unit=held.unit
    )
    return not endpoint_differences(held, bare)

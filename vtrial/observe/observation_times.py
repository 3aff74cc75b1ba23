"""When subjects are observed: visits one after another, then the grid."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from vtrial.dosing.doses import AFTER_DOSE, BEFORE_DOSE, Times
from vtrial.dosing.periods import INSTANT
from vtrial.endpoint.course import Course, course_of
from vtrial.endpoint.endpoint import Endpoint
from vtrial.keys import purpose_key
from vtrial.protocol.knots import Knots, knots_of, rounded
from vtrial.protocol.protocol import Protocol


@dataclass(frozen=True, eq=False)
class ObservationTimes:
    """The observations of a protocol, in the order of its visits, then its grid.

    Fields
    ------
    visits
        Name of the visit of each measured time.
    planned
        [h] The measured times as planned.
    window
        [h] By how much each may be moved to either side.
    grid
        [h] Times of true values, one that stands twice before and after a dose.
    asked
        Which of them the sheet asks for, and not only what is between these.
    given
        Whether these are all that trajectories have, since the sheet gives a grid.
    knots
        Where courses are not smooth.
    rank
        On which side of a dose at the same time each observation stands, grid last.
    occasions
        [h] When each occasion begins, the first of which holds from ever.
    """

    visits: tuple[str, ...]
    planned: np.ndarray
    window: np.ndarray
    grid: np.ndarray
    asked: np.ndarray
    given: bool
    knots: Knots
    rank: np.ndarray
    occasions: np.ndarray

    @property
    def moves(self) -> bool:
        """Whether any visit is moved, so that every subject has times of its own."""
        return bool(self.window.any())

    def taken(self, keys: Key[Array, " subject"]) -> Float[Array, "#subject visit"]:
        """Return when each subject is measured [h]; never before the start.

        What is planned for before the start is not moved. The move of a visit's n-th
        time is keyed by the visit's name and n, so that other visits move nothing.
        """
        planned = jnp.asarray(self.planned)[None, :]
        if not self.moves:
            return planned
        drawn = [
            draws(keys, f"window {name}", count, jax.random.uniform)
            for name, count in self.counts()
        ]
        shift = self.window[None, :] * (2.0 * jnp.concatenate(drawn, axis=1) - 1.0)
        moved = jnp.maximum(planned + shift, 0.0)
        return jnp.where(planned < 0, planned, moved)

    def times(self, taken: Float[Array, "#subject visit"]) -> Times:
        """Return all observations, measured ones first.

        One at the very start of an occasion belongs to the occasion that begins,
        before a dose at its time, too.
        """
        shape = (taken.shape[0], self.grid.size)
        grid = jnp.broadcast_to(jnp.asarray(self.grid)[None, :], shape)
        time = jnp.concatenate([taken, grid], axis=1)
        rank = jnp.broadcast_to(jnp.asarray(self.rank)[None, :], time.shape)
        return Times(time, rank, self.occasion(time))

    def occasion(
        self, time: Float[Array, "#subject time"]
    ) -> Int[Array, "#subject time"] | None:
        """Return in which occasion each time is; None where there is only one."""
        if self.occasions.size == 1:
            return None
        starts = jnp.asarray(self.occasions[1:])[None, None, :]
        return jnp.sum(time[:, :, None] + INSTANT >= starts, axis=2)

    def normals(
        self, keys: Key[Array, " subject"], output: str
    ) -> Float[Array, "subject visit"]:
        """Return standard normal draws for the residual error of an output.

        Draws are keyed by output, visit and the time's number in it.
        """
        drawn = [
            draws(keys, f"residual {output} {name}", count, jax.random.normal)
            for name, count in self.counts()
        ]
        return jnp.concatenate(drawn, axis=1)

    def residual_keys(
        self, keys: Key[Array, " subject"], output: str
    ) -> Key[Array, "subject visit"]:
        """Return the keys of what a residual error draws beside a normal variate."""
        drawn = [
            draws(keys, f"residual {output} {name} more", count, lambda key: key)
            for name, count in self.counts()
        ]
        return jnp.concatenate(drawn, axis=1)

    def chosen(self, endpoint: Endpoint, measures: dict[str, set[str]]) -> np.ndarray:
        """Return the places of the measured times that an endpoint reads."""
        names = endpoint.visits or tuple(measures)
        asked = [
            name in names and measures[name].issuperset(endpoint.reads)
            for name in self.visits
        ]
        return np.flatnonzero(asked)

    @property
    def kept(self) -> np.ndarray:
        """Return the places of the grid at which trajectories are kept."""
        return np.flatnonzero(self.asked | (not self.given))

    def true_places(self, endpoint: Endpoint) -> np.ndarray:
        """Return the places of the grid that an endpoint of true values reads.

        What follows a course sees all of them, what counts values only those that the
        sheet asks for. In between are lines that are laid through the values that there
        are: if the sheet gives a grid, through those.
        """
        counts = endpoint.confirmed and endpoint.confirmed_by == "values"
        lines = endpoint.kind.between != "nothing" and not counts
        everywhere = endpoint.follows or (lines and not self.given)
        return np.flatnonzero(self.asked | everywhere)

    def nominal(self, places: np.ndarray, precision: np.dtype) -> np.ndarray:
        """Return the times of the grid [h], those after a dose a trifle later.

        So they are no part of a span that ends with the dose, and of no baseline.
        """
        time = self.grid[places]
        trifle = 256 * float(np.finfo(precision).eps) * np.maximum(np.abs(time), 1.0)
        return np.where(self.after[places], time + trifle, time)

    def course(self, places: np.ndarray) -> Course:
        """Return which true values at places of the grid lie in one smooth stretch."""
        return course_of(
            rounded(self.grid[places]),
            self.after[places],
            knots=self.knots.time,
            dose=self.knots.dose,
            occasion=self.knots.occasion,
        )

    @property
    def after(self) -> np.ndarray:
        """Which times of the grid are after the dose at them."""
        return self.rank[self.planned.size :] == AFTER_DOSE

    def counts(self) -> list[tuple[str, int]]:
        """Count each visit's times."""
        return [(name, self.visits.count(name)) for name in dict.fromkeys(self.visits)]


def observation_times(protocol: Protocol) -> ObservationTimes:
    """Lay out the observations of a protocol."""
    entries = [(v, t) for v in protocol.visits for t in v.times]
    sides = [AFTER_DOSE if v.after_dose else BEFORE_DOSE for v, _ in entries]
    grid = np.array(protocol.grid, float)
    asked = np.ones(grid.size, bool)
    asked[list(protocol.added)] = False
    last = protocol.grid[-1] if protocol.grid else 0.0
    twice = np.diff(grid, prepend=-np.inf) == 0
    sides += np.where(twice, AFTER_DOSE, BEFORE_DOSE).tolist()
    return ObservationTimes(
        visits=tuple(v.name for v, _ in entries),
        planned=np.array([t for _, t in entries], float),
        window=np.array([v.window for v, _ in entries], float),
        grid=grid,
        asked=asked,
        given=protocol.given,
        knots=knots_of(
            protocol.arms, protocol.visits, protocol.occasions, protocol.model, last
        ),
        rank=np.array(sides, int),
        occasions=np.array(protocol.occasions, float),
    )


def draws(
    keys: Key[Array, " subject"], purpose: str, count: int, kind: object
) -> Float[Array, "subject count"]:
    """Draw `count` numbers for each subject; the n-th has a key of its own."""

    def one(key: Key[Array, ""]) -> Float[Array, " count"]:
        named = purpose_key(key, purpose)
        places = jnp.arange(count)
        return jax.vmap(lambda n: kind(jax.random.fold_in(named, n)))(places)  # type: ignore[operator]

    return jax.vmap(one)(keys)

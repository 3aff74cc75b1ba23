r"""Endpoints of a crowd as smooth functions of the variables, with their slopes.

A response $y = 1$ where a number $n$ is below a limit $b$ has no slope. In its place
stands

$$ y_w = \sigma\left(\frac{b - n}{w}\right), \qquad \sigma(x) = \frac{1}{1 + e^{-x}}, $$

the probability that $n$ with a logistic error of scale $w$ is below it: for $w \to 0$
it is the response itself. Slopes are taken forwards through the solver, one direction a
variable, for there are few.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from vtrial.cohort.subjects import Subjects
from vtrial.dims import DOSE
from vtrial.dosing.doses import Doses
from vtrial.dosing.schedule import schedule_of
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import Outcome, combined
from vtrial.observe.bringing import brought, padded, periods_of
from vtrial.observe.departure import hazards_of, numbers_of
from vtrial.observe.ends import stopped_under
from vtrial.observe.measuring import (
    Who,
    covariates_asked,
    leaving,
    measure,
    outcomes_of,
    share_attended,
)
from vtrial.observe.scheme import Scheme
from vtrial.observe.series import planned_ledger
from vtrial.optimise.leaves import VARIED, named
from vtrial.optimise.problem import Lines, Problem
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.solver.program import Program, compile_program
from vtrial.types import TAKEN, Status

CHUNK = 512  # people who are simulated together
RTOL = (
    1e-8  # steps suit the solution, and slopes by the length of an infusion need finer
)


class Looked(NamedTuple):
    """What is seen of people under a candidate; NaN where somebody was not solved.

    Fields
    ------
    smooth
        (subject, endpoint) With responses smoothed, of all `Problem.needed`.
    slope
        (subject, endpoint, variable) Of that, by each variable; None if not asked for.
    hard
        (subject, endpoint) As they are.
    number
        (subject, endpoint) What responses are made of.
    """

    smooth: Float[np.ndarray, "subject endpoint"]
    slope: Float[np.ndarray, "subject endpoint variable"] | None
    hard: Float[np.ndarray, "subject endpoint"]
    number: Float[np.ndarray, "subject endpoint"]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The endpoints that are asked for, of people under any candidate.

    Everything is data: variables, widths, people, seed. Only a number of people that
    needs other chunks compiles anew.
    """

    problem: Problem
    lines: Lines

    def look(
        self,
        point: Sequence[float],
        people: Subjects,
        *,
        seed: int,
        widths: Float[np.ndarray, " endpoint"],
        slopes: bool = True,
    ) -> Looked:
        """Return what is seen of people at values of the variables."""
        count = int(people.subject.size)
        chunk = min(CHUNK, count)
        at = jnp.asarray(np.asarray(point, float))
        wide, number = jnp.asarray(widths), jnp.asarray(np.int64(seed))
        go = self.sloped if slopes else self.plain
        parts = []
        for begin in range(0, count, chunk):
            rows = padded(np.arange(begin, min(begin + chunk, count)), chunk)
            some = jax.tree.map(lambda v: v[rows], people)  # noqa: B023 (used at once)
            parts.append(jax.tree.map(np.asarray, go(at, wide, some, number)))
        joined = [np.concatenate(part)[:count] for part in zip(*parts, strict=True)]
        smooth, hard, raw, *slope = joined
        return Looked(smooth, slope[0] if slope else None, hard, raw)

    @functools.cached_property
    def plain(self):  # noqa: ANN201
        """Compile what is seen, without slopes."""

        def find(
            at: Array, widths: Array, people: Subjects, seed: Array
        ) -> tuple[Array, ...]:
            smooth, (hard, raw) = self._seen(at, widths, people, seed)
            return smooth, hard, raw

        return jax.jit(find)

    @functools.cached_property
    def sloped(self):  # noqa: ANN201
        """Compile what is seen, with slopes."""

        def find(
            at: Array, widths: Array, people: Subjects, seed: Array
        ) -> tuple[Array, ...]:
            def both(at: Array) -> tuple[Array, tuple[Array, ...]]:
                smooth, (hard, raw) = self._seen(at, widths, people, seed)
                return smooth, (smooth, hard, raw)

            slope, (smooth, hard, raw) = jax.jacfwd(both, has_aux=True)(at)
            return smooth, hard, raw, slope

        return jax.jit(find)

    def _seen(
        self,
        at: Float[Array, " variable"],
        widths: Float[Array, " endpoint"],
        people: Subjects,
        seed: Int[Array, ""],
    ) -> tuple[Float[Array, "subject endpoint"], tuple[Array, Array]]:
        """Return smooth outcomes, and beside them hard ones and their numbers."""
        raw, who = self._numbers(at, people, seed)
        names, protocol = self.problem.needed, self.problem.protocol
        wide = dict(zip(names, widths, strict=True))
        smooth, number = _answers(protocol, raw, who.covariates, wide)
        hard, _ = _answers(protocol, raw, who.covariates, dict.fromkeys(names))
        columns = [
            jnp.stack([found[name] for name in names], axis=1)
            for found in (smooth, hard, number)
        ]
        return columns[0], (columns[1], columns[2])

    def _numbers(
        self, at: Float[Array, " variable"], people: Subjects, seed: Int[Array, ""]
    ) -> tuple[dict[str, Outcome], Who]:
        """Return the outcomes of all endpoints before they become responses."""
        protocol, lines, scheme = self.problem.protocol, self.lines, self.scheme
        place = jnp.arange(people.subject.shape[0])
        value = jnp.asarray(lines.origin) + jnp.asarray(lines.slope) @ at
        numbers = {
            VARIED.format(k): value[k].reshape(1) for k in range(lines.origin.size)
        }
        borne = brought(protocol, self.arm, numbers, people, place, seed)
        doses = self._moved(borne.doses, at)
        taken = scheme.schedule.taken(borne.keys)
        several = any(one.ndim == 2 for one in borne.inputs.values())
        path = self.program.solve(
            borne.inputs,
            doses,
            scheme.schedule.times(taken),
            periods=periods_of(protocol) if several else None,
        )
        who = self._who(people, borne.keys)
        count = place.size
        truth = {
            name: jnp.broadcast_to(one, (count, one.shape[1]))
            for name, one in path.outputs.items()
        }
        solved = (path.status == Status.SOLVED)[:, None]
        truth = {k: jnp.where(solved, v, jnp.nan) for k, v in truth.items()}
        left = leaving(protocol, scheme.schedule, truth, who)
        noisy = measure(protocol, scheme.schedule, truth, taken, who, left.time)
        given = borne.given or planned_ledger(doses, count)
        kept = jnp.isin(given.reason, jnp.asarray(TAKEN)) & jnp.isfinite(given.time)
        ledger = {DOSE: (given.time, jnp.where(kept, given.amount, jnp.nan))}
        stopped = stopped_under(protocol, self.problem.arm, borne.keys, given, None)
        who = who._replace(stopped=stopped)
        found = outcomes_of(
            self.bare, scheme.schedule, taken, noisy, truth, who, left, ledger
        )
        names = [point.name for point in self.bare.endpoints]
        return dict(zip(names, found, strict=True)), who

    def _moved(self, doses: Doses, at: Float[Array, " variable"]) -> Doses:
        """Move doses to their times at values of the variables."""
        lines = self.lines
        if not lines.moves:
            return doses
        begun = jnp.asarray(np.asarray(self.problem.start, float))
        step = (at - begun)[None, :]
        time = doses.time + jnp.sum(jnp.asarray(lines.time_slope) * step, axis=1)[None]
        gap = (
            doses.interval + jnp.sum(jnp.asarray(lines.gap_slope) * step, axis=1)[None]
        )
        return doses._replace(time=time, interval=gap)

    def _who(self, people: Subjects, keys: Key[Array, " subject"]) -> Who:
        """Return who they are, to those who measure."""
        protocol = self.problem.protocol
        arm = self.problem.arm
        return Who(
            keys,
            jnp.asarray(hazards_of(protocol, arm.name)),
            jnp.asarray(numbers_of(protocol)),
            {name: people.covariates[name] for name in covariates_asked(protocol)},
            None,
            share_attended(protocol, arm),
        )

    @functools.cached_property
    def scheme(self) -> Scheme:
        """When is looked."""
        return Scheme(self.problem.protocol)

    @functools.cached_property
    def schedule(self):  # noqa: ANN201
        """Which kinds of doses there are."""
        return schedule_of(self.problem.arm.regimen)

    @functools.cached_property
    def program(self) -> Program:
        """What solves."""
        protocol = self.problem.protocol
        numerics = protocol.numerics
        if numerics.precision == 64:
            finer = min(numerics.rtol, RTOL)
            shrunk = numerics.atol * finer / numerics.rtol
            numerics = replace(numerics, rtol=finer, atol=shrunk)
        return compile_program(protocol.model, self.schedule, numerics)

    @functools.cached_property
    def arm(self) -> Arm:
        """The arm with names in the place of what varies."""
        places = {place: k for k, place in enumerate(self.lines.varied)}
        return named(self.problem.arm, places)

    @functools.cached_property
    def bare(self) -> Protocol:
        """The protocol with endpoints that are numbers, not yet responses."""
        protocol = self.problem.protocol
        needed = self.problem.needed
        made = [one for one in protocol.endpoints if one.name in needed]
        made = [one for one in made if one.equals is None]
        points = tuple(replace(one, below=None, above=None) for one in made)
        return replace(protocol, endpoints=points)


def _answers(
    protocol: Protocol,
    raw: Mapping[str, Outcome],
    covariates: Mapping[str, Float[Array, " subject"]],
    widths: Mapping[str, Float[Array, ""] | None],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the outcomes of endpoints, and the numbers that they are made of.

    Responses are smooth where there is a width.
    """
    found: dict[str, Outcome] = {}
    numbers: dict[str, Array] = {}
    for point in protocol.endpoints:
        if point.name not in widths:
            continue
        made = raw.get(point.name)
        if made is None:
            bare = replace(point, below=None, above=None)
            made = combined(bare, found, covariates)
        numbers[point.name] = made.outcome
        answer = respond(point, made.outcome, widths[point.name])
        found[point.name] = made._replace(outcome=answer)
    return {name: one.outcome for name, one in found.items()}, numbers


def respond(
    point: Endpoint,
    number: Float[Array, " subject"],
    width: Float[Array, ""] | None,
) -> Float[Array, " subject"]:
    """Return a response; smooth if there is a width, a number as it is.

    Examples
    --------
    >>> point = Endpoint("low", of="x", take="minimum", start=0.0, end=1.0, below=0.5)
    >>> respond(point, jnp.array([0.4, 0.5]), jnp.asarray(0.1)).round(3).tolist()
    [0.731, 0.5]
    """
    if not point.binary:
        return number
    known = jnp.isfinite(number)
    safe = jnp.where(known, number, 0.0)
    if width is None:
        answer = jnp.ones_like(safe)
        if point.below is not None:
            answer = jnp.where(safe < point.below, answer, 0.0)
        if point.above is not None:
            answer = jnp.where(safe > point.above, answer, 0.0)
        return jnp.where(known, answer, jnp.nan)
    answer = jnp.ones_like(safe)
    if point.below is not None:
        answer = jax.nn.sigmoid((point.below - safe) / width)
    if point.above is not None:
        answer -= jax.nn.sigmoid((point.above - safe) / width)
    return jnp.where(known, answer, jnp.nan)

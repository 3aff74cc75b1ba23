"""Screening: who is let in on what is measured before treatment, or after a run-in.

Candidates for a subject's place are drawn turn by turn, each with a key of its own,
until one is let in. They are drawn, solved and measured `WIDTH` at a time, so that no
number depends on how many there are; where few places are open, several turns are
looked at together.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.draw import sample
from vtrial.cohort.subjects import WIDTH, Subjects
from vtrial.dosing.doses import BEFORE_DOSE, no_doses
from vtrial.errors import Fault, ProtocolError
from vtrial.model.grammar import write_expression
from vtrial.model.residual import measured
from vtrial.model.tree import evaluate
from vtrial.observe.observation_times import ObservationTimes, observation_times
from vtrial.observe.residual_draws import residual_normals
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.observe.sites import with_sites
from vtrial.program_cache import kept
from vtrial.protocol.eligible import Eligible
from vtrial.protocol.protocol import Protocol, Visit
from vtrial.solver.host import simulate
from vtrial.types import Status

OWN = "measured for eligible"  # where no visit measures it
Qualify = Callable[[Subjects, Int[np.ndarray, " candidate"]], np.ndarray]
PILOT = 5  # times `WIDTH` candidates, of whom `LEAST` are to be let in
LEAST = 10


@dataclass(frozen=True, eq=False, repr=False)
class Screening:
    """Who is let in, as compiled code sees it; equal where it is compiled alike."""

    protocol: Protocol
    eligible: Eligible

    @functools.cached_property
    def name(self) -> str:
        """Name all that decides what is traced."""
        condition = write_expression(self.eligible.condition)
        return f"{Scheme(self.protocol).name} {condition} {self.eligible.time!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Screening) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name

    @functools.cached_property
    def visits(self) -> ObservationTimes:
        """When the trial measures."""
        return observation_times(self.protocol)

    @functools.cached_property
    def own(self) -> ObservationTimes:
        """When is screened: one time, and the first of the trial, if earlier."""
        time = self.eligible.time
        first = min([time, *(t for v in self.protocol.visits for t in v.times)])
        visit = Visit(OWN, (time,), measure=self.eligible.outputs)
        alone = replace(
            self.protocol, visits=(visit,), grid=(first,), added=(), endpoints=()
        )
        return observation_times(alone)

    def measuring(self, output: str) -> tuple[ObservationTimes, int]:
        """Return whose draws an output's error has, and the place of its time there.

        A visit at the time of screening measures the same sample.
        """
        plan, visits = self.visits, {v.name: v for v in self.protocol.visits}
        for place, name in enumerate(plan.visits):
            exact = plan.planned[place] == self.eligible.time and not plan.window[place]
            before = plan.rank[place] == BEFORE_DOSE
            if exact and before and output in visits[name].measure:
                return plan, place
        return self.own, 0


def enrolled(
    protocol: Protocol,
    cohort: Cohort,
    *,
    seed: int,
    replicate: Int[np.ndarray, " subject"],
    number: Int[np.ndarray, " subject"],
    qualify: Qualify | None = None,
    wide: int = WIDTH,
) -> Subjects:
    """Draw subjects by identity, each the first candidate for its place who is let in.

    A candidate whose baseline cannot be solved is let in, and counted as failed then.
    `qualify` says who of some candidates, by their places, is randomised after a
    run-in; it looks at `wide` of them together.

    Raises
    ------
    ProtocolError
        If almost nobody is let in.
    """
    if protocol.eligible is None and qualify is None:
        return _drawn(protocol, cohort, seed, replicate, number)
    asked = _asked(protocol, seed, qualify)
    turn = np.zeros(number.size, np.int64)
    screened = np.zeros(number.size, np.int64)
    left, seen, let_in = np.arange(number.size), 0, 0
    while left.size:
        deep = max(1, wide // left.size)
        rows = np.repeat(left, deep)
        turns = turn[rows] + np.tile(np.arange(deep), left.size)
        who = (replicate[rows], number[rows], turns)
        fit, tried = _screened(protocol, cohort, seed, asked, *who)
        seen, let_in = seen + fit.size, let_in + int(fit.sum())
        fit, tried = fit.reshape(-1, deep), tried.reshape(-1, deep)
        found = fit.any(axis=1)
        last = np.where(found, fit.argmax(axis=1), deep - 1)
        turn[left] += np.where(found, last, deep)
        upto = np.arange(deep)[None, :] <= last[:, None]
        screened[left] += np.where(upto, tried, 0).sum(axis=1)
        left = left[~found]
        if (
            left.size
            and seen >= PILOT * WIDTH
            and let_in * PILOT * WIDTH < LEAST * seen
        ):
            raise ProtocolError.of([scarce(protocol, let_in, seen)])
    people = _drawn(protocol, cohort, seed, replicate, number, turn)
    return people._replace(screened=jnp.asarray(screened))


def share_let_in(protocol: Protocol, cohort: Cohort) -> tuple[int, int]:
    """Screen candidates of replicate 0; return how many are let in, of how many.

    Some thousand are screened where few are let in, or a thousand where many are.
    """
    assert protocol.eligible is not None, "everybody is let in"
    asked, found, seen = _asked(protocol, protocol.seed), 0, 0
    for start in range(0, PILOT * WIDTH, WIDTH):
        number = np.arange(start, start + WIDTH)
        none = np.zeros_like(number)
        fit, _ = _screened(protocol, cohort, protocol.seed, asked, none, number, none)
        found, seen = found + int(fit.sum()), seen + WIDTH
        if found >= LEAST:
            break
    return found, seen


def scarce(protocol: Protocol, found: int, screened: int) -> Fault:
    """Describe a condition, or a run-in, that (almost) no candidate meets."""
    asked, eligible, run_in = [], protocol.eligible, protocol.run_in
    if eligible is not None:
        asked.append(f"`{write_expression(eligible.condition)}`")
    if run_in is not None:
        asked.append(f"`{run_in.endpoint}`")
    return Fault(
        at="eligible" if eligible is not None else "run in",
        found=f"{' and '.join(asked)}, met by {found} of "
        f"{screened} people screened ({found / screened:.2%})",
        allowed=f"met by more than {LEAST / (PILOT * WIDTH):.1%} of the cohort",
        write="",
    )


def _drawn(
    protocol: Protocol,
    cohort: Cohort,
    seed: int,
    replicate: Int[np.ndarray, " subject"],
    number: Int[np.ndarray, " subject"],
    turn: Int[np.ndarray, " subject"] | None = None,
) -> Subjects:
    """Draw candidates by identity and turn; nothing is measured."""
    people = sample(
        cohort,
        protocol.model,
        seed=seed,
        replicate=replicate,
        subject=number,
        occasions=len(protocol.occasions),
        uncertainty=protocol.uncertainty,
        turn=turn,
    )
    if protocol.design.sites is not None:
        people = with_sites(
            people, protocol, cohort, seed=seed, replicate=replicate, number=number
        )
    return people.without_effects() if protocol.random_effects == "off" else people


def _asked(
    protocol: Protocol, seed: int, qualify: Qualify | None = None
) -> list[Qualify]:
    """Return what candidates are to meet, in this order."""
    found: list[Qualify] = []
    if protocol.eligible is not None:
        screening = Screening(protocol, protocol.eligible)

        def let_in(people: Subjects, places: Int[np.ndarray, " _"]) -> np.ndarray:
            return np.asarray(_let_in(screening, people, seed))[places]

        found.append(let_in)
    return [*found, *([qualify] if qualify is not None else [])]


def _screened(
    protocol: Protocol,
    cohort: Cohort,
    seed: int,
    asked: Sequence[Qualify],
    replicate: Int[np.ndarray, " candidate"],
    number: Int[np.ndarray, " candidate"],
    turn: Int[np.ndarray, " candidate"],
) -> tuple[Bool[np.ndarray, " candidate"], Int[np.ndarray, " candidate"]]:
    """Return who is let in, and at which attempt the cohort gave each of them."""
    count = number.size
    who = np.pad(
        np.stack([replicate, number, turn]), ((0, 0), (0, -count % WIDTH)), mode="edge"
    )
    fit, tried = [], []
    for start in range(0, who.shape[1], WIDTH):
        some = who[:, start : start + WIDTH]
        people = _drawn(protocol, cohort, seed, *some)
        met, places = np.zeros(WIDTH, bool), np.arange(min(WIDTH, count - start))
        for meet in asked:
            places = places[meet(people, places)]
        met[places] = True
        fit.append(met)
        tried.append(np.asarray(people.screened))
    return np.concatenate(fit)[:count], np.concatenate(tried)[:count]


def _let_in(
    screening: Screening, people: Subjects, seed: int
) -> Bool[Array, " candidate"]:
    """Solve `WIDTH` candidates without treatment, measure them, and decide."""
    protocol, own = screening.protocol, screening.own
    known = set(protocol.model.inputs)
    inputs = {k: v for k, v in people.inputs().items() if k in known}
    columns = any(value.ndim == 2 for value in inputs.values())
    starts = jnp.asarray([-jnp.inf, *protocol.occasions[1:]])[None, :]
    path = simulate(
        protocol.model,
        inputs,
        no_doses(),
        own.times(jnp.asarray(own.planned)[None, :]),
        periods=starts if columns else None,
        numerics=protocol.numerics,
        real=WIDTH,
    )
    truth = {
        name: jnp.broadcast_to(value[:, :1], (WIDTH, 1))
        for name, value in path.outputs.items()
    }
    status = jnp.broadcast_to(path.status, (WIDTH,))
    return _decided(screening, truth, status, people, np.int64(seed))


@functools.partial(kept, static=1, makers=MAKERS)
def _decided(
    screening: Screening,
    truth: dict[str, Float[Array, "candidate 1"]],
    status: Int[Array, " candidate"],
    people: Subjects,
    seed: Int[Array, ""],
) -> Bool[Array, " candidate"]:
    """Measure candidates and return who meets the condition, or failed."""
    model, eligible = screening.protocol.model, screening.eligible
    keys = people.keys(seed, jnp.arange(status.size))
    values: dict[str, Array] = dict(people.covariates)
    failed = status != Status.SOLVED
    for output in model.outputs:
        if output.name not in eligible.outputs:
            continue
        plan, place = screening.measuring(output.name)
        here = slice(place, place + 1)
        normal = residual_normals(model, plan, keys, output.name)
        more = output.error.draws_more
        seen = measured(
            output,
            truth[output.name],
            normal[:, here].astype(truth[output.name].dtype),
            computed={name: truth[name] for name in output.error.computed},
            keys=plan.residual_keys(keys, output.name)[:, here] if more else None,
        )
        values[output.name] = seen[:, 0].astype(float)
        failed |= ~jnp.isfinite(seen[:, 0])
    met = jnp.asarray(evaluate(eligible.condition, values)) > 0
    return jnp.broadcast_to(met, failed.shape) | failed

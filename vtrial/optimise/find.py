"""The verb: from a protocol that says what may vary to the regimen that is best."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from vtrial.conduct.plan import plan
from vtrial.conduct.progress import tell as say
from vtrial.errors import ProtocolError
from vtrial.optimise.aims import Worth, holds, rank, worth_of
from vtrial.optimise.bayesian import search_real
from vtrial.optimise.crowd import People
from vtrial.optimise.descent import Descent, Try, written
from vtrial.optimise.front import FrontPoint, front_of, undominated
from vtrial.optimise.optimum import Optimum, write_optimum
from vtrial.optimise.problem import Point, Problem
from vtrial.optimise.real import WIDER, neighbours, ranked
from vtrial.optimise.surrogate import Surrogate
from vtrial.optimise.tables import (
    candidate_table,
    course_table,
    front_table,
    verification_table,
)
from vtrial.protocol.protocol import Protocol

MOST_VERIFIED = 8

Tell = Callable[[str], None]


Ranked = list[tuple[Point, Worth]]


class Searched(NamedTuple):
    """What a search has found: its course, its front, and where to look around.

    `around` gives real candidates so many values to either side, the best first.
    """

    around: Callable[[int], Ranked]
    tried: list[Try]
    front: list[FrontPoint]


def find_regimen(
    protocol: Protocol,
    *,
    out: str | Path | None = None,
    search: int | None = None,
    verify: int | None = None,
    tell: Tell = say,
) -> Optimum:
    """Find the values of a protocol's variables that its `optimise` asks for.

    Every candidate is looked at on the same people with the same random numbers. Where
    there is a gradient the search goes by it, through smooth surrogates of responses;
    otherwise it is a Bayesian optimisation over real values. Real neighbours of where
    it ends are compared on the same people without smoothing, and then verified on
    fresh people, in the order of their worth, until one keeps to all limits.

    Parameters
    ----------
    out
        A folder to write the result to; nowhere if left out.
    search, verify
        How many subjects there are, instead of the sheet's numbers.
    tell
        What is called with a line about each step.

    Raises
    ------
    ProtocolError
        If the protocol does not say what is optimised, cannot be run, or asks for a
        gradient where there is none.
    """
    problem = _problem(protocol, {"search": search, "verify": verify})
    asked = problem.asked
    people, fresh = People(problem, asked.search), People(problem, asked.verify)
    why = problem.why_not
    if asked.by == "gradient" and why:
        raise ProtocolError(
            at="optimise.by",
            found=f"`gradient`, though {why}",
            allowed="`Bayesian`, or left out",
            write="Bayesian",
        )
    smooth = not why and asked.by != "Bayesian"
    tell(f"search by {'gradient' if smooth else f'Bayesian optimisation: {why}'}")
    go = _by_gradient if smooth else _without_gradient
    found = go(problem, people, fresh, tell)
    order, verified, point = _verified(problem, found.around, fresh, tell)
    searched = dict(order)[point]
    made = Optimum(
        protocol=problem.at(point),
        arm=asked.arm,
        values={
            one.name: one.written(value)
            for one, value in zip(problem.variables, point, strict=True)
        },
        point=point,
        holds=holds(asked.limits, verified[point]),
        by=_words(smooth, why),
        course=course_table(problem, found.tried),
        candidates=candidate_table(problem, order, verified),
        verification=verification_table(problem, searched, verified[point]),
        front=front_table(problem, found.front),
        digest=_digest(problem),
    )
    if out is not None:
        write_optimum(made, Path(out))
    return made


def _problem(protocol: Protocol, subjects: Mapping[str, int | None]) -> Problem:
    """Hold a protocol against its model and cohort; settle who is simulated."""
    if protocol.optimisation is None:
        raise ProtocolError(
            at="optimise",
            found="missing",
            allowed="a sheet that says what varies and what is aimed at: "
            "docs/optimise.md",
            write="optimise: {vary: {...}, maximise: ENDPOINT}",
        )
    cohort = plan(protocol).cohort
    asked = protocol.optimisation
    crowds = {
        name: replace(getattr(asked, name), **({"subjects": many} if many else {}))
        for name, many in subjects.items()
    }
    crowds = {
        name: crowd.settled(uncertain=protocol.uncertain)
        for name, crowd in crowds.items()
    }
    whole = replace(protocol, optimisation=replace(asked, **crowds))
    return Problem(whole, cohort)


def _by_gradient(
    problem: Problem, people: People, fresh: People, tell: Tell
) -> Searched:
    """Search by gradient, round, and find the front."""
    assert problem.lines is not None, "there is a gradient"
    descent = Descent(problem, Surrogate(problem, problem.lines), people)
    end = descent.search(tell)
    tried = list(descent.tried)
    known: dict[Point, Worth] = {}

    def around(reach: int) -> Ranked:
        for point in neighbours(problem, end, reach):
            if point not in known:
                known[point] = descent.hard(point)
        return ranked(problem, known)

    front = front_of(descent, end, fresh, tell) if problem.asked.front else []
    return Searched(around, tried, front)


def _without_gradient(
    problem: Problem, people: People, fresh: People, tell: Tell
) -> Searched:
    """Search among real candidates, of whom the front is what no other beats."""
    tried, known = search_real(problem, people, tell)
    front = []
    if problem.asked.front is not None:
        every = [FrontPoint(point, one, one) for point, one in known.items()]
        kept = undominated(problem, every)[: problem.asked.front.points]
        for one in kept:
            values = fresh.observe(one.point)
            front.append(
                one._replace(verified=worth_of(problem, values, fresh.replicate))
            )
    return Searched(lambda _: ranked(problem, known), tried, front)


def _verified(
    problem: Problem, around: Callable[[int], Ranked], fresh: People, tell: Tell
) -> tuple[Ranked, dict[Point, Worth], Point]:
    """Verify candidates in their order until one holds; return all, and which it is.

    Only those are verified that hold on the people of the search. Where none does on
    fresh ones it is looked further around; in the end it is the one that oversteps the
    least.
    """
    found: dict[Point, Worth] = {}
    order: Ranked = []
    for reach in range(WIDER + 1):
        order = around(reach)
        for point, before in order:
            kept = holds(problem.asked.limits, before)
            if point in found or not kept or len(found) == MOST_VERIFIED:
                continue
            found[point] = worth_of(problem, fresh.observe(point), fresh.replicate)
            kept = holds(problem.asked.limits, found[point])
            verdict = "holds" if kept else "does not hold"
            tell(f"{written(problem, point)} on fresh people: {verdict}")
            if kept:
                return order, found, point
    if not found:  # nobody keeps to the limits on the people of the search, either
        nearest = order[0][0]
        found[nearest] = worth_of(problem, fresh.observe(nearest), fresh.replicate)
    return order, found, min(found, key=lambda one: rank(problem, found[one]))


def _words(smooth: bool, why: str) -> str:
    """Say how was searched."""
    if smooth:
        return "gradient"
    return f"Bayesian: {why}" if why else "Bayesian: as the sheet asks"


def _digest(problem: Problem) -> str:
    """Name all that the result is made of."""
    parts = [problem.protocol.digest, problem.cohort.digest, repr(problem.asked)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

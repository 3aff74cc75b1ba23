"""Sampling times and doses of which one learns most, by exchange.

One time after another is exchanged for the candidate that raises the criterion most,
and one dose after another, until no exchange does. The equations are solved once for
each group and dose, at all candidates.

References
----------
Fedorov VV (1972) Theory of Optimal Experiments. Academic Press, New York.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.model.model import Model
from vtrial.optimise.fisher import (
    Asked,
    Information,
    Rows,
    check_group,
    estimated,
    information,
    rows_of,
)
from vtrial.optimise.gain import Cloud, cloud_of, gain_in
from vtrial.protocol.sampling import Form, Group, Real

MOST_ROUNDS = 100
LEAST = 1e-10  # by which an exchange must raise the criterion

Matrix = Float[np.ndarray, "*draw parameter parameter"]
Told = Callable[[Sequence[int]], Matrix]


class Sight(NamedTuple):
    """What a group tells if it is given one dose, at any of the candidate times.

    Fields
    ------
    group
        With the dose, and all candidates for times.
    where
        Output and time [h] of each candidate.
    mean
        What is typically seen there.
    of
        The information of all its subjects at some candidates.
    """

    group: Group
    where: tuple[tuple[str, float], ...]
    mean: Float[np.ndarray, " candidate"]
    of: Told


class Chosen(NamedTuple):
    """A group's dose and times, as places among sights and candidates."""

    dose: int
    times: tuple[int, ...]


def optimal_times(
    model: Model,
    group: Group,
    *,
    candidates: Mapping[str, Sequence[Real]],
    known: Sequence[str] = (),
    form: Form = "reduced",
) -> tuple[Group, Information]:
    """Return the times among candidates of which one learns most (D-optimal).

    Parameters
    ----------
    candidates
        [h] Times that may be chosen, by output; each at most once.
    """
    sights = determinant_sights(model, [group], candidates, known=known, form=form)
    (found,) = exchange(sights, [group], log_determinant)
    return found, information(model, [found], known=known, form=form)


def determinant_sights(
    model: Model,
    groups: Sequence[Group],
    candidates: Mapping[str, Sequence[Real]],
    *,
    doses: Sequence[str] = (),
    known: Sequence[str] = (),
    form: Form = "reduced",
) -> list[list[Sight]]:
    """Return for each group and dose what it tells by Fisher's information."""
    asked = Asked(model, estimated(model, known))

    def sight(group: Group) -> Sight:
        rows = rows_of(model, group, asked.parameters, form)

        def of(places: Sequence[int]) -> Matrix:
            some = Rows(*(part[list(places)] for part in rows))
            return group.subjects * asked.of(some, form)

        return Sight(group, _where(group), rows.mean, of)

    return _sights(model, groups, candidates, doses, sight)


def gain_sights(
    model: Model,
    groups: Sequence[Group],
    candidates: Mapping[str, Sequence[Real]],
    *,
    doses: Sequence[str] = (),
    cloud: Cloud,
) -> list[list[Sight]]:
    """Return for each group and dose what it tells at each draw from the prior."""

    def sight(group: Group) -> Sight:
        seen = cloud_of(model, group, cloud)

        def of(places: Sequence[int]) -> Matrix:
            return group.subjects * seen.information(places)

        return Sight(group, _where(group), seen.mean.mean(axis=0), of)

    return _sights(model, groups, candidates, doses, sight)


def exchange(
    sights: Sequence[Sequence[Sight]],
    groups: Sequence[Group],
    worth: Callable[[Matrix], float],
) -> list[Group]:
    """Return the groups with the doses and times that are worth most.

    Parameters
    ----------
    sights
        Of each group, one a dose; the first is its own dose.
    worth
        Of the information of all groups together.
    """
    chosen = [
        Chosen(0, tuple(mine[0].where.index(one) for one in places_of(group)))
        for mine, group in zip(sights, groups, strict=True)
    ]
    told = [
        mine[one.dose].of(one.times) for mine, one in zip(sights, chosen, strict=True)
    ]
    best = worth(sum(told[1:], told[0]))
    for _ in range(MOST_ROUNDS):
        before = best
        for place, mine in enumerate(sights):
            rest = sum(told[:place] + told[place + 1 :], np.zeros_like(told[place]))
            best, chosen[place] = _better(mine, chosen[place], rest, worth, best)
            told[place] = mine[chosen[place].dose].of(chosen[place].times)
        if best <= before + LEAST:
            break
    return [
        _group(mine[one.dose], one) for mine, one in zip(sights, chosen, strict=True)
    ]


def log_determinant(matrix: Matrix) -> float:
    """Return what D-optimal designs make largest."""
    sign, size = np.linalg.slogdet(matrix)
    return float(size) if sign > 0 else -math.inf


def expected_gain(matrix: Matrix) -> float:
    """Return the information gain that is expected [nats], by Laplace."""
    return gain_in(matrix)[0]


def _better(
    sights: Sequence[Sight],
    chosen: Chosen,
    rest: Matrix,
    worth: Callable[[Matrix], float],
    best: float,
) -> tuple[float, Chosen]:
    """Exchange one group's times and dose, each for what raises the criterion most."""

    def tried(other: Chosen) -> tuple[float, Chosen]:
        return worth(rest + sights[other.dose].of(other.times)), other

    for place in range(len(chosen.times)):
        free = [k for k in range(len(sights[0].where)) if k not in chosen.times]
        swaps = (
            tried(
                Chosen(
                    chosen.dose, (*chosen.times[:place], k, *chosen.times[place + 1 :])
                )
            )
            for k in free
        )
        best, chosen = max([(best + LEAST, chosen), *swaps], key=lambda one: one[0])
        best = tried(chosen)[0]
    doses = (tried(Chosen(dose, chosen.times)) for dose in range(len(sights)))
    return max([(best, chosen), *doses], key=lambda one: one[0])


def _sights(
    model: Model,
    groups: Sequence[Group],
    candidates: Mapping[str, Sequence[Real]],
    doses: Sequence[str],
    sight: Callable[[Group], Sight],
) -> list[list[Sight]]:
    """Make sights of each group: its own dose first, then the others."""
    found = []
    for group in groups:
        check_group(model, group)
        names = dict.fromkeys([*group.times, *candidates])
        pool = {
            name: sorted(
                {
                    *map(float, group.times.get(name, ())),
                    *map(float, candidates.get(name, ())),
                }
            )
            for name in names
        }
        every = [
            Group(dose, pool, group.subjects, group.covariates)
            for dose in dict.fromkeys([group.dose, *doses])
        ]
        for one in every:
            check_group(model, one)
        found.append([sight(one) for one in every])
    return found


def _where(group: Group) -> tuple[tuple[str, float], ...]:
    """List what is measured when, in the order of rows."""
    return tuple(
        (name, time)
        for name, found in group.times.items()
        for time in sorted(map(float, found))
    )


def places_of(group: Group) -> list[tuple[str, float]]:
    """List what a group measures, each once."""
    return list(dict.fromkeys(_where(group)))


def _group(sight: Sight, chosen: Chosen) -> Group:
    """Return the group that is given one dose and measured at the chosen times."""
    where = [sight.where[place] for place in chosen.times]
    times = {
        name: tuple(sorted(time for other, time in where if other == name))
        for name in sight.group.times
    }
    group = sight.group
    return Group(group.dose, times, group.subjects, group.covariates)

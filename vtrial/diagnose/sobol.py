"""Sensitivity of an endpoint to what makes a subject, by simulation.

Two samples of subjects are drawn, and simulated with the factors of the one put into
the other, one factor at a time (first-order and total Sobol indices); and a typical
subject with one factor at a time at its 5 and 95 % quantile (a tornado).

References
----------
Sobol IM (2001) Math Comput Simul 55:271-280.
Jansen MJW (1999) Comput Phys Commun 117:35-43 (estimators).
Saltelli A et al. (2010) Comput Phys Commun 181:259-270 (design).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.prior import derived_anew
from vtrial.cohort.sheet import load_cohort
from vtrial.cohort.subjects import Subjects
from vtrial.cohort.tie import tied
from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.protocol.analysis import Analysis
from vtrial.protocol.design import Dropout
from vtrial.protocol.evidence import Evidence
from vtrial.protocol.protocol import Protocol
from vtrial.sheets.words import listed, nearest

COLUMNS = [
    "factor",
    "kind",
    "first",
    "first_error",
    "total",
    "total_error",
    "low",
    "high",
    "at_low",
    "at_typical",
    "at_high",
]
CHANCE = "chance"
TAILS = (0.05, 0.95)
OTHER_SEED = 0x5EED
Values = Float[np.ndarray, " subject"]


class Factor(NamedTuple):
    """What is changed together: fields of Subjects (`covariates`, ...) and names."""

    name: str
    kind: str
    names: tuple[str, ...]


def sensitivity(
    protocol: Protocol, endpoint: str, *, arm: str = "", subjects: int = 1000
) -> pd.DataFrame:
    """Return which factors an endpoint is sensitive to, under one arm.

    Parameters
    ----------
    arm
        The first one if left out.
    subjects
        Of each of both samples; a factor costs as many more.

    Returns
    -------
    A row a factor, the most influential first. `first` is the share of the variance
    that goes with the factor alone, `total` the share with it and all that it
    interacts with, each with its standard error. `at_low` and `at_high` are the number
    of a typical subject, without residual error, with the factor at `low` and `high`,
    its 5 and 95 % quantile. Covariates that depend on each other, and random effects
    that are correlated, are one factor with no such ends; derived covariates follow
    those that they are made of. `chance` is all that is drawn
    besides: residual error, visits, events.

    Raises
    ------
    ProtocolError
        If there is no such endpoint or arm.
    """
    arm = arm or protocol.arms[0].name
    _check(protocol, endpoint, arm)
    cohort = load_cohort(protocol.cohort, beside=protocol.path)
    protocol = _alone(protocol, endpoint, subjects)
    trial, other = (
        Trial(replace(protocol, seed=seed), cohort)
        for seed in (protocol.seed, protocol.seed ^ OTHER_SEED)
    )
    number = np.arange(subjects)
    # Each subject is its own replicate, so that parameters are drawn anew for each.
    who = Identity(number, np.zeros_like(number))
    one = trial.drawn(who)
    two = other.drawn(who)._replace(replicate=one.replicate + subjects)
    factors = list(_factors(protocol, cohort, one))
    first, second = (_simulated(trial, people, arm) for people in (one, two))
    rows = []
    for factor in factors:
        mixed = _simulated(trial, _with(trial, one, two, factor), arm)
        rows.append([factor.name, factor.kind, *_indices(first, second, mixed)])
    ends = _tornado(protocol, cohort, one, factors, arm)
    rows = [[*row, *end] for row, end in zip(rows, ends, strict=True)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("total", ascending=False, ignore_index=True)


def _check(protocol: Protocol, endpoint: str, arm: str) -> None:
    """Refuse names that the protocol does not have."""
    for at, name, known in (
        ("the endpoint", endpoint, [p.name for p in protocol.endpoints]),
        ("the arm", arm, [a.name for a in protocol.arms]),
    ):
        if name not in known:
            raise ProtocolError(
                at=at,
                found=f"`{name}`, which {protocol.name} does not have",
                allowed=listed(known) or "one of the protocol's",
                write=nearest(name, known),
            )


def _alone(protocol: Protocol, endpoint: str, subjects: int) -> Protocol:
    """Keep an endpoint and those that it is made of, and none of the trajectories."""
    place = [point.name for point in protocol.endpoints].index(endpoint)
    return replace(
        protocol,
        subjects=subjects,
        replicates=1,
        endpoints=protocol.endpoints[: place + 1],
        analysis=Analysis(),
        evidence=Evidence(),
        keep=replace(protocol.keep, trajectories="nothing", measurements=False),
    )


def _factors(protocol: Protocol, cohort: Cohort, people: Subjects) -> Iterator[Factor]:
    """List what may be changed: what varies, and does not depend on anything else."""
    varies = {
        name: np.ptp(np.asarray(values)) > 0
        for part in (people.covariates, people.parameters, people.effects)
        for name, values in part.items()
    }
    for group in tied(cohort):
        names = tuple(name for name in group if varies[name])
        if names:
            yield Factor(", ".join(names), "covariates", names)
    for block in protocol.model.random:
        etas = tuple(f"eta.{name}" for name in block.names)
        names = tuple(name for name in etas if varies[name])
        if names:
            yield Factor(", ".join(names), "effects", names)
    for name in people.parameters:
        if varies[name]:
            yield Factor(name, "parameters", (name,))
    yield Factor(CHANCE, CHANCE, ())


def _with(trial: Trial, one: Subjects, two: Subjects, factor: Factor) -> Subjects:
    """Put a factor of the second sample into the first."""
    if factor.kind == CHANCE:
        return one._replace(replicate=two.replicate, subject=two.subject)
    others = getattr(two, factor.kind)
    return _changed(trial, one, factor, {name: others[name] for name in factor.names})


def _changed(
    trial: Trial, people: Subjects, factor: Factor, values: dict[str, Array]
) -> Subjects:
    """Change a factor of some subjects; derived covariates follow."""
    made = getattr(people, factor.kind) | values
    if factor.kind == "covariates":
        made = derived_anew(trial.cohort, trial.protocol.model, made)
    return people._replace(**{factor.kind: made})


def _simulated(trial: Trial, people: Subjects, arm: str) -> Values:
    """Return the last endpoint of every subject under an arm."""
    found, step = [], trial.protocol.block
    count = people.subject.size
    for start in range(0, count, step):
        chosen = np.arange(start, min(start + step, count))
        seen = trial.observe(trial.protocol.arm(arm), people, chosen)
        found.append(np.asarray(seen.outcome)[: chosen.size, -1])
    return np.concatenate(found)


def _indices(
    first: Values, second: Values, mixed: Values
) -> tuple[float, float, float, float]:
    """Return first-order and total index, each with its standard error."""
    known = np.isfinite(first) & np.isfinite(second) & np.isfinite(mixed)
    first, second, mixed = first[known], second[known], mixed[known]
    variance = np.concatenate([first, second]).var() if len(first) > 1 else 0.0
    if not variance > 0:
        none = float("nan")
        return none, none, none, none
    alone = (second - mixed) ** 2 / (2 * variance)
    whole = (first - mixed) ** 2 / (2 * variance)
    errors = [float(part.std(ddof=1) / np.sqrt(len(part))) for part in (alone, whole)]
    return 1 - float(alone.mean()), errors[0], float(whole.mean()), errors[1]


def _tornado(
    protocol: Protocol,
    cohort: Cohort,
    people: Subjects,
    factors: list[Factor],
    arm: str,
) -> list[tuple[float, ...]]:
    """Return the ends of each factor that is one number, and the numbers there."""
    trial = Trial(_of_truth(protocol), cohort)
    none = (float("nan"),) * 5
    single = [factor for factor in factors if len(factor.names) == 1]
    typical = _typical(protocol, people)
    covariates = derived_anew(cohort, protocol.model, typical.covariates)
    typical = typical._replace(covariates=covariates)
    columns = [typical] * (1 + 2 * len(single))
    limits = []
    for place, factor in enumerate(single):
        values = np.asarray(getattr(people, factor.kind)[factor.names[0]], float)
        ends = np.quantile(values, TAILS)
        limits.append(ends)
        for side, end in enumerate(ends):
            name = factor.names[0]
            like = getattr(typical, factor.kind)[name]
            changed = {name: jnp.full_like(like, end)}
            at = 1 + 2 * place + side
            columns[at] = _changed(trial, typical, factor, changed)
    found = _simulated(trial, _stacked(columns), arm)
    made = {
        factor.name: (*limits[i], found[1 + 2 * i], found[0], found[2 + 2 * i])
        for i, factor in enumerate(single)
    }
    return [tuple(map(float, made.get(factor.name, none))) for factor in factors]


def _of_truth(protocol: Protocol) -> Protocol:
    """Take endpoints as numbers of true values, not responses, without dropout."""

    def plain(point: Endpoint) -> Endpoint:
        truth = {} if point.equals or point.first_of else {"values": "true"}
        return replace(point, visits=(), **truth)  # type: ignore[arg-type]

    points = [plain(point) for point in protocol.endpoints]
    points[-1] = replace(points[-1], above=None, below=None, grades=())
    design = replace(protocol.design, dropout=Dropout())
    return replace(protocol, endpoints=tuple(points), design=design)


def _typical(protocol: Protocol, people: Subjects) -> Subjects:
    """Return one subject with median covariates, typical parameters and no effects."""
    typical = protocol.model.typical()
    return Subjects(
        replicate=people.replicate[:1],
        subject=people.subject[:1],
        screened=people.screened[:1],
        covariates={k: _median(v) for k, v in people.covariates.items()},
        parameters={k: jnp.full(1, typical[k]) for k in people.parameters},
        effects={k: jnp.zeros_like(v[:1]) for k, v in people.effects.items()},
        classes={k: jnp.full(1, typical[k]) for k in people.classes},
    )


def _median(values: Float[Array, " subject"]) -> Float[Array, "1"]:
    """Return the median as a value that a subject has."""
    return jnp.sort(jnp.asarray(values))[(len(values) - 1) // 2][None]


def _stacked(people: list[Subjects]) -> Subjects:
    """Concatenate subjects."""

    def joined(name: str) -> dict[str, Array]:
        parts = [getattr(one, name) for one in people]
        return {key: jnp.concatenate([part[key] for part in parts]) for key in parts[0]}

    names = ("covariates", "parameters", "effects", "classes")
    fields = {name: joined(name) for name in names}
    replicate, subject, screened = (
        jnp.concatenate([getattr(one, name) for one in people])
        for name in ("replicate", "subject", "screened")
    )
    turns = [one.turn for one in people if one.turn is not None]
    turn = jnp.concatenate(turns) if len(turns) == len(people) else None
    return Subjects(replicate, subject, screened, **fields, turn=turn)

"""A population's predictions: doses in words, people of a cohort, times in words.

It is one arm of a trial without endpoints: people, random effects and residual errors
have the keys that a run gives them, by seed, replicate and subject.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Key

from vtrial.cohort.cohort import Cohort, Marginal, Trait
from vtrial.cohort.sheet import load_cohort
from vtrial.cohort.subjects import Subjects
from vtrial.conduct.feasibility import faults_of, method_of
from vtrial.conduct.remembered import remember_compiled
from vtrial.dosing.regimen import Regimen
from vtrial.dosing.words import parse_regimen
from vtrial.errors import CohortError, Fault, ProtocolError
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.observe.measuring import Who, measure
from vtrial.observe.scheme import MAKERS, Scheme
from vtrial.program_cache import kept
from vtrial.protocol.moments import sample_times
from vtrial.protocol.protocol import Arm, Keep, Protocol, Visit
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.types import Status
from vtrial.units import factor

ID, REP, TIME, STATUS = "ID", "REP", "TIME", "STATUS"
MEASURED = "_measured"  # ends the name of an output with residual error
UNITS, TITLES = "units", "titles"
VISIT, ARM = "samples", "simulated"
MOST_ROWS = 50_000_000
SUBJECTS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a population's predictions.

    Fields
    ------
    subjects, replicates
        How many; each replicate has people and, if `uncertainty`, parameters of its
        own.
    seed
        Of all that is drawn.
    typical
        Random effects are zero, and parameters at their values.
    residual
        Measured values stand beside the true ones.
    uncertainty
        Parameters are drawn from how well they are known, anew for each replicate.
    after_dose
        At the time of a dose it is looked after it, and not before.
    keep
        Covariates and individual parameters that stand in every row.
    """

    subjects: int = SUBJECTS
    replicates: int = 1
    seed: int = 0
    typical: bool = False
    residual: bool = False
    uncertainty: bool = False
    after_dose: bool = False
    keep: tuple[str, ...] = ()


class _Block(NamedTuple):
    """The columns of some subjects: by subject, or by subject and time."""

    who: Identity
    status: np.ndarray
    outputs: dict[str, np.ndarray]
    kept: dict[str, np.ndarray]


def simulate_population(
    model: str | Path | Model,
    dose: str | Sequence[str] | None = None,
    *,
    times: str,
    cohort: str | Path | Cohort | None = None,
    occasions: str = "",
    asked: Asked | None = None,
    **how: object,
) -> pd.DataFrame:
    """Return every output of a dosed population at the same times: a row each.

    Columns are ID (from 1), REP where there are several replicates, TIME in the model's
    unit, the true outputs, `<output>_measured` with residual error if that is asked
    for, what `keep` names, and STATUS if a subject could not be solved, whose
    predictions are missing then. `attrs["units"]` holds their units.

    Parameters
    ----------
    model, cohort
        Names, paths, or what was loaded; without a cohort everybody has the model's
        typical covariates.
    dose
        Dosing words, or a list of them side by side; None: nothing is given.
    times, occasions
        In words: `0 h to 168 h every 1 h, day 14`. Occasions begin at theirs.
    asked, how
        An `Asked`, or its fields by name: subjects, seed, residual and so on.

    Raises
    ------
    VtrialError
        With every fault of what is asked, before anything is compiled.

    Examples
    --------
    >>> table = simulate_population(
    ...     "one-compartment-oral", "100 mg", times="0 h, 2 h", typical=True
    ... )
    >>> table.columns.tolist(), f"{table['conc'][1]:.3f} mg/L"
    (['ID', 'TIME', 'conc'], '1.519 mg/L')
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    asked = asked or Asked(**_sized(how, cohort))  # type: ignore[arg-type]
    regimen = None if dose is None else parse_regimen(dose, model=loaded)
    people = _people(cohort, loaded, regimen, asked)
    protocol = _protocol(loaded, people, regimen, times, occasions, asked)
    _refuse(protocol, people, asked)
    remember_compiled()
    trial = Trial(protocol, people)
    blocks = [_block(trial, block, asked) for block in range(protocol.blocks)]
    table = _table(protocol, blocks, asked)
    table.attrs[UNITS] = _units(protocol, people, asked)
    table.attrs[TITLES] = {o.name: o.title or o.name for o in loaded.outputs}
    return table


def _sized(how: Mapping[str, object], cohort: object) -> dict[str, object]:
    """Fill in how many subjects there are: one, where all are alike."""
    one = bool(how.get("typical")) and cohort is None
    given = {name: value for name, value in how.items() if value is not None}
    if one and given.get("subjects", 1) != 1:
        raise ProtocolError(
            "subjects",
            f"{given['subjects']}, of whom all are the typical one",
            "1, or people of a cohort",
            "1",
        )
    keep = given.get("keep", ())
    given["keep"] = tuple(keep)  # type: ignore[arg-type]
    return {"subjects": 1 if one else SUBJECTS} | given


def _people(
    cohort: str | Path | Cohort | None,
    model: Model,
    regimen: Regimen | None,
    asked: Asked,
) -> Cohort:
    """Load a cohort, or make one in which everybody is typical."""
    if isinstance(cohort, Cohort):
        return cohort
    if cohort is not None:
        return load_cohort(cohort)
    faults = [
        Fault(
            f"covariate {covariate.name} of {model.name}",
            "without a typical value",
            "drawn from a cohort, or given with a typical value in the model's sheet",
            "--cohort adults",
        )
        for covariate in model.covariates
        if np.isnan(covariate.typical)
    ]
    known = {covariate.name for covariate in model.covariates}
    faults += [
        Fault("dose", f"by `{name}`, which {model.name} lacks", "of a cohort", "")
        for name in (regimen.needs if regimen else ())
        if name not in known
    ]
    raise_faults(CohortError, faults)
    traits = [
        Trait(c.name, (Marginal("constant", first=c.typical),), c.unit, c.title)
        for c in model.covariates
    ]
    return Cohort("typical", traits=tuple(traits))


def _protocol(
    model: Model,
    people: Cohort,
    regimen: Regimen | None,
    times: str,
    occasions: str,
    asked: Asked,
) -> Protocol:
    """Write what is asked as a protocol: one arm, one visit of many times."""
    cycle = regimen.interval if regimen else 0.0
    looked = sample_times(times, cycle=cycle)
    starts = sample_times(occasions, cycle=cycle) if occasions else ()
    measure_ = tuple(output.name for output in model.outputs)
    own = {*model.inputs, *(s.name for s in model.structure.static)}
    own -= set(people.names)
    protocol = Protocol(
        f"predictions of {model.name}",
        model,
        people.name,
        asked.subjects,
        (Arm(ARM, regimen=regimen),),
        replicates=asked.replicates,
        seed=asked.seed,
        uncertainty=asked.uncertainty,
        visits=(Visit(VISIT, looked, measure=measure_, after_dose=asked.after_dose),),
        occasions=tuple(sorted({0.0, *starts})),
        keep=Keep("nothing", individual=tuple(n for n in asked.keep if n in own)),
    )
    return dataclasses.replace(protocol, block=protocol.usual_block)


def _refuse(protocol: Protocol, people: Cohort, asked: Asked) -> None:
    """Raise everything that keeps the predictions from being made."""
    faults = [
        Fault(name, f"{value}", "a whole number, 1 or more", "1")
        for name in ("subjects", "replicates")
        if (value := getattr(asked, name)) < 1
    ]
    rows = protocol.total * len(protocol.visits[0].times)
    if rows > MOST_ROWS:
        allowed = f"at most {MOST_ROWS:,} rows; a run keeps quantiles of more"
        faults.append(Fault("the table", f"{rows:,} rows", allowed, "--subjects 1000"))
    model = protocol.model
    known = [*people.names, *model.inputs]
    known += [s.name for s in model.structure.static if s.name not in known]
    faults += [
        Fault(
            "keep",
            f"`{name}`",
            f"a covariate or an individual parameter: {listed(known, 30)}",
            nearest(name, known),
        )
        for name in asked.keep
        if name not in known
    ]
    taken = {ID, REP, TIME, STATUS}
    faults += [
        Fault("keep", f"`{name}`", "something that is no column of its own", "")
        for name in asked.keep
        if name in {*taken, *(o.name for o in model.outputs)}
    ]
    for fault in faults_of(protocol, people):
        at = fault.at.removeprefix(f"arms.{ARM}.")
        faults.append(fault._replace(at=at, source="", line=0, column=0))
    raise_faults(ProtocolError, faults)
    method_of(protocol)


def _block(trial: Trial, block: int, asked: Asked) -> _Block:
    """Solve and measure one block of subjects."""
    who = trial.identity(block)
    people = trial.people(who)
    if asked.typical:
        people = people.typical(trial.protocol.model)
    size = who.number.size
    ready = trial.ready(trial.protocol.arms[0], people, np.arange(size))
    path = trial.solve(ready, trial.protocol.numerics)
    status = np.asarray(path.status)[:size].copy()
    names = [output.name for output in trial.protocol.model.outputs]
    true = {name: np.asarray(path.outputs[name])[:size] for name in names}
    finite = np.all([np.isfinite(v).all(axis=1) for v in true.values()], axis=0)
    status[(status == Status.SOLVED) & ~finite] = Status.OUTPUT_NOT_FINITE
    outputs = dict(true)
    if asked.residual:
        noisy = _measured(trial.scheme, path.outputs, ready.keys)
        outputs = {}
        for name, value in true.items():
            outputs[name] = value
            outputs[f"{name}{MEASURED}"] = np.asarray(noisy[name])[:size]
    return _Block(who, status, outputs, _kept(trial, people, asked, size))


@functools.partial(kept, static=1, makers=(*MAKERS, "jobs"))
def _measured(
    scheme: Scheme,
    truth: dict[str, Float[Array, "subject time"]],
    keys: Key[Array, " subject"],
) -> dict[str, Float[Array, "subject time"]]:
    """Add residual errors, with the keys of a run's visit called `samples`."""
    plan = scheme.schedule
    taken = jnp.asarray(plan.planned)[None, :]
    stays = jnp.full(keys.shape, jnp.inf)
    who = Who(keys, jnp.zeros(0), jnp.zeros(0), {})
    return measure(scheme.protocol, plan, truth, taken, who, stays)


def _kept(
    trial: Trial, people: Subjects, asked: Asked, size: int
) -> dict[str, np.ndarray]:
    """Return what is kept of each subject, of the first occasion."""
    found = trial.individual(people) if trial.protocol.keep.individual else {}
    every = {**people.covariates, **found}
    return {name: np.asarray(every[name])[:size] for name in asked.keep}


def _table(protocol: Protocol, blocks: Sequence[_Block], asked: Asked) -> pd.DataFrame:
    """Lay the blocks out as rows."""
    times = np.asarray(protocol.visits[0].times) / factor(protocol.model.time, "h")
    count = times.size

    def whole(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)

    number = whole([block.who.number for block in blocks])
    columns = {ID: np.repeat(number + 1, count)}
    if asked.replicates > 1:
        replicate = whole([block.who.replicate for block in blocks])
        columns[REP] = np.repeat(replicate + 1, count)
    columns[TIME] = np.tile(times, number.size)
    for name in blocks[0].outputs:
        columns[name] = whole([block.outputs[name] for block in blocks]).reshape(-1)
    for name in asked.keep:
        columns[name] = np.repeat(whole([b.kept[name] for b in blocks]), count)
    status = whole([block.status for block in blocks])
    if (status != Status.SOLVED).any():
        words = np.array([Status(code).words for code in status])
        columns[STATUS] = np.repeat(words, count)
    return pd.DataFrame(columns)


def _units(protocol: Protocol, people: Cohort, asked: Asked) -> dict[str, str]:
    """Return the units of the columns; of what equations make none is known."""
    model = protocol.model
    units = {TIME: model.time}
    for output in model.outputs:
        units[output.name] = output.unit
        if asked.residual:
            units[f"{output.name}{MEASURED}"] = output.unit
    known = {name: people.unit(name) for name in people.names}
    known |= {one.name: one.unit for one in (*model.parameters, *model.covariates)}
    return units | {name: known[name] for name in asked.keep if name in known}

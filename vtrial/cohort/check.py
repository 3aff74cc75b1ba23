"""Hold a cohort against a model, before anybody is drawn."""

import difflib
import functools

from vtrial.cohort.category import in_digits
from vtrial.cohort.cohort import Cohort
from vtrial.cohort.screen import scarcity
from vtrial.errors import CohortError, Fault, UnitError
from vtrial.model.model import Covariate, Model
from vtrial.sheets.words import listed
from vtrial.units import factor


def check_cohort(cohort: Cohort, model: Model) -> list[Fault]:
    """Find what the model asks of a subject and the cohort cannot answer.

    Covariates that are missing, units that do not convert, values that the model's
    category does not have, names that the model uses for something else, and a
    condition that almost nobody meets.
    """
    missing = [
        _missing(cohort, model, covariate)
        for covariate in model.covariates
        if covariate.name not in cohort.names
    ]
    found = [*missing, *_conflicts(cohort, model)]
    if cohort.eligibility is not None:
        found += scarcity(cohort)
    return found


def refuse_conflicts(cohort: Cohort, model: Model | None) -> None:
    """Refuse a pair of which the one contradicts the other.

    A covariate that the cohort lacks is no contradiction: an arm may set it.
    """
    if model is not None and (faults := _conflicts(cohort, model)):
        raise CohortError.of(faults)


@functools.lru_cache(256)
def _conflicts(cohort: Cohort, model: Model) -> tuple[Fault, ...]:
    """Find units, values and names on which the two disagree."""
    faults = []
    for covariate in model.covariates:
        if covariate.name in cohort.names:
            faults += _unit(cohort, model, covariate) + _codes(cohort, model, covariate)
    faults += _effects(cohort, model)
    taken = {parameter.name for parameter in model.parameters}
    faults += [
        _fault(
            cohort,
            name,
            f"a name that `{model.name}` gives to a parameter",
            f"a name of its own, such as {name}_0",
        )
        for name in cohort.names
        if name in taken
    ]
    return tuple(faults)


def _missing(cohort: Cohort, model: Model, covariate: Covariate) -> Fault:
    """Describe a covariate that the cohort does not give."""
    asked = {other.name for other in model.covariates}
    spare = [name for name in cohort.names if name not in asked]
    close = difflib.get_close_matches(covariate.name, spare, n=1, cutoff=0.5)
    found = f"missing (`{close[0]}` is there)" if close else "missing"
    typical = f"{covariate.typical:g}" if covariate.typical == covariate.typical else 1
    title = f", {covariate.title}," if covariate.title else ""
    return _fault(
        cohort,
        covariate.name,
        found,
        f"given [{covariate.unit}]{title} since `{model.name}` needs it, such as "
        f"`{covariate.name}: {{unit: {covariate.unit}, constant: {typical}}}`",
    )


def _unit(cohort: Cohort, model: Model, covariate: Covariate) -> list[Fault]:
    """Find a unit that does not convert to the model's."""
    unit = cohort.unit(covariate.name)
    try:
        factor(unit, covariate.unit)
    except UnitError:
        return [
            _fault(
                cohort,
                covariate.name,
                f"in `{unit}`",
                f"in a unit that converts to `{covariate.unit}` (`{model.name}`)",
            )
        ]
    return []


def _effects(cohort: Cohort, model: Model) -> list[Fault]:
    """Find random effects that people bring along and the model's subjects lack."""
    own = [n for block in model.random if block.level == "subject" for n in block.names]
    known = [f"eta.{name}" for name in own]
    allowed = f"a random effect of the subjects of `{model.name}`"
    allowed += f": {listed(known)}" if known else ", which has none"
    return [
        Fault(f"table.effects of cohort `{cohort.name}`", f"`{name}`", allowed, "")
        for name in (cohort.table.effects if cohort.table else ())
        if name not in known
    ]


def _codes(cohort: Cohort, model: Model, covariate: Covariate) -> list[Fault]:
    """Find values that the model's category does not have."""
    if not covariate.values or covariate.name in {d.name for d in cohort.derived}:
        return []
    codes = cohort.codes(covariate.name)
    known = listed(f"{value:g}" for value in covariate.values)
    strange = [code for code in codes or () if code not in covariate.values]
    if codes is not None and not strange:
        return []
    found = "continuous" if codes is None else listed(f"{code:g}" for code in strange)
    shares = in_digits([1.0] * len(covariate.values))
    even = ", ".join(
        f"{value:g}: {share}"
        for value, share in zip(covariate.values, shares, strict=True)
    )
    return [
        _fault(
            cohort,
            covariate.name,
            found,
            f"one of the values that `{model.name}` knows: {known}, such as "
            f"`categorical: {{{even}}}`",
        )
    ]


def _fault(cohort: Cohort, name: str, found: str, allowed: str) -> Fault:
    return Fault(f"covariates.{name} of cohort `{cohort.name}`", found, allowed, "")

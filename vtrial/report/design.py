"""The design of a trial in words: who, what is done, when, what is asked."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from vtrial.endpoint.endpoint import DROPOUT, Endpoint
from vtrial.endpoint.equation import equation_of
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.endpoints import unit_taken
from vtrial.protocol.factors import factors_of
from vtrial.protocol.protocol import Arm, Crossover, Protocol, Visit
from vtrial.protocol.subset import names_of, write_where
from vtrial.report.randomised import effects_in_words, method_words, site_words
from vtrial.report.timing import timing_of
from vtrial.report.words import (
    count,
    fixed,
    listing,
    number,
    subject_words,
    suffix,
)


class ArmWords(NamedTuple):
    """An arm as the page shows it."""

    name: str
    title: str
    treatment: str
    weight: str


class Line(NamedTuple):
    """A named line of the design."""

    name: str
    words: str


def arm_title(protocol: Protocol, name: str) -> str:
    """Return an arm's title, or its name."""
    return next((arm.title or name for arm in protocol.arms if arm.name == name), name)


MOST_SEQUENCES = 8  # of a crossover, that are listed beside its treatments
_EFFECTS = {  # what a clinician calls what a sheet says
    "difference by ranks": "Hodges-Lehmann shift",
    "Welch difference of means": "difference of means (Welch)",
    "MMRM": "difference of means (MMRM)",
    "log-rank": "hazard ratio (log-rank)",
}


def effect_words(by: str) -> str:
    """Return what an effect is called.

    Examples
    --------
    >>> effect_words("difference by ranks"), effect_words("risk ratio")
    ('Hodges-Lehmann shift', 'risk ratio')
    """
    return _EFFECTS.get(by, by)


def endpoint_title(protocol: Protocol, name: str) -> str:
    """Return an endpoint's title, or its name."""
    found = (point for point in protocol.endpoints if point.name == name)
    return next((point.title or name for point in found), name)


def output_title(protocol: Protocol, name: str) -> str:
    """Return an output's title, or its name."""
    found = (output for output in protocol.model.outputs if output.name == name)
    return next((output.title or name for output in found), name)


def output_unit(protocol: Protocol, name: str) -> str:
    """Return an output's unit, or 1."""
    found = (output for output in protocol.model.outputs if output.name == name)
    return next((output.unit for output in found), "1")


def factor_title(protocol: Protocol, name: str) -> str:
    """Return the title of a covariate or an individual parameter, or its name."""
    model = protocol.model
    known = {
        thing.name: thing.title for thing in (*model.parameters, *model.covariates)
    }
    return known.get(name, "") or known.get(f"tv{name}", "") or name


_CODES = {  # what a code's name says
    "FEMALE": {0.0: "male", 1.0: "female"},
    "MALE": {0.0: "female", 1.0: "male"},
}
_EQUAL = re.compile(r"\b([A-Za-z_]\w*) == (\d+(?:\.\d+)?|[A-Za-z_]\w*)\b")


def code_words(protocol: Protocol, name: str, code: float) -> str:
    """Return what a covariate's code means, if its title or its name says so."""
    if word := protocol.labels(name).get(code, ""):
        title = factor_title(protocol, name)
        return word if title == name else f"{title}: {word}"
    if name in _CODES:
        return _CODES[name].get(code, "")
    found = [one for one in protocol.model.covariates if one.name == name]
    title = (found[0].title or name) if found else name
    told = re.fullmatch(r"(.+?) \((\d+ [^)]+)\)", title)
    if told:
        pairs = (part.strip().split(" ", 1) for part in told[2].split(","))
        named = {float(one[0]): one[1] for one in pairs if len(one) == 2}
        if list(named.values()) == ["yes"]:
            named = {0.0: "no", 1.0: "yes"}
        return f"{told[1]}: {named[code]}" if code in named else ""
    if found and set(found[0].values) == {0.0, 1.0}:
        return f"{title}: {'yes' if code else 'no'}"
    return ""


def where_words(protocol: Protocol, condition: str) -> str:
    """Return a condition on covariates with their codes in words."""

    def told(one: re.Match[str]) -> str:
        codes = {word: code for code, word in protocol.labels(one[1]).items()}
        code = codes.get(one[2], float(one[2]) if one[2][0].isdecimal() else None)
        return (code is not None and code_words(protocol, one[1], code)) or one[0]

    return _EQUAL.sub(told, condition)


def factors_shown(protocol: Protocol) -> set[str]:
    """Return the covariates and individual parameters that a reader asks for.

    These are what the model asks of a subject, what is kept of each, and what the
    sheet itself compares, stratifies or chooses by; others only helped the cohort.
    """
    compared = protocol.analysis.comparisons
    named = {name for c in compared for name in (*c.adjust, *c.strata)}
    named |= {n for c in compared if c.where is not None for n in names_of(c.where)}
    model = {covariate.name for covariate in protocol.model.covariates}
    strata = set(protocol.design.allocation.asked)
    return model | named | strata | set(protocol.keep.individual)


def arms_in_words(protocol: Protocol) -> list[ArmWords]:
    """Return what each arm gets, and its share of the allocation."""
    if protocol.crossover is not None:
        return treatments_in_words(protocol, protocol.crossover)
    weights = [*protocol.design.allocation.weights, *([1] * len(protocol.arms))]
    return [
        ArmWords(
            arm.name, arm.title or arm.name, _treatment(protocol, arm), str(weight)
        )
        for arm, weight in zip(protocol.arms, weights, strict=False)
    ]


def treatments_in_words(protocol: Protocol, crossover: Crossover) -> list[ArmWords]:
    """Return what each treatment of a crossover is, and each of a few sequences."""
    many = len(crossover.treatments)
    treatments = [
        ArmWords(
            one.name,
            one.title or one.name,
            _treatment(protocol, one),
            " or ".join(
                str(n) for n in sorted({o.count(place) for o in crossover.sequences})
            )
            + f" of {len(crossover.starts)} periods",
        )
        for place, one in enumerate(crossover.treatments)
    ]
    sequences = protocol.arms[many:] if len(protocol.arms) > many else ()
    if len(sequences) > MOST_SEQUENCES:
        return treatments
    weights = protocol.design.allocation.weights
    return treatments + [
        ArmWords(
            one.name,
            one.title or one.name,
            one.regimen.words if one.regimen is not None else "no dose",
            str(weight),
        )
        for one, weight in zip(sequences, weights, strict=True)
    ]


def factors_in_words(protocol: Protocol) -> str:
    """Return the factors with their levels; nothing where arms stand by themselves."""
    factors = factors_of(protocol.data)
    told = (f"{name} ({listing(levels)})" for name, levels in factors.items())
    return f"{listing(told)}, in every combination" if factors else ""


def crossover_in_words(protocol: Protocol) -> str:
    """Return in which orders treatments are given, and when; nothing without."""
    crossover = protocol.crossover
    if crossover is None:
        return ""
    lasting = timing_of(protocol).duration
    one = subject_words(protocol.model.unit)
    words = f"every {one} has {len(crossover.starts)} periods of "
    words += lasting(crossover.length)
    if crossover.washout:
        words += f", {lasting(crossover.washout)} of washout between them"
    names = [treatment.title or treatment.name for treatment in crossover.treatments]
    if crossover.paired:
        words += f"; {listing(names)} in each pair of periods, in every order"
    else:
        orders = (" then ".join(names[at] for at in o) for o in crossover.sequences)
        words += f"; {listing(orders)}"
    return words + "; times are those of a period"


def _treatment(protocol: Protocol, arm: Arm) -> str:
    """Return what is done to an arm."""
    parts = [arm.regimen.words] if arm.regimen is not None else []
    raw = _entry(protocol.data, "arms", arm.name, "set")
    for name in arm.sets:
        given = raw.get(name) if isinstance(raw, Mapping) else None
        given = listing(map(str, given)) if isinstance(given, list) else given
        parts.append(f"sets {name}" + (f" = {given}" if given is not None else ""))
    usual = "as the model has it" if protocol.model.flow else "no dose"
    return "; ".join(parts) or usual


def _entry(data: object, *path: str) -> object:
    """Look into the sheet as it was given; nothing where there is nothing."""
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data


def size_in_words(protocol: Protocol) -> str:
    """Return the number of subjects and trials that were simulated."""
    words = subject_words(protocol.model.unit, protocol.subjects)
    subjects = f"{count(protocol.subjects)} {words}"
    if protocol.replicates == 1:
        return f"one trial of {subjects}"
    total = count(protocol.total)
    trials = f"{count(protocol.replicates)} replicate trials"
    return f"{trials} of {subjects} each ({total} in all)"


def allocation_in_words(protocol: Protocol) -> str:
    """Return how subjects are allocated to arms."""
    if len(protocol.arms) == 1:
        return "one arm; nothing to allocate"
    how = protocol.design.allocation
    ratio = ":".join(str(weight) for weight in how.weights)
    arms = protocol.arms[-len(how.weights) :]  # of a crossover, sequences
    names = listing(arm.title or arm.name for arm in arms)
    by = {
        "simple": "simple randomisation",
        "permuted block": f"permuted blocks of {how.block}",
        "stratified": f"permuted blocks of {how.block} within strata of "
        f"{listing(how.strata)}",
        "counts": "so many each, in an order of chance",
    }.get(how.by) or method_words(protocol)
    if how.clusters:
        by += ", of whole sites"
    return f"{ratio} to {names}; {by}"


def potential_in_words(protocol: Protocol) -> str:
    """Return under which arms a subject is simulated."""
    one = subject_words(protocol.model.unit)
    if len(protocol.arms) == 1:
        return f"every {one} under the one arm"
    if protocol.potential == "all":
        if protocol.crossover is not None:
            return f"every {one} in every sequence, with the same random numbers"
        return f"every {one} under every arm, with the same random numbers"
    what = "arm" if protocol.crossover is None else "sequence"
    return f"every {one} under the {what} it was allocated to"


def visit_in_words(protocol: Protocol, visit: Visit) -> str:
    """Return when a visit is, and what is measured at it."""
    timing = timing_of(protocol)
    words = timing.moments(visit.times)
    if visit.window:
        words += f", each moved by up to ±{timing.duration(visit.window)}"
    if visit.after_dose:
        words += ", after any dose at that time"
    if visit.measure:
        titles = (_called(protocol, output) for output in visit.measure)
        words += f"; measures {listing(titles)}"
    return words


def _called(protocol: Protocol, output: str) -> str:
    """Name an output, with its title if it has one."""
    title = output_title(protocol, output)
    return output if title == output else f"{output} ({title})"


def endpoint_in_words(protocol: Protocol, endpoint: Endpoint) -> str:
    """Return how an endpoint is made of a subject's values."""
    unit = endpoint.of_unit or output_unit(protocol, endpoint.of)
    of_day = bool(endpoint.of) and protocol.model.flow is not None
    reach = (
        f"at or above {_limit(endpoint.low, unit)}"
        if endpoint.low is not None
        else f"at or below {_limit(endpoint.high, unit)}"
    )
    words = endpoint.kind.sentence.format(
        of=endpoint.of,
        span=_span(protocol, endpoint),
        low=_limit(endpoint.low, unit),
        high=_limit(endpoint.high, unit),
        reach=reach,
        share=f"{number(100 * endpoint.share, 4)} %",
        equation=equation_of(endpoint),
        events=listing(endpoint.first_of),
    )
    if of_day:
        words = f"{_called(protocol, endpoint.of)} of {_a(protocol.model.unit)}"
    if endpoint.confirmed:
        by = endpoint.confirmed_by == "values"
        again = f"{number(endpoint.confirmed, 4)} values in a row"
        lasting = timing_of(protocol).duration(endpoint.confirmed)
        words += f", confirmed by {again if by else lasting}"
    if endpoint.grades:
        limits = listing([number(limit, 4) for limit in endpoint.grades])
        words = f"grade of the {words}, by {limits}"
    if endpoint.binary:
        many = subject_words(protocol.model.unit, 2)
        words = f"share of {many} with {words}, {_bounds(protocol, endpoint)}"
    if endpoint.kind.baseline and endpoint.baseline:
        upto = timing_of(protocol).duration(endpoint.baseline)
        words += f" (baseline: last value up to {upto})"
    for name, strategy in endpoint.intercurrent:
        words += f"; {name}: {strategy}"
    if not endpoint.of or of_day:
        return words
    if endpoint.lloq:
        limit = _limit(endpoint.lloq, unit)
        words += f"; values below {limit}: {endpoint.below_quantification}"
    if endpoint.values == "ledger":
        return words + "; of the ledger of doses and decisions"
    if endpoint.values == "true":
        return words + "; of true values, without residual error"
    at = f" at visit{'s'[: len(endpoint.visits) > 1]} {listing(endpoint.visits)}"
    return words + "; of measured values" + (at if endpoint.visits else "")


def _a(unit: str) -> str:
    """Return what one subject is called, with its article."""
    word = subject_words(unit)
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _bounds(protocol: Protocol, endpoint: Endpoint) -> str:
    """Return the limits within which a number is a response."""
    own = endpoint_unit(protocol, endpoint)
    sides = {"above": endpoint.above, "below": endpoint.below}
    given = [(w, _limit(limit, own)) for w, limit in sides.items() if limit is not None]
    return " and ".join(f"{word} {limit}" for word, limit in given)


def endpoint_unit(protocol: Protocol, endpoint: Endpoint) -> str:
    """Return the unit of what is taken, before a limit makes a response of it."""
    if endpoint.unit not in {"", "1"}:
        return endpoint.unit
    if endpoint.grades or not endpoint.of:
        return "1"
    unit = endpoint.of_unit or output_unit(protocol, endpoint.of)
    return unit_taken(endpoint.take, unit)


def _limit(value: float | None, unit: str) -> str:
    """Write a limit with its unit."""
    if value is None:
        return "its limit"
    return number(value, 4) + suffix("plain", unit)


def _span(protocol: Protocol, endpoint: Endpoint) -> str:
    """Return the span of time that an endpoint looks at, in words."""
    start, end, timing = endpoint.start, endpoint.end, timing_of(protocol)
    if start == end:
        return f"at {timing.moments([start])}"
    if not math.isfinite(end):
        return "at any time" if start <= 0 else f"from {timing.duration(start)} on"
    for name, short, hours in (("week", "wk", 168.0), ("day", "d", 24.0)):
        fits = start % hours == 0 and end % hours == 0
        if fits and (timing.unit == short or (short == "d" and end > 48)):
            ends = (number(time / hours, 5) for time in (start, end))
            return "from {0} {1} to {0} {2}".format(name, *ends)
    return f"from {timing.duration(start)} to {timing.duration(end)}"


def comparison_in_words(protocol: Protocol, comparison: Comparison) -> str:
    """Return what is compared, by what, and adjusted for what."""
    words = (
        f"{arm_title(protocol, comparison.arm)} with "
        f"{arm_title(protocol, comparison.reference)} on "
        f"{endpoint_title(protocol, comparison.endpoint)}: "
        f"{effect_words(comparison.by)}"
    )
    if comparison.doses:
        shapes = (
            " ".join((word, *(number(one, 4) for one in guesses)))
            for word, guesses in comparison.shapes
        )
        words += (
            f", a dose-response over {listing(name for name, _ in comparison.doses)} "
            f"by the shapes {listing(shapes)}"
        )
    if comparison.strata:
        words += f", by strata of {listing(comparison.strata)}"
    if comparison.ties != "Efron":
        words += f", {comparison.ties} ties"
    if comparison.where is not None:
        where = where_words(protocol, write_where(comparison.where, protocol.words))
        words += f", where {where}"
    if comparison.above is not None:
        words += f", to be above {number(comparison.above, 4)}"
    if comparison.below is not None:
        words += f", to be below {number(comparison.below, 4)}"
    if comparison.adjust:
        words += f", adjusted for {listing(comparison.adjust)}"
    return words + f", {fixed(comparison.level * 100, 1, trim=True)}\u202f% interval"


def population_in_words(protocol: Protocol) -> str:
    """Return who takes part, and by which model they respond."""
    model = protocol.model
    title = f" ({model.title})" if model.title else ""
    if protocol.uncertain:
        uncertain = "parameters drawn anew for each replicate from their uncertainty"
    else:
        uncertain = "parameters at their published values in every replicate"
        lacks = protocol.uncertainty and model.parameters
        uncertain += " (the model states no uncertainty of them)" if lacks else ""
    return f"cohort {protocol.cohort}; model {model.name}{title}; {uncertain}"


def eligible_in_words(protocol: Protocol) -> str:
    """Return who is let in on what is measured; empty if that is not asked."""
    eligible = protocol.eligible
    if eligible is None:
        return ""
    condition = where_words(protocol, write_where(eligible.condition, protocol.words))
    when = timing_of(protocol).moments([eligible.time])
    titles = listing(_called(protocol, output) for output in eligible.outputs)
    return (
        f"who has {condition}, with {titles} measured at {when} before treatment; "
        "another is screened in the place of who has not"
    )


def run_in_in_words(protocol: Protocol) -> str:
    """Return what is before randomisation; empty if that is nothing."""
    run_in = protocol.run_in
    if run_in is None:
        return ""
    when = timing_of(protocol).moments([run_in.until])
    return (
        f"the same for everybody until {when}; who has "
        f"“{endpoint_title(protocol, run_in.endpoint)}” by then is randomised, another "
        "is enrolled in the place of who has not"
    )


def leaving_lines(protocol: Protocol) -> list[Line]:
    """Return for which causes subjects leave; no line if nobody does."""
    causes = protocol.design.dropout.causes
    words = "; ".join(
        cause.words if cause.name == DROPOUT else f"{cause.name}: {cause.words}"
        for cause in causes
    )
    first = "; whichever comes about first is the reason" if len(causes) > 1 else ""
    return [Line("Leaving", words + first)] if causes else []


def site_lines(protocol: Protocol) -> list[Line]:
    """Return what sites are like, and by how much they differ, a line an entry."""
    accrual, lines = protocol.design.sites, []
    for name in dict.fromkeys(one.of for one in accrual.sites) if accrual else ():
        assert accrual is not None, "it has sites"
        own = tuple(one for one in accrual.sites if one.of == name)
        words = site_words(own) if protocol.enactment is None else ""
        if told := effects_in_words(own[0].effects):
            words += f"; {told}" if words else told
        lines += [Line(f"Sites: {name}", words)] if words else []
    return lines


def design_lines(protocol: Protocol) -> list[Line]:
    """Return the design, a named line for each part of it."""
    lines = [
        Line("Population", population_in_words(protocol)),
        *([Line("Let in", who)] if (who := eligible_in_words(protocol)) else []),
        *([Line("Run-in", how)] if (how := run_in_in_words(protocol)) else []),
        Line("Size", size_in_words(protocol)),
        *([Line("Factors", all_)] if (all_ := factors_in_words(protocol)) else []),
        *([Line("Crossover", how)] if (how := crossover_in_words(protocol)) else []),
        Line("Allocation", allocation_in_words(protocol)),
        Line("Simulated", potential_in_words(protocol)),
        *leaving_lines(protocol),
        *site_lines(protocol),
    ]
    if len(protocol.occasions) > 1:
        words = timing_of(protocol).moments(protocol.occasions)
        lines.append(Line("Occasions", f"new random effects at {words}"))
    if protocol.grid and protocol.model.flow is None:
        lasting = timing_of(protocol).duration
        span = f"{lasting(protocol.grid[0])} to {lasting(protocol.grid[-1])}"
        words = f"{count(len(protocol.grid))} times from {span}, without residual error"
        lines.append(Line("True values", words))
    lines.append(Line("Seed", str(protocol.seed)))
    return lines

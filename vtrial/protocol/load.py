"""Load a protocol: a sheet in, a Protocol or every one of its faults out."""

import copy
import dataclasses
import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.errors import Fault, ProtocolError
from vtrial.model.sheet import library
from vtrial.protocol.analysis import Analysis
from vtrial.protocol.arms import (
    find_cycle,
    read_allocation,
    read_arms,
    with_rules,
)
from vtrial.protocol.braces import filled
from vtrial.protocol.comparisons import read_analysis
from vtrial.protocol.costs import COST, of_cost, with_cost
from vtrial.protocol.design import Design
from vtrial.protocol.dropout import read_dropout
from vtrial.protocol.eligible import Eligible, RunIn, read_eligible
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.endpoints import (
    read_endpoints,
    read_spans,
)
from vtrial.protocol.evidence import Evidence, Published
from vtrial.protocol.factors import (
    check_factors,
    check_looks,
    relabelled,
    with_arms,
)
from vtrial.protocol.faults import Faults
from vtrial.protocol.fitted import check_fitted, with_fitted
from vtrial.protocol.flow import asked_of_flow
from vtrial.protocol.grid import Grid, read_grid
from vtrial.protocol.intercurrent import causes_of
from vtrial.protocol.kept import asked_for, check_predictions, read_keep
from vtrial.protocol.knots import NO_KNOTS, knots_of, most_delay
from vtrial.protocol.multiplicity import read_multiplicity
from vtrial.protocol.observed import read_observed
from vtrial.protocol.parameters import with_parameters_of
from vtrial.protocol.protocol import Arm, Protocol, Visit
from vtrial.protocol.published import read_published, read_source
from vtrial.protocol.randomisation import (
    check_enactment,
    check_sites,
    with_enactment,
)
from vtrial.protocol.read_crossover import (
    Plan,
    check_within,
    crossed,
    occasions_of,
    read_plan,
    shown_sizes,
)
from vtrial.protocol.read_enactment import read_enactment
from vtrial.protocol.read_learning import check_learning
from vtrial.protocol.read_optimisation import read_optimisation
from vtrial.protocol.read_rules import read_rules
from vtrial.protocol.read_run_in import read_run_in
from vtrial.protocol.read_watching import check_watching
from vtrial.protocol.scope import Known, find_covariates, find_model
from vtrial.protocol.shape import ProtocolShape
from vtrial.protocol.sites import check_effects
from vtrial.protocol.sizes import in_all, resized
from vtrial.protocol.subset import Words
from vtrial.protocol.visits import read_occasions, read_visits
from vtrial.sheets.find import find_sheet, refuse_other, shipped
from vtrial.sheets.given import given_sheet
from vtrial.sheets.remedy import proved
from vtrial.sheets.sheet import Sheet, read_sheet
from vtrial.sheets.validate import check_shape
from vtrial.sheets.words import listed, nearest
from vtrial.types import Numerics

CHANGES = ("subjects", "replicates", "block", "seed")
_INSTEAD: dict[str, object] = {  # stand in for a faulty entry, so that reading goes on
    "protocol": "unnamed",
    "model": "-",
    "cohort": "-",
    "subjects": 10**9,
    "arms": {"-": {}},
}
_BY_NAME = ("arms", "visits", "rules", "endpoints", "costs", "observed")
_BY_PLACE = ("analysis", "published", "source")


def load_protocol(
    name: str | Path | Mapping[str, object],
    *,
    changes: Mapping[str, int] | None = None,
) -> Protocol:
    """Load a protocol from a path, or by the name of one that is shipped.

    YAML text of several lines, or a dict of what it would say, is the sheet itself;
    what it names is looked for here. `changes` stand for the sheet's `subjects`,
    `replicates`, `block` or `seed`.

    Raises
    ------
    ProtocolError
        With every fault of the sheet, those of its doses, units and model included.
    SheetError
        If the file is no YAML sheet.

    Examples
    --------
    >>> protocol = load_protocol("docetaxel-dose", changes={"subjects": 30})
    >>> [arm.name for arm in protocol.arms], protocol.subjects
    (['d60', 'd75', 'd100'], 30)
    """
    if (given := given_sheet(name)) is not None:
        refuse_other(given, "protocol")
        return build_protocol(given, changes=changes)
    path = find_sheet(str(name), kind="protocols")
    if path is None:
        there = sorted(p.stem for p in shipped("protocols").glob("*.yaml"))
        near = nearest(str(name), there)
        raise ProtocolError(
            at="the protocol",
            found=f"`{name}`, {_other(str(name))}",
            allowed="the path of a sheet, or a shipped one: "
            + listed(there, like=str(name))
            + "; `vtrial new protocol my-trial.yaml` writes one to start from",
            write=near,
        )
    sheet = read_sheet(path)
    refuse_other(sheet, "protocol")
    return build_protocol(sheet, changes=changes)


def _other(name: str) -> str:
    """Say what a name is that no protocol has."""
    for kind in ("cohort", "model"):
        there = find_sheet(name, kind=f"{kind}s") is not None
        if there or (kind == "model" and name in library()):
            return f"which is a {kind}: `vtrial {kind} {name}` shows it"
    return "which is neither a protocol here nor shipped"


def build_protocol(
    sheet: Sheet, *, changes: Mapping[str, int] | None = None
) -> Protocol:
    """Make a Protocol of a sheet that was read already.

    The sheet's `source` says beside which path its model, cohort and tables lie.

    Raises
    ------
    ProtocolError
        With every fault of the sheet.
    """
    changes = dict(changes or {})
    for key in changes:
        if key not in CHANGES:
            raise ProtocolError(
                at=f"changes.{key}",
                found="unknown",
                allowed="a change of subjects, replicates, block or seed",
                write=nearest(key, CHANGES),
            )
    data: dict[str, Any] = {**sheet.data, **changes}
    if "subjects" in changes:
        data["subjects"] = resized(sheet.data.get("subjects"), changes["subjects"])
    sheet = dataclasses.replace(sheet, data=data)
    protocol, faults = _read(sheet)
    if protocol is None:
        told = proved(sheet, faults, lambda other: _read(other)[1])
        raise ProtocolError.of(told)
    return protocol


def _read(sheet: Sheet) -> tuple[Protocol | None, list[Fault]]:
    """Read a sheet into a Protocol, or into every fault of it."""
    given, sheet = sheet, with_arms(with_fitted(filled(sheet)))
    faults = Faults(sheet)
    shape, places = _read_shape(sheet, faults)
    if shape is None:
        return None, relabelled(sheet, faults.entries)
    try:
        return _build(shape, places, given, faults), []
    except ProtocolError as error:
        return None, relabelled(sheet, error.faults)


def _read_shape(
    sheet: Sheet, faults: Faults
) -> tuple[ProtocolShape | None, dict[str, list[int]]]:
    """Hold a sheet against its shape; what is wrong is told, cut out and passed over.

    Also returns where the entries left in each list stood in the sheet.
    """
    data = copy.deepcopy(sheet.data)
    places = {
        key: list(range(len(entries)))
        for key, entries in data.items()
        if key in _BY_PLACE and isinstance(entries, list)
    }
    for turn in range(3):
        part = dataclasses.replace(sheet, data=data)
        shape, wrong = check_shape(part, ProtocolShape)
        if shape is not None:
            return shape, places
        if turn == 0:
            faults.entries += dict.fromkeys(wrong)
        cuts: dict[str, set[int]] = {}
        for fault in wrong:
            _cut(data, fault.path, fault, cuts)
        for key, indices in cuts.items():
            entries = data[key]
            assert isinstance(entries, list)
            data[key] = [e for i, e in enumerate(entries) if i not in indices]
            places[key] = [p for i, p in enumerate(places[key]) if i not in indices]
    return None, places


def _cut(
    data: dict[str, object],
    path: tuple[str | int, ...],
    fault: Fault,
    cuts: dict[str, set[int]],
) -> None:
    """Cut the entry around a fault out of a sheet's data; those of lists later."""
    head = str(path[0])
    inside = data.get(head)
    if fault.found.startswith("an unknown key") and len(path) == 1:
        data.pop(head, None)
    elif head in _BY_NAME and len(path) > 1 and isinstance(inside, dict):
        _cut_name(inside, path, fault)
        if head == "arms" and not inside:
            data[head] = _INSTEAD[head]
    elif head in _BY_PLACE and len(path) > 1 and isinstance(inside, list):
        cuts.setdefault(head, set()).add(int(path[1]))
    elif head in _INSTEAD:
        data[head] = _INSTEAD[head]
    else:
        data.pop(head, None)


def _cut_name(
    entries: dict[str, object], path: tuple[str | int, ...], fault: Fault
) -> None:
    """Cut an unknown key out of a named entry, or else the whole entry."""
    name = str(path[1])
    entry = entries.get(name)
    unknown = fault.found.startswith("an unknown key")
    if unknown and len(path) == 3 and isinstance(entry, dict):
        entry.pop(str(path[2]), None)
    else:
        entries.pop(name, None)


def _build(
    shape: ProtocolShape, places: dict[str, list[int]], given: Sheet, faults: Faults
) -> Protocol:
    """Give a shape its meaning, or raise all that is wrong."""
    known = _known(shape, faults)
    shape = asked_of_flow(shape, known, faults)
    plan = read_plan(shape, faults)
    arms = read_arms(shape.arms, known, faults)
    known = known.with_cycle(find_cycle(arms, shape.arms))
    visits = read_visits(shape.visits, known, faults)
    rules = read_rules(shape.rules, visits, known=known, faults=faults)
    arms = with_rules(arms, shape.arms, rules, _names(faults.sheet, "rules"), faults)
    check_learning(arms, faults)
    check_watching(arms, known.model, faults)
    endpoints, last = _read_endpoints(
        shape, arms, visits, plan, known=known, faults=faults
    )
    analysis, published = _read_comparisons(
        shape, places, endpoints, visits, known=known, faults=faults
    )
    optimisation = read_optimisation(
        shape.optimise, given, endpoints, seed=shape.seed, faults=faults
    )
    enactment, design = _design(shape, plan, endpoints, analysis, known, faults)
    done: dict[str, Any] = {"arms": arms, "visits": visits, "endpoints": endpoints}
    let_in = _let_in(shape, done, design, known, faults)
    done = _read_times(shape, plan, done, design, last, known=known, faults=faults)
    observed, outcomes = read_observed(
        shape.observed, arms, endpoints, known=known, faults=faults
    )
    keep = read_keep(shape.keep, known, faults)
    keep = asked_for(keep, analysis.comparisons, observed)
    _check_size(shape, plan, faults)
    _check_tolerances(shape, known, faults)
    check_predictions(shape, keep, arms, faults)
    faults.refuse()
    assert known.model is not None, "a sheet without a model has faults"
    protocol = Protocol(
        shape.protocol,
        known.model,
        shape.cohort,
        in_all(shape.subjects),
        title=shape.title,
        replicates=shape.replicates,
        seed=shape.seed,
        potential=shape.potential,
        uncertainty=shape.uncertainty,
        random_effects=shape.random_effects,
        design=design,
        enactment=enactment,
        optimisation=optimisation,
        analysis=analysis,
        evidence=Evidence(published, observed, outcomes),
        keep=keep,
        numerics=_numerics(shape),
        sources=tuple(map(read_source, shape.source)),
        **done,
        **let_in,
        **_as_given(known, faults),
    )
    return dataclasses.replace(protocol, block=shape.block or protocol.usual_block)


def _let_in(
    shape: ProtocolShape,
    done: Mapping[str, Any],
    design: Design,
    known: Known,
    faults: Faults,
) -> dict[str, Eligible | RunIn | None]:
    """Read who is let in before any treatment, and who after a run-in."""
    times = [time for visit in done["visits"] for time in visit.times]
    return {
        "eligible": read_eligible(shape.eligible, times, known, faults),
        "run_in": read_run_in(shape, **done, design=design, known=known, faults=faults),
    }


def _design(
    shape: ProtocolShape,
    plan: Plan | None,
    endpoints: tuple[Endpoint, ...],
    analysis: Analysis,
    known: Known,
    faults: Faults,
) -> tuple[Enactment | None, Design]:
    """Read how trials are enacted, subjects are allocated, and how they leave."""
    enactment = read_enactment(
        shape, in_all(shape.subjects), endpoints, analysis.comparisons, faults=faults
    )
    names = tuple(shape.arms if plan is None else plan.sequences)
    made = Design(
        read_allocation(shape.design, shape.subjects, names, known, faults),
        read_dropout(shape.design.dropout, names, known, faults),
    )
    check_enactment(made, enactment, known, faults)
    asked = [one for one in analysis.comparisons if one.sites]
    made = with_enactment(made, enactment, asked=bool(asked))
    if made.sites is not None:
        check_effects(made.sites, known, faults)
    check_sites(made, shape, faults)
    cells = any(one.cells for one in analysis.comparisons)
    whole = bool(plan or made.allocation.clusters or asked or cells)
    return None if whole else enactment, made


def _read_endpoints(
    shape: ProtocolShape,
    arms: tuple[Arm, ...],
    visits: tuple[Visit, ...],
    plan: Plan | None,
    *,
    known: Known,
    faults: Faults,
) -> tuple[tuple[Endpoint, ...], float]:
    """Read the endpoints, and until when true values are looked at [h]."""
    horizon = _horizon(arms, visits) if plan is None else plan.length
    late = max([most_delay(arm) for arm in arms], default=0.0)
    spans = read_spans(
        shape.endpoints, horizon=horizon, late=late, known=known, faults=faults
    )
    causes = causes_of(shape.design.dropout, arms)
    endpoints = read_endpoints(
        shape.endpoints, spans, visits, causes=causes, known=known, faults=faults
    )
    names = _names(faults.sheet, "endpoints")
    endpoints = with_cost(shape.costs, endpoints, names, faults)
    told = {name for name, one in shape.endpoints.items() if known.counts(one.of)}
    ends = [span.end for name, span in spans.items() if name not in told]
    return endpoints, max([horizon, *ends])


def _read_comparisons(
    shape: ProtocolShape,
    places: dict[str, list[int]],
    endpoints: tuple[Endpoint, ...],
    visits: tuple[Visit, ...],
    *,
    known: Known,
    faults: Faults,
) -> tuple[Analysis, tuple[Published, ...]]:
    """Read comparisons, and what names them: adjustment and published outcomes."""
    comparisons, called = read_analysis(
        dict(zip(places.get("analysis", []), shape.analysis, strict=True)),
        endpoints,
        visits,
        known=known,
        faults=faults,
    )
    check_within(shape, places.get("analysis", []), faults)
    check_looks(shape, places.get("analysis", []), faults)
    given = faults.sheet.data.get("analysis")
    whole = not isinstance(given, list) or len(given) == len(called)
    more = () if faults.entries else of_cost(comparisons, endpoints, known.arms)
    comparisons, called = (*comparisons, *more), (*called, *(c.name for c in more))
    published = read_published(
        dict(zip(places.get("published", []), shape.published, strict=True)),
        endpoints,
        comparisons,
        names=called if whole else None,
        known=known,
        faults=faults,
    )
    multiplicity = read_multiplicity(shape.multiplicity, called, faults)
    return Analysis(comparisons, multiplicity), published


def _known(shape: ProtocolShape, faults: Faults) -> Known:
    """Collect every name that an entry may use; load the model."""
    _check_names(faults)
    check_factors(faults)
    model = None if shape.model == "-" else find_model(shape.model, faults)
    check_fitted(model, shape.model, shape.cohort, faults)
    if model is not None:
        model = with_parameters_of(model, shape.parameters, faults)
    given = None if shape.cohort == "-" else find_covariates(shape.cohort, faults)
    names = given.names if given else frozenset()
    if model is not None and given is not None:
        names |= {covariate.name for covariate in model.covariates}
    return Known(
        model,
        names,
        arms=_names(faults.sheet, "arms"),
        visits=_names(faults.sheet, "visits"),
        endpoints=(
            *_names(faults.sheet, "endpoints"),
            *([COST] if shape.costs else []),
        ),
        rules=_names(faults.sheet, "rules"),
        measured={name: tuple(v.measure) for name, v in shape.visits.items()},
        words=given.words if given else {},
    )


def _as_given(known: Known, faults: Faults) -> dict[str, Any]:
    """Return the sheet as it was given, and what codes of covariates are called."""
    words: Words = tuple(
        (name, tuple((code, word) for word, code in codes.items()))
        for name, codes in known.words.items()
    )
    sheet = faults.sheet
    return {
        "path": sheet.source,
        "text": sheet.text,
        "data": sheet.data,
        "words": words,
    }


def _names(sheet: Sheet, section: str) -> tuple[str, ...]:
    """Name the entries of a section, faulty ones included."""
    entries = sheet.data.get(section)
    return tuple(entries) if isinstance(entries, dict) else ()


def _check_names(faults: Faults) -> None:
    """Find names that are one in equations, or in a folder that knows no capitals."""
    for section in ("arms", "visits", "rules", "endpoints"):
        known: dict[str, str] = {}
        for name in _names(faults.sheet, section):
            first = known.setdefault(written(name), name)
            if first == name:
                continue
            line, _ = faults.sheet.place((section, first))
            faults.add(
                (section, name),
                found=f"`{name}`, which is written like `{first}` on line {line}",
                allowed="a name that differs by more than spaces, dashes, "
                "underscores and capitals",
            )


def written(name: str) -> str:
    """Return how a name is written where all files and equations can bear it.

    Examples
    --------
    >>> written("Grade 4"), written("grade-4")
    ('grade_4', 'grade_4')
    """
    return unicodedata.normalize("NFC", called(name)).casefold()


def _horizon(arms: tuple[Arm, ...], visits: tuple[Visit, ...]) -> float:
    """Return the time [h] of the last visit or the end of dosing, or a day."""
    ends = [arm.regimen.end for arm in arms if arm.regimen is not None]
    ends += [visit.times[-1] for visit in visits]
    return max([end for end in ends if math.isfinite(end)], default=0.0) or 24.0


def _read_times(
    shape: ProtocolShape,
    plan: Plan | None,
    done: dict[str, Any],
    design: Design,
    horizon: float,
    *,
    known: Known,
    faults: Faults,
) -> dict[str, Any]:
    """Read occasions, and when true values are computed, also for visits and limits.

    `done` are the arms, visits and endpoints of the sheet; returned are those of all
    periods, with occasions and grid.
    """
    occasions = read_occasions(shape.occasions, known, faults)
    if plan is not None:
        occasions = occasions_of(plan, occasions)
        done = crossed(plan, **done, occasions=occasions, faults=faults)
        horizon += plan.starts[-1] if plan.starts else 0.0
    endpoints, visits = done["endpoints"], done["visits"]
    limits = _limits(endpoints)
    followed = [(point.start, point.end) for point in endpoints if point.follows]
    if design.dropout.followed:  # a hazard is integrated over the whole course
        followed = [(0.0, horizon)]
    if known.model and known.model.flow:
        grid = Grid((known.model.flow.closes,), given=True)
    else:
        grid = read_grid(
            shape.grid,
            horizon=horizon,
            extra=[*limits, *(time for visit in visits for time in visit.times)],
            knots=knots_of(done["arms"], visits, occasions, known.model, horizon)
            if known.model
            else NO_KNOTS,
            limits=limits,
            followed=followed,
            known=known,
            faults=faults,
        )
    when = {"grid": grid.times, "added": grid.added, "given": grid.given}
    return {**done, **when, "occasions": occasions}


def _limits(endpoints: Sequence[Endpoint]) -> list[float]:
    """Return the limits of endpoints of true values, and their baselines [h]."""
    return [
        time
        for point in endpoints
        if point.values == "true"
        for time in (point.start, point.end, point.baseline)
    ]


def _check_tolerances(shape: ProtocolShape, known: Known, faults: Faults) -> None:
    """Find tolerances of states that the model does not have."""
    states = known.model.states if known.model else ()
    for name in shape.numerics.atol_by_state:
        if known.model and name not in states:
            faults.add(
                ("numerics", "atol_by_state", name),
                found=f"`{name}`, which is no state of {known.model.name}",
                allowed=listed(states, like=name) or "left out",
                write=nearest(name, states),
                old=name,
            )


def _numerics(shape: ProtocolShape) -> Numerics:
    """Return how equations are solved."""
    asked = dict(shape.numerics)
    by_state = asked.pop("atol_by_state")
    return Numerics(**asked, atol_by_state=tuple(by_state.items()))


def _check_size(shape: ProtocolShape, plan: Plan | None, faults: Faults) -> None:
    """Find trials with fewer subjects than arms."""
    least, of = shown_sizes(plan, len(_names(faults.sheet, "arms")))
    total = in_all(shape.subjects)
    if total < least:
        faults.add(
            ("subjects",),
            found=f"{total}, for {of}",
            allowed="at least one for each arm",
        )

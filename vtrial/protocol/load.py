"""Load a protocol: a sheet in, a Protocol or every one of its faults out."""

import copy
import dataclasses
import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.equation import called
from vtrial.errors import Fault, ProtocolError
from vtrial.model.sheet import library
from vtrial.protocol.analysis import Analysis, Comparison
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
from vtrial.protocol.eligible import read_eligible
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.endpoints import (
    read_endpoints,
    read_spans,
)
from vtrial.protocol.evidence import Correct, Evidence, Observed, Published
from vtrial.protocol.faults import Faults
from vtrial.protocol.flow import asked_of_flow
from vtrial.protocol.grid import Grid, read_grid
from vtrial.protocol.knots import NO_KNOTS, knots_of, most_delay
from vtrial.protocol.multiplicity import read_multiplicity
from vtrial.protocol.observed import read_observed
from vtrial.protocol.parameters import with_parameters_of
from vtrial.protocol.protocol import Arm, Keep, Protocol, Visit
from vtrial.protocol.published import read_published, read_source
from vtrial.protocol.randomisation import check_enactment, with_enactment
from vtrial.protocol.read_enactment import read_enactment
from vtrial.protocol.read_learning import check_learning
from vtrial.protocol.read_optimisation import read_optimisation
from vtrial.protocol.read_rules import read_rules
from vtrial.protocol.scope import Known, find_covariates, find_model
from vtrial.protocol.shape import KeepShape, ProtocolShape
from vtrial.protocol.sizes import in_all, resized
from vtrial.protocol.subset import Words
from vtrial.protocol.visits import read_occasions, read_visits
from vtrial.sheets.find import find_sheet, refuse_other, shipped
from vtrial.sheets.given import given_sheet
from vtrial.sheets.remedy import proved
from vtrial.sheets.sheet import Path_, Sheet, read_sheet
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
    given, sheet = sheet, filled(sheet)
    faults = Faults(sheet)
    shape, places = _read_shape(sheet, faults)
    if shape is None:
        return None, faults.entries
    try:
        return _build(shape, places, given, faults), []
    except ProtocolError as error:
        return None, list(error.faults)


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
    arms = read_arms(shape.arms, known, faults)
    known = known.with_cycle(find_cycle(arms, shape.arms))
    visits = read_visits(shape.visits, known, faults)
    times = [time for visit in visits for time in visit.times]
    eligible = read_eligible(shape.eligible, times, known, faults)
    rules = read_rules(shape.rules, visits, known=known, faults=faults)
    arms = with_rules(arms, shape.arms, rules, _names(faults.sheet, "rules"), faults)
    check_learning(arms, faults)
    endpoints, last = _read_endpoints(shape, arms, visits, known=known, faults=faults)
    analysis, published = _read_comparisons(
        shape, places, endpoints, visits, known=known, faults=faults
    )
    optimisation = read_optimisation(
        shape.optimise, given, endpoints, seed=shape.seed, faults=faults
    )
    enactment, design = _design(shape, endpoints, analysis, known, faults)
    occasions, grid = _read_times(
        shape, endpoints, visits, arms, design, last, known=known, faults=faults
    )
    observed, outcomes = read_observed(
        shape.observed, arms, endpoints, known=known, faults=faults
    )
    keep = _asked_for(_keep(shape.keep, known, faults), analysis.comparisons, observed)
    _check_numbers(shape, known, faults)
    _check_predictions(shape, keep, arms, faults)
    faults.refuse()
    assert known.model is not None, "a sheet without a model has faults"
    protocol = Protocol(
        shape.protocol,
        known.model,
        shape.cohort,
        in_all(shape.subjects),
        arms,
        title=shape.title,
        replicates=shape.replicates,
        seed=shape.seed,
        potential=shape.potential,
        uncertainty=shape.uncertainty,
        random_effects=shape.random_effects,
        eligible=eligible,
        design=design,
        enactment=enactment,
        optimisation=optimisation,
        visits=visits,
        grid=grid.times,
        added=grid.added,
        given=grid.given,
        occasions=occasions,
        endpoints=endpoints,
        analysis=analysis,
        evidence=Evidence(published, observed, outcomes),
        keep=keep,
        numerics=_numerics(shape),
        sources=tuple(map(read_source, shape.source)),
        **_as_given(known, faults),
    )
    return dataclasses.replace(protocol, block=shape.block or protocol.usual_block)


def _design(
    shape: ProtocolShape,
    endpoints: tuple[Endpoint, ...],
    analysis: Analysis,
    known: Known,
    faults: Faults,
) -> tuple[Enactment | None, Design]:
    """Read how trials are enacted, subjects are allocated, and how they leave."""
    enactment = read_enactment(
        shape, in_all(shape.subjects), endpoints, analysis.comparisons, faults=faults
    )
    names = tuple(shape.arms)
    made = Design(
        read_allocation(shape.design, shape.subjects, names, known, faults),
        read_dropout(shape.design.dropout, names, known, faults),
    )
    check_enactment(made, enactment, known, faults)
    return enactment, with_enactment(made, enactment)


def _read_endpoints(
    shape: ProtocolShape,
    arms: tuple[Arm, ...],
    visits: tuple[Visit, ...],
    *,
    known: Known,
    faults: Faults,
) -> tuple[tuple[Endpoint, ...], float]:
    """Read the endpoints, and until when true values are looked at [h]."""
    horizon = _horizon(arms, visits)
    late = max([most_delay(arm) for arm in arms], default=0.0)
    spans = read_spans(
        shape.endpoints, horizon=horizon, late=late, known=known, faults=faults
    )
    endpoints = read_endpoints(
        shape.endpoints, spans, visits, known=known, faults=faults
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
    model = None if shape.model == "-" else find_model(shape.model, faults)
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
    endpoints: tuple[Endpoint, ...],
    visits: tuple[Visit, ...],
    arms: tuple[Arm, ...],
    design: Design,
    horizon: float,
    *,
    known: Known,
    faults: Faults,
) -> tuple[tuple[float, ...], Grid]:
    """Read occasions, and when true values are computed, also for visits and limits."""
    occasions = read_occasions(shape.occasions, known, faults)
    limits = _limits(endpoints)
    followed = [(point.start, point.end) for point in endpoints if point.follows]
    if design.dropout.followed:  # a hazard is integrated over the whole course
        followed = [(0.0, horizon)]
    if known.model and known.model.flow:
        return occasions, Grid((known.model.flow.closes,), given=True)
    return occasions, read_grid(
        shape.grid,
        horizon=horizon,
        extra=[*limits, *(time for visit in visits for time in visit.times)],
        knots=knots_of(arms, visits, occasions, known.model, horizon)
        if known.model
        else NO_KNOTS,
        limits=limits,
        followed=followed,
        known=known,
        faults=faults,
    )


def _limits(endpoints: Sequence[Endpoint]) -> list[float]:
    """Return the limits of endpoints of true values, and their baselines [h]."""
    return [
        time
        for point in endpoints
        if point.values == "true"
        for time in (point.start, point.end, point.baseline)
    ]


def _keep(shape: KeepShape, known: Known, faults: Faults) -> Keep:
    """Read what is kept; `first 20` becomes 20."""
    if known.model:
        names = list(known.model.inputs)
        names += [s.name for s in known.model.structure.static]
        for index, name in enumerate(shape.individual):
            if name not in names:
                path = ("keep", "individual", index)
                faults.unknown(path, name, names, "individual parameter")
    words = shape.trajectories
    kept = int(words.split()[1]) if words.startswith("first") else words
    return Keep(
        kept,  # type: ignore[arg-type] # one of three words, or a number
        shape.measurements,
        shape.predictions,
        shape.covariates,
        tuple(shape.individual),
    )


def _asked_for(
    keep: Keep, analysis: tuple[Comparison, ...], observed: tuple[Observed, ...]
) -> Keep:
    """Keep, too, what comparisons and predictive checks ask for."""
    kinds = get_args(Correct)
    predictions = max(
        [keep.predictions, *(o.correct for o in observed)], key=kinds.index
    )
    mixed = any(one.measure.of == "visits" for one in analysis)
    measurements = (
        keep.measurements or mixed or bool(observed) or predictions != kinds[0]
    )
    return dataclasses.replace(keep, measurements=measurements, predictions=predictions)


def _check_predictions(
    shape: ProtocolShape, keep: Keep, arms: tuple[Arm, ...], faults: Faults
) -> None:
    """Refuse predictions of the population where doses follow what was measured.

    They are of a subject by its design alone: with doses as they are planned.
    """
    kept = [arm.name for arm in arms if arm.kept]
    if keep.predictions == "nothing" or not kept:
        return
    path: Path_ = ("keep", "predictions")
    if shape.keep.predictions == "nothing":
        path = ("observed",)
    faults.add(
        path,
        found=f"with predictions of the population, while rules or adherence change "
        f"doses under {listed(kept)}",
        allowed="left out, or asked for without rules and adherence: a prediction has "
        "the doses that are planned",
    )


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


def _check_numbers(shape: ProtocolShape, known: Known, faults: Faults) -> None:
    """Find numbers of subjects and tolerances that cannot be."""
    _check_size(shape, faults)
    _check_tolerances(shape, known, faults)


def _check_size(shape: ProtocolShape, faults: Faults) -> None:
    """Find trials with fewer subjects than arms."""
    arms = _names(faults.sheet, "arms")
    total = in_all(shape.subjects)
    if total < len(arms):
        faults.add(
            ("subjects",),
            found=f"{total}, for {len(arms)} arms",
            allowed="at least one for each arm",
        )

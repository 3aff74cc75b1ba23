"""Rules that ask for the chance of an event: by what a twin follows the subject."""

from collections.abc import Collection, Sequence

from vtrial.model.model import Model
from vtrial.model.part import obstacle
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm, Visit
from vtrial.protocol.read_learning import learned_outputs, parted
from vtrial.protocol.rule_shape import RuleShape
from vtrial.protocol.rules import Condition, Rule, Watch
from vtrial.protocol.scope import Known
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

_FIT = "a model whose held states alone move, at ticks (`every 1 d: ...`)"


def read_watch(
    rule: tuple[Path_, RuleShape],
    when: Condition | None,
    at: Sequence[str],
    *,
    visits: Sequence[Visit],
    measured: Collection[str],
    known: Known,
    faults: Faults,
) -> Watch | None:
    """Read by what a twin follows subjects; None if a rule asks for no chance.

    None, too, if anything is wrong with it.
    """
    path, shape = rule
    asks = when is not None and bool(when.forecasts)
    if not asks or shape.choose:
        _alone(path, shape, asks, faults)
        return None
    before = len(faults.entries)
    outputs = learned_outputs(
        path, shape, measured=measured, known=known, faults=faults
    )
    if known.model is not None and when is not None:
        _check_model(path, known.model, when, faults)
    unknown = tuple(one for text in shape.unknown for one in parted(text))
    covariates = known.model.covariates if known.model else ()
    names = [one.name for one in covariates]
    for name in unknown:
        if known.model is not None and name not in names:
            faults.unknown((*path, "unknown"), name, names, "covariate of the model")
    _check_visits(path, at, outputs, visits, faults)
    if len(faults.entries) > before:
        return None
    return Watch(outputs, tuple(dict.fromkeys(unknown)), shape.particles)


def check_watching(arms: Sequence[Arm], model: Model | None, faults: Faults) -> None:
    """Find arms of which no twin can follow what is done."""
    for arm in arms if model else ():
        watching = [rule for rule in arm.rules if rule.watch]
        if not watching:
            continue
        path: Path_ = ("rules", watching[0].name)
        told = [rule.name for rule in arm.rules if _is_untold(rule, model)]
        if arm.regimen is not None:
            faults.add(
                path,
                found=f"a chance in {arm.name}, which has doses",
                allowed="an arm without `dose`: the twin of a chance knows of no doses",
            )
        elif told:
            faults.add(
                path,
                found=f"a chance in {arm.name}, where `{told[0]}` does something "
                "that is no assignment to a state",
                allowed="rules that assign to states, such as `on <- 0`, which the "
                "twin is told",
            )


def _is_untold(rule: Rule, model: Model | None) -> bool:
    """Return whether a rule does what a twin of a chance is not told."""
    inputs = model.inputs if model else ()
    return any(
        one.kind not in ("assign", "leave") or one.target in inputs for one in rule.do
    )


def _alone(path: Path_, shape: RuleShape, asks: bool, faults: Faults) -> None:
    """Find what belongs to a chance where none is asked for, or beside a choice."""
    if asks:
        faults.add(
            (*path, "when"),
            found="`chance(...)` beside `choose`",
            allowed="one or the other: a rule of its own asks for the chance",
        )
    elif "unknown" in shape.model_fields_set:
        faults.add(
            (*path, "unknown"),
            found="given, though the rule asks for no chance",
            allowed="beside `chance(...)` in `when`",
            write="when: chance(admission, 14 d) > 0.1",
        )


def _check_model(path: Path_, model: Model, when: Condition, faults: Faults) -> None:
    """Find what stands in the way of following subjects of a model."""
    chance = model.chance
    wrong = [
        ("leaves nothing to chance", chance is None),
        ("is a flow", model.flow is not None),
        ("has no ticks", chance is not None and not chance.every),
        ("has states that move between ticks", bool(model.states)),
        ("asks for the time after a dose", model.structure.uses_after_dose),
        ("has effects that change between occasions", any(
            block.level == "occasion" for block in model.random
        )),
    ]  # fmt: skip
    told = next((words for words, is_so in wrong if is_so), "")
    if told:
        found = f"`chance(...)`, though {model.name} {told}"
        faults.add((*path, "when"), found=found, allowed=_FIT)
        return
    for forecast in when.forecasts:
        if words := obstacle(model, forecast.event):
            faults.add(
                (*path, "when"),
                found=f"the chance of `{forecast.event}`, {words}",
                allowed="an event whose hazard needs states alone that ticks change",
            )


def _check_visits(
    path: Path_,
    at: Sequence[str],
    outputs: Sequence[str],
    visits: Sequence[Visit],
    faults: Faults,
) -> None:
    """Find visits whose values would come to the twin late, or not at all."""
    for visit in visits:
        mine = [name for name in outputs if name in visit.measure]
        if not mine:
            continue
        if visit.name not in at:
            faults.add(
                (*path, "at"),
                found=f"without `{visit.name}`, which measures {listed(mine)}",
                allowed="every visit that measures what is learned from: the twin goes "
                "from one to the next",
                write=f"at: {', '.join([*at, visit.name])}",
            )
        for key, value in (
            ("window", visit.window),
            ("known after", visit.known_after),
        ):
            if value:
                faults.add(
                    ("visits", visit.name, key),
                    found=f"given, though `{path[-1]}` learns from {listed(mine)}",
                    allowed="values that are known at once, at times that are planned",
                )

"""Rules that learn and choose: from what, of which doses, and what is wanted."""

from collections.abc import Collection, Sequence

from vtrial.dosing.goal import Goal, above, parse_goal
from vtrial.errors import DataError
from vtrial.model.model import Model
from vtrial.model.tree import Expression
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Arm
from vtrial.protocol.rule_shape import RuleShape
from vtrial.protocol.rules import Learning
from vtrial.protocol.scope import Known
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

UNTIL = 48.0  # [h] after the first new dose, unless a goal says when
_OWN = ("learn", "choose", "so_that", "harm", "prefer", "particles")
_WATCHES = (
    "learn",
    "particles",
)  # of these, what a rule may say that asks for a chance
_NOT_BESIDE = ("do", "ladder", "floor", "ceiling")
_SUCH = "choose: 500, 750, 1000 mg"


def done_in_words(shape: RuleShape) -> str:
    """Write what a rule does."""
    if not shape.choose:
        done = ", ".join(shape.do)
        learned = (
            f" (chances learned from {listed(shape.learn)})" if shape.learn else ""
        )
        return done + learned
    doses = ", ".join(map(str, shape.choose))
    words = f"choose of {doses} so that {' and '.join(shape.so_that)}"
    return f"{words}, learned from {listed(shape.learn or ())}"


def parted(text: str) -> list[str]:
    """Part names with commas between."""
    return [one.strip() for one in text.split(",")]


def read_learning(
    rule: tuple[Path_, RuleShape],
    doses: tuple[Expression, ...],
    *,
    foretells: bool,
    measured: Collection[str],
    known: Known,
    faults: Faults,
) -> Learning | None:
    """Read how a rule chooses a dose; None if it does not, or anything is wrong.

    `foretells` says that its condition asks for a chance, for which it learns, too.
    """
    path, shape = rule
    if not shape.choose:
        _without_choice(path, shape, foretells, faults)
        return None
    before = len(faults.entries)
    for key in _NOT_BESIDE:
        if key in shape.model_fields_set:
            faults.add(
                (*path, key),
                found="given beside `choose`",
                allowed="left out: the rule chooses a dose, and does nothing else",
            )
    outputs = learned_outputs(
        path, shape, measured=measured, known=known, faults=faults
    )
    model = known.model
    if model is not None:
        _check_model((*path, "learn"), model, faults)
    wanted = _goals((*path, "so that"), shape.so_that, model, faults)
    harms = _goals((*path, "harm"), shape.harm, model, faults)
    if not shape.so_that:
        faults.add(
            (*path, "so that"),
            found="missing, though the rule chooses",
            allowed="what the dose is to do",
            write="so that: AUC24 in 400 to 600",
        )
    for goal in (one for one in harms if one.is_limit):
        faults.add(
            (*path, "harm"),
            found=f"`{goal.written}`, a limit",
            allowed="a condition without P(...), whose probability counts",
        )
    if len(faults.entries) > before or not doses:
        return None
    goals = tuple(goal for goal in wanted if not goal.is_limit)
    ranges = [one for one in goals if abs(one.low) + abs(one.high) < float("inf")]
    return Learning(
        outputs,
        doses,
        goals,
        tuple(harms or map(above, ranges)),
        tuple(goal for goal in wanted if goal.is_limit),
        particles=shape.particles,
        prefer=shape.prefer,
    )


def check_learning(arms: Sequence[Arm], faults: Faults) -> None:
    """Find arms in which nothing can be learned, or not by one rule."""
    for arm in arms:
        learning = [rule for rule in arm.rules if rule.learning]
        if not learning:
            continue
        name = learning[0].name
        assigns = [r.name for r in arm.rules if any(a.kind == "assign" for a in r.do)]
        if arm.regimen is None:
            faults.add(
                ("rules", name),
                found=f"a choice of doses, though {arm.name} has none",
                allowed="an arm with `dose`; `rules` of an arm names its own",
            )
        elif len(learning) > 1:
            faults.add(
                ("rules", learning[1].name),
                found=f"the second rule of {arm.name} that chooses",
                allowed="one for an arm; `rules` of an arm names its own",
            )
        elif assigns:
            faults.add(
                ("rules", name),
                found=f"a choice in {arm.name}, where `{assigns[0]}` changes equations",
                allowed="rules that change doses, for what was done to an equation is "
                "not learned",
            )


def _without_choice(
    path: Path_, shape: RuleShape, foretells: bool, faults: Faults
) -> None:
    """Find what belongs to a choice where there is none, and a rule of nothing."""
    names = {"so_that": "so that"}
    for key in _OWN:
        if foretells and key in _WATCHES:
            continue
        if key in shape.model_fields_set and key != "choose":
            allowed = "beside `choose`, the doses that there are"
            if key in _WATCHES:
                allowed += ", or beside `chance(...)` in `when`"
            faults.add(
                (*path, names.get(key, key)),
                found="given, though the rule does not choose",
                allowed=allowed,
                write=_SUCH,
            )
    if not shape.do and (shape.learn is None or foretells):
        faults.add(
            (*path, "do"),
            found="missing",
            allowed="what is done, such as `do: hold`, or of what doses one is chosen: "
            f"`{_SUCH}`",
        )


def learned_outputs(
    path: Path_,
    shape: RuleShape,
    *,
    measured: Collection[str],
    known: Known,
    faults: Faults,
) -> tuple[str, ...]:
    """Return the outputs whose values count."""
    at = (*path, "learn")
    names = [one for text in shape.learn or () for one in parted(text)]
    if not names:
        does = "chooses" if shape.choose else "asks for a chance"
        faults.add(
            at,
            found=f"missing, though the rule {does}",
            allowed="the outputs whose measured values say who the subject is: "
            + (listed(measured) or "none is measured"),
        )
    for name in names:
        output = known.output(name)
        if name not in measured:
            faults.unknown(at, name, measured, "measured output")
        elif output is not None and not output.error.varies:
            faults.add(
                at,
                found=f"`{name}`, which is measured without error",
                allowed="an output with `error` in the model",
                old=name,
            )
    return tuple(dict.fromkeys(names))


def _check_model(at: Path_, model: Model, faults: Faults) -> None:
    """Find what stands in the way of learning who a subject of a model is."""
    blocks = [block for block in model.random if any(map(any, block.covariance))]
    wrong = [
        ("leaves something to chance", model.chance is not None),
        ("has classes of subjects", bool(model.classes)),
        ("is a flow", model.flow is not None),
        ("has effects of Student's t", any(block.student for block in blocks)),
        ("has no effects that differ between subjects", not any(
            block.level == "subject" for block in blocks
        )),
    ]  # fmt: skip
    for words, is_so in wrong:
        if is_so:
            faults.add(
                at,
                found=f"given, though {model.name} {words}",
                allowed="a model whose subjects differ by normal random effects alone",
            )


def _goals(
    path: Path_, texts: Sequence[str], model: Model | None, faults: Faults
) -> list[Goal]:
    """Read goals and limits."""
    found: list[Goal] = []
    if model is None:
        return found
    for text in texts:
        try:
            goal = parse_goal(text, model, until=UNTIL)
        except DataError as error:
            for fault in error.faults:
                faults.add(
                    path,
                    found=f"`{text}`, {fault.found}",
                    allowed=fault.allowed,
                    write=fault.write,
                )
            continue
        if any(one.at <= 0 for one in goal.measures):
            faults.add(
                path,
                found=f"`{text}`, at 0 h or before",
                allowed="behind the first new dose, such as `at 48 h`",
            )
        found.append(goal)
    return found

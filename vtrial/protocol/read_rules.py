"""Rules of a sheet: when they are decided, on what, and what they do."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vtrial.dosing.regimen import Regimen
from vtrial.dosing.words import parse_regimen
from vtrial.endpoint.equation import called
from vtrial.errors import DosingError, ModelError, ProtocolError
from vtrial.model.grammar import parse_expression
from vtrial.model.tree import Call, Expression, Number, names_in
from vtrial.protocol.conditions import (
    HOURS_PER_DAY,
    Names,
    may_hold,
    outputs_of,
    read_condition,
)
from vtrial.protocol.faults import Faults
from vtrial.protocol.protocol import Visit
from vtrial.protocol.read_learning import done_in_words, parted, read_learning
from vtrial.protocol.read_watching import read_watch
from vtrial.protocol.rule_shape import RuleShape
from vtrial.protocol.rules import Action, Condition, Rule
from vtrial.protocol.scope import Known
from vtrial.protocol.times import duration
from vtrial.protocol.values import share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.synonyms import meant
from vtrial.sheets.words import listed, nearest

TRIFLE = 1e-9  # of a cycle, within which it begins
_WAYS = (
    "`hold`, `hold for 7 d`, `resume`, `delay 7 d`, `reduce to 80 %`, `reduce by 20 %`,"
    " `reduce one step`, `increase by 25 mg`, `set dose 60 mg/m2`, `switch to 50 mg"
    " every 24 h x 7`, `give 10 mg`, `stop`, `leave`, or `CL <- 2 * CL`"
)
_CHANGE = re.compile(
    r"(reduce|increase)\s+(?:(to|by)\s+(.+)|(one|\d+)\s+steps?)", re.DOTALL
)
_CHANCE = re.compile(r"\bchance\s*\(")
_PERCENT = re.compile(r"[\d.]+\s*%")
_HEADS = ("hold", "resume", "delay", "reduce", "increase", "stop", "leave")


def read_rules(
    shapes: Mapping[str, RuleShape],
    visits: Sequence[Visit],
    *,
    known: Known,
    faults: Faults,
) -> dict[str, Rule]:
    """Read the rules that make sense, by name, in the order of the sheet."""
    found = {}
    for name, shape in shapes.items():
        reader = _Reader(name, shape, list(known.rules), visits, known, faults)
        rule = reader.rule()
        if rule is not None:
            found[name] = rule
    _check_against_each_other(found, faults)
    return found


@dataclass
class _Reader:
    """Read one rule."""

    name: str
    shape: RuleShape
    rules: list[str]
    visits: Sequence[Visit]
    known: Known
    faults: Faults

    @property
    def path(self) -> Path_:
        """Where the rule stands."""
        return ("rules", self.name)

    @property
    def names(self) -> Names:
        """What its equations may name."""
        model = self.known.model
        measured = {o for v in self.visits for o in v.measure}
        measured |= {o for some in (self.known.measured or {}).values() for o in some}
        measured |= _told_as_measured(self.faults.sheet.value(("visits",)))
        parameters = [p.name for p in model.parameters] if model else []
        others = [*sorted(self.known.covariates), *parameters]
        others += map(called, self.rules)
        outputs = [output.name for output in model.outputs] if model else []
        unmeasured = {*outputs, *(model.states if model else ())} - measured
        events = model.chance.events if model and model.chance else ()
        hazards = [event.name for event in events if event.by == "hazard"]
        return Names(sorted(measured), others, unmeasured - {*others}, hazards)

    def rule(self) -> Rule | None:
        """Return the rule; None if anything in it is wrong."""
        shape, before = self.shape, len(self.faults.entries)
        when = self._condition()
        at = self._at(when)
        self._check_acts(when, at)
        do = [self._action(place, text) for place, text in enumerate(shape.do)]
        into = self._into()
        hours = [self._hours(key) for key in ("lockout", "after")]
        success = self._success()
        ladder = self._ladder()
        chosen = self._ladder("choose")
        learning = read_learning(
            (self.path, shape),
            chosen,
            foretells=bool(_CHANCE.search(shape.when or "")),
            measured=self.names.measured,
            known=self.known,
            faults=self.faults,
        )
        watch = read_watch(
            (self.path, shape),
            when,
            at,
            visits=self.visits,
            measured=self.names.measured,
            known=self.known,
            faults=self.faults,
        )
        floor, ceiling = self._amount("floor"), self._amount("ceiling")
        actions = tuple(action for action in do if action is not None)
        self._check_steps(actions, ladder)
        if self.known.model is None or len(self.faults.entries) > before:
            return None
        return Rule(
            self.name,
            at,
            when,
            actions,
            into=into,
            confirmed=shape.confirmed,
            most=shape.at_most or 0,
            lockout=hours[0],
            after=hours[1],
            success=success,
            floor=floor,
            ceiling=ceiling,
            ladder=ladder,
            also=shape.also,
            learning=learning,
            watch=watch,
            title=shape.title,
            words=f"{shape.when or 'always'}: {done_in_words(shape)}",
        )

    def _condition(self) -> Condition | None:
        if self.shape.when is None or self.known.model is None:
            return None
        try:
            return read_condition(self.shape.when, self.names)
        except ModelError as error:
            self.faults.relay((*self.path, "when"), error)
            return None

    def _at(self, when: Condition | None) -> tuple[str, ...]:
        """Return the visits at which it is decided."""
        given = [one for text in self.shape.at or () for one in parted(text)]
        for one in given:
            if one not in self.known.visits:
                at = (*self.path, "at")
                self.faults.unknown(at, one, self.known.visits, "visit")
        asked = outputs_of(when, self.names.measured)
        if when is not None and when.forecasts:
            asked += [one for text in self.shape.learn or () for one in parted(text)]
        if given or when is None:
            every = [visit.name for visit in self.visits]
            return tuple(dict.fromkeys(given or every))
        looked = [v.name for v in self.visits if set(asked) & set(v.measure)]
        if not looked and not asked:
            looked = [visit.name for visit in self.visits]
        if not looked and len(self.visits) == len(self.known.visits):
            self.faults.add(
                (*self.path, "at"),
                found="missing, and no visit measures anything",
                allowed="the visits at which it is decided, and `visits` that measure",
            )
        return tuple(looked)

    def _check_acts(self, when: Condition | None, at: Sequence[str]) -> None:
        """Find rules that can never act, whatever is measured."""
        if when is not None and not may_hold(when, {}):
            self.faults.add(
                (*self.path, "when"),
                found=f"`{self.shape.when}`, which never holds",
                allowed="a condition that some subject may meet",
            )
            return
        times = {t for visit in self.visits if visit.name in at for t in visit.times}
        cycle = self.known.cycle
        whole = len(self.visits) == len(self.known.visits)
        if not (cycle > 0 and times and whole):
            return
        if not any(may_hold(when, one) for t in times for one in _days(t, cycle)):
            self.faults.add(
                (*self.path, "when"),
                found=f"`{self.shape.when}`, which holds at no time of {listed(at)}",
                allowed=f"a cycle and a day of it ({cycle / HOURS_PER_DAY:g} days "
                "long) on which there is a visit",
            )

    def _into(self) -> int | None:
        """Return the position of the state whose doses it is about."""
        model, name = self.known.model, self.shape.into
        if name is None or model is None:
            return None
        if name not in model.states:
            self.faults.unknown((*self.path, "into"), name, model.states, "state")
            return None
        return model.states.index(name)

    def _hours(self, key: str) -> float:
        words = getattr(self.shape, key)
        if words is None:
            return 0.0
        try:
            return duration(words)
        except ProtocolError as error:
            self.faults.relay((*self.path, key), error)
            return 0.0

    def _success(self) -> float:
        try:
            success = share_in(self.shape.success)
            if not success:
                found, allowed = f"`{self.shape.success}`", "above 0"
                self.faults.add((*self.path, "success"), found=found, allowed=allowed)
            return success
        except ProtocolError as error:
            self.faults.relay((*self.path, "success"), error)
            return 1.0

    def _amount(self, key: str) -> Expression | None:
        words = getattr(self.shape, key)
        return None if words is None else self._dose((*self.path, key), words)

    def _dose(self, path: Path_, words: float | str) -> Expression | None:
        """Read an amount: dosing words of one dose, in the model's unit."""
        regimen = self._regimen(path, str(words), single=True)
        return regimen.steps[0].levels[0].amount if regimen else None

    def _regimen(self, path: Path_, words: str, *, single: bool) -> Regimen | None:
        """Read dosing words; of `single` ones everything is given at once."""
        model = self.known.model
        if model is None:
            return None
        known = [n for n in self.names.all if n.isidentifier()]
        if re.fullmatch(r"[\d.]+", words.strip()):
            words = f"{words} {model.amount}"
        try:
            regimen = parse_regimen(words, model=model, known=known)
        except DosingError as error:
            self.faults.relay(path, error)
            return None
        if single and any(step.times().any() for step in regimen.steps):
            self.faults.add(
                path,
                found=f"`{words}`, which lasts",
                allowed="what is given at once; `switch to` begins another schedule",
            )
            return None
        return regimen

    def _equation(self, path: Path_, text: str) -> Expression | None:
        """Read an equation of what a rule may name."""
        model = self.known.model
        names = [*self.names.all, *(model.inputs if model else ())]
        names += model.states if model else ()
        try:
            tree = parse_expression(text)
        except ModelError as error:
            self.faults.relay(path, error)
            return None
        for name in names_in(tree) if model else ():
            if name.name not in names:
                self.faults.unknown(path, name.name, sorted(set(names)), "name")
        return tree

    def _ladder(self, key: str = "ladder") -> tuple[Expression, ...]:
        """Read amounts that ascend."""
        path = (*self.path, key)
        texts = [one for e in getattr(self.shape, key) for one in str(e).split(",")]
        texts = [text.strip() for text in texts]
        unit = re.sub(r"^[\d.]+\s*", "", texts[-1]) if texts else ""
        full = [f"{t} {unit}" if re.fullmatch(r"[\d.]+", t) else t for t in texts]
        found: list[Expression | None] = []
        before = len(self.faults.entries)
        for text in reversed(full):  # the last one says the unit of all
            if len(self.faults.entries) == before:
                found.insert(0, self._dose(path, text))
        if len(self.faults.entries) > before:
            return ()
        numbers = [float(re.match(r"[\d.]*", t)[0] or "nan") for t in full]  # type: ignore[index]
        told = [re.sub(r"^[\d.]+\s*", "", text) for text in full]
        falls = [b <= a for a, b in zip(numbers, numbers[1:], strict=False)]
        if len(set(told)) <= 1 and any(falls):
            place = falls.index(True)
            down = all(b < a for a, b in zip(numbers, numbers[1:], strict=False))
            numbered = [re.match(r"[\d.]*", text)[0] for text in texts]  # type: ignore[index]
            self.faults.add(
                path,
                found=f"`{texts[place + 1]}` after `{texts[place]}`",
                allowed="doses from the lowest to the highest, each once: "
                + listed([f"{n:g}" for n in sorted(set(numbers))]),
                write=", ".join(reversed(numbered)) + f" {unit}" if down else "",
            )
        return tuple(one for one in found if one is not None)

    def _check_steps(self, do: Sequence[Action], ladder: Sequence[Expression]) -> None:
        steps = any(action.kind == "step" for action in do)
        if steps and not self.shape.ladder:
            self.faults.add(
                (*self.path, "ladder"),
                found="missing, though the rule goes by steps",
                allowed="the doses that there are, from the lowest on, such as "
                "`ladder: 25, 50, 75, 100 mg`",
            )
        if ladder and not steps:
            self.faults.add(
                (*self.path, "ladder"),
                found="given, though the rule goes no step",
                allowed="left out, or used by `do: reduce one step`",
            )

    def _action(self, place: int, text: str) -> Action | None:
        """Read one thing that is done."""
        path: Path_ = (*self.path, "do")
        given = self.faults.sheet.value(path)
        path = (*path, place) if isinstance(given, list) else path
        words = " ".join(text.split())
        read = self._simple(path, words) or self._changed(path, words)
        if read is not None:
            return read if isinstance(read, Action) else None
        head, _, rest = words.partition(" ")
        if words.startswith("set dose"):
            amount = re.sub(r"^set dose\s*(to\s+|=\s*)?", "", words)
            number = self._dose(path, amount)
            return Action("fix", number) if number else None
        if words.startswith("switch to "):
            regimen = self._regimen(path, words[10:], single=False)
            return Action("switch", regimen=regimen) if regimen else None
        if head == "give" and rest:
            regimen = self._regimen(path, rest, single=True)
            return Action("give", regimen=regimen) if regimen else None
        if "<-" in words:
            return self._assignment(path, words)
        self._strange(path, words)
        return None

    def _assignment(self, path: Path_, words: str) -> Action | None:
        """Read `central <- 0`."""
        target, _, text = (part.strip() for part in words.partition("<-"))
        model = self.known.model
        names = [*model.states, *model.inputs] if model else []
        if not target:
            allowed = f"a state or input of the model before `<-`: {listed(names)}"
            found = f"`{words}`, an assignment to nothing"
            self.faults.add(path, found=found, allowed=allowed)
        elif not text:
            allowed = f"a value or an equation behind `<-`, such as `{target} <- 0`"
            found = f"`{words}`, an assignment of nothing"
            self.faults.add(path, found=found, allowed=allowed)
        else:
            return self._assigned(path, target, text)
        return None

    def _simple(self, path: Path_, words: str) -> Action | bool | None:
        """Read what is said in a word, or with a span of time; True: told as wrong."""
        head, _, rest = words.partition(" ")
        if words in ("hold", "resume", "stop", "leave"):
            return Action(words)
        if words == "delay":
            allowed = "with how long: `delay 7 d`"
            self.faults.add(path, found="`delay`, without a time", allowed=allowed)
            return True
        if head == "delay" or (head == "hold" and rest.startswith("for ")):
            span = rest.removeprefix("for ").removeprefix("by ")
            try:
                hours = duration(span)
            except ProtocolError as error:
                self.faults.relay(path, error)
                return True
            return Action("delay" if head == "delay" else "hold", Number(hours))
        return None

    def _changed(self, path: Path_, words: str) -> Action | bool | None:
        """Read a change of the dose; True: told as wrong."""
        found = _CHANGE.fullmatch(words)
        if not found:
            return None
        sign = -1.0 if found[1] == "reduce" else 1.0
        if found[4]:
            steps = 1.0 if found[4] == "one" else float(found[4])
            return Action("step", Number(sign * steps))
        way, amount = found[2], found[3]
        if _PERCENT.fullmatch(amount):
            share = float(amount.rstrip("% ")) / 100.0
            share = share if way == "to" else 1.0 + sign * share
            if share < 0 or (share - 1.0) * sign <= 0:
                self.faults.add(
                    path,
                    found=f"`{words}`",
                    allowed="less than before for `reduce`, more for `increase`",
                )
                return True
            return Action("scale", Number(share))
        number = self._dose(path, amount)
        if number is None:
            return True
        if way == "to":
            return Action("fix", number)
        return Action("add", number if sign > 0 else _negative(number))

    def _assigned(self, path: Path_, target: str, text: str) -> Action | None:
        """Read an assignment to an input or a state."""
        model = self.known.model
        names = [*model.states, *model.inputs] if model else []
        names += model.chance.held if model and model.chance else ()
        if model and target not in names:
            self.faults.unknown(path, target, names, "state or input of the model")
            return None
        number = self._equation(path, text)
        return Action("assign", number, target=target) if number else None

    def _strange(self, path: Path_, words: str) -> None:
        """Refuse words that say nothing that can be done."""
        old, write = words, ""
        parts = words.split(" ")
        for size in range(len(parts), 0, -1):
            first = " ".join(parts[:size])
            if ours := meant("do", first):
                old, write = first, ours
                break
        head = parts[0]
        near = nearest(head, _HEADS)
        if not write and near and near != head:
            old, write = head, near
        if not write and " = " in words:
            old, write = "=", meant("do", "=")
        self.faults.add(path, found=f"`{words}`", allowed=_WAYS, write=write, old=old)


def _told_as_measured(visits: object) -> set[str]:
    """Name what visits of a sheet measure, those with faults included."""
    every = visits.values() if isinstance(visits, dict) else ()
    told = [visit.get("measure") for visit in every if isinstance(visit, dict)]
    lists = [one if isinstance(one, list) else [one] for one in told if one]
    return {str(name) for one in lists for name in one}


def _days(time: float, cycle: float) -> list[dict[str, float]]:
    """Return cycle and day of the cycle at a time [h], before and after a dose."""
    turns = time / cycle
    found = []
    for begun in (math.floor(turns + TRIFLE), math.ceil(turns - TRIFLE) - 1):
        day = (time - max(begun, 0) * cycle) / HOURS_PER_DAY
        found.append({"cycle": float(max(begun, 0) + 1), "day_of_cycle": day})
    return found


def _negative(amount: Expression) -> Expression:
    """Return an amount with the other sign."""
    if isinstance(amount, Number):
        return Number(-amount.value)
    return Call("negative", (amount,))


def _check_against_each_other(rules: Mapping[str, Rule], faults: Faults) -> None:
    """Find rules that never act, since one before them does in the same cases."""
    names = list(rules)
    for place, name in enumerate(names):
        rule = rules[name]
        for earlier in map(rules.__getitem__, names[:place]):
            alike = rule.when == earlier.when and set(rule.at) <= set(earlier.at)
            bound = earlier.most or earlier.lockout or earlier.confirmed > 1
            bound = bound or earlier.success < 1 or earlier.also
            bound = bound or (earlier.learning and rule.learning)  # of other arms
            if alike and not bound and not earlier.delay:
                faults.add(
                    ("rules", name),
                    found=f"never reached: `{earlier.name}` acts in the same cases",
                    allowed="another condition, or `also: true` at "
                    f"`{earlier.name}`, which lets the rules behind it act",
                )
                break

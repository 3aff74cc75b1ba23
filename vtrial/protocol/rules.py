"""Rules: what is done to a patient when something is seen of them, as data.

A rule is decided at visits, on what was measured of this subject until then and is
known by then. What it does changes the doses to come, the subject's equations or
whether they take part.
"""

from dataclasses import dataclass
from typing import Literal

from vtrial.dosing.goal import Goal, Measure
from vtrial.dosing.regimen import Regimen
from vtrial.model.tree import Expression, Number

Since = Literal["start", "change", "cycle"] | float
Word = Literal[
    "last",
    "previous",
    "ago",
    "baseline",
    "nadir",
    "peak",
    "mean",
    "count",
    "days_below",
    "days_above",
]
Act = Literal[
    "hold",
    "resume",
    "delay",
    "scale",
    "add",
    "fix",
    "step",
    "switch",
    "give",
    "assign",
    "stop",
    "leave",
]
LOOKS_BACK: dict[Word, str] = {  # what each function of a condition says
    "last": "the last value that is known",
    "previous": "the value before the last one",
    "ago": "the last value that is at least so old",
    "baseline": "the last value up to hour 0",
    "nadir": "the lowest value since the dose was last changed",
    "peak": "the highest value since the dose was last changed",
    "mean": "the mean of the values since the dose was last changed",
    "count": "how many values since then meet a condition",
    "days_below": "for how many days values were below a limit, from the start on",
    "days_above": "for how many days values were above a limit, from the start on",
}
DOES = {  # what a rule may do: its first words, an example, and what that is
    "hold": (
        "hold for 14 d",
        "doses that fall due are not given, for a time or until "
        "`resume`; without either to the end",
    ),
    "resume": ("resume", "doses that were held are given again"),
    "delay": (
        "delay 7 d",
        "the whole later schedule moves, and the visit is held again",
    ),
    "reduce to": ("reduce to 80 %", "every dose to come, by a factor, or to an amount"),
    "reduce by": ("reduce by 20 %", "every dose to come by a factor, or an amount"),
    "reduce one step": ("reduce one step", "down the `ladder`"),
    "increase to": ("increase to 50 mg", "the dose to come, to an amount"),
    "increase by": (
        "increase by 25 mg",
        "every dose to come by a factor, or an amount",
    ),
    "increase one step": ("increase one step", "up the `ladder`"),
    "set dose": ("set dose 60 mg/m2", "an amount in dosing words"),
    "switch to": ("switch to 200 mg every 12 h x 14", "another regimen, from now on"),
    "give": ("give 10 mg over 1 h", "beside what is planned, at once"),
    "<-": ("central <- 0", "give a state, or an input of the model, another value"),
    "stop": ("stop", "no doses any more"),
    "leave": ("leave", "no part in the study any more"),
}
NAMED = {  # what conditions may name beside outputs, covariates and parameters
    "day": "days from the start",
    "cycle": "the number of the cycle, by the plan",
    "day_of_cycle": "days from the beginning of the cycle, by the plan",
    "level": "how many of the ladder's doses are not above the dose",
    "changes": "how often the dose was changed",
}
CHANGES = ("scale", "add", "fix", "step", "switch")  # of the dose
MOST_RULES = 30  # of an arm, so that those which acted are bits of a whole number
MOST_DELAYS = 4  # at one visit, where the sheet does not say


@dataclass(frozen=True)
class History:
    """One number made of what was measured of a subject and is known.

    `of` is an equation of outputs (for `count` a condition), `limit` what
    `days_below` and `days_above` compare it with, and `since` from when on values
    count: the start, the last change of the dose, the beginning of the cycle, or so
    many hours ago.
    """

    word: Word
    of: Expression
    limit: Expression | None = None
    since: Since = "start"


@dataclass(frozen=True)
class Forecast:
    """How probable it is that an event comes within a time [h], as a twin has it."""

    event: str
    horizon: float

    @property
    def name(self) -> str:
        """What equations call it; no sheet can name anything so."""
        return f"chance({self.event}, {self.horizon:g} h)"


@dataclass(frozen=True)
class Condition:
    """When a rule acts.

    `histories` stand in the equation by `name_of` their place, `forecasts` by their
    names.
    """

    expression: Expression
    histories: tuple[History, ...] = ()
    forecasts: tuple[Forecast, ...] = ()


@dataclass(frozen=True)
class Action:
    """One thing that a rule does.

    Fields
    ------
    kind
        `hold` doses (for `number` hours), `resume` them, `delay` what is planned by
        `number` hours, `scale` the dose by a factor, `add` an amount to it (which may
        be negative), `fix` it at an amount, go so many steps (`number`) along a
        ladder, `switch` to a regimen, `give` extra doses, `assign` a value to
        `target`, `stop` treatment, `leave` the study.
    number
        What the kind asks for, an equation of what rules may name.
    regimen
        What it switches to, or gives.
    target
        The input or state that is assigned to.
    """

    kind: Act
    number: Expression | None = None
    regimen: Regimen | None = None
    target: str = ""


@dataclass(frozen=True)
class Learning:
    """How a rule learns who a subject is, and chooses the doses to come by it.

    What is probable of the subject's random effects, given its doses and what was
    measured, comes by weighted draws. Of each dose it is then known how probably all
    `goals` are met and any of the `harms` is done, and whether every limit is kept.

    Fields
    ------
    outputs
        Those whose measured values count.
    doses
        Amounts to choose from.
    goals, harms, limits
        As of a twin (`vtrial.dosing.goal`).
    particles
        How many draws there are.
    prefer
        Which of doses that are equally good is chosen: the first or the last.
    """

    outputs: tuple[str, ...]
    doses: tuple[Expression, ...]
    goals: tuple[Goal, ...]
    harms: tuple[Goal, ...]
    limits: tuple[Goal, ...]
    particles: int = 200
    prefer: Literal["lowest", "highest"] = "lowest"

    @property
    def every(self) -> tuple[Goal, ...]:
        """All conditions, in order."""
        return (*self.goals, *self.harms, *self.limits)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Every measure of them, once."""
        return tuple(dict.fromkeys(m for goal in self.every for m in goal.measures))

    @property
    def horizon(self) -> float:
        """[h] How far behind the first new dose is looked at most."""
        return max(one.at for one in self.measures)


@dataclass(frozen=True)
class Watch:
    """How a twin follows a subject from visit to visit, by a cloud of particles.

    Fields
    ------
    outputs
        Those whose measured values count.
    unknown
        Covariates that the twin does not know of the subject: its particles have them
        as the cohort has.
    particles
        How many there are.
    """

    outputs: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    particles: int = 200

    @property
    def purpose(self) -> str:
        """The words by which all its draws are keyed."""
        return f"watch {' '.join(self.outputs)}"


@dataclass(frozen=True)
class Rule:
    """One rule; the first of a subject's rules that holds at a visit acts.

    Fields
    ------
    at
        Names of the visits at which it is decided.
    when
        Its condition; None: always.
    do
        What it does, in order.
    into
        Position of the state whose doses it changes; None: all.
    confirmed
        At how many decisions in a row the condition must hold.
    most
        How often it acts on one subject at most; 0: without an end.
    lockout
        [h] After a decision to act, heeded or not, for how long there is no other.
    after
        [h] From the decision until it is done.
    success
        With which probability a decision is acted on.
    floor, ceiling
        Amounts that a changed dose does not leave.
    ladder
        Amounts in ascending order, for steps.
    also
        Whether the rules behind it may act, too.
    learning
        How it chooses the dose by what is learned of the subject; None: it does not.
    watch
        What follows the subject, for the forecasts in `when`; None: there are none.
    words
        The sheet's own words for `when` and `do`.
    """

    name: str
    at: tuple[str, ...]
    when: Condition | None
    do: tuple[Action, ...]
    into: int | None = None
    confirmed: int = 1
    most: int = 0
    lockout: float = 0.0
    after: float = 0.0
    success: float = 1.0
    floor: Expression | None = None
    ceiling: Expression | None = None
    ladder: tuple[Expression, ...] = ()
    also: bool = False
    learning: Learning | None = None
    watch: Watch | None = None
    title: str = ""
    words: str = ""

    @property
    def delay(self) -> float:
        """[h] By how much it delays what is planned; 0 if it does not."""
        return next((d for d in map(delay_of, self.do) if d), 0.0)

    @property
    def changes(self) -> bool:
        """Whether it changes the dose."""
        changes = any(action.kind in CHANGES for action in self.do)
        return changes or self.learning is not None

    @property
    def leaves(self) -> bool:
        """Whether it ends the subject's part in the study."""
        return any(action.kind == "leave" for action in self.do)

    @property
    def stops(self) -> bool:
        """Whether it ends the treatment."""
        return any(action.kind == "stop" for action in self.do)


def reason_of(rule: Rule) -> str:
    """Name the reason of who leaves, or stops treatment, by a rule."""
    return f"rule {rule.name}"


def told_names(learning: Learning) -> tuple[str, ...]:
    """Name what is told of a choice: of the dose that was chosen, but for the last.

    That is how many independent draws the weights are worth.
    """
    limits = [one.written.strip()[2:].rpartition(")")[0] for one in learning.limits]
    labels = dict.fromkeys(f"mean {goal.label}" for goal in learning.every)
    chances = [f"P({text})" for text in limits]
    return ("dose", "target", "harm", *chances, *labels, "effective")


def delay_of(action: Action) -> float:
    """Return by how many hours an action delays what is planned; 0 if it does not."""
    if action.kind != "delay":
        return 0.0
    assert isinstance(action.number, Number), "a delay is a number"
    return action.number.value


def name_of(place: int) -> str:
    """Return what equations call the history at a place; no sheet can write it."""
    return f"history {place}"

"""How subjects come into the trial, are given an arm, and leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.protocol.enactment import Accrual
from vtrial.protocol.rules import Rule, reason_of

NUMBER = "number {}"  # no name of a sheet has a space
SITE, REGION = "site", "region"  # of a subject, by the accrual of its trial
LOOKING_BACK = ("minimisation", "biased coin", "urn", "big stick")
Method = Literal[
    "simple",
    "permuted block",
    "stratified",
    "counts",
    "minimisation",
    "biased coin",
    "urn",
    "big stick",
]
Option = float | str | tuple[float, ...]


@dataclass(frozen=True)
class Allocation:
    """How subjects are randomised: weights by arm, and the method.

    `counts`: the weights are how many each arm has, and a trial is one permuted block.
    `strata` are covariates within whose values it is done, `factors` those (or
    conditions on them) that minimisation balances. `accrual` says from which site each
    subject comes, where a stratum or a factor is one. By `clusters` sites are
    randomised, and not their subjects.
    """

    weights: tuple[int, ...]
    by: Method = "simple"
    block: int = 0
    strata: tuple[str, ...] = ()
    factors: tuple[Expression, ...] = ()
    options: tuple[tuple[str, Option], ...] = ()
    accrual: Accrual | None = None
    clusters: bool = False

    @property
    def looks_back(self) -> bool:
        """Whether an arm depends on those that others before were given."""
        return self.by in LOOKING_BACK

    @property
    def grouped(self) -> bool:
        """Whether it depends on who a subject is, or on who came before."""
        return self.looks_back or self.clusters or bool(self.strata)

    @property
    def asked(self) -> tuple[str, ...]:
        """The covariates that it depends on; sites and regions are none."""
        named = [*self.strata, *(n.name for f in self.factors for n in names_in(f))]
        here = (SITE, REGION) if self.accrual is not None else ()
        return tuple(dict.fromkeys(one for one in named if one not in here))

    def option(self, name: str, usual: Option) -> Option:
        """Return an option of the method; the usual one if it is not given."""
        return dict(self.options).get(name, usual)


@dataclass(frozen=True)
class Cause:
    """One cause for which subjects leave, at a hazard of its own.

    Fields
    ------
    name
        The reason that is kept; `dropout` where the sheet names none.
    hazards
        [1/h] By arm: the hazard itself, or by what the equation is multiplied.
    equation
        Of outputs, covariates, `t` [h] and `day`; None: the hazard is constant.
    words
        What the sheet says.
    """

    name: str
    hazards: tuple[float, ...]
    equation: Expression | None = None
    words: str = ""


@dataclass(frozen=True)
class Dropout:
    """Why subjects leave; nobody does without a cause."""

    causes: tuple[Cause, ...] = ()

    @property
    def followed(self) -> tuple[int, ...]:
        """Places of the causes whose hazards follow an equation."""
        places = enumerate(self.causes)
        return tuple(at for at, one in places if one.equation is not None)

    def reasons(self, rules: Sequence[Rule]) -> tuple[str, ...]:
        """Name the reasons for which subjects of an arm may leave; codes are from 1.

        They are the causes, then those of the arm's rules that say `leave`.
        """
        ruled = (reason_of(rule) for rule in rules if rule.leaves)
        return (*(cause.name for cause in self.causes), *ruled)


@dataclass(frozen=True)
class Design:
    """How the trial is conducted: allocation to arms, and dropout.

    `sites` say from which site each subject comes, where who they are depends on it, or
    how they are compared.
    """

    allocation: Allocation = Allocation((1,))
    dropout: Dropout = Dropout()
    sites: Accrual | None = None


def numbered(expression: Expression) -> tuple[Expression, tuple[float, ...]]:
    """Take the numbers out of an equation, so that others need no other program.

    Exponents stay: what is computed of them depends on what they are.

    Examples
    --------
    >>> low, high = (Call("*", (Number(v), Name("anc"))) for v in (0.1, 0.2))
    >>> numbered(low)[0] == numbered(high)[0], numbered(high)[1]
    (True, (0.2,))
    """
    numbers: list[float] = []

    def named(number: Number) -> Name:
        numbers.append(number.value)
        return Name(NUMBER.format(len(numbers) - 1))

    return without_numbers(expression, named), tuple(numbers)


def without_numbers(
    expression: Expression, named: Callable[[Number], Name]
) -> Expression:
    """Put names for the numbers of an equation, but for its exponents."""
    if isinstance(expression, Number):
        return named(expression)
    if isinstance(expression, Name):
        return Name(expression.name)
    first, *rest = expression.arguments
    bare = [without_numbers(first, named)]
    raised = expression.function in ("^", "^+")
    bare += rest if raised else [without_numbers(one, named) for one in rest]
    return Call(expression.function, tuple(bare))

"""How subjects come into the trial, are given an arm, and leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vtrial.model.tree import Call, Expression, Name, Number
from vtrial.protocol.rules import Rule

NUMBER = "number {}"  # no name of a sheet has a space


@dataclass(frozen=True)
class Allocation:
    """How subjects are randomised: weights by arm, and the method.

    `counts`: the weights are how many each arm has, and a trial is one permuted block.
    """

    weights: tuple[int, ...]
    by: Literal["simple", "permuted block", "stratified", "counts"] = "simple"
    block: int = 0
    strata: tuple[str, ...] = ()


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
        ruled = (f"rule {rule.name}" for rule in rules if rule.leaves)
        return (*(cause.name for cause in self.causes), *ruled)


@dataclass(frozen=True)
class Design:
    """How the trial is conducted: allocation to arms, and dropout."""

    allocation: Allocation = Allocation((1,))
    dropout: Dropout = Dropout()


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

    def bare(part: Expression) -> Expression:
        if isinstance(part, Number):
            numbers.append(part.value)
            return Name(NUMBER.format(len(numbers) - 1))
        if isinstance(part, Name):
            return Name(part.name)
        first, *rest = part.arguments
        if part.function not in ("^", "^+"):
            rest = [bare(one) for one in [first, *rest]]
            return Call(part.function, tuple(rest))
        return Call(part.function, (bare(first), *rest))

    return bare(expression), tuple(numbers)

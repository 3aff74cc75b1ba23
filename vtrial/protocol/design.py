"""How subjects come into the trial, are given an arm, and leave."""

from dataclasses import dataclass
from typing import Literal

from vtrial.model.tree import Expression, names_in
from vtrial.protocol.enactment import Accrual

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
    subject comes, where a stratum or a factor is one.
    """

    weights: tuple[int, ...]
    by: Method = "simple"
    block: int = 0
    strata: tuple[str, ...] = ()
    factors: tuple[Expression, ...] = ()
    options: tuple[tuple[str, Option], ...] = ()
    accrual: Accrual | None = None

    @property
    def looks_back(self) -> bool:
        """Whether an arm depends on those that others before were given."""
        return self.by in LOOKING_BACK

    @property
    def grouped(self) -> bool:
        """Whether it depends on who a subject is, or on who came before."""
        return self.looks_back or bool(self.strata)

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
class Dropout:
    """Dropout: a constant hazard [1/h] for each arm; 0 for none."""

    hazards: tuple[float, ...] = ()


@dataclass(frozen=True)
class Design:
    """How the trial is conducted: allocation to arms, and dropout."""

    allocation: Allocation = Allocation((1,))
    dropout: Dropout = Dropout()

"""How subjects come into the trial, are given an arm, and leave."""

from dataclasses import dataclass
from typing import Literal


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
class Dropout:
    """Dropout: a constant hazard [1/h] for each arm; 0 for none."""

    hazards: tuple[float, ...] = ()


@dataclass(frozen=True)
class Design:
    """How the trial is conducted: allocation to arms, and dropout."""

    allocation: Allocation = Allocation((1,))
    dropout: Dropout = Dropout()

"""A family of bodies: equations as a sheet says them, and once more in plain Python.

A family is one structure, so that vtrial compiles it once; a body of it has numbers
of its own. `slopes` shares nothing with the sheet's text but the paper that both come
from: it is what an independent solver is given. Time is in hours.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

Numbers = dict[str, float]
Slopes = Callable[[float, list[float]], list[float]]
Range = tuple[float, float] | tuple[float, float, str]

DAY = 24.0
TURN = 2 * math.pi / DAY


def _nowhere(_: Numbers) -> tuple[float, ...]:
    return ()


@dataclass(frozen=True)
class Family:
    """One structure.

    Fields
    ------
    name
        What it is called.
    text
        The sheet's equations.
    states
        In the order of the text.
    ranges
        By parameter, lowest and highest: drawn evenly in the logarithm, or evenly
        where "even" is the third.
    slopes
        From a body's numbers and the middle of the interval at hand, its derivatives
        of time and state. Conditions on time are decided by that middle; the number
        "last" is the time of the last dose.
    start
        From a body's numbers, its initial states.
    into
        By state that is dosed, lowest and highest amount.
    kinds
        Of doses: "bolus", "infusion", or both.
    horizon
        [h] Until when it is watched.
    breaks
        From a body's numbers, the times [h] at which its equations jump.
    stiff
        Whether the independent solver had better be one for stiff equations.
    scale
        Of the smallest amounts that matter, in the states' units.
    others
        By which methods it is solved beside the default.
    """

    name: str
    text: str
    states: tuple[str, ...]
    ranges: dict[str, Range]
    slopes: Callable[[Numbers, float], Slopes]
    start: Callable[[Numbers], list[float]]
    into: dict[str, tuple[float, float]] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("bolus", "infusion")
    horizon: float = 240.0
    breaks: Callable[[Numbers], tuple[float, ...]] = _nowhere
    stiff: bool = False
    scale: float = 1.0
    others: tuple[str, ...] = ("explicit", "stiff")


def power(base: float, exponent: float) -> float:
    """Raise what is not negative; rounding below zero counts as zero."""
    return base**exponent if base > 0.0 else 0.0


def sigmoid(conc: float, half: float, hill: float) -> float:
    """Return the share of the greatest effect."""
    raised = power(conc, hill)
    return raised / (half**hill + raised)


ONE = "d/dt(central) = -CL/V*central\nconc = central/V\n"
ORAL = (
    "d/dt(depot) = -KA*depot\nd/dt(central) = KA*depot - CL/V*central\n"
    "conc = central/V\n"
)
PK: dict[str, Range] = {"CL": (0.3, 30.0), "V": (5.0, 80.0)}
AMOUNTS = (3.0, 1000.0)

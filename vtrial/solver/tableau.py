"""Tableaux of embedded explicit Runge-Kutta methods, with what is known inside a step.

Tsitouras' stands here, since it is the default and diffrax takes a second to load; the
others are diffrax's.

References
----------
Tsitouras Ch. (2011) Comput. Math. Appl. 62:770-775.
Hairer E, Norsett SP, Wanner G (1993) Solving Ordinary Differential Equations I, II.6.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Weights = tuple[float, ...]
HERMITE = ((0, 3, -2), (1, -2, 1), (0, -1, 1))  # of end - start, first and last slope
BUMP = (0, 16, -32, 16)  # is 1 in the middle of a step; 0 and flat at both ends


@dataclass(frozen=True)
class Tableau:
    """An explicit method whose last stage is the first of the next step.

    Fields
    ------
    order
        Of the result of a step.
    nodes
        When each stage after the first is, in parts of the step.
    stages
        Weights of the slopes before each stage; the last reaches the end of the step.
    error
        Weights of the difference from the embedded result.
    inside
        Weights of each slope at a part of the step: of its powers, from 1 on.
    """

    order: int
    nodes: Weights
    stages: tuple[Weights, ...]
    error: Weights
    inside: tuple[Weights, ...]


TSIT5 = Tableau(
    order=5,
    nodes=(0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    stages=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (
            5.325864828439257,
            -11.748883564062828,
            7.4955393428898365,
            -0.09249506636175525,
        ),
        (
            5.86145544294642,
            -12.92096931784711,
            8.159367898576159,
            -0.071584973281401,
            -0.028269050394068383,
        ),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    error=(
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        1 / 66,
    ),
    # of the powers 1 to 4 of the part that is done
    inside=(
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.13169999999999998, -0.2234, 0.1017),
        (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
)


@functools.cache
def tableau_of(solver: str) -> Tableau:
    """Return the tableau of diffrax's `Dopri5`, `Dopri8` or `Bosh3`."""
    import diffrax  # takes a second to load, and is seldom asked for

    known: Any = getattr(diffrax, solver)
    table, course = known.tableau, known.interpolation_cls
    if hasattr(course, "eval_coeffs"):  # falling powers, the least of which is 1
        inside = np.asarray(course.eval_coeffs)[:, ::-1]
    else:
        middle = getattr(course, "c_mid", None)
        inside = _hermite(np.asarray(table.b_sol), middle)
    return Tableau(
        order={"Dopri5": 5, "Dopri8": 8, "Bosh3": 3}[solver],
        nodes=tuple(np.asarray(table.c).tolist()),
        stages=tuple(tuple(np.asarray(row).tolist()) for row in table.a_lower),
        error=tuple(np.asarray(table.b_error).tolist()),
        inside=tuple(map(tuple, inside.tolist())),
    )


def _hermite(
    solution: Float[np.ndarray, " stage"], middle: Float[np.ndarray, " stage"] | None
) -> Float[np.ndarray, "stage power"]:
    """Lay a polynomial through both ends, their slopes, and the middle if it is known.

    The middle of Hermite's cubic is the mean of the ends and an eighth of the
    difference of their slopes.
    """
    first, last = np.zeros_like(solution), np.zeros_like(solution)
    first[0], last[-1] = 1.0, 1.0
    parts = zip((solution, first, last), HERMITE, strict=True)
    cubic = sum(np.outer(slopes, powers) for slopes, powers in parts)
    if middle is None:
        return np.asarray(cubic, float)
    gap = np.asarray(middle) - (solution / 2 + (first - last) / 8)
    return np.pad(cubic, ((0, 0), (0, 1))) + np.outer(gap, BUMP)

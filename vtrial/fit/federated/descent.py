r"""Down a slope that is known with noise only.

With $g_k$ the mean of the subjects' slopes, each cut to the norm S, a round moves

$$ x_{k+1} = x_k - \frac{r}{\sqrt{k}}\, \frac{g_k}{S}, $$

so that none is longer than r but by noise. The answer is the mean of the last half of
the rounds, in which noise averages out.

References
----------
Abadi M et al. (2016) Proc ACM CCS 308-318 (slopes that are cut, and noise).
Polyak BT, Juditsky AB (1992) SIAM J Control Optim 30:838-855 (the mean of rounds).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Descent(NamedTuple):
    """How to go down: the norm of a subject's slope, how many rounds, the first's step.

    A step is in the vector's own units, in which most of a model are logarithms.
    """

    clip: float = 10.0
    rounds: int = 40
    rate: float = 0.3


def descend(
    mean: Callable[[np.ndarray], np.ndarray],
    start: Float[np.ndarray, " estimate"],
    how: Descent,
) -> Float[np.ndarray, " estimate"]:
    """Return where rounds of steps against a mean slope lead."""
    at, passed = np.array(start, float), []
    for number in range(1, how.rounds + 1):
        at = at - how.rate / np.sqrt(number) * mean(at) / how.clip
        passed.append(at)
    return np.mean(passed[len(passed) // 2 :], axis=0)

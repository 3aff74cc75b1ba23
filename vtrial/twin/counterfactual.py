"""The same persons under other doses: courses of the same draws, and their difference.

Each draw of the posterior is solved under what was given and under what would have been
given instead; what differs between the two is paired by the draw, so that its interval
holds nothing of what the two share.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from vtrial.dosing.doses import Doses, Times
from vtrial.fit.study import Data
from vtrial.fit.values import Values
from vtrial.program_cache import kept
from vtrial.twin.course import asked, long_table, paths
from vtrial.twin.given import Ahead, When, ahead_of, regimen_of, under
from vtrial.twin.importance import MAKERS, Posterior, in_parts
from vtrial.twin.person import LEVEL

WORDS = ("given", "instead", "difference", "low", "high")


@functools.partial(kept, static=2, makers=MAKERS)
def _differences(
    one: Ahead,
    two: Ahead,
    values: Values,
    data: Data,
    doses: Doses,
    times: Times,
    draws: Float[Array, "subject draw effect"],
    shares: Float[Array, " share"],
) -> dict[str, Float[Array, "subject band time"]]:
    first = paths(one, values, draws, data, times)
    second = paths(two, values, draws, data._replace(doses=doses), times)
    found = {}
    for name, value in first.items():
        middle = [jnp.nanmedian(part, axis=1) for part in (value, second[name])]
        band = jnp.nanquantile(second[name] - value, shares, axis=1)
        found[name] = jnp.moveaxis(jnp.stack([*middle, *band]), 0, 1)
    return found


def compare(
    posterior: Posterior,
    dose: str | Sequence[str],
    times: When = None,
    *,
    start: float | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return what would have been under other doses, beside what is, person by person.

    A row a subject, time and output: ID, TIME, OUTPUT, `given` and `instead` (medians
    under the record's doses and under these), `difference` (the median of the second
    less the first, paired), and `low` and `high` of that.

    Parameters
    ----------
    dose
        Dosing words, counted from `start`: instead of all that is given from then on.
    times
        [h] As in `predict`.
    start
        [h] When they part; unless given, at each person's first record.

    Raises
    ------
    DosingError
        With every fault of the dosing words.
    """
    data, seen, doses = asked(posterior, times, None, start, instead=False)
    if start is None:
        other = _from_the_first(posterior, dose)
    else:
        _, _, other = asked(posterior, times, dose, start, instead=True)
    one = ahead_of(posterior, posterior.study.model, doses, seen)
    two = ahead_of(posterior, posterior.study.model, other, seen)
    shares = np.array([0.5, (1 - level) / 2, (1 + level) / 2])

    def compute(part: Data, mine: Doses, when: Times, draws: np.ndarray) -> Any:
        return _differences(one, two, posterior.values, part, mine, when, draws, shares)

    rows = 2 * posterior.draws.shape[1]
    found = in_parts(compute, data, rows, other, seen, posterior.draws)
    return long_table(posterior, found, np.asarray(seen.time), WORDS)


def _from_the_first(posterior: Posterior, dose: str | Sequence[str]) -> Doses:
    regimen, begin = regimen_of(posterior, dose), posterior.study.data.begin
    return under(posterior, regimen, begin, instead=True)

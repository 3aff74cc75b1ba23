"""What allocation is done within, or balances: a number of each subject for each."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.protocol.arrivals import enrolled_at
from vtrial.protocol.design import REGION, SITE, Allocation
from vtrial.protocol.subset import values_of

Values = Float[np.ndarray, "trial subject"]


class Groups(NamedTuple):
    """What `allocate` asks of its subjects, one after another over all trials.

    Fields
    ------
    strata
        A whole number for each subject's stratum; None where there are none.
    levels
        Each subject's level of every factor; None where there are none.
    """

    strata: Int[np.ndarray, " subject"] | None = None
    levels: Int[np.ndarray, "subject factor"] | None = None


def groups_of(
    allocation: Allocation,
    covariate: Callable[[str], Values],
    *,
    seed: int,
    trials: Int[np.ndarray, " trial"],
    subjects: int,
    first: int = 0,
) -> Groups:
    """Return the strata and levels of the subjects from `first` up to `subjects`.

    `covariate` gives their values by name.
    """
    places = Places(allocation, seed, trials, subjects, first)

    def value(name: str) -> Values:
        return places.of(name) if places.has(name) else covariate(name)

    strata = levels = None
    if allocation.clusters:
        strata = places.of(SITE).astype(int).reshape(-1)
    if allocation.strata:
        columns = [value(name) for name in allocation.strata]
        strata = numbered(np.stack(columns, axis=-1).reshape(-1, len(columns)))
    if allocation.factors:
        columns = [ranked(values_of(one, value)) for one in allocation.factors]
        levels = np.stack(columns, axis=-1).reshape(-1, len(columns))
    return Groups(strata, levels)


class Places:
    """The sites and regions of subjects, if an allocation asks for them."""

    def __init__(
        self,
        allocation: Allocation,
        seed: int,
        trials: Int[np.ndarray, " trial"],
        subjects: int,
        first: int = 0,
    ) -> None:
        self.accrual, self.first = allocation.accrual, first
        self.shape = (seed, trials, subjects)
        self.site: np.ndarray | None = None

    def has(self, name: str) -> bool:
        """Return whether a name is that of the site, or of its region."""
        return self.accrual is not None and name in (SITE, REGION)

    def of(self, name: str) -> Values:
        """Return the place of each subject's site, or of its region."""
        assert self.accrual is not None, "the caller has looked"
        if self.site is None:
            seed, trials, subjects = self.shape
            found = enrolled_at(
                self.accrual, seed=seed, trials=trials, subjects=subjects
            )
            self.site = found.site[:, self.first :]
        if name == SITE:
            return self.site.astype(float)
        regions = [one.region for one in self.accrual.sites]
        known = sorted(set(regions))
        return np.array([known.index(one) for one in regions], float)[self.site]


def ranked(values: Values) -> Int[np.ndarray, "trial subject"]:
    """Return whole numbers from 0 that are equal where values are."""
    place = np.unique(values, return_inverse=True)[1]
    return place.reshape(values.shape).astype(int)


def numbered(strata: Float[np.ndarray, "subject name"]) -> Int[np.ndarray, " subject"]:
    """Give each combination of values a number that depends on nothing else."""
    kinds, place = np.unique(strata, axis=0, return_inverse=True)
    names = [zlib.crc32(np.ascontiguousarray(kind).tobytes()) >> 1 for kind in kinds]
    return np.array(names, int)[place.reshape(-1)]

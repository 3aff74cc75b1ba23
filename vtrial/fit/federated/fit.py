"""What sites together told of a model, without a row of anybody."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vtrial.fit.doubts import doubts_of_estimates
from vtrial.fit.estimated import Estimated
from vtrial.fit.folder import course_of, estimates_of, numbers_of, put_folder, sheet_of

if TYPE_CHECKING:
    import pandas as pd


class Size(NamedTuple):
    """How much a site told of."""

    subjects: int
    observations: int


class Noise(NamedTuple):
    """The noise of every sum, and what of each person was told in all, with it."""

    clip: float
    sigma: float
    epsilon: float
    delta: float


@dataclass(frozen=True)
class FederatedFit(Estimated):
    """What sites told of a model, beside the estimates.

    `sites` holds how much each told of, `rounds` how often all were asked, and `noise`
    what was added to the sums, if anything was: there is no objective then, nor any
    covariance, and `course` is empty. Of single subjects nothing is known, and so there
    is no `shrinkage`.
    """

    sites: Mapping[str, Size]
    rounds: int
    noise: Noise | None

    @property
    def told(self) -> dict[str, Any]:
        """What is to be known of sites, rounds and noise, as plain data."""
        sites = {name: size._asdict() for name, size in self.sites.items()}
        noise = None if self.noise is None else self.noise._asdict()
        return {"rounds": self.rounds, "sites": sites, "noise": noise}

    @property
    def size(self) -> Size:
        """How much all sites told of."""
        columns = zip(*self.sites.values(), strict=True)
        return Size(*(int(sum(column)) for column in columns))

    @property
    def doubts(self) -> list[str]:
        """What stands against taking the numbers as they are, or as private."""
        if self.noise is not None:
            return [
                "Every sum had noise: the estimates err by it, and how far is not known"
            ]
        few = [n for n, size in self.sites.items() if size[0] <= len(self.layout)]
        found = doubts_of_estimates(self)
        if few:
            found.append(
                f"There are no more subjects than estimates at {', '.join(few)}: exact "
                "sums over so few say almost all of each of them, and are not private"
            )
        return found

    def summary(self) -> dict[str, Any]:
        """Return the numbers as plain data; null for what there is none of."""
        size, names = self.size, ", ".join(self.sites)
        digest = hashlib.sha256(repr(sorted(self.sites.items())).encode()).hexdigest()
        data = {
            "data": f"sites {names}",
            "data_digest": f"sites {digest[:16]}",
            **size._asdict(),
        }
        return numbers_of(self, data, self.doubts, self.told)

    def tables(self) -> "dict[str, pd.DataFrame]":
        """Return the tables of the folder, by the name of their file."""
        import pandas as pd

        rows = [{"site": n, **size._asdict()} for n, size in self.sites.items()]
        return {
            "estimates": pd.DataFrame(estimates_of(self)),
            "course": course_of(self),
            "sites": pd.DataFrame(rows),
        }

    def write(self, into: Path) -> Path:
        """Write a new folder as `vtrial fit` does, without what is of single subjects.

        Raises
        ------
        FitError
            If the folder is there, or the model has no sheet to write again.
        """
        size = self.size
        note = (
            f"{len(self.sites)} sites that kept their rows: {size.subjects} subjects, "
            f"{size.observations} observations"
        )
        sheets = {"model.yaml": sheet_of(self, note)}
        return put_folder(into, self.tables(), self.summary(), sheets)

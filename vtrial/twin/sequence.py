"""A twin that learns record by record.

What does not move in a person (clearance, volume) is the same whichever measurement is
looked at first: the posterior depends on which records there are, not on the order in
which they came. So each update sorts what is known and finds the posterior of all of it
anew: that of n updates in any order is that of all records at once, to the bit, as the
draws are keyed by person and seed. A record whose key is known already replaces it.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from vtrial.errors import FitError
from vtrial.fit.study import Study, read_study
from vtrial.model.model import Model
from vtrial.sheets.csv_table import Rows
from vtrial.twin.importance import DRAWS, Posterior, posterior
from vtrial.units import factor

SOURCE = "the records"


@dataclass(frozen=True)
class Record:
    """A dose, or something that was measured.

    Fields
    ------
    time
        [h] On the person's clock.
    value
        [the output's unit, or the model's amount] What was measured, or given.
    of
        The output that was measured, or the state that it was given into; the first
        of the model's unless it is said.
    kind
        Which of the two.
    duration
        [h] Of an infusion.
    below
        Whether all that is known is that it is below `value`.
    key
        By which a correction finds it; empty for none.
    """

    time: float
    value: float
    of: str = ""
    kind: Literal["measured", "dose"] = "measured"
    duration: float = 0.0
    below: bool = False
    key: str = ""


@dataclass(frozen=True)
class Twin:
    """A person of whom records come one by one; frozen: an update gives another.

    Fields
    ------
    model, covariates
        Of the person, by name, in the model's units.
    records
        Sorted by time; measurements stand before doses at the same time.
    identity, seed, draws
        Draws are keyed by the first two.
    """

    model: Model
    covariates: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    identity: str = "1"
    seed: int = 0
    draws: int = DRAWS

    def update(self, *records: Record) -> "Twin":
        """Learn some records; one with a known key replaces that.

        Examples
        --------
        >>> from vtrial.model.sheet import load_model
        >>> twin = Twin(load_model("theophylline"), {"WT": 70.0})
        >>> twin = twin.update(Record(0.0, 300.0, kind="dose"), Record(2.0, 7.5))
        >>> len(twin.records)
        2
        """
        fresh = {one.key for one in records if one.key}
        kept = [one for one in self.records if one.key not in fresh]
        last = {one.key or place: one for place, one in enumerate(records)}
        order = sorted((*kept, *last.values()), key=_order)
        return replace(self, records=tuple(order))

    @functools.cached_property
    def study(self) -> Study:
        """The records as a study of one person.

        Raises
        ------
        FitError
            If there are none yet.
        DataError
            With every fault of them.
        """
        if not self.records:
            allowed = "with a dose or a measurement"
            raise FitError("the twin", "without a record", allowed, "twin.update(...)")
        return read_study(self.model, self._rows(), unobserved=True)

    @functools.cached_property
    def posterior(self) -> Posterior:
        """What is probable of the person now."""
        return posterior(self.model, self.study, draws=self.draws, seed=self.seed)

    def _rows(self) -> Rows:
        """Write the records as a table of NONMEM's columns."""
        clock = factor("h", self.model.time)
        noisy = [o.name for o in self.model.outputs if o.error.varies] or [""]
        own = pd.DataFrame([vars(one) for one in self.records])
        dose = (own["kind"] == "dose").to_numpy()
        text = lambda values: [repr(float(value)) for value in values]  # noqa: E731
        state = self.model.states[0] if self.model.states else ""
        table = {
            "ID": [self.identity] * len(own),
            "TIME": text(own["time"] * clock),
            "EVID": np.where(dose, "1", "0"),
            "AMT": np.where(dose, text(own["value"]), "."),
            "DV": np.where(dose, ".", text(own["value"])),
            "DVID": np.where(dose, ".", own["of"].replace("", noisy[0])),
        }
        if dose.any():
            table["CMT"] = np.where(dose, own["of"].replace("", state), ".")
            table["DUR"] = np.where(dose, text(own["duration"] * clock), ".")
        if own["below"].any():
            table["BLQ"] = np.where(own["below"], "1", "0")
            table["LLOQ"] = np.where(own["below"], text(own["value"]), ".")
        for name, value in self.covariates.items():
            table[name] = [repr(float(value))] * len(own)
        lines = np.arange(1, len(own) + 1)
        return Rows.of_cells(pd.DataFrame(table).astype(str), lines, SOURCE)


def _order(record: Record) -> tuple[object, ...]:
    """Return by what records are sorted, so that no order of coming counts."""
    first = (record.time, record.kind == "dose", record.of, record.key)
    return (*first, record.value, record.duration, record.below)

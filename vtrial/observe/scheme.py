"""What compiled code depends on of a protocol: not sizes, seed, arms or evidence."""

import functools
import hashlib
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from vtrial.observe.observation_times import ObservationTimes, observation_times
from vtrial.protocol.analysis import Analysis
from vtrial.protocol.design import Cause, Design, Dropout, numbered
from vtrial.protocol.evidence import Evidence
from vtrial.protocol.protocol import Protocol

MAKERS = (
    *("keys.py", "sketch.py", "types.py"),
    *("model", "dosing", "cohort", "endpoint", "protocol", "observe"),
)


@dataclass(frozen=True, eq=False, repr=False)
class Scheme:
    """A protocol as its observations see it; equal where these are compiled alike."""

    protocol: Protocol

    @functools.cached_property
    def schedule(self) -> ObservationTimes:
        """When everybody is observed."""
        return observation_times(self.protocol)

    @functools.cached_property
    def name(self) -> str:
        """Name all that decides what is traced; arms count by the times they add."""
        content = (repr(_bare(self.protocol)), _written(self.schedule))
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scheme) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


def _bare(protocol: Protocol) -> Protocol:
    """Leave out what no compiled code asks for."""
    causes = protocol.design.dropout.causes
    return replace(
        protocol,
        **dict.fromkeys(("name", "title", "cohort", "path", "text"), ""),
        **dict.fromkeys(("subjects", "replicates", "seed", "block"), 1),
        **dict.fromkeys(("arms", "sources", "words"), ()),
        design=Design(dropout=Dropout(tuple(map(_unrated, causes)))),
        analysis=Analysis(),
        evidence=Evidence(),
        eligible=None,
        run_in=None,
        optimisation=None,
        data={},
    )


def _unrated(cause: Cause) -> Cause:
    """Leave out a cause's numbers, which are data of compiled code."""
    bare = None if cause.equation is None else numbered(cause.equation)[0]
    return Cause(cause.name, (), bare)


def _written(thing: object) -> object:
    """Write arrays out whole, which their own words do not."""
    if isinstance(thing, np.ndarray):
        return thing.dtype.str, thing.shape, thing.tobytes().hex()
    if isinstance(thing, tuple):
        return tuple(map(_written, thing))
    if is_dataclass(thing):
        return [
            (part.name, _written(getattr(thing, part.name))) for part in fields(thing)
        ]
    return repr(thing)

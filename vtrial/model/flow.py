"""A flow: who comes when, through which stations, and what is told of the day.

It is what a model of `kind: flow` has in the place of equations. All numbers are
expressions of the model's inputs, so that arms and subjects may differ in them; what is
static here decides the shape of the work alone.
"""

import re
from dataclasses import dataclass
from typing import Literal

from vtrial.model.chance import bare
from vtrial.model.tree import Expression

OUT = "out"  # where a route ends
SCALE = "arrivals.scale"  # by which all rates of arrival are multiplied
EVERYBODY = "everybody"  # the class where a sheet names none

Order = Literal["first come", "priority"]


@dataclass(frozen=True)
class Law:
    """A law of times: its word in `vtrial.model.flow_laws.LAWS`, and arguments [h]."""

    word: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Way:
    """Where some of those who leave a station go: a station's number, or -1 for out."""

    to: int
    share: Expression


@dataclass(frozen=True)
class Station:
    """Servers with one queue before them; by class where the classes differ.

    Fields
    ------
    pieces
        How many numbers of servers there are, one a piece of the day; 0 for a station
        where nobody waits.
    order
        Who is next. With priority, classes go in the order of `ranks`, and nobody who
        is being served is interrupted.
    ranks
        The rank of each class, 0 first; all 0 where who comes first is served first.
    service, patience
        A law for each class; None where it does not come, or waits for ever.
    ways
        For each class, where it goes from here.
    """

    name: str
    pieces: int
    order: Order
    ranks: tuple[int, ...]
    service: tuple[Law | None, ...]
    patience: tuple[Law | None, ...]
    ways: tuple[tuple[Way, ...], ...]

    @property
    def servers(self) -> tuple[str, ...]:
        """The inputs that hold how many servers there are, a piece of the day each."""
        return servers_names(self.name, self.pieces)

    @property
    def is_pool(self) -> bool:
        """Whether who comes first is served first, and everybody waits."""
        patient = all(law is None for law in self.patience)
        return self.order == "first come" and patient


@dataclass(frozen=True)
class Told:
    """What is told of a day: an output of the model.

    Fields
    ------
    of, take
        What is looked at, and what is made of it: see `vtrial.model.flow_told`.
    number
        What `take` asks for: a probability, a number of people, or hours.
    station, group
        Numbers of the station and of the class that it is about; -1 for all.
    scale
        Of what is computed (in hours, people or shares), the output's unit.
    """

    name: str
    of: str
    take: str
    number: float = 0.0
    station: int = -1
    group: int = -1
    scale: float = 1.0


@dataclass(frozen=True)
class Flow:
    """Arrivals, stations, and what is told of them.

    Fields
    ------
    every
        [h] Length of a piece of the day, within which rates and servers stand still.
    rates
        [1/h] Of arrivals, one a piece; after the last nobody comes.
    groups
        The names of the classes.
    shares
        Their probabilities.
    first
        Where each class goes first: a station's number.
    opens
        [h] The clock at the start, for reports.
    since
        [h] Who comes before is not counted, and neither is the time before.
    order
        Numbers of the stations, so that nobody goes back.
    """

    every: float
    rates: tuple[Expression, ...]
    groups: tuple[str, ...]
    shares: tuple[Expression, ...]
    first: tuple[int, ...]
    stations: tuple[Station, ...]
    told: tuple[Told, ...]
    opens: float = 0.0
    since: float = 0.0
    order: tuple[int, ...] = (0,)

    @property
    def closes(self) -> float:
        """[h] When the last may come, from the start."""
        return self.every * len(self.rates)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Every number of the flow."""
        laws = [
            law
            for station in self.stations
            for law in (*station.service, *station.patience)
            if law is not None
        ]
        ways = [w.share for s in self.stations for each in s.ways for w in each]
        inner = [argument for law in laws for argument in law.arguments]
        return (*self.rates, *self.shares, *inner, *ways)

    @property
    def content(self) -> tuple[object, ...]:
        """All that counts, without lines and columns."""

        def law(one: Law | None) -> object:
            return one and (one.word, *map(bare, one.arguments))

        stations = [
            (s.name, s.pieces, s.order, s.ranks)
            + (*map(law, s.service), *map(law, s.patience))
            + tuple((w.to, bare(w.share)) for each in s.ways for w in each)
            + tuple(len(each) for each in s.ways)
            for s in self.stations
        ]
        told = [(t.name, t.of, t.take, t.number, t.station, t.group) for t in self.told]
        scales = [t.scale for t in self.told]
        times = (self.every, self.opens, self.since, self.order, self.first)
        numbers = [*map(bare, self.rates), *map(bare, self.shares)]
        return (times, numbers, self.groups, stations, told, scales)


def servers_names(station: str, pieces: int) -> tuple[str, ...]:
    """Name the inputs that hold a station's servers.

    Examples
    --------
    >>> servers_names("physician", 2)
    ('physician.servers.1', 'physician.servers.2')
    """
    return tuple(f"{servers_name(station)}.{piece + 1}" for piece in range(pieces))


def settable(name: str) -> str:
    """Return what a sheet calls an input: a rota is one, though it is many inputs.

    Examples
    --------
    >>> settable("physician.servers.3"), settable("CL")
    ('physician.servers', 'CL')
    """
    return re.sub(r"(\.servers)\.\d+$", r"\1", name)


def servers_name(station: str) -> str:
    """Name a station's servers, as an arm sets them."""
    return f"{station}.servers"

"""Read the sheet of a flow: every fault is told at once, with its line and a remedy."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vtrial.errors import Fault, ModelError, UnitError
from vtrial.model.build import build, covariance
from vtrial.model.covariance import flaw
from vtrial.model.flow import (
    EVERYBODY,
    OUT,
    SCALE,
    Flow,
    Law,
    Station,
    Told,
    Way,
    servers_names,
)
from vtrial.model.flow_laws import LAWS
from vtrial.model.flow_routes import in_order, reached
from vtrial.model.flow_shape import FlowShape, StationShape, opening
from vtrial.model.flow_told import Take, examples_of, read_take
from vtrial.model.grammar import ETA, parse_expression, unknown_names
from vtrial.model.model import Model, Parameter
from vtrial.model.shape import ROUNDED, ModelShape, OutputShape
from vtrial.model.tree import Call, Expression, Number, names_in
from vtrial.sheets.remedy import proved
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import check_shape, raise_faults, said
from vtrial.sheets.words import listed, nearest
from vtrial.units import compatible, factor, hours

_LAW = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)
_NUMBER = Number(0.0)


def read_flow(sheet: Sheet) -> Model:
    """Make a Model of the sheet of a flow.

    Raises
    ------
    ModelError
        With every fault of the sheet.
    """
    model, faults = _drafted(sheet)
    if faults:
        faults = proved(sheet, faults, lambda other: _drafted(other)[1])
    raise_faults(ModelError, faults)
    assert model is not None  # there is no fault
    return model


def _drafted(sheet: Sheet) -> tuple[Model | None, list[Fault]]:
    """Read a sheet, or find every fault of it."""
    shape, faults = check_shape(sheet, FlowShape)
    if shape is None:
        return None, faults
    draft = _Draft(sheet, shape)
    flow = draft.flow()
    if draft.faults:
        return None, list(dict.fromkeys(draft.faults))
    return _built(sheet, shape, flow), []


def _built(sheet: Sheet, shape: FlowShape, flow: Flow) -> Model:
    """Make the Model of a sheet without faults."""
    outputs = {
        name: OutputShape.model_validate(
            {"unit": entry.unit or _usual(entry.of, entry.take)}
        )
        for name, entry in shape.outputs.items()
    }
    plain = ModelShape.model_construct(
        model=shape.model,
        title=shape.title,
        source=shape.source,
        time=shape.time,
        covariates=shape.covariates,
        parameters=shape.parameters,
        random=shape.random,
        equations="",
        outputs=outputs,
        unit=shape.unit,
    )
    model = build(plain, (), text=sheet.text)
    titles = {name: entry.title for name, entry in shape.outputs.items()}
    named = tuple(dataclasses.replace(o, title=titles[o.name]) for o in model.outputs)
    parameters = (*model.parameters, *_settable(shape))
    return dataclasses.replace(model, outputs=named, parameters=parameters, flow=flow)


def _settable(shape: FlowShape) -> list[Parameter]:
    """Return what arms may set of a flow itself: servers, and how many come."""
    title = "factor of the rates of arrival"
    found = [Parameter(SCALE, shape.arrivals.scale, title=title)]
    for name, station in shape.stations.items():
        servers = station.servers
        if isinstance(servers, str):
            continue
        pieces = shape.arrivals.pieces
        each = servers if isinstance(servers, list) else [servers] * pieces
        names = servers_names(name, pieces)
        said_ = f"servers of {name}, piece "
        found += [
            Parameter(key, float(count), title=f"{said_}{number}")
            for number, (key, count) in enumerate(zip(names, each, strict=True), 1)
        ]
    return found


def _usual(of: str, take: str) -> str:
    """Return the unit of an output of which none is given."""
    found = read_take(of, take)
    return "h" if found and found[2].kind == "time" else "1"


@dataclass
class _Draft:
    """A sheet on its way to a Flow, with what is wrong in it."""

    sheet: Sheet
    shape: FlowShape
    faults: list[Fault] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    @property
    def groups(self) -> list[str]:
        """The classes."""
        return list(self.shape.arrivals.classes) or [EVERYBODY]

    @property
    def stations(self) -> list[str]:
        return list(self.shape.stations)

    @property
    def inputs(self) -> set[str]:
        """What an equation may read."""
        effects = {ETA + name for row in self.shape.random for name in row.of}
        return {*self.shape.parameters, *self.shape.covariates, *effects}

    def fault(self, path: Path_, found: str, allowed: str, write: str = "") -> None:
        """Note a fault at an entry."""
        self.faults.append(
            self.sheet.fault(path, found=found, allowed=allowed, write=write)
        )

    def unknown(self, path: Path_, name: str, known: Sequence[str], what: str) -> None:
        """Note a name that is not known."""
        allowed = f"{what}: {listed(known, like=name)}"
        write = nearest(name, known)
        found, old = f"`{name}`, no {what}", name if path[-1] == name else ""
        self.faults.append(
            self.sheet.fault(path, found=found, allowed=allowed, write=write, old=old)
        )

    def flow(self) -> Flow:
        """Read the flow; it is of use only if no fault was found."""
        shape, arrivals = self.shape, self.shape.arrivals
        self._names()
        rate, path = arrivals.rate, ("arrivals", "rate")
        if isinstance(rate, list):
            rates = [self.number((*path, i), one) for i, one in enumerate(rate)]
        else:
            rates = [self.number(path, rate)] * arrivals.pieces
        shares = self.shares(("arrivals", "classes"), arrivals.classes)
        first = self.first()
        ways = [self.ways(name, one) for name, one in shape.stations.items()]
        order = in_order(ways)
        if not order and not self.faults:
            self.fault(("stations",), "routes that go round", _ROUND)
        come = reached(first, ways, order)
        stations = [
            self.station(name, one, ways[place], [group[place] for group in come])
            for place, (name, one) in enumerate(shape.stations.items())
        ]
        told = [self.told(name) for name in shape.outputs]
        self._random()
        return Flow(
            every=arrivals.piece,
            rates=tuple(rates),
            groups=tuple(self.groups),
            shares=tuple(shares) or (Number(1.0),),
            first=tuple(first),
            stations=tuple(stations),
            told=tuple(told),
            opens=opening(arrivals),
            since=hours(arrivals.counted_from or "0 h"),
            order=tuple(order),
        )

    def _names(self) -> None:
        """Find names that stand for two things."""
        stations = set(self.stations)
        for name in self.shape.covariates:
            if name in self.shape.parameters:
                self.fault(("covariates", name), "a parameter, too", "one or the other")
        for name in self.groups:
            if name in stations:
                path: Path_ = ("arrivals", "classes", name)
                self.fault(path, "a station, too", "a name of its own")
        for name in stations & {OUT, "arrivals"}:
            path = ("stations", name)
            self.fault(path, f"`{name}`, a word of flows", "a name of its own")

    def _random(self) -> None:
        """Find random effects that no number reads, or that have no covariance."""
        for index, row in enumerate(self.shape.random):
            path: Path_ = ("random", index, "of")
            for name in row.of:
                if ETA + name not in self.read:
                    found = f"`{name}`, a random effect that no number reads"
                    self.fault(path, found, f"read, as in `rate: 10*exp({ETA}{name})`")
            if not covariance(row):
                given = row.covariance or row.correlation or []
                allowed = "a covariance: no variance below what its rows imply"
                self.fault(path, f"no covariance ({flaw(given)})", allowed)

    def number(
        self, path: Path_, value: float | str, *, part: bool = False
    ) -> Expression:
        """Read a number, or an equation of inputs, which may be part of a text."""
        if not isinstance(value, str):
            return Number(float(value))
        try:
            expression = parse_expression(value)
        except ModelError as error:
            self.faults += [self.sheet.inside(path, one) for one in error.faults]
            return _NUMBER
        for one in unknown_names(expression, self.inputs):
            # Within part of a text, it is found by its words.
            one = one._replace(line=0, column=0) if part else one
            self.faults.append(self.sheet.inside(path, one))
        self.read |= {name.name for name in names_in(expression)}
        return expression

    def shares(self, path: Path_, given: Mapping[str, float | str]) -> list[Expression]:
        """Read probabilities, which add up to 1."""
        numbers = [one for one in given.values() if not isinstance(one, str)]
        if len(numbers) == len(given) and given and abs(sum(numbers) - 1) > ROUNDED:
            found = f"probabilities that add up to {sum(numbers):g}"
            self.fault(path, found, "probabilities that add up to 1")
        return [self.number((*path, name), one) for name, one in given.items()]

    def first(self) -> list[int]:
        """Read where each class goes first."""
        given, path = self.shape.arrivals.first, ("arrivals", "first")
        if given is None:
            return [0] * len(self.groups)
        if isinstance(given, str):
            return [self.place(path, given)] * len(self.groups)
        self._each(path, given)
        places = {name: self.place((*path, name), to) for name, to in given.items()}
        return [places.get(name, 0) for name in self.groups]

    def place(self, path: Path_, name: str, *, out: bool = False) -> int:
        """Return a station's number; -1 for out, or for one that there is not."""
        if out and name == OUT:
            return -1
        if name not in self.stations:
            known = [*self.stations, OUT] if out else self.stations
            self.unknown(path, name, known, "station")
            return -1
        return self.stations.index(name)

    def _each(self, path: Path_, given: Mapping[str, object]) -> None:
        """Find classes that something is said of and that there are not."""
        for name in given:
            if name not in self.groups:
                self.unknown((*path, name), name, self.groups, "class")

    def ways(self, name: str, shape: StationShape) -> list[tuple[Way, ...]]:
        """Read where each class goes from a station."""
        path: Path_ = ("stations", name, "then")
        given = shape.then
        if isinstance(given, str) or not any(key in self.groups for key in given):
            return [self.way(path, given)] * len(self.groups)
        self._each(path, given)
        out = (Way(-1, Number(1.0)),)
        each = {key: self.way((*path, key), one) for key, one in given.items()}
        return [each.get(group, out) for group in self.groups]

    def way(self, path: Path_, given: str | Mapping[str, object]) -> tuple[Way, ...]:
        """Read where some go: to one station, or by shares."""
        if isinstance(given, str):
            return (Way(self.place(path, given, out=True), Number(1.0)),)
        plain = {k: v for k, v in given.items() if isinstance(v, float | int | str)}
        shares = self.shares(path, plain)
        places = [self.place((*path, key), key, out=True) for key in plain]
        return tuple(Way(*pair) for pair in zip(places, shares, strict=True))

    def station(
        self,
        name: str,
        shape: StationShape,
        ways: list[tuple[Way, ...]],
        come: list[bool],
    ) -> Station:
        """Read a station, to which some classes come."""
        path: Path_ = ("stations", name)
        pieces = self.shape.arrivals.pieces
        if isinstance(shape.servers, list) and len(shape.servers) != pieces:
            found = f"{len(shape.servers)} numbers of servers"
            allowed = f"{pieces}, one for each piece of the day of "
            self.fault(
                (*path, "servers"), found, f"{allowed}{self.shape.arrivals.every}"
            )
        if shape.servers == "unlimited" and shape.patience is not None:
            found = "given, though nobody waits where servers are unlimited"
            self.fault((*path, "patience"), found, "left out")
        service = self.laws((*path, "service"), shape.service)
        for group, law, comes in zip(self.groups, service, come, strict=True):
            if comes and law is None and isinstance(shape.service, Mapping):
                if group in shape.service:
                    continue
                found = f"without a law for `{group}`, which comes here"
                such = f"one for each class, such as `{group}: exponential(30 min)`"
                self.fault((*path, "service"), found, such)
        return Station(
            name=name,
            pieces=0 if shape.servers == "unlimited" else pieces,
            order=shape.order,
            ranks=self.ranks((*path, "priority"), shape),
            service=tuple(service),
            patience=tuple(self.laws((*path, "patience"), shape.patience)),
            ways=tuple(ways),
        )

    def ranks(self, path: Path_, shape: StationShape) -> tuple[int, ...]:
        """Read the rank of each class."""
        if shape.order != "priority":
            return (0,) * len(self.groups)
        given = self.groups if shape.priority is None else shape.priority
        self._each(path, dict.fromkeys(given))
        lacking = [name for name in self.groups if name not in given]
        if lacking or len(set(given)) < len(given):
            found = f"without {listed(lacking)}" if lacking else "with a class twice"
            self.fault(path, found, f"each class once: {listed(self.groups)}")
            return (0,) * len(self.groups)
        return tuple(given.index(name) for name in self.groups)

    def laws(
        self, path: Path_, given: str | Mapping[str, str] | None
    ) -> list[Law | None]:
        """Read the law of each class."""
        if given is None:
            return [None] * len(self.groups)
        if isinstance(given, str):
            return [self.law(path, given)] * len(self.groups)
        self._each(path, given)
        each = {key: self.law((*path, key), text) for key, text in given.items()}
        return [each.get(group) for group in self.groups]

    def law(self, path: Path_, text: str) -> Law | None:
        """Read a law, such as `lognormal(30 min, 0.8)`."""
        shown = listed(f"`{kind.example(word)}`" for word, kind in LAWS.items())
        found = _LAW.fullmatch(text)
        if not found or found[1] not in LAWS:
            near = nearest(found[1], LAWS) if found else ""
            write = f"{near}({found[2]})" if found and near else ""
            self.fault(path, f"{said(text)}, no law", f"one of {shown}", write)
            return None
        kind = LAWS[found[1]]
        parts = _parted(found[2])
        if len(parts) != len(kind.arguments):
            allowed = f"of {' and '.join(kind.arguments)}: `{kind.example(found[1])}`"
            self.fault(path, f"{said(text)}, with {len(parts)} arguments", allowed)
            return None
        readers = [self._reader(name in kind.times) for name in kind.arguments]
        return Law(
            found[1],
            tuple(
                read(path, part.strip())
                for read, part in zip(readers, parts, strict=True)
            ),
        )

    def _reader(self, is_time: bool) -> Callable[[Path_, str], Expression]:
        return self._time if is_time else self._plain

    def _plain(self, path: Path_, text: str) -> Expression:
        """Read an argument that is no time."""
        expression = self.number(path, text, part=True)
        if isinstance(expression, Number) and expression.value < 0:
            self.fault(path, f"with {expression.value:g}", "with 0 or more")
        return expression

    def _time(self, path: Path_, text: str) -> Expression:
        """Read an argument that is a time: with its unit, or in the sheet's."""
        try:
            time = hours(text)
        except UnitError:
            expression, size = (
                self.number(path, text, part=True),
                hours(f"1 {self.shape.time}"),
            )
            if not isinstance(expression, Number) and size == 1.0:
                return expression
            if not isinstance(expression, Number):
                return Call("*", (expression, Number(size)))
            time = expression.value * size
        if time < 0:
            self.fault(path, f"with {text}", "with a time of 0 or more")
        return Number(time)

    def told(self, name: str) -> Told:
        """Read what an output is."""
        entry, path = self.shape.outputs[name], ("outputs", name)
        shown = [f"`take: {one}`" for one in examples_of(entry.of)]
        found = read_take(entry.of, entry.take)
        if found is None:
            where = (*path, "take")
            what = said(entry.take) if entry.take else "missing"
            self.fault(where, what, f"one of {listed(shown)} beside `of: {entry.of}`")
            return Told(name, entry.of, "")
        word, number, take = found
        station = -1
        if entry.at is not None:
            station = self.place((*path, "at"), entry.at)
        group = -1
        if entry.class_ is not None and entry.class_ not in self.groups:
            self.unknown((*path, "class"), entry.class_, self.groups, "class")
        elif entry.class_ is not None:
            group = self.groups.index(entry.class_)
        if entry.class_ is not None and entry.of == "staff":
            self.fault((*path, "class"), "given for staff", "left out")
        scale = self.scale(path, entry.unit, take)
        return Told(name, entry.of, word, number, station, group, scale)

    def scale(self, path: Path_, unit: str | None, take: Take) -> float:
        """Return what computed values are multiplied by."""
        plain = "h" if take.kind == "time" else "1"
        if unit is None:
            return 1.0
        if not compatible(plain, unit):
            such = "a unit of time" if take.kind == "time" else "1 or %"
            self.fault((*path, "unit"), f"`{unit}`", such)
            return 1.0
        return factor(plain, unit)


_ROUND = (
    "such that nobody comes to a station again: one that people come back to is "
    "written as two"
)


def _parted(text: str) -> list[str]:
    """Part arguments at the commas outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]

"""What real trials measured: points of outputs, and outcomes of endpoints, in files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vtrial.endpoint.endpoint import MOST_CATEGORIES, Endpoint
from vtrial.errors import ProtocolError, UnitError
from vtrial.model.model import Output
from vtrial.model.tree import names_in
from vtrial.protocol.csv_columns import Column, CompleteRows, read_rows
from vtrial.protocol.evidence import Observed, ObservedOutcomes
from vtrial.protocol.faults import Faults
from vtrial.protocol.grades import read_grades
from vtrial.protocol.observed_shape import ObservedShape
from vtrial.protocol.protocol import Arm
from vtrial.protocol.published import read_source
from vtrial.protocol.scope import Known
from vtrial.protocol.values import number_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed
from vtrial.units import factor

Both = tuple[tuple[Observed, ...], tuple[ObservedOutcomes, ...]]
_ALWAYS = {"file", "arm", "source"}
_CHECKS = {"correct", "lower_bound", "logarithms", "subject", "grades", "categories"}
_CHECKS |= {"lower_limit", "upper_limit"}
_KEYS = {  # which may stand in an entry, by what it is of
    "an output": {*_ALWAYS, *_CHECKS, "time", "time_unit", "value", "unit"},
    "a time to an event": {*_ALWAYS, "time", "time_unit", "event"},
    "an endpoint": {*_ALWAYS, "value"},
}


@dataclass(frozen=True)
class _Reader:
    """One entry: where it stands, what it says, and what it may name."""

    path: Path_
    name: str
    shape: ObservedShape
    known: Known
    faults: Faults

    def may_say(self, what: str) -> None:
        """Note keys that mean nothing for what the entry is of."""
        fields = type(self.shape).model_fields
        allowed = sorted(fields[key].alias or key for key in _KEYS[what])
        for key in sorted(self.shape.model_fields_set - _KEYS[what]):
            self.faults.add(
                (*self.path, fields[key].alias or key),
                found=f"given, but `{self.name}` is {what}",
                allowed=f"left out; keys of {what} are {listed(allowed)}",
                write="",
            )

    def scale(self, key: str, given: str | None, wanted: str | None) -> float:
        """Return what numbers in a unit are multiplied by; 1 where it is at fault."""
        try:
            return factor(given, wanted) if given and wanted else 1.0
        except UnitError as error:
            self.faults.relay((*self.path, key), error)
            return 1.0

    def rows(self, *columns: Column, subject: str = "") -> CompleteRows | None:
        """Read columns of the file, of points if it says whose they are."""
        file = self.shape.file
        return read_rows(self.path, file, columns, self.faults, subject=subject)


class _People(NamedTuple):
    """Each point's place among the subjects, and the subjects' covariates."""

    subject: tuple[int, ...]
    covariates: tuple[tuple[str, tuple[float, ...]], ...]


def read_observed(
    shapes: Mapping[str, Sequence[ObservedShape]],
    arms: Sequence[Arm],
    endpoints: Sequence[Endpoint],
    *,
    known: Known,
    faults: Faults,
) -> Both:
    """Read what was observed from the CSV files that stand beside the sheet.

    An entry is of an output of the model or, where no output has its name, of an
    endpoint.
    """
    points: list[Observed] = []
    outcomes: list[ObservedOutcomes] = []
    for name, entries in shapes.items():
        output = known.output(name)
        if output is None and name not in known.endpoints:
            names = [o.name for o in known.model.outputs] if known.model else []
            if known.model:
                names = [*names, *known.endpoints]
                faults.unknown(("observed", name), name, names, "output or endpoint")
            continue
        endpoint = next((one for one in endpoints if one.name == name), None)
        given = faults.sheet.data.get("observed")
        many = isinstance(given, dict) and isinstance(given.get(name), list)
        for place, shape in enumerate(entries):
            path = ("observed", name, place) if many else ("observed", name)
            reader = _Reader(path, name, shape, known, faults)
            if shape.arm is not None and shape.arm not in known.arms:
                faults.unknown((*path, "arm"), shape.arm, known.arms, "arm")
            if output is not None:
                points += _points(reader, output, arms)
            elif endpoint is not None:
                outcomes += _outcomes(reader, endpoint)
        _check_alone(name, entries, known, faults)
    return tuple(points), tuple(outcomes)


def _outcomes(reader: _Reader, endpoint: Endpoint) -> list[ObservedOutcomes]:
    """Read what was seen of an endpoint, a row a subject."""
    shape = reader.shape
    arm, source = shape.arm or "", read_source(shape.source)
    if endpoint.event:
        reader.may_say("a time to an event")
        scale = reader.scale("time unit", shape.time_unit, "h")
        event = Column("event", shape.event, among=(0.0, 1.0))
        rows = reader.rows(Column("time", shape.time, scale), event)
        if rows is None:
            return []
        time, happened = rows.columns
        return [ObservedOutcomes(reader.name, time, happened, arm, source)]
    reader.may_say("an endpoint")
    among = _categories(reader, endpoint)
    if among is None:
        return []
    rows = reader.rows(Column("value", shape.value, among=among))
    if rows is None:
        return []
    _check_few(reader, rows.columns[0])
    return [ObservedOutcomes(reader.name, rows.columns[0], (), arm, source)]


def _categories(reader: _Reader, endpoint: Endpoint) -> tuple[float, ...] | None:
    """Return the categories that an endpoint has, none if any; None if a number."""
    counted = endpoint.kind.count or endpoint.equals is not None
    if endpoint.categories or counted:
        return endpoint.categories
    reader.faults.add(
        reader.path,
        found=f"of `{reader.name}`, whose `{endpoint.take}` is a number",
        allowed="of an output, a time to an event, a response, a grade, a best "
        "response, a number of events, or an equation with few values",
    )
    return None


def _points(reader: _Reader, output: Output, arms: Sequence[Arm]) -> list[Observed]:
    """Read measured points of an output."""
    shape, faults = reader.shape, reader.faults
    before = len(faults.entries)
    reader.may_say("an output")
    hours = reader.scale("time unit", shape.time_unit, "h")
    columns = [
        Column("time", shape.time, hours, clock=True),
        Column("value", shape.value, reader.scale("unit", shape.unit, output.unit)),
    ]
    grades = read_grades(reader.path, shape, output.unit, reader.faults)
    bound = _bound(reader, output)
    _check_kind(reader)
    rows = reader.rows(*columns, subject=shape.subject)
    if rows is None:
        return []
    time, value = rows.columns
    if shape.categories:
        _check_few(reader, value)
    arm, people = shape.arm or "", _People((), ())
    if shape.correct and len(faults.entries) == before:
        arm = arm or (arms[0].name if len(arms) == 1 else "")
        people = _people(reader, rows, next((a for a in arms if a.name == arm), None))
    return [
        Observed(
            reader.name,
            time,
            value,
            arm,
            read_source(shape.source),
            correct=shape.correct or "nothing",
            bound=bound,
            logarithms=shape.logarithms,
            subject=people.subject,
            covariates=people.covariates,
            grades=grades,
            categories=shape.categories,
        )
    ]


def _check_alone(
    name: str, entries: Sequence[ObservedShape], known: Known, faults: Faults
) -> None:
    """Find checks of one thing beside one arm by several files."""
    arms: set[str] = set()
    for place, shape in enumerate(entries):
        checked = shape.correct or shape.grades or shape.categories
        if known.output(name) is not None and not checked:
            continue
        own = {shape.arm} if shape.arm else set(known.arms)
        if arms & own:
            faults.add(
                ("observed", name, place, "arm"),
                found=f"beside {listed(sorted(arms & own))}, as an entry before it",
                allowed="an arm that no other entry of it is beside: each check is of "
                "one file",
                write="",
            )
        arms |= own


def _bound(reader: _Reader, output: Output) -> float:
    """Return the lowest value that there can be, in the output's unit."""
    try:
        return number_in(reader.shape.lower_bound, output.unit)
    except ProtocolError as error:
        reader.faults.relay((*reader.path, "lower bound"), error)
        return 0.0


def _check_kind(reader: _Reader) -> None:
    """Find checks that do not go together, and those that nothing is held against."""
    shape, given = reader.shape, reader.shape.model_fields_set
    asked = [key for key in ("correct", "grades", "categories") if getattr(shape, key)]
    if len(asked) > 1:
        reader.faults.add(
            (*reader.path, asked[1]),
            found=f"given with `{asked[0]}`",
            allowed="given without it: shares of categories have no correction, and "
            "grades are categories already",
            write="",
        )
    for key, word in (("lower_bound", "lower bound"), ("logarithms", "logarithms")):
        if key in given and not shape.correct:
            reader.faults.add(
                (*reader.path, word),
                found="given, but nothing is corrected",
                allowed="given with `correct`, such as `correct: prediction`",
            )
    if shape.logarithms and "lower_bound" in given:
        reader.faults.add(
            (*reader.path, "lower bound"),
            found="given with `logarithms`",
            allowed="left out: logarithms have no bound",
            write="",
        )
    measured = (reader.known.measured or {}).values()
    if asked and not any(reader.name in names for names in measured):
        reader.faults.add(
            (*reader.path, asked[0]),
            found=f"given, but no visit measures `{reader.name}`",
            allowed="given where a visit measures the output, with "
            f"`measure: [{reader.name}]`",
        )


def _check_few(reader: _Reader, values: Sequence[float]) -> None:
    """Find a file of numbers where categories are asked for."""
    count = len(set(values))
    if count > MOST_CATEGORIES:
        reader.faults.add(
            (*reader.path, "value"),
            found=f"`{reader.shape.value}`, with {count} different values",
            allowed=f"a column of at most {MOST_CATEGORIES} categories; `grades` makes "
            "categories of numbers",
        )


def _people(reader: _Reader, rows: CompleteRows, arm: Arm | None) -> _People:
    """Read the subjects of the points, and the covariates that predictions ask for."""
    known, shape = reader.known, reader.shape
    if arm is None:
        reader.faults.add(
            (*reader.path, "arm"),
            found="missing",
            allowed="given where points are corrected and there are several arms: its "
            f"doses make the predictions; arms are {listed(known.arms)}",
        )
        return _People((), ())
    names = rows.words("subject", shape.subject)
    if names is None:
        return _People((), ())
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    covariates = []
    for asked in _asked(known, arm):
        found = rows.of_subjects(asked, names)
        if found is not None:
            covariates.append((asked, tuple(found[name] for name in places)))
    return _People(tuple(places[name] for name in names), tuple(covariates))


def _asked(known: Known, arm: Arm) -> list[str]:
    """Name the covariates that the model, the doses and the values of an arm ask for.

    What an arm sets without looking at it need not be known.
    """
    assert known.model is not None, "points are read where the model is known"
    used = [name.name for _, value in arm.set for name in names_in(value)]
    sets = {name for name, _ in arm.set} - set(used)
    needs = [*used, *(arm.regimen.needs if arm.regimen else ())]
    needs += [covariate.name for covariate in known.model.covariates]
    covariates = known.covariates | {c.name for c in known.model.covariates}
    asked = dict.fromkeys(name for name in needs if name in covariates)
    return [name for name in asked if name not in sets]

"""Load a model sheet; every fault is told at once, with its line and a remedy."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vtrial.errors import Fault, ModelError
from vtrial.model.build import build, covariance
from vtrial.model.chance_sheet import (
    ChanceText,
    chance_of,
    check_chance,
    read_chance,
    step_faults,
)
from vtrial.model.check import check_units
from vtrial.model.classes import (
    class_faults,
    probabilities_of,
    rows_of,
    table_faults,
)
from vtrial.model.covariance import flaw, settled
from vtrial.model.delays import delay_faults
from vtrial.model.error_equations import check_errors, error_statements
from vtrial.model.flow_shape import FlowShape
from vtrial.model.flow_sheet import read_flow
from vtrial.model.grammar import ETA, check_names, parse_leniently
from vtrial.model.model import Model
from vtrial.model.shape import (
    TICK,
    ClassShape,
    CovariateShape,
    ErrorsShape,
    EventShape,
    JointShape,
    ModelShape,
    OutputShape,
    ParameterShape,
    RandomShape,
)
from vtrial.model.structure import PROPERTIES
from vtrial.model.tree import TIME, TIME_AFTER_DOSE, Statement, names_in
from vtrial.sheets.find import find_sheet, refuse_other
from vtrial.sheets.given import given_sheet
from vtrial.sheets.remedy import proved
from vtrial.sheets.sheet import Path_, Sheet, read_sheet
from vtrial.sheets.spot import word_in
from vtrial.sheets.validate import DRAFT, check_shape, raise_faults
from vtrial.sheets.words import listed, nearest

Row = TypeVar("Row", bound=BaseModel)

LIBRARY = Path(__file__).parent / "library"
EQUATIONS: Path_ = ("equations",)
TAKEN = ("ID", "TIME", "STATUS")  # by tables of predictions


def load_model(
    name: str | Path | Mapping[str, object], *, beside: str | Path = ""
) -> Model:
    """Load a model by the name of a library sheet, from a file, or as it is given.

    A file is looked for beside the sheet `beside`, then here, then in the library. YAML
    text of several lines, or a dict of what it would say, is the sheet itself.

    Raises
    ------
    ModelError
        With every fault of the sheet.
    SheetError
        If the file is no YAML sheet.

    Examples
    --------
    >>> model = load_model("theophylline")
    >>> model.states
    ('depot', 'central')
    """
    given = given_sheet(name)
    sheet = given or read_sheet(_find(name, beside))  # type: ignore[arg-type] # a name
    refuse_other(sheet, "model")
    return read_model(sheet)


def library() -> list[str]:
    """List the models of the library.

    Examples
    --------
    >>> "theophylline" in library()
    True
    """
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def model_schema() -> dict[str, object]:
    """Return the JSON Schema of model sheets."""
    schema = ModelShape.model_json_schema(by_alias=True)
    flow = FlowShape.model_json_schema(by_alias=True)
    parts = {**schema.pop("$defs", {}), **flow.pop("$defs", {})}
    ticks = {"type": "string", "description": "What is done at each tick."}
    return {
        "$schema": DRAFT,
        "title": "vtrial model sheet",
        "type": "object",
        "if": {"required": ["kind"]},
        "then": flow,
        "else": {**schema, "patternProperties": {"^every ": ticks}},
        "$defs": parts,
    }


def read_model(sheet: Sheet, statements: Sequence[Statement] | None = None) -> Model:
    """Make a Model of a sheet as read, or of its data and statements traced elsewhere.

    Raises
    ------
    ModelError
        With every fault of the sheet.
    """
    if "kind" in sheet.data and statements is None:
        return read_flow(sheet)
    draft, faults = _drafted(sheet, statements)
    if faults:
        faults = proved(sheet, faults, lambda other: _drafted(other, statements)[1])
    raise_faults(ModelError, faults)
    warnings = [placed(sheet, warning) for warning in _unused(draft)]
    warnings += [
        placed(sheet, warning)
        for warning in check_units(draft.shape, draft.statements, draft.errors)
    ]
    warnings.sort(key=lambda fault: fault.line)
    chance = chance_of(draft.chance, draft.statements, draft.shape.time)
    model = build(
        draft.shape, draft.statements, chance, text=sheet.text, warnings=warnings
    )
    try:
        # What cannot be analysed is refused here, not in a run.
        _ = model.structure, model.within.structure
    except ModelError as error:
        raise ModelError.of(placed(sheet, f) for f in error.faults) from None
    return model


def _drafted(
    sheet: Sheet, statements: Sequence[Statement] | None
) -> tuple["_Draft", list[Fault]]:
    """Read what is sound of a sheet, and find every fault of it."""
    shape, shape_faults = check_shape(sheet, ModelShape)
    faults = [_plainly(fault) for fault in shape_faults]
    draft = _Draft(sheet, _sound(sheet) if shape is None else shape)
    if statements is None:
        draft.statements, parsing, draft.doubtful = parse_leniently(
            draft.shape.equations
        )
        faults += [placed(sheet, fault) for fault in parsing]
    else:
        draft.statements = tuple(statements)
    draft.chance = read_chance(sheet, draft.shape)
    faults += draft.chance.faults
    for check in (_check_equations, _check_random, _check_uncertainty, _check_outputs):
        faults += check(draft)
    faults += _check_chance(draft)
    faults += check_errors(sheet, draft.shape.outputs, draft.shape.errors, draft.known)
    return draft, list(dict.fromkeys(faults))


def placed(sheet: Sheet, fault: Fault) -> Fault:
    """Move a fault from its line in the equations, or its path, to its line."""
    if fault.path and not fault.source:
        return fault._replace(source=sheet.source, line=sheet.place(fault.path)[0])
    if fault.source or not fault.line or EQUATIONS not in sheet.lines:
        row, _ = sheet.place(EQUATIONS)
        return fault._replace(source=sheet.source, line=fault.line or row)
    text = re.sub(r"\r\n|\r", "\n", str(sheet.data.get("equations", "")))
    rows, column = text.split("\n"), fault.column
    if fault.line > len(rows):
        return fault._replace(source=sheet.source, line=sheet.place(EQUATIONS)[0])
    if fault.old and not column:
        column = (word_in(rows[fault.line - 1], fault.old) or 0) + 1
    moved = sheet.fault(
        EQUATIONS,
        found=fault.found,
        allowed=fault.allowed,
        write=fault.write,
        line=fault.line,
        column=column or _begin(rows[fault.line - 1]),
        old=fault.old,
    )
    return moved._replace(at=fault.at, column=moved.column if column else 0)


def _begin(row: str) -> int:
    """Return the column at which a line begins."""
    return len(row) - len(row.lstrip()) + 1


@dataclass
class _Draft:
    """A sheet on its way to a Model: what is sound of it."""

    sheet: Sheet
    shape: ModelShape
    statements: tuple[Statement, ...] = ()
    doubtful: set[str] = field(default_factory=set)
    chance: ChanceText = field(default_factory=ChanceText)

    def keys(self, section: str) -> list[str]:
        """Name the entries of a section, those with faults included."""
        entries = self.sheet.data.get(section)
        return list(entries) if isinstance(entries, dict) else []

    @property
    def effects(self) -> list[str]:
        """Name every random effect that a row declares, sound or not."""
        names: list[str] = []
        rows = self.sheet.data.get("random")
        for row in rows if isinstance(rows, list) else []:
            of = row.get("of") if isinstance(row, dict) else None
            names += [str(n) for n in (of if isinstance(of, list) else [of]) if n]
        return names

    @property
    def classes(self) -> dict[str, int]:
        """How many classes there are, by name."""
        rows = rows_of(self.shape)
        return {row.class_: len(row.probabilities) for row in rows}

    @property
    def still(self) -> set[str]:
        """What stands still between ticks and events: held states, what is told."""
        return {*self.chance.held(self.statements), *self.chance.told}

    @property
    def states(self) -> list[str]:
        return [s.name for s in self.statements if s.kind == "derivative"]

    @property
    def assigned(self) -> set[str]:
        """What the equations compute: variables and states."""
        kinds = ("assign", "derivative")
        return {s.name for s in self.statements if s.kind in kinds}

    @property
    def known(self) -> set[str]:
        """All that an equation behind the block may name."""
        inputs = {*self.keys("parameters"), *self.keys("covariates")}
        effects = {ETA + name for name in self.effects}
        return inputs | self.assigned | effects | self.still | {*self.classes}

    @property
    def errors(self) -> tuple[Statement, ...]:
        """What residual errors ask the equations for."""
        return error_statements(self.shape.outputs, self.assigned)


def _find(name: str | Path, beside: str | Path) -> Path:
    """Find the file of a model."""
    found = find_sheet(str(name), kind="models", beside=beside)
    if found is not None:
        return found
    if str(name) in library():
        return LIBRARY / f"{name}.yaml"
    known = library()
    raise ModelError(
        at="model",
        found=f"`{name}`, no file and no name of the library",
        allowed="the path of a sheet, or a model of the library (docs/library.md): "
        + listed(known, like=str(name)),
        write=nearest(str(name), known),
    )


def _plainly(fault: Fault) -> Fault:
    """Reword one of pydantic's faults for a pharmacometrician."""
    if fault.path == ("outputs",) and fault.allowed == "at least 1 long":
        found, allowed = "empty", "one output or more, such as `{conc: {unit: mg/L}}`"
        return fault._replace(found=found, allowed=allowed)
    return fault


def _sound(sheet: Sheet) -> ModelShape:
    """Gather what is sound of a sheet with faults, so that it is checked, too."""
    data = sheet.data
    equations, nonnegative = data.get("equations"), data.get("nonnegative")
    sound: dict[str, Any] = {
        "model": str(data.get("model", "")),
        "equations": equations if isinstance(equations, str) else "",
        "nonnegative": [
            name
            for name in (nonnegative if isinstance(nonnegative, list) else [])
            if isinstance(name, str)
        ],
        "covariates": _sound_map(data.get("covariates"), CovariateShape),
        "parameters": _sound_map(data.get("parameters"), ParameterShape),
        "outputs": _sound_map(data.get("outputs"), OutputShape),
        "errors": _sound_rows(data.get("errors"), ErrorsShape),
        "random": [
            *_sound_rows(data.get("random"), RandomShape),
            *_sound_rows(data.get("random"), ClassShape),
        ],
        "every": _sound_ticks(data),
        "events": _sound_map(data.get("events"), EventShape),
        "uncertainty": _sound_rows(data.get("uncertainty"), JointShape),
    }
    return ModelShape.model_construct(**sound)


def _sound_ticks(data: Mapping[str, object]) -> dict[str, str]:
    """Return the blocks of ticks that are text."""
    own = data.get("every")
    found = dict(own) if isinstance(own, dict) else {}
    found |= {TICK.sub("", key): text for key, text in data.items() if TICK.match(key)}
    return {key: text for key, text in found.items() if isinstance(text, str)}


def _sound_map(entries: object, kind: type[BaseModel]) -> dict[str, BaseModel]:
    if not isinstance(entries, dict):
        return {}
    tried = {str(name): _tried(entry, kind) for name, entry in entries.items()}
    return {name: entry for name, entry in tried.items() if entry is not None}


def _sound_rows(entries: object, kind: type[BaseModel]) -> list[BaseModel]:
    if not isinstance(entries, list):
        return []
    tried = [_tried(entry, kind) for entry in entries]
    return [entry for entry in tried if entry is not None]


def _tried(entry: object, kind: type[BaseModel]) -> BaseModel | None:
    try:
        return kind.model_validate(entry)
    except ValidationError:
        return None


def _check_equations(draft: _Draft) -> list[Fault]:
    """Find unknown and doubled names, and starts that would need time or states."""
    sheet = draft.sheet
    inputs = [*draft.keys("parameters"), *draft.keys("covariates"), *draft.classes]
    known = {*inputs, *(ETA + name for name in draft.effects)}
    doubtful = draft.doubtful | draft.chance.doubtful
    found = check_names(draft.statements, known, doubtful=doubtful, held=draft.still)
    found += _check_starts(draft.statements, draft.still)
    found += delay_faults(draft.statements, draft.known, draft.chance.is_empty)
    lines = [(s.expression, s.line) for s in draft.statements]
    found += table_faults(lines, draft.classes)
    faults = [placed(sheet, fault) for fault in found]
    for name in sorted({name for name in inputs if inputs.count(name) > 1}):
        faults.append(
            sheet.fault(
                ("covariates", name),
                found="a parameter, too",
                allowed=f"one or the other; a parameter may be called tv{name}",
                write="",
            )
        )
    if not draft.statements and not draft.doubtful and "equations" in sheet.data:
        faults.append(
            sheet.fault(EQUATIONS, found="empty", allowed="a line or more", write="")
        )
    for name in draft.shape.nonnegative:
        if name not in {*draft.states, *draft.doubtful}:
            faults.append(
                sheet.fault(
                    ("nonnegative", draft.shape.nonnegative.index(name)),
                    found=f"`{name}`, no state",
                    allowed="states: "
                    + (listed(draft.states, like=name) or "there is none"),
                    write=nearest(str(name), draft.states),
                )
            )
    return faults


def _check_starts(statements: Sequence[Statement], held: set[str]) -> list[Fault]:
    """Find starts and dose properties that would need to know the time or a state.

    What is held may decide about doses, but not about a start.
    """
    states = [s.name for s in statements if s.kind == "derivative"]
    moving, late = {TIME, TIME_AFTER_DOSE, *states}, set(held)
    faults = []
    for statement in statements:
        needs = {n.name for n in names_in(statement.expression)}
        if statement.kind == "assign" and needs & moving:
            moving.add(statement.name)
        elif statement.kind == "assign" and needs & late:
            late.add(statement.name)
    for statement in statements:
        before = moving | late if statement.kind == "initial" else moving
        needs = [n for n in names_in(statement.expression) if n.name in before]
        if statement.kind in ("initial", *PROPERTIES) and needs:
            word = "init" if statement.kind == "initial" else statement.kind
            faults.append(
                Fault(
                    at="equations",
                    found=f"`{needs[0].name}` in {word}({statement.name}), which moves",
                    allowed="made of parameters, covariates and random effects",
                    write="",
                    path=EQUATIONS,
                    line=needs[0].line or statement.line,
                    column=needs[0].column,
                )
            )
    return faults


def _check_random(draft: _Draft) -> list[Fault]:
    """Find random effects declared twice or never used, and invalid covariances."""
    sheet, faults = draft.sheet, []
    text = re.sub(r"#[^\n]*", "", draft.shape.equations)
    used = set(re.findall(r"eta\.([A-Za-z]\w*)", text))
    read = [s.expression for s in (*draft.statements, *draft.errors)]
    used |= {
        n.name.removeprefix(ETA)
        for expression in (*read, *draft.chance.read)
        for n in names_in(expression)
        if n.name.startswith(ETA)
    }
    seen: set[str] = set()
    for path, names in _rows(sheet, "random"):
        for name in names:
            if name in seen:
                found, allowed = f"`{name}` again", "in one row"
                faults.append(sheet.fault(path, found=found, allowed=allowed, write=""))
            elif name not in used:
                found = f"`{name}`, a random effect that the equations never use"
                such = f"`{name} = tv{name} * exp({ETA}{name})`"
                near = nearest(name, [one for one in used if one not in seen])
                allowed = f"used in the equations, as in {such}"
                faults.append(
                    sheet.fault(
                        path, found=found, allowed=allowed, write=near, old=name
                    )
                )
            seen.add(name)
    for path, row in _sound_paths(sheet, "random", RandomShape):
        if not covariance(row):
            given = row.covariance or row.correlation or []
            faults.append(_no_covariance(sheet, path, "random effects", flaw(given)))
    return faults


def _check_uncertainty(draft: _Draft) -> list[Fault]:
    """Find joint uncertainty of what is no parameter, or has its own; no covariance."""
    sheet, faults = draft.sheet, []
    known, seen = draft.shape.parameters, set()
    for path, row in _sound_paths(sheet, "uncertainty", JointShape):
        for name, scale in zip(row.of, row.scales, strict=False):
            entry = known.get(name)
            if name not in draft.keys("parameters"):
                keys = draft.keys("parameters")
                found = f"`{name}`, no parameter"
                allowed = f"parameters of the sheet: {listed(keys, like=name)}"
                write = nearest(name, keys)
            elif name in seen:
                found, allowed, write = f"`{name}` again", "in one row", ""
            elif entry and (entry.rse is not None or entry.se is not None):
                found = f"`{name}`, which has its own rse or se"
                allowed, write = "uncertain in one place", ""
            elif entry and scale == "log" and entry.value <= 0:
                found = f"`{name}` = {entry.value:g} on the log scale"
                allowed, write = "above 0, or of `scale: identity`", ""
            else:
                found = allowed = write = ""
            if found:
                at, old = (*path, "of"), name if write else ""
                faults.append(
                    sheet.fault(at, found=found, allowed=allowed, write=write, old=old)
                )
            seen.add(name)
        if not settled(row.covariance):
            why = flaw(row.covariance)
            faults.append(_no_covariance(sheet, path, "parameters", why))
    return faults


def _check_chance(draft: _Draft) -> list[Fault]:
    """Find what is wrong in ticks, events and the probabilities of classes."""
    sheet, shape = draft.sheet, draft.shape
    inputs = {*draft.keys("parameters"), *draft.keys("covariates")}
    effects = {ETA + name for name in draft.effects}
    observed = {output.equals or name for name, output in shape.outputs.items()}
    observed |= {n.name for s in draft.errors for n in names_in(s.expression)}
    faults = check_chance(
        sheet,
        draft.chance,
        draft.statements,
        inputs=inputs | effects | {*draft.classes},
        observed=observed | draft.doubtful,
    )
    faults += step_faults(sheet, shape, draft.statements)
    return faults + class_faults(sheet, shape, inputs)


def _check_outputs(draft: _Draft) -> list[Fault]:
    """Find outputs that name nothing."""
    sheet, faults = draft.sheet, []
    for name in draft.shape.outputs:
        if name in TAKEN:
            faults.append(
                sheet.fault(
                    ("outputs", name),
                    found=f"`{name}`, a column that every table has",
                    allowed=f"a name of its own, such as `{name.lower()}_: "
                    f"{{equals: {name}}}`",
                    write="",
                )
            )
    assigned = draft.assigned
    inputs = {*draft.keys("parameters"), *draft.keys("covariates")}
    inputs |= {*draft.classes, *draft.still, *draft.chance.doubtful}
    known = sorted(assigned | inputs | draft.doubtful)
    assigned |= draft.still
    for name, output in draft.shape.outputs.items():
        equals = output.equals or name
        if equals in known:
            continue
        there = listed(sorted(assigned), like=equals) or "none"
        faults.append(
            sheet.fault(
                ("outputs", name, *(["equals"] if output.equals else [])),
                found=f"`{equals}`, which the equations do not know",
                allowed=f"a state or variable: {there}",
                write=nearest(equals, sorted(assigned)),
                old="" if output.equals else name,
            )
        )
    return faults


def _unused(draft: _Draft) -> list[Fault]:
    """Warn of parameters and covariates that nothing reads."""
    statements = (*draft.statements, *draft.errors)
    expressions = [*(s.expression for s in statements), *draft.chance.read]
    expressions += [p for row in rows_of(draft.shape) for p in probabilities_of(row)]
    read = {n.name for one in expressions for n in names_in(one)}
    read |= {o.equals or name for name, o in draft.shape.outputs.items()}
    return [
        draft.sheet.fault(
            (section, name),
            found="never used in the equations",
            allowed="used, or left out",
            write="",
        )
        for section in ("parameters", "covariates")
        for name in draft.keys(section)
        if name not in read
    ]


def _rows(sheet: Sheet, section: str) -> list[tuple[Path_, list[str]]]:
    """List the names of each row of a section, with where the row stands."""
    rows = sheet.data.get(section)
    found: list[tuple[Path_, list[str]]] = []
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        of = row.get("of") if isinstance(row, dict) else None
        names = [str(name) for name in (of if isinstance(of, list) else [of]) if name]
        found.append(((section, index, "of"), names))
    return found


def _sound_paths(
    sheet: Sheet, section: str, kind: type[Row]
) -> list[tuple[Path_, Row]]:
    """List the sound rows of a section, with where they stand."""
    rows = sheet.data.get(section)
    tried = [
        ((section, index), _tried(row, kind))
        for index, row in enumerate(rows if isinstance(rows, list) else [])
    ]
    return [(path, row) for path, row in tried if isinstance(row, kind)]


def _no_covariance(sheet: Sheet, path: Path_, of: str, why: str) -> Fault:
    return sheet.fault(
        path,
        found=f"a covariance of {of} that is not positive semi-definite ({why})",
        allowed="one: variances of 0 or more, correlations that can hold together",
        write="",
    )

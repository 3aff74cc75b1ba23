"""The sheet of a sampling design: who is dosed and measured, and what may change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vtrial.dosing.grammar import parse_leniently
from vtrial.dosing.words import parse_regimen
from vtrial.errors import DosingError, Fault, ModelError, UnitError, VtrialError
from vtrial.model.model import Model
from vtrial.protocol.moments import sample_times
from vtrial.sheets.choice import Words
from vtrial.sheets.find import refuse_other
from vtrial.sheets.given import given_or_read
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import check_shape, raise_faults, schema_of, sheet_name
from vtrial.sheets.words import listed, nearest
from vtrial.units import hours

MOST_TIMES = 200  # candidates, of each output
Times = str | Annotated[dict[str, str], Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Form = Literal["reduced", "full"]
Real = float | int


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupShape(_Closed):
    """Subjects who are dosed and measured alike."""

    dose: str = Field("", description="Dosing words.", examples=["70 mg"])
    times: Times = Field(
        description="When it is measured; by output if there are several.",
        examples=["1 h, 4 h, 24 h"],
    )
    subjects: Annotated[int, Field(ge=1)] = Field(
        description="How many they are.", examples=[32]
    )
    covariates: dict[str, Number] = Field(
        {}, description="Values that are not the typical ones.", examples=[{"WT": 50}]
    )


class SamplingShape(_Closed):
    """A sampling design."""

    sampling: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="The design's name.", examples=["once"]
    )
    title: str = Field("", description="What it is, in words.")
    groups: Annotated[dict[str, GroupShape], Field(min_length=1)] = Field(
        description="Who is dosed and measured how.",
        examples=[{"all": {"dose": "70 mg", "times": "1 h, 24 h", "subjects": 32}}],
    )
    known: list[str] = Field(
        [], description="Parameters that are not estimated.", examples=[["tvKA"]]
    )
    form: Annotated[Form, BeforeValidator(Words("reduced", "full", place="form"))] = (
        Field("reduced", description="Whether variances tell of parameters, too.")
    )
    among: Times | None = Field(
        None,
        description="Times that may be chosen.",
        examples=["0.5 h to 120 h every 30 min"],
    )
    window: str = Field(
        "",
        description="How far off the times subjects are measured.",
        examples=["30 min"],
    )
    doses: list[str] = Field(
        [], description="Doses that any group may have.", examples=[["50 mg", "70 mg"]]
    )


@dataclass(frozen=True)
class Group:
    """Subjects who are dosed and measured alike.

    Parameters
    ----------
    dose
        Dosing words; empty if nothing is given.
    times
        [h] When each output is measured, by its name.
    subjects
        How many they are.
    covariates
        Values that differ from the typical ones.
    """

    dose: str
    times: Mapping[str, Sequence[Real]]
    subjects: int
    covariates: Mapping[str, Real] | None = None


@dataclass(frozen=True)
class Sampling:
    """A sampling design, with times in hours.

    Fields
    ------
    names, groups
        Of the groups, and what they are.
    known, form
        As `information` takes them.
    among
        [h] Candidates by output; empty if times stay.
    doses
        Candidates for doses.
    window
        [h] How far off the times subjects are measured, uniformly.
    """

    name: str
    title: str
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    known: tuple[str, ...]
    form: Form
    among: Mapping[str, Sequence[float]]
    doses: tuple[str, ...]
    window: float = 0.0


def load_sampling(given: str | Path | Mapping[str, object], model: Model) -> Sampling:
    """Load a sampling design for a model: a sheet's path, YAML text, or a dict.

    Raises
    ------
    ModelError
        With every fault of the sheet.
    SheetError
        If the file is no readable sheet.
    """
    reader = _Reader(_sheet(given), model)
    found = reader.read()
    raise_faults(ModelError, reader.faults)
    return found


def check_sampling(given: str | Path | Mapping[str, object]) -> None:
    """Refuse a sampling design that fits no model: by its words, doses and times.

    Raises
    ------
    ModelError
        With every fault of the sheet that shows without a model.
    SheetError
        If the file is no readable sheet.
    """
    reader = _Reader(_sheet(given), None)
    reader.read()
    raise_faults(ModelError, reader.faults)


def sampling_schema() -> dict[str, object]:
    """Return the JSON Schema of a sampling design, for editors.

    Examples
    --------
    >>> sampling_schema()["required"]
    ['sampling', 'groups']
    """
    return schema_of(SamplingShape, "vtrial sampling design")


def _sheet(given: str | Path | Mapping[str, object]) -> Sheet:
    sheet = given_or_read(given)
    refuse_other(sheet, "sampling")
    return sheet


class _Reader:
    """Reads a design, for a model or as far as it goes without, and gathers faults."""

    def __init__(self, sheet: Sheet, model: Model | None) -> None:
        self.sheet, self.model = sheet, model
        shape, self.faults = check_shape(sheet, SamplingShape)
        raise_faults(ModelError, self.faults)
        assert shape is not None  # or there were faults
        self.shape = shape

    def read(self) -> Sampling:
        """Read the design; it counts only if there are no faults."""
        shape = self.shape
        groups = [
            self._group(("groups", name), one) for name, one in shape.groups.items()
        ]
        for place, dose in enumerate(shape.doses):
            self._dose(("doses", place), dose)
        among = {}
        if shape.among is not None:
            among = self._times(("among",), shape.among)
        return Sampling(
            shape.sampling,
            shape.title,
            tuple(shape.groups),
            tuple(groups),
            tuple(shape.known),
            shape.form,
            among,
            tuple(shape.doses),
            self._window(),
        )

    def _add(
        self, path: Path_, found: str, allowed: str, *, write: str = "", old: str = ""
    ) -> None:
        fault = self.sheet.fault
        self.faults.append(
            fault(path, found=found, allowed=allowed, write=write, old=old)
        )

    def _inside(self, path: Path_, faults: Iterable[Fault]) -> None:
        """Take over faults of a text, which do not say where in the sheet it is."""
        self.faults += [self.sheet.inside(path, fault) for fault in faults]

    def _group(self, path: Path_, one: GroupShape) -> Group:
        """Read a group of subjects."""
        times = self._times((*path, "times"), one.times)
        if one.dose:
            self._dose((*path, "dose"), one.dose)
        model = self.model
        strange = () if model is None else set(one.covariates) - set(model.typical())
        for key in sorted(strange):
            assert model is not None  # or nothing is strange
            known = [covariate.name for covariate in model.covariates]
            self._add(
                (*path, "covariates", key),
                f"`{key}`, no covariate of {model.name}",
                listed(known, like=key) or "left out: the model has none",
                write=nearest(key, known),
                old=key,
            )
        return Group(one.dose, times, one.subjects, dict(one.covariates))

    def _dose(self, path: Path_, text: str) -> None:
        """Hold dosing words against their grammar, and against the model if any."""
        if self.model is None:
            self._inside(path, parse_leniently(text).faults)
            return
        try:
            parse_regimen(text, model=self.model)
        except DosingError as error:
            self._inside(path, error.faults)

    def _times(self, path: Path_, given: Times) -> dict[str, tuple[float, ...]]:
        """Read times by output; without a name they are of the only one."""
        model, read = self.model, {}
        outputs = [] if model is None else [output.name for output in model.outputs]
        if isinstance(given, str):
            if len(outputs) > 1:
                allowed = f"by output, such as {{{outputs[0]}: {given}}}"
                self._add(path, "times alone, of a model with several outputs", allowed)
                return {}
            given = {outputs[0] if outputs else "": given}
        for name, text in given.items():
            at = (*path, name) if self.sheet.value((*path, name)) is not None else path
            if model is not None and name not in outputs:
                allowed = f"an output of {model.name}: {listed(outputs, like=name)}"
                near = nearest(name, outputs)
                self._add(at, f"`{name}`, unknown", allowed, write=near, old=name)
                continue
            try:
                read[name] = sample_times(text)
            except VtrialError as error:
                self._inside(at, error.faults)
                continue
            if len(read[name]) > MOST_TIMES:
                self._add(at, f"{len(read[name])} times", f"at most {MOST_TIMES}")
        return read

    def _window(self) -> float:
        """Read how far off the times subjects are measured [h]."""
        text, window = self.shape.window, 0.0
        try:
            window = hours(text) if text else 0.0
        except UnitError as error:
            self._inside(("window",), error.faults)
        if window < 0:
            self._add(("window",), f"`{text}`", "0 h or more")
        return window

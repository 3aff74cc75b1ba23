"""The sheet of a sampling design: who is dosed and measured, and what may change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vtrial.errors import Fault, ModelError, UnitError, VtrialError
from vtrial.model.model import Model
from vtrial.optimise.fisher import Form, Group
from vtrial.protocol.moments import sample_times
from vtrial.sheets.choice import Words
from vtrial.sheets.given import given_or_read
from vtrial.sheets.sheet import Path_, Sheet
from vtrial.sheets.validate import check_shape, raise_faults, sheet_name
from vtrial.sheets.words import listed, nearest
from vtrial.units import hours

MOST_TIMES = 200  # candidates, of each output
Times = str | Annotated[dict[str, str], Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


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
    form: Annotated[
        Literal["reduced", "full"],
        BeforeValidator(Words("reduced", "full", place="form")),
    ] = Field("reduced", description="Whether variances tell of parameters, too.")
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
    sheet = given_or_read(given)
    shape, faults = check_shape(sheet, SamplingShape)
    raise_faults(ModelError, faults)
    assert shape is not None  # or there were faults
    groups = []
    for name, one in shape.groups.items():
        path: Path_ = ("groups", name)
        times = _times(sheet, (*path, "times"), one.times, model, faults)
        strange = [key for key in one.covariates if key not in model.typical()]
        for key in strange:
            known = [covariate.name for covariate in model.covariates]
            allowed = listed(known, like=key) or "left out: the model has none"
            near = nearest(key, known)
            faults.append(
                sheet.fault(
                    (*path, "covariates", key),
                    found=f"`{key}`, no covariate of {model.name}",
                    allowed=allowed,
                    write=near,
                    old=key,
                )
            )
        groups.append(Group(one.dose, times, one.subjects, dict(one.covariates)))
    among = {}
    if shape.among is not None:
        among = _times(sheet, ("among",), shape.among, model, faults)
    window = 0.0
    try:
        window = hours(shape.window) if shape.window else 0.0
    except UnitError as error:
        faults += [sheet.inside(("window",), fault) for fault in error.faults]
    if window < 0:
        found = f"`{shape.window}`"
        fault = sheet.fault(("window",), found=found, allowed="0 h or more", write="")
        faults.append(fault)
    raise_faults(ModelError, faults)
    return Sampling(
        shape.sampling,
        shape.title,
        tuple(shape.groups),
        tuple(groups),
        tuple(shape.known),
        shape.form,
        among,
        tuple(shape.doses),
        window,
    )


def _times(
    sheet: Sheet, path: Path_, given: Times, model: Model, faults: list[Fault]
) -> dict[str, tuple[float, ...]]:
    """Read times by output; without a name they are of the only one."""
    outputs = [output.name for output in model.outputs]
    if isinstance(given, str):
        if len(outputs) > 1:
            allowed = f"by output, such as {{{outputs[0]}: {given}}}"
            found = "times alone, of a model with several outputs"
            faults.append(sheet.fault(path, found=found, allowed=allowed, write=""))
            return {}
        given = {outputs[0]: given}
    read = {}
    for name, text in given.items():
        at = (*path, name) if sheet.value((*path, name)) is not None else path
        if name not in outputs:
            allowed = f"an output of {model.name}: {listed(outputs, like=name)}"
            near = nearest(name, outputs)
            found = f"`{name}`, unknown"
            faults.append(
                sheet.fault(at, found=found, allowed=allowed, write=near, old=name)
            )
            continue
        try:
            read[name] = sample_times(text)
        except VtrialError as error:
            faults += [sheet.inside(at, fault) for fault in error.faults]
            continue
        if len(read[name]) > MOST_TIMES:
            found, allowed = f"{len(read[name])} times", f"at most {MOST_TIMES} of them"
            faults.append(sheet.fault(at, found=found, allowed=allowed, write=""))
    return read

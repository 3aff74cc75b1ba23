"""Where sheets are: by path, beside another sheet, here, or among the shipped."""

import functools
import re
from pathlib import Path

from vtrial.errors import SheetError
from vtrial.sheets.sheet import MAX_BYTES, Sheet

_ENDINGS = (".yaml", ".yml")
_KINDS = {
    "protocol": "protocols",
    "model": "models",
    "cohort": "cohorts",
    "match": "matches",
    "sampling": "samplings",
}
_SHOWN = {
    "protocol": "vtrial plan",
    "model": "vtrial model",
    "cohort": "vtrial cohort",
    "match": "vtrial match COHORT --to",
    "sampling": "vtrial sampling MODEL --design",
}
_INSIDE = {"cohorts": "cohort.yaml", "models": "model.yaml"}  # of a fit's folder
_HEAD = re.compile(rf"""^["']?({"|".join(_KINDS)})["']?\s*:\s*["']?([\w.-]*)""", re.M)


@functools.cache
def shipped(kind: str) -> Path:
    """Return the folder of shipped sheets: `protocols` or `cohorts`."""
    package = Path(__file__).parents[1]
    inside = package / "sheets_shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def find_sheet(name: str, *, kind: str, beside: str | Path = "") -> Path | None:
    """Find a sheet by path or name: beside another sheet, here, or among the shipped.

    `kind` is `protocols`, `cohorts` or `models`; a name is that of a file without its
    ending. If that file is a sheet of another kind, it is passed over for one beside
    it that calls itself by the name. A folder, such as a fit's, stands for the
    `cohort.yaml` or `model.yaml` in it.
    """
    folders = [Path(beside).parent] if str(beside) else []
    for folder in [*folders, Path()]:
        path = folder / name
        if path.suffix in _ENDINGS and is_file(path):
            return path
        found = _of_kind(path, kind)
        if found is not None:
            return found
        inside = path / _INSIDE.get(kind, "")
        if kind in _INSIDE and is_file(inside):
            return inside
    candidate = shipped(kind) / f"{name}.yaml"
    return candidate if "/" not in name and is_file(candidate) else None


def fitted_model(cohort: str, *, beside: str | Path = "") -> Path | None:
    """Return the model that was fitted to a cohort's people, if that is a fit's folder.

    The people's own sheet, `FIT/cohort.yaml`, is a cohort like any other: of no model.
    """
    people = find_sheet(cohort, kind="cohorts", beside=beside)
    if people is None or people.parent.name != Path(cohort).name:
        return None
    model = people.with_name(_INSIDE["models"])
    is_folder = people.name == _INSIDE["cohorts"] and is_file(model)
    return model if is_folder else None


def is_file(path: Path) -> bool:
    """Return whether a path is a file; False for one that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def kind_of(sheet: Sheet) -> str:
    """Return of which kind a sheet is, the key that leads it; empty if none."""
    return next((kind for kind in _KINDS if kind in sheet.data), "")


def refuse_other(sheet: Sheet, kind: str) -> None:
    """Refuse a sheet that is of another kind than the one asked for.

    Raises
    ------
    SheetError
        If it is.
    """
    other = kind_of(sheet)
    if other not in ("", kind):
        line, column = sheet.place((other,))
        raise SheetError(
            at="the sheet",
            found=f"a {other} sheet, which `{_SHOWN[other]} {sheet.source}` shows",
            allowed=f"a {kind}, led by the key `{kind}`",
            write="",
            source=sheet.source,
            line=line,
            column=column,
        )


def _of_kind(path: Path, kind: str) -> Path | None:
    """Find a sheet of a kind by its path without an ending."""
    there = [path.with_name(path.name + ending) for ending in _ENDINGS if path.name]
    there = [one for one in there if is_file(one)]
    for one in there:
        if _head(one)[0] in ("", kind):
            return one
    beside = sorted(path.parent.glob("*.yaml")) if there else []
    beside = [one for one in beside if is_file(one)]  # a pipe would never end
    return next((one for one in beside if _head(one) == (kind, path.name)), None)


def _head(path: Path) -> tuple[str, str]:
    """Read a sheet's kind and its own name, without composing it; empty if unknown."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return "", ""
    heads = {key: name for key, name in reversed(_HEAD.findall(text))}
    key = next((key for key in _KINDS if key in heads), "")
    return _KINDS.get(key, ""), heads.get(key, "")

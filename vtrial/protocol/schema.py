"""The JSON Schema of a protocol sheet, for editors."""

from vtrial.protocol.shape import ProtocolShape
from vtrial.sheets.validate import schema_of


def protocol_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a protocol sheet.

    Examples
    --------
    >>> protocol_schema()["required"]
    ['protocol', 'cohort', 'subjects']
    """
    schema = schema_of(ProtocolShape, "vtrial protocol")
    _tidy(schema)
    # A cohort that is a fit brings its model; factors make arms.
    needed = [name for name in schema["required"] if name not in ("arms", "model")]
    either = [{"required": ["arms"]}, {"required": ["factors"]}]
    return {**schema, "required": needed, "oneOf": either}


def _tidy(node: object) -> None:
    """Drop what is no part of a sheet: Python's names, nulls and empty defaults."""
    if isinstance(node, list):
        for part in node:
            _tidy(part)
    if not isinstance(node, dict):
        return
    if str(node.get("title", "")).endswith("Shape"):
        del node["title"]
    properties = node.get("properties")
    if isinstance(properties, dict):
        properties.pop("simple", None)
        for name, entry in properties.items():
            _tidy_entry(name, entry)
    for part in node.values():
        _tidy(part)


def _tidy_entry(name: str, entry: dict[str, object]) -> None:
    """Name an entry as the sheet does, and leave out what only Python fills in."""
    entry["title"] = name
    if entry.get("default", "") in (None, "") or isinstance(entry.get("default"), dict):
        entry.pop("default", None)
    kinds = entry.get("anyOf")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != {"type": "null"}]
        entry.pop("anyOf")
        entry.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})

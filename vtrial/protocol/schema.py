"""The JSON Schema of a protocol sheet, for editors."""

from vtrial.protocol.shape import ProtocolShape


def protocol_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a protocol sheet.

    Examples
    --------
    >>> protocol_schema()["required"]
    ['protocol', 'model', 'cohort', 'subjects', 'arms']
    """
    schema = ProtocolShape.model_json_schema(by_alias=True)
    _tidy(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "vtrial protocol",
    }


def _tidy(node: object) -> None:
    """Drop what is no part of a sheet, and titles that only repeat a Python name."""
    if isinstance(node, list):
        for part in node:
            _tidy(part)
    if not isinstance(node, dict):
        return
    properties = node.get("properties")
    if isinstance(properties, dict):
        properties.pop("simple", None)
        for name, entry in properties.items():
            entry["title"] = name
    elif str(node.get("title", "")).endswith("Shape"):
        del node["title"]
    for part in node.values():
        _tidy(part)

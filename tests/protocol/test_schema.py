"""The JSON Schema knows every key, and lets every sheet in order pass."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from vtrial.protocol import protocol_schema
from vtrial.protocol.shape import ProtocolShape
from vtrial.sheets.sheet import read_sheet

ROOT = Path(__file__).parents[2]
SHEETS = [
    *sorted((ROOT / "protocols").glob("*.yaml")),
    ROOT / "vtrial" / "cli" / "templates" / "protocol.yaml",
]


@pytest.fixture(scope="module")
def validator():
    schema = protocol_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_sheets_pass(path, validator):
    assert list(validator.iter_errors(read_sheet(path).data)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"subjcts": 3},
        {"subjects": "many"},
        {"arms": {"a": {"dos": "1 mg"}}},
        {"endpoints": {"a": {"of": "conc", "take": "valu"}}},
        {"design": {"randomisation": "alternating"}},
        {"published": [{"value": 1}]},
    ],
)
def test_mistakes_do_not_pass(change, validator):
    data = {
        "protocol": "a",
        "model": "theophylline",
        "cohort": "adults",
        "subjects": 3,
        "arms": {"a": {}},
    }
    assert validator.is_valid(data)
    assert validator.is_valid(data | {"arms": {"a": None}})
    assert not validator.is_valid(data | change)


def test_every_key_is_described():
    schema = protocol_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["properties"]) == {
        field.alias or name for name, field in ProtocolShape.model_fields.items()
    }
    shapes = [schema, *schema["$defs"].values()]
    for shape in shapes:
        assert shape["description"], shape
        assert shape["additionalProperties"] is False
    assert "after dose" in schema["$defs"]["VisitShape"]["properties"]
    assert "simple" not in schema["$defs"]["RandomisationShape"]["properties"]

"""The plan of the house: which room may look into which, and who owns which tool."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vtrial"

GROUND = {
    "errors",
    "units",
    "dims",
    "types",
    "keys",
    "fingerprint",
    "sheets",
    "csv_text",
    "csv_number",
    "csv_table",
    "lazy",
    "xla_flags",
}
MAY_IMPORT = {  # in the order the data walks; CONTRIBUTING.md draws it
    "model": GROUND,
    "dosing": GROUND | {"model"},  # amounts may be equations
    "cohort": GROUND | {"model"},
    "protocol": GROUND | {"dosing", "model"},
    "solver": GROUND | {"model", "dosing"},
    "store": GROUND,
    "design": GROUND | {"protocol"},
    "analysis": GROUND | {"protocol"},
    "conduct": GROUND
    | {
        "protocol",
        "cohort",
        "model",
        "dosing",
        "solver",
        "store",
        "design",
        "analysis",
    },
    "report": GROUND | {"protocol", "analysis"},
    "cli": {"vtrial"},
    "testing": GROUND | {"dosing", "protocol", "cohort", "model", "solver"},
}
OWNERS = {  # a heavy library has one home
    "diffrax": {"solver"},
    "numpyro": {"cohort"},
    "zarr": {"store"},
    "dask": {"conduct"},
    "distributed": {"conduct"},
    "xarray": {"store", "conduct", "analysis", "report"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "lark": {"model", "dosing", "units"},
    "pint": {"units"},
    "ucumvert": {"units"},
    "ruamel": {"sheets"},
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}

FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    """Name the room a file stands in."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _is_home(value: object) -> bool:
    """Recognise a string that is the home of a lazy export."""
    return (
        isinstance(value, str)
        and value.startswith("vtrial.")
        and value.replace(".", "").replace("_", "").isalnum()
    )


def imports_of(path: Path) -> set[str]:
    """List every import: at the top, inside functions, under TYPE_CHECKING."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and _is_home(node.value):
            names.add(node.value)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_room_keeps_to_its_doors(path):
    room = room_of(path)
    allowed = MAY_IMPORT.get(room, GROUND) | {room}
    for name in imports_of(path):
        head, *rest = name.split(".")
        if head == "vtrial":
            target = rest[0] if rest and room != "cli" else "vtrial"
            if room == "cli":
                target = rest[0] if rest and rest[0] == "cli" else "vtrial"
                assert target == "cli" or not rest, f"`cli` may not import `{name}`"
            assert target in allowed, f"`{room}` may not import `vtrial.{target}`"
        elif head in OWNERS:
            assert room in OWNERS[head], f"`{head}` belongs to {OWNERS[head]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_text_becomes_code(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"


def test_every_room_is_in_the_table():
    rooms = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert rooms <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_hold_one_thought(path):
    source = path.read_text()
    assert source.count("\n") <= 600, f"{path.name} outgrew one subject"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = ast.get_docstring(node) or ""
            size = node.end_lineno - node.lineno + 1 - len(words.splitlines())
            assert size <= 62, f"{path.name}:{node.lineno} {node.name}: {size} lines"

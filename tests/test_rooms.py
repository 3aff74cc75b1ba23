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
    "sketch",
    "program_cache",
    "lazy",
    "xla_flags",
}
UPSTREAM = GROUND | {"model", "dosing", "cohort", "endpoint", "protocol", "solver"}
WALK = UPSTREAM | {"observe", "store", "design", "measure", "analysis"}
MAY_IMPORT = {  # in the order the data walks; CONTRIBUTING.md draws it
    "model": GROUND,
    "dosing": GROUND | {"model"},  # amounts may be equations
    "cohort": GROUND | {"model"},
    "endpoint": GROUND | {"model"},  # they may be equations of others
    "measure": GROUND,
    "protocol": GROUND | {"dosing", "model", "endpoint", "measure", "cohort"},
    "solver": GROUND | {"model", "dosing"},
    "observe": UPSTREAM,
    "store": GROUND,
    "design": GROUND | {"protocol"},
    "analysis": GROUND | {"protocol", "endpoint", "measure", "design"},
    "conduct": WALK,
    "diagnose": WALK | {"conduct"},
    "jobs": WALK | {"conduct"},
    "optimise": WALK | {"conduct"},
    "report": GROUND | {"protocol", "endpoint", "measure", "analysis"},
    "fit": GROUND | {"cohort", "model", "dosing", "solver"},
    "twin": GROUND | {"cohort", "model", "dosing", "solver", "fit"},
    "cli": {"vtrial"},
    "testing": GROUND | {"dosing", "protocol", "endpoint", "cohort", "model", "solver"},
}
OWNERS = {  # a heavy library has one home
    "diffrax": {"solver"},
    "numpyro": {"cohort", "fit"},
    "zarr": {"store"},
    "dask": {"conduct"},
    "distributed": {"conduct"},
    "xarray": {"store", "conduct", "diagnose", "analysis", "report"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "lark": {"model", "dosing", "units"},
    "pint": {"units"},
    "ucumvert": {"units"},
    "ruamel": {"sheets"},
}
FILE_LINES, FUNCTION_LINES = 600, 62
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


def in_package(path: Path) -> str:
    """Name a file as its path below the package."""
    return path.relative_to(PACKAGE).as_posix()


def doors_of(path: Path) -> list[str]:
    """List the imports of a file that its room may not make."""
    room, found = room_of(path), []
    allowed = MAY_IMPORT.get(room, GROUND) | {room}
    for name in sorted(imports_of(path)):
        head, *rest = name.split(".")
        if head == "vtrial":
            target = rest[0] if rest else "vtrial"
            if target not in allowed:
                found.append(f"{in_package(path)} imports `vtrial.{target}`")
        elif head in OWNERS and room not in OWNERS[head]:
            found.append(f"{in_package(path)} imports `{head}`, of {OWNERS[head]}")
    return found


def overgrown_of(path: Path) -> list[str]:
    """List what has grown beyond one thought in a file."""
    source = path.read_text()
    lines = source.count("\n")
    found = [f"{in_package(path)}: {lines} lines"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = ast.get_docstring(node) or ""
            size = node.end_lineno - node.lineno + 1 - len(words.splitlines())
            if size > FUNCTION_LINES:
                at = f"{in_package(path)}:{node.lineno} {node.name}"
                found.append(f"{at}: {size} lines")
    return found


def forbidden_of(path: Path) -> list[str]:
    """List the calls in a file that make code of text."""
    return [
        f"{in_package(path)}:{node.lineno} {node.func.id}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FORBIDDEN_CALLS
    ]


def test_rooms_keep_to_their_doors():
    assert [fault for path in FILES for fault in doors_of(path)] == []


def test_no_text_becomes_code():
    assert [fault for path in FILES for fault in forbidden_of(path)] == []


def test_functions_hold_one_thought():
    assert [fault for path in FILES for fault in overgrown_of(path)] == []


def test_every_room_is_in_the_table():
    rooms = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert rooms <= set(MAY_IMPORT) | GROUND


@pytest.mark.parametrize(
    ("room", "text", "faults"),
    [
        ("model", "import vtrial.solver.host", 1),
        ("model", "def f():\n    from vtrial.conduct.run import run", 1),
        ("cli", "from vtrial.solver import simulate", 1),
        ("cli", "import vtrial as vt\nfrom vtrial.cli.console import x", 0),
        ("dosing", "from vtrial.model.tree import Name", 0),
        ("store", "import diffrax", 1),
        ("solver", 'HOME = {"run": "vtrial.conduct.run"}', 1),
    ],
)
def test_the_doors_are_watched(tmp_path, monkeypatch, room, text, faults):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / room / "file.py"
    path.parent.mkdir()
    path.write_text(text)
    assert len(doors_of(path)) == faults

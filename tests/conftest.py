"""Strict arithmetic for every test: float64, no silent promotion of ranks or types.

Hundreds of programs are compiled in one process here, unlike in a run. They are dropped
after each file, and none is written to the cache on disk, so that tests neither depend
on what earlier ones left nor pile it up.

After the tests it is said how far from other software each case was at worst. What is
noted travels with the test's report, so that it arrives from other processes, too.
Tables are in Markdown, to be copied.
"""

import os
import shutil
import tempfile
import zlib
from collections import defaultdict

import jax
import pytest

from tests.small_trial import Sheets
from vtrial import program_cache

# By room: of so many cases of a test one is run.
THINNED = {
    **{"analysis": 10, "cases": 20, "cli": 8, "cohort": 10, "conduct": 24},
    **{"diagnose": 20, "endpoint": 20, "jobs": 8, "measure": 20, "model": 20},
    **{"observe": 10, "protocol": 4, "reference": 16, "report": 16, "solver": 48},
    **{"store": 8, "testing": 4},
}
LIBRARY = ("test_library_", 10)  # of so many of its models' tests one is run
DEAR = "diffrax"  # what bears this word is kept where nothing else is
LEAST = 0.1  # [s] what compiles faster is not kept

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="module", autouse=True)
def _drop_programs():
    yield
    jax.clear_caches()
    program_cache.forget()


def pytest_configure(config):
    """Keep programs in one folder for all processes of these tests, and only these."""
    made = getattr(config, "workerinput", {}).get("programs")
    folder = made or tempfile.mkdtemp(prefix="vtrial-programs-")
    if made is None:
        config.programs = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    for name, value in {
        "jax_compilation_cache_dir": folder,
        "jax_persistent_cache_min_compile_time_secs": LEAST,
    }.items():
        os.environ[name.upper()] = str(value)  # for the processes that tests start
        jax.config.update(name, value)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a process of xdist where programs are kept."""
    node.workerinput["programs"] = node.config.programs


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    """Leave out what is slow, and most cases of what has many, unless all is asked for.

    They are not collected at all: thousands of tests that are skipped take minutes.
    """
    if config.getoption("--slow"):
        return
    out = {id(item) for item in _left_out(items)}
    out |= {id(item) for item in items if "slow" in item.keywords}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in out])
    items[:] = [item for item in items if id(item) not in out]


def _left_out(items):
    """Yield most cases of tests with several, in rooms that compile much.

    Which are kept depends on the test's name, so that each method meets many tests.
    Of the library's models, whose numbers change with the solver's only, most are left
    out whole.
    """
    begins, every = LIBRARY
    yield from (
        item
        for item in items
        if item.path.name.startswith(begins) and _kept_of(item.originalname, every)
    )
    cases = defaultdict(list)
    for item in items:
        room = item.path.parent.name
        if (
            room in THINNED
            and hasattr(item, "callspec")
            and "slow" not in item.keywords
        ):
            cases[item.path, item.originalname].append(item)
    for (path, name), group in cases.items():
        cheap = [one for one in group if DEAR not in one.name] or group
        yield from (one for one in group if one not in cheap)
        every = min(THINNED[path.parent.name], len(cheap))
        kept = _kept_of(name, every)
        yield from (one for i, one in enumerate(cheap) if i % every != kept)


def _kept_of(name, every):
    """Choose one of so many by a name."""
    return zlib.crc32(name.encode()) % every


@pytest.fixture
def note(request):
    """Note a worst relative error, to be printed at the end."""

    def noted(label, error):
        request.node.user_properties.append(("error", (label, float(error))))

    return noted


@pytest.fixture
def cell(request):
    """Fill a cell of a table to be printed at the end; the highest number stays."""

    def filled(table, row, column, number):
        entry = (table, row, column, float(number))
        request.node.user_properties.append(("cell", entry))

    return filled


def pytest_terminal_summary(terminalreporter):
    found = {"error": [], "cell": []}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for kind, entry in report.user_properties:
                    if kind in found:
                        found[kind].append(entry)
    if any(found.values()):
        terminalreporter.section("worst relative errors")
    for label, error in found["error"]:
        terminalreporter.write_line(f"{error:9.1e}  {label}")
    for line in _tables(found["cell"]):
        terminalreporter.write_line(line)


def _tables(cells):
    """Write Markdown; whole numbers are counts, all others errors."""
    tables = {}
    for table, row, column, number in cells:
        rows = tables.setdefault(table, {})
        here = rows.setdefault(row, {})
        here[column] = max(here.get(column, number), number)
    for table, rows in tables.items():
        columns = list(dict.fromkeys(c for row in rows.values() for c in row))
        yield ""
        yield f"| {table} | " + " | ".join(columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name in sorted(rows):
            cells = [_number(rows[name].get(column)) for column in columns]
            yield f"| {name} | " + " | ".join(cells) + " |"


def _number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1 and value == int(value) else f"{value:.1e}"


@pytest.fixture
def sheets(tmp_path):
    """Three sheets of a small trial, to be changed, written and loaded."""
    return Sheets(tmp_path / "sheets")

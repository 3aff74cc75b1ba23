"""What a check and a plan do before they answer: little.

Held by what is imported, compiled and read, not by clocks.
"""

import json
import subprocess
import sys

import pytest

HEAVY = (
    *("dask", "distributed", "jinja2", "matplotlib", "numpyro", "pandas", "pint"),
    *("scipy", "xarray", "zarr"),
)
CHILD = """
import json, sys
import jax
import vtrial as vt
from vtrial.sheets import sheet

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **about: compiled.append(event)
    if event.endswith("backend_compile_duration") else None
)
if sys.argv[1] == "check":
    vt.conduct.check_sheet("docetaxel-dose")
else:
    vt.plan(vt.load_protocol("docetaxel-dose"))
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "compiled": len(compiled),
    "parsed": sheet._composed.cache_info().misses,
}))
"""


@pytest.fixture(scope="module", params=["check", "plan"])
def done(request):
    """Check or plan a protocol in a process of its own."""
    words = [sys.executable, "-c", CHILD, request.param]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def test_no_library_is_imported_that_only_a_run_needs(done):
    assert [name for name in HEAVY if name in done["modules"]] == []


def test_nothing_is_compiled(done):
    assert done["compiled"] == 0


def test_each_sheet_is_read_once(done):
    """Those of the protocol, its model and its cohort."""
    assert done["parsed"] == 3

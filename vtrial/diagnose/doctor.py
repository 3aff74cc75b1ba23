"""Doctor: what machine this is, and whether a tiny trial gives the known answer."""

import contextlib
import io
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from vtrial.conduct.engine import cores, engine, machine, versions
from vtrial.conduct.executor import executor
from vtrial.conduct.extent import size_words
from vtrial.conduct.remembered import cache_folder
from vtrial.errors import StoreError, VtrialError
from vtrial.store.ledger import LEDGER
from vtrial.store.record import Record, open_record
from vtrial.xla_flags import describe_compiler

LEAST_MEMORY, LEAST_DISK = 1e9, 1e9
NEAR = 1e-5


class Finding(NamedTuple):
    """What was found of one thing, and whether vtrial can work with it."""

    item: str
    finding: str
    ok: bool


def doctor(record: str | Path | None = None) -> list[Finding]:
    """Look at the machine, the libraries, the caches, Dask, and a tiny trial.

    Given a record, or its run's folder, look at every byte of that instead.
    """
    if record is not None:
        return list(_record(open_record(record)))
    return [finding for check in _CHECKS for finding in _guarded(check)]


def _record(record: Record) -> Iterator[Finding]:
    """List what is torn of a record, and what mends it."""
    try:
        torn, complete = record.check(whole=True), record.complete
    except StoreError as error:
        for fault in error.faults:
            yield Finding("record", str(fault), ok=False)
        return
    undone = [one.block for one in torn if one.path == LEDGER]
    if undone:
        words = f"without a line for {len(undone):,} blocks, {undone[0]} the first"
        yield Finding(LEDGER, words, ok=False)
    for path, block, what in torn:
        if path != LEDGER:
            of = "" if block is None else f", of block {block}"
            yield Finding(path, what + of, ok=False)
    if not complete:
        yield Finding("run", "not finished", ok=False)
    if torn or not complete:
        yield Finding("to mend it", record.again, ok=False)
        return
    laid = record.laid
    words = f"whole: {laid['blocks']:,} blocks of {len(laid['arrays'])} arrays"
    yield Finding("record", words, ok=True)


def _guarded(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Do a check; one that breaks is a finding, too."""
    try:
        return list(check())
    except (VtrialError, OSError, RuntimeError, ValueError, ImportError) as error:
        name = check.__name__.strip("_").replace("_", " ")
        return [Finding(name, f"{type(error).__name__}: {error}", ok=False)]


def _software() -> Iterator[Finding]:
    found = versions()
    python = found.pop("python")
    recent = tuple(map(int, python.split(".")[:2])) >= (3, 11)
    yield Finding("python", python, recent)
    yield Finding("engine", engine(), ok=True)
    for name, version in found.items():
        yield Finding(name, version, version != "absent")


def _hardware() -> Iterator[Finding]:
    found = machine()
    yield Finding("machine", f"{found['host']}, {found['system']}", ok=True)
    yield Finding("device", str(found["device"]), ok=True)
    yield Finding("compiler", describe_compiler(), ok=True)
    yield Finding("cores", str(cores()), ok=True)
    memory = _memory()
    enough = memory is None or memory >= LEAST_MEMORY
    words = "unknown" if memory is None else f"{size_words(memory)} free"
    yield Finding("memory", words, enough)
    free = float(shutil.disk_usage(Path.cwd()).free)
    yield Finding("disk here", f"{size_words(free)} free", free >= LEAST_DISK)


def _memory() -> float | None:
    """Return the memory that can be used [bytes], if the system says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable"))
        return float(free.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def _arithmetic() -> Iterator[Finding]:
    import jax
    import jax.numpy as jnp

    on = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    third = float(jnp.asarray(1.0) / jnp.asarray(3.0))
    exact = abs(third - 1 / 3) < 1e-15
    yield Finding("float64", "on" if on else "off", on and exact)


def _cache() -> Iterator[Finding]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    yield Finding("compiled code", f"kept in {folder}", os.access(folder, os.W_OK))


def _dask_cluster() -> Iterator[Finding]:
    with executor(workers=1, scheduler=None, blocks=1) as place:
        yield Finding("dask cluster", f"starts ({place.words})", ok=True)


def _tiny_trial() -> Iterator[Finding]:
    """Run one subject with known parameters through the whole walk."""
    from vtrial.conduct.run import run
    from vtrial.protocol.load import load_protocol

    with tempfile.TemporaryDirectory() as folder:
        for name, text in _SHEETS.items():
            (Path(folder) / f"{name}.yaml").write_text(text)
        protocol = load_protocol(Path(folder) / "tiny.yaml")
        with contextlib.redirect_stderr(io.StringIO()):  # no progress of four subjects
            record = run(protocol, out=Path(folder) / "run", workers=0)
        outcome = record.tree()["arms/drug/outcomes"]["outcome"].to_numpy()[0, 0]
    known = 100 * 1.0 / (20 * (1.0 - 0.1)) * (math.exp(-0.2) - math.exp(-2.0))
    good = abs(float(outcome) - known) < NEAR * known
    words = f"{float(outcome):.6f} mg/L at 2 h; in closed form {known:.6f} mg/L"
    yield Finding("tiny trial", words, good)


_SHEETS = {
    "tiny": """
protocol: tiny
model: body
cohort: nobody
subjects: 4
arms:
  drug: {dose: "100 mg"}
visits:
  second: {at: "2 h", measure: [conc]}
endpoints:
  level: {of: conc, take: value, at: 2 h}
""",
    "body": """
model: body
time: h
amount: mg
parameters:
  KA: {value: 1.0, unit: 1/h}
  CL: {value: 2.0, unit: L/h}
  V: {value: 20.0, unit: L}
equations: |
  d/dt(depot) = -KA * depot
  d/dt(central) = KA * depot - CL/V * central
  conc = central / V
outputs:
  conc: {unit: mg/L}
""",
    "nobody": """
cohort: nobody
covariates:
  WT: {unit: kg, constant: 70}
""",
}

_CHECKS = (_software, _hardware, _arithmetic, _cache, _dask_cluster, _tiny_trial)

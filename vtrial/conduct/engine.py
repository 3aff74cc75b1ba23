"""What made the numbers: the engine's own code, its libraries, the machine."""

import functools
import os
import platform
import socket
from importlib import metadata

from vtrial.fingerprint import fingerprint
from vtrial.types import Numerics

LIBRARIES = (
    "vtrial",
    "jax",
    "jaxlib",
    "diffrax",
    "equinox",
    "numpyro",
    "numpy",
    "zarr",
    "xarray",
    "dask",
    "distributed",
)
_MAKERS = (
    "xla_flags.py",
    "keys.py",
    "sketch.py",
    "types.py",
    "units.py",
    "model",
    "dosing",
    "cohort",
    "endpoint",
    "solver",
    "observe",
    "design/allocation.py",
    "design/randomisation",
    "design/strata.py",
    "protocol/arrivals.py",
    "conduct/allocated.py",
    "conduct/layout.py",
    "conduct/ledger_layout.py",
)


@functools.cache
def engine() -> str:
    """Name the code that makes numbers: the version, and a digest of its files.

    Two checkouts of one version with different code must neither share a record nor
    work on one together.
    """
    return f"{_version('vtrial')}+{fingerprint(*_MAKERS)[:12]}"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make a record."""
    found = {name: _version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | found


def machine() -> dict[str, object]:
    """Return the host, system, cores and devices that this runs on."""
    import jax

    devices = jax.devices()
    kinds = sorted({device.device_kind for device in devices})
    return {
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": cores(),
        "device": f"{len(devices)} x {', '.join(kinds)} ({jax.default_backend()})",
    }


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def solved_as(numerics: Numerics) -> dict[str, object]:
    """Return numerics as data."""
    return {name: getattr(numerics, name) for name in numerics.__dataclass_fields__}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"

"""Compiled programs, remembered on disk for the next run."""

import hashlib
import os
import platform
from pathlib import Path

import jax

PATIENCE = "jax_persistent_cache_min_compile_time_secs"
LEAST = 0.05  # [s] what compiles faster is not kept


def cache_folder() -> Path:
    """Return where compiled functions are kept for the next run.

    `JAX_COMPILATION_CACHE_DIR` decides if it is set; otherwise the user's cache, in a
    folder for this kind of processor, since compiled code does not travel.
    """
    if given := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "vtrial" / f"jax-{_processor()}"


def remember_compiled() -> None:
    """Keep compiled functions on disk, where they can be, unless it is set already."""
    if not os.environ.get(PATIENCE.upper()):
        jax.config.update(PATIENCE, LEAST)
    if jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))


def _processor() -> str:
    """Name this kind of processor."""
    words = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        words += next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        pass
    return hashlib.sha256(words.encode()).hexdigest()[:8]

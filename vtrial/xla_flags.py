"""What JAX must be told before it starts: 64 bits, and how to compile for processors.

`VTRIAL_XLA=off` in the environment leaves the compiler's settings alone; whatever
`XLA_FLAGS` says of one of them stays as it is.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

SWITCH, STATE, FLAGS = "VTRIAL_XLA", "VTRIAL_XLA_STATE", "XLA_FLAGS"
OPTIONS = "xla_backend_extra_options"  # a flag whose value is a list of settings
# Without these XLA computes shared parts of a loop's body once for each value that uses
# them, and starts a kernel for each of them in every step.
LISTED = {
    "xla_cpu_use_multi_output_fusion": "true",
    "xla_cpu_small_while_loop_byte_threshold": "1000000",
}
# XLA ends the process at some programs that have several outputs fused, as NumPyro's
# chains side by side have. So the pass is off, but for the solver's own programs, which
# turn it on: a program can name the passes that it does without, and nothing else.
PASSES = "xla_disable_hlo_passes"
ALONE = {PASSES: "cpu_multi_output_fusion"}
WIDE = {"xla_cpu_prefer_vector_width": "512"}  # half as wide is its default
KERNELS = "xla_cpu_use_fusion_emitters"
REFUSAL = 86400.0  # [s] how long the memory of a failed probe is believed
PATIENCE = 60.0  # [s]
_PROGRAM = """
import jax
from jax import numpy, lax
start = (numpy.zeros(64), numpy.ones(64), 0)
step = lambda c: (c[0] + 0.1 * (c[1] - c[0]), numpy.sqrt(c[1]), c[2] + 1)
run = jax.jit(lambda c: lax.while_loop(lambda c: c[2] < 10, step, c)[0])
raise SystemExit(bool(abs(run(start) - (1 - 0.9**10)).max() > 1e-5))
"""


def prepare() -> None:
    """Turn float64 on and set the compiler, in this process and those it starts."""
    os.environ["JAX_ENABLE_X64"] = "1"
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)
    _set_compiler()


def describe_compiler() -> str:
    """Describe which settings of XLA are in force, and who made them.

    Examples
    --------
    >>> describe_compiler().split(":")[0] in ("set by vtrial", "set by the user")
    True
    """
    state, *names = os.environ.get(STATE, "off").split()
    found = dict(_settings(os.environ.get(FLAGS, "")))
    wanted = LISTED | ALONE | WIDE
    ours = [f"{name}={found[name]}" for name in wanted if name in names]
    theirs = [n for n in found if n in wanted and n not in names]
    said = [f"set by vtrial: {', '.join(ours)}"] if ours else []
    if theirs:
        said.append(f"set by the user: {', '.join(f'{n}={found[n]}' for n in theirs)}")
    if state in _WHY_NOT:
        said.append(_WHY_NOT[state])
    return "; ".join(said)


def options_of_solver() -> dict[str, str]:
    """Return the compiler's options for the solver's programs: all passes are on.

    Nothing where vtrial has turned none off.

    Examples
    --------
    >>> set(options_of_solver()) <= {"xla_disable_hlo_passes"}
    True
    """
    return {PASSES: ""} if PASSES in os.environ.get(STATE, "").split() else {}


def options_of_brief() -> dict[str, bool]:
    """Return the compiler's options for programs that are brief beside the solver's.

    XLA's larger kernels take half as long again to compile, and gain only where a loop
    goes round many times.

    Examples
    --------
    >>> set(options_of_brief()) <= {"xla_cpu_use_fusion_emitters"}
    True
    """
    ours = os.environ.get(STATE, "").startswith("set")
    return {} if not ours or KERNELS in os.environ.get(FLAGS, "") else {KERNELS: False}


_WHY_NOT = {
    "off": f"left alone, for {SWITCH} is off",
    "late": "left alone, for JAX had started before vtrial was imported",
    "refused": "left alone, for XLA did not work with vtrial's settings in a trial",
    "unread": f"left alone, for {FLAGS} is a file's name or quoted",
}


def _set_compiler() -> None:
    """Add to the user's flags what is missing, where it works; note what was done."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        os.environ[STATE] = "off"
        return
    given, inherited = os.environ.get(FLAGS, ""), os.environ.get(STATE, "")
    if (
        given.strip()
        and not given.lstrip().startswith("-")
        or set(given) & set("'\"\\")
    ):
        os.environ[STATE] = "unread"
        return
    found, processor = dict(_settings(given)), _processor()
    wide = "avx512f" in processor.get("flags", "").split()
    wanted = LISTED | ALONE | (WIDE if wide else {})
    missing = {name: value for name, value in wanted.items() if name not in found}
    if not missing:  # the user's, or those of the process that started this one
        os.environ[STATE] = inherited if inherited.startswith("set") else "set"
    elif _has_started():
        os.environ[STATE] = "late"
    elif inherited == "refused" or not _works(merged("", wanted), processor):
        os.environ[STATE] = "refused"
    else:
        os.environ[FLAGS] = merged(given, missing)
        os.environ[STATE] = " ".join(["set", *missing])


def merged(given: str, settings: Mapping[str, str]) -> str:
    """Add settings to XLA's flags, each in its place.

    Examples
    --------
    >>> width, fusion = "xla_cpu_prefer_vector_width", "xla_cpu_use_multi_output_fusion"
    >>> print(merged("--xla_backend_extra_options=a=1", {fusion: "true", width: "512"}))
    --xla_backend_extra_options=a=1,xla_cpu_use_multi_output_fusion=true \
--xla_cpu_prefer_vector_width=512
    """
    words = given.split()
    listed = [f"{name}={settings[name]}" for name in LISTED if name in settings]
    if listed:
        place = next((i for i, w in enumerate(words) if _is_options(w)), None)
        if place is None:
            words.append(f"--{OPTIONS}={','.join(listed)}")
        else:
            words[place] = ",".join([words[place].rstrip(","), *listed])
    own = [f"--{name}={settings[name]}" for name in ALONE | WIDE if name in settings]
    return " ".join([*words, *own])


def _is_options(word: str) -> bool:
    return word.lstrip("-").startswith(f"{OPTIONS}=")


def _settings(given: str) -> Iterator[tuple[str, str]]:
    """List the flags, and the settings within the flag that is a list of them."""
    for word in given.split():
        name, _, value = word.lstrip("-").partition("=")
        yield name, value
        if name == OPTIONS:
            for part in value.split(","):
                key, _, inner = part.partition("=")
                yield key, inner


def _has_started() -> bool:
    """Return whether JAX has made a backend, which reads the flags once and for all."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None:
        return "jax" in sys.modules
    return bool(getattr(bridge, "backends_are_initialized", lambda: True)())


def _works(flags: str, processor: Mapping[str, str]) -> bool:
    """Return whether XLA works with flags; remember it for this machine and version.

    XLA ends the process at a flag that it does not know, and the flags are not part of
    its public interface. So another process tries them first.
    """
    memory = _memory(flags, processor)
    with contextlib.suppress(OSError, ValueError):
        word, age = memory.read_text().strip(), time.time() - memory.stat().st_mtime
        if word == "works" or (word == "refused" and age < REFUSAL):
            return word == "works"
    works = _tried(flags)
    with contextlib.suppress(OSError):  # unwritable: the next process tries again
        memory.parent.mkdir(parents=True, exist_ok=True)
        own = memory.with_suffix(f".{os.getpid()}")
        own.write_text("works\n" if works else "refused\n")
        own.replace(memory)
    return works


def _tried(flags: str) -> bool:
    """Let another process compile and run a small loop with flags."""
    import subprocess

    said = {FLAGS: flags, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "0"}
    if not sys.executable:
        return False
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM],
            env=os.environ | said,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _memory(flags: str, processor: Mapping[str, str]) -> Path:
    """Name the file that remembers a probe: one for each machine, version and flags."""
    import hashlib
    import platform
    from importlib import metadata

    try:
        version = metadata.version("jaxlib")
    except metadata.PackageNotFoundError:
        version = "absent"
    known = (version, sys.version, platform.machine(), processor.get("model name", ""))
    digest = hashlib.sha256("\n".join([*known, flags]).encode()).hexdigest()
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "vtrial" / f"xla-{digest[:16]}.txt"


def _processor() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    said: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if not line.strip():
                break
            name, _, value = line.partition(":")
            said[name.strip()] = value.strip()
    return said

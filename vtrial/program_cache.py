"""Traced programs, kept on disk beside the compiled code that JAX keeps.

JAX finds compiled code by the program, and so must trace a program again before it can
look for its code: of the time until a known model is ready, that was three quarters.
Here the program itself is kept, in a form that JAX promises to read. It is made and
compiled from that form the first time, too, so that the code is the same.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from weakref import WeakSet

import jax
from jax import export
from jax.core import Tracer

from vtrial.fingerprint import fingerprint
from vtrial.xla_flags import options_of_brief

TRACED = ("jax", "numpyro", "diffrax")  # whose code is in what is traced
NESTED = "top-level"  # JAX says that options may be passed only to such a program
FOLDER = "programs"  # in that of JAX's own cache

_EVERY: "WeakSet[Kept]" = WeakSet()


class Kept:
    """A function whose programs are found on disk, for arguments that are no tracers.

    Its first `static` arguments decide what is traced, and their `repr` says all of
    them; `makers` are the files and folders of the package whose code is traced.
    NamedTuples in what it returns must be registered with `jax.export`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        static: int,
        makers: tuple[str, ...],
        options: Mapping[str, str | bool] | None = None,
    ) -> None:
        self._function, self._static, self._makers = function, static, makers
        self._options = dict(options or {}) or None
        self._programs: dict[Any, Callable[..., Any]] = {}
        self._makings: defaultdict[Any, threading.Lock] = defaultdict(threading.Lock)
        _EVERY.add(self)

    def __call__(self, *arguments: Any) -> Any:
        """Call the program, which is read, or made and written, at the first time."""
        return self.ready(*arguments)(*jax.tree.leaves(arguments[self._static :]))

    def ready(self, *arguments: Any) -> Callable[..., Any]:
        """Return the program for such arguments, of which shapes and types count.

        Whoever needs it first makes it, in this process and others; the rest wait.
        """
        fixed, given = arguments[: self._static], arguments[self._static :]
        leaves, tree = jax.tree.flatten(given)
        kinds = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        known = (fixed, tree, kinds)
        found = self._programs.get(known)
        if found is None:
            with self._makings[known]:
                found = self._programs.get(known) or self._made(known)
                self._programs[known] = found
        return found

    def forget(self) -> None:
        """Do as if no program had been made in this process."""
        self._programs.clear()

    def _made(self, known: Any) -> Callable[..., Any]:
        """Compile a program, or read it from where another process has put it."""
        leaves = [jax.ShapeDtypeStruct(*kind) for kind in known[2]]
        path = _folder() / self._name(known)
        with _alone(path):
            found = jax.jit(
                self._found(known, leaves, path), compiler_options=self._options
            )
            return found.lower(*leaves).compile()

    def _found(self, known: Any, leaves: list[Any], path: Path) -> Callable[..., Any]:
        """Read a program, or trace it and write it down; some JAX does not write."""
        fixed, tree, _ = known
        exported = _read(path)
        if exported is None:

            def flat(*leaves: Any) -> Any:
                return self._function(*fixed, *jax.tree.unflatten(tree, leaves))

            try:
                exported = export.export(jax.jit(flat))(*leaves)
            except ValueError:  # a call of foreign code; what else is wrong comes again
                return flat
            _write(path, bytes(exported.serialize()))
        return exported.call

    def _name(self, known: Any) -> str:
        """Name a program by all that it is made of."""
        made = (
            self._function.__module__,
            self._function.__qualname__,
            fingerprint(*self._makers),
            *map(metadata.version, TRACED),
            jax.default_backend(),
            jax.config.jax_enable_x64,  # pyright: ignore[reportAttributeAccessIssue]
        )
        return hashlib.sha256(repr((made, known)).encode()).hexdigest()[:40]


class Compiled:
    """A compiled function whose first `static` arguments are no arrays.

    JAX takes a program's own compiler `options` only where it is called by itself.
    Inside another, as under `jax.jit`, it is part of that one and compiled as it is.
    Where `makers` say whose code is traced, what is traced is `Kept` for the next
    process if compiled code is.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        static: int,
        makers: tuple[str, ...] = (),
        options: Mapping[str, str | bool],
    ) -> None:
        functools.update_wrapper(self, function)
        fixed, given = tuple(range(static)), dict(options) or None
        inside = jax.jit(function, static_argnums=fixed)
        alone = jax.jit(function, static_argnums=fixed, compiler_options=given)
        self.programs = (alone, inside)
        self.stored = Kept(function, static=static, makers=makers, options=options)
        self._static, self._keeps = static, bool(makers)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        alone, inside = self.programs
        leaves = jax.tree.leaves(arguments[self._static :])
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return inside(*arguments)
        use = self.stored if self._keeps and is_keeping() else alone
        try:
            return use(*arguments)
        except ValueError as error:  # nothing is traced, but another program is
            if NESTED not in str(error):
                raise
            return inside(*arguments)


def kept(
    function: Callable[..., Any], *, static: int, makers: tuple[str, ...]
) -> Compiled:
    """Compile and keep a function that is brief beside the solver."""
    options = options_of_brief()
    return Compiled(function, static=static, makers=makers, options=options)


def forget() -> None:
    """Forget every program of this process; those on disk stay."""
    for one in _EVERY:
        one.forget()


def is_keeping() -> bool:
    """Say whether JAX keeps what is compiled, and has a folder for it."""
    return bool(_given())


def _given() -> str | None:
    keeps: Any = jax.config
    used = keeps.jax_enable_compilation_cache
    return keeps.jax_compilation_cache_dir if used else None


def _folder() -> Path:
    return Path(_given() or "") / FOLDER


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process makes a program; the system ends a dead one's wait.

    Where there are no such locks, two may make it, which costs time and nothing else.
    """
    with contextlib.ExitStack() as held:
        try:
            import fcntl

            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.with_suffix(".lock").open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            yield
            return
        yield
        Path(file.name).unlink(missing_ok=True)


def _read(path: Path) -> export.Exported | None:
    """Read a program; none if there is none, or its file is damaged."""
    try:
        sealed = path.read_bytes()
    except OSError:
        return None
    seal, program = sealed[:32], sealed[32:]
    if hashlib.sha256(program).digest() != seal:
        return None
    return export.deserialize(bytearray(program))


def _write(path: Path, program: bytes) -> None:
    """Write a program at once or not at all; a folder that is full is no fault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(program).digest() + program)
        os.replace(file.name, path)
    except OSError:
        return

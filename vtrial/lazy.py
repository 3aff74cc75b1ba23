"""Rooms and kinds that load when used: `import vtrial` must not import JAX."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any


def lazy_exports(
    room: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make a room's `__getattr__`, `__dir__` and `__all__` from names and their files.

    Raises
    ------
    AttributeError
        From `__getattr__`, for a name that the room does not have.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"`{room}` has no `{name}`")
        home = importlib.import_module(homes[name])
        return home if hasattr(home, "__path__") else getattr(home, name)

    return find, lambda: sorted(homes), list(homes)


def declared(folder: ModuleType) -> Mapping[str, Any]:
    """Return what the files of a folder declare as `KINDS`, by word, in their order.

    Each has a `word` and a `place`.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    files = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
    found = [kind for file in files for kind in file.KINDS]
    found.sort(key=lambda kind: (kind.place, kind.word))
    return MappingProxyType({kind.word: kind for kind in found})

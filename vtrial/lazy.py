"""Rooms that load when they are used: `import vtrial` must not import JAX."""

import importlib
from collections.abc import Callable, Mapping
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

"""Packages whose names load on first use (PEP 562). Importing this imports nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ["lazy"]


def lazy(
    package: str,
    homes: Mapping[str, Sequence[str]],
    *,
    modules: Sequence[str] = (),
    first: str = "",
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` of a package whose names load on first use; what they
    are is in its `__init__.pyi`, where type checkers look.

    Args:
        package: its `__name__`.
        homes: the names that each of its modules gives.
        modules: modules and packages in it that are public as they are.
        first: a module to import before any other.

    Example:
        >>> names, load, _ = lazy("xml", {"dom.minidom": ["parseString"]}, modules=["sax"])
        >>> names, load("parseString")("<a/>").documentElement.tagName
        (['parseString', 'sax'], 'a')
    """
    home_of = {name: f"{package}.{home}" for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if first:
            importlib.import_module(first)
        value = getattr(importlib.import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)  # from now on it is found without this
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of, *modules})

    return [*home_of, *modules], load, names

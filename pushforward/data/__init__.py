"""Sources of data: files, folders, archives and built-in names, each with its space.

`read` turns anything into a `core.source.Source`; `split` sets rows aside; `report` describes a
source and its problems; `write` stores samples in the original form of the data. Names load on
first use, so that importing this package costs nothing beyond core; `__init__.pyi` lists them.
"""

from __future__ import annotations

import importlib

__all__ = [
    "read", "register_reader", "Options", "from_array", "split", "Split", "report", "Report",
    "write", "image_grid", "NAMES", "centres",
]  # fmt: skip

_HOMES = {
    "read": "reading",
    "register_reader": "formats.registry",
    "Options": "options",
    "from_array": "sources.arrays",
    "split": "splits",
    "Split": "splits",
    "report": "survey",
    "Report": "reports",
    "write": "export.writing",
    "image_grid": "export.grids",
    "NAMES": "formats.builtin",
    "centres": "formats.builtin",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

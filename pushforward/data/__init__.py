"""Sources of data: files, folders, archives and built-in names, each with the space it lies in.

`read` turns anything into a `core.source.Source`; `split` sets rows aside; `report` says what is in it and what is
wrong with it; `write` puts samples back into the form the data came in. Names load on first use: importing this package
costs nothing beyond core.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.data.builtin import NAMES, centres
    from pushforward.data.export import write
    from pushforward.data.grids import image_grid
    from pushforward.data.reading import read
    from pushforward.data.reports import Report, report
    from pushforward.data.splits import Split, split

__all__ = ["read", "split", "Split", "report", "Report", "write", "image_grid", "NAMES", "centres"]

_HOMES = {
    "read": "reading",
    "split": "splits",
    "Split": "splits",
    "report": "reports",
    "Report": "reports",
    "write": "export",
    "image_grid": "grids",
    "NAMES": "builtin",
    "centres": "builtin",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

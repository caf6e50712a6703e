"""What commands use of runs: `pushforward.experiments.opened`,
imported when it is first used, with the flags of text tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushforward.cli.tables import typed

if TYPE_CHECKING:
    from pushforward.core.source import Source
    from pushforward.experiments import OpenedRun

__all__ = ["read_like"]

_OPENED = "pushforward.experiments.opened"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(import_module(_OPENED), name)


def read_like(run: OpenedRun, file: str, y: str | None = None) -> Source:
    """Rows from a file or built-in name, read into the space of a run's model,
    as this call's flags say.
    """
    source: Source = import_module(_OPENED).read_like(run, file, y, typed())
    return source

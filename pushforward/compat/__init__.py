"""Adapters to the APIs of other libraries, imported on demand: `pushforward.compat.sklearn`."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["sklearn"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module 'pushforward.compat' has no attribute {name!r}")
    return importlib.import_module(f"pushforward.compat.{name}")

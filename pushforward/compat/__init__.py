"""Adapters to the names of other libraries, imported when they are asked for: `pushforward.compat.sklearn`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["sklearn"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'pushforward.compat' has no attribute {name!r}")
        return importlib.import_module(f"pushforward.compat.{name}")

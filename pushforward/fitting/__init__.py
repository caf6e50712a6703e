"""How models are fitted. Fitters know no model: they see phases, statistics and sources."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["EM", "Trainer"]

_HOMES = {"EM": ".em", "Trainer": ".trainer"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value

"""Fitters. They know phases, statistics and sources, but no models.

Names load on first use; `__init__.pyi` lists them.
"""

from __future__ import annotations

import importlib

__all__ = ["EM", "Trainer"]

_HOMES = {"EM": "em", "Trainer": "trainer"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.fitting' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.fitting.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

"""Adapters to the APIs of other libraries, imported on demand: `pushforward.compat.sklearn`."""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(__name__, {}, modules=["sklearn"])

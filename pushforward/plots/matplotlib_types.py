"""matplotlib's types for annotations, without importing matplotlib:
what they are is in `matplotlib_types.pyi`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["Axes", "Figure"]

Axes: TypeAlias = Any
Figure: TypeAlias = Any

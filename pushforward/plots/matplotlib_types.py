"""matplotlib's types for annotations, without importing matplotlib.

The real types are in `matplotlib_types.pyi`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = [
    "Annotation",
    "Axes",
    "Axis",
    "Bbox",
    "Colorbar",
    "Colormap",
    "Figure",
    "Legend",
    "Patch",
    "RendererBase",
    "ScalarMappable",
]

Annotation: TypeAlias = Any
Axes: TypeAlias = Any
Axis: TypeAlias = Any
Bbox: TypeAlias = Any
Colorbar: TypeAlias = Any
Colormap: TypeAlias = Any
Figure: TypeAlias = Any
Legend: TypeAlias = Any
Patch: TypeAlias = Any
RendererBase: TypeAlias = Any
ScalarMappable: TypeAlias = Any

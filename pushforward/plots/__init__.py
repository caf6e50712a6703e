"""Plots of models and data: every function takes models or tensors and returns a Figure.

This is the only package that imports matplotlib, and only when a plot is drawn. It uses neither
pyplot nor its global state: a figure belongs to its caller, so plots may be drawn concurrently,
without a display.
"""

from __future__ import annotations

import importlib

# No module is named like a function, as importing it would shadow the function.
_HOMES = {
    "density_map": "density", "marginals": "single_axes", "corner": "single_axes",
    "clusters": "ellipses", "profile": "ellipses", "scree": "spectrum", "biplot": "spectrum",
    "embedding": "codes", "choice": "how_many", "criteria": "how_many",
    "elbow_curve": "how_many",
    "new_page": "style", "write_figure": "style", "decoded_grid": "latent",
    "decoded_path": "latent", "traversal_sheet": "traversals",
}  # fmt: skip
__all__ = [
    "density_map", "marginals", "corner", "clusters", "profile", "scree", "biplot", "embedding",
    "choice", "criteria", "elbow_curve", "decoded_grid",
    "decoded_path", "traversal_sheet", "new_page", "write_figure",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.plots' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.plots.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""Plots of models and data: every function takes models or tensors and returns a Figure.

This is the only package that imports matplotlib, and only when a plot is drawn. It uses neither
pyplot nor its global state: a figure belongs to its caller, so plots may be drawn concurrently,
without a display.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

# No module is named like a function, as importing it would shadow the function.
__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "density": ["density_map"],
        "single_axes": ["marginals", "corner"],
        "ellipses": ["clusters", "profile"],
        "spectrum": ["scree", "biplot"],
        "clips": ["clip_sheet"],
        "codes": ["embedding"],
        "how_many": ["choice", "criteria", "elbow_curve"],
        "latent": ["decoded_grid", "decoded_path"],
        "traversals": ["traversal_sheet"],
        "table_columns": ["cell_map", "table_margins"],
        "style": ["new_page", "write_figure"],
    },
)

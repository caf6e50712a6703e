"""Exploration of latent space: paths, grids, traversals, directions, and codes of observations.

Free functions over a model's capabilities: most need only `Decodes`, some use `Encodes` and a prior
if available. All inputs and outputs are in the user's units.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

# No module shares a function's name: importing it would replace the function.
__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "paths": ["interpolate", "between", "plane", "walk"],
        "grids": ["grid", "grid_codes"],
        "traversals": ["traverse", "Traversal"],
        "directions": ["direction", "Direction"],
        "projection": ["project", "Projection"],
        "code_distribution": ["infer_code_distribution", "CodeDistribution"],
        "decoding": ["decode", "Decoded"],
        "editing": ["edit", "Edited"],
        "strokes": ["Strokes"],
        "warping": ["warp"],
        "transferring": ["transfer"],
    },
)

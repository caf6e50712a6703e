"""Exploration of latent space: paths, grids, traversals, directions, and codes of observations.

Free functions over a model's capabilities: most need only `Decodes`, some use `Encodes` and a prior
if available. All inputs and outputs are in the user's units.
"""

from __future__ import annotations

import importlib

# No module shares a function's name: importing it would replace the function.
_HOMES = {
    "Decoded": "decoding", "decode": "decoding", "Direction": "directions",
    "direction": "directions", "grid": "grids", "grid_codes": "grids",
    "CodeDistribution": "code_distribution", "infer_code_distribution": "code_distribution",
    "between": "paths", "interpolate": "paths", "plane": "paths", "Projection": "projection",
    "project": "projection", "Traversal": "traversals", "traverse": "traversals",
}  # fmt: skip
__all__ = [
    "interpolate", "between", "plane", "grid", "grid_codes", "traverse", "Traversal", "direction",
    "Direction", "project", "Projection", "infer_code_distribution", "CodeDistribution", "decode",
    "Decoded",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.latent' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.latent.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

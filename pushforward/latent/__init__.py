"""Exploration of latent space: paths, grids, traversals and directions of codes,
and the codes of observations.

Free functions over what a model can do: `Decodes` is enough for most, `Encodes` and a prior are
used where there are any. Everything goes in and comes out in the user's units.
"""

from __future__ import annotations

import importlib

# No file is called like a function: importing it would put the module in the function's place.
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

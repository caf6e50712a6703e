"""Where the pixels of a resized image come from, as ONNX's Resize defines it.

https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pushforward.core.errors import InvalidKind

__all__ = ["linear_taps", "nearest_places"]


def _position(i: int, old: int, new: int, how: Mapping[str, Any]) -> float:
    """The place of pixel i of the new image in the old one."""
    mode = how.get("coordinate_transformation_mode", "half_pixel")
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return 0.0 if mode.startswith("py") and new == 1 else (i + 0.5) * old / new - 0.5
    if mode == "asymmetric":
        return i * old / new
    if mode == "align_corners":
        return i * (old - 1) / (new - 1) if new > 1 else 0.0
    raise InvalidKind(f"pages cannot resize images by {mode}; export to ONNX: --to onnx")


def nearest_places(old: int, new: int, how: Mapping[str, Any]) -> list[int]:
    """The pixel of the old image that each of the new one repeats."""
    rounding = how.get("nearest_mode", "round_prefer_floor")
    to_whole = {
        "floor": math.floor,
        "ceil": math.ceil,
        "round_prefer_floor": lambda x: math.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    }[rounding]
    return [min(max(to_whole(_position(i, old, new, how)), 0), old - 1) for i in range(new)]


def linear_taps(
    old: int, new: int, how: Mapping[str, Any]
) -> tuple[list[int], list[int], list[float]]:
    """Two pixels of the old image for each of the new one, and the share of the second."""
    if how.get("mode") != "linear" or how.get("antialias"):
        raise InvalidKind("pages resize images linearly or by repeating; export to ONNX: --to onnx")
    places = [min(max(_position(i, old, new, how), 0.0), old - 1.0) for i in range(new)]
    first = [int(p) for p in places]
    second = [min(i + 1, old - 1) for i in first]
    return first, second, [round(p - i, 7) for p, i in zip(places, first)]

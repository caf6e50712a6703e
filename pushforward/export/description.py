"""What a page shows of a model: its codes and what each changes, its conditions and its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.data.palettes import named_palette
from pushforward.densities.codes import StructuredCodes
from pushforward.export.change_names import name_changes
from pushforward.export.graphs import code_width
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.traversals import traverse

__all__ = ["describe_codes", "describe_condition", "describe_space"]

SLIDERS = 12
"""Sliders of a page: more would not be tried."""
RANKED = 128
"""Numbers of a code, from the first, whose effect is measured."""
KEPT = 256
"""Codes kept of a distribution without a closed form, from which the page draws."""
REACH = 3.0
"""Standard deviations that a slider moves a number of a code either way."""


def describe_space(space: Space) -> dict[str, Any]:
    """Observations: images with their levels, or points with their columns.

    Raises:
        InvalidKind: For clips, and for points with categories.
    """
    if space.kind == "images":
        channels, height, width = space.shape
        return {
            "kind": "images", "channels": channels, "height": height, "width": width,
            "low": space.low, "high": space.high,
        }  # fmt: skip
    if space.kind == "points":
        return {"kind": "points", "columns": _columns(space)}
    raise InvalidKind("pages show images and points, not clips; export to ONNX: --to onnx")


def _columns(space: Space) -> list[dict[str, Any]]:
    return [
        {
            "name": space.names[i],
            "low": c.low,
            "high": c.high,
            "categories": list(c.categories),
        }
        for i, c in enumerate(space.columns)
    ]


def describe_condition(space: Space | None) -> dict[str, Any] | None:
    """What the page lets its user choose: a class, numbers, or an image with its palette."""
    if space is None:
        return None
    if space.is_label:
        column = space.columns[0]
        return {"kind": "label", "name": column.name, "categories": list(column.categories)}
    if space.kind == "images":
        planes = bool(space.extra.get("planes", False))
        return {**describe_space(space), "palette": _palette(space), "planes": planes}
    return {"kind": "points", "columns": _columns(space)}


def _palette(space: Space) -> list[list[int]]:
    """Colours of the classes of label maps in 0..255; empty for other images."""
    palette = space.extra.get("palette")
    return [] if palette is None else [list(colour) for colour in named_palette(palette)]


def describe_codes(model: Model, rows: Tensor | None = None) -> dict[str, Any]:
    """Blocks of a code, how the page draws them, and the sliders.

    Args:
        rows: observations, for models whose codes have no distribution of their own.
    """
    distribution = _distribution(model, rows)
    blocks = _blocks(model, distribution)
    sliders = _sliders(model, distribution, [b for b in blocks if b["kind"] != "category"])
    return {
        "width": code_width(model),
        "centre": _rounded(distribution.centre),
        "scale": _rounded(distribution.scale),
        "blocks": blocks,
        "sliders": sliders,
    }


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in values.double().tolist()]


def _distribution(model: Model, rows: Tensor | None) -> CodeDistribution:
    try:
        return infer_code_distribution(model)
    except InvalidKind:
        if rows is None:
            raise InvalidKind(
                f"{type(model).__name__} has no distribution of codes to draw from, and the rows it"
                " was fitted to were not found; pass them: --source FILE"
            ) from None
        return infer_code_distribution(model, rows)


def _blocks(model: Model, distribution: CodeDistribution) -> list[dict[str, Any]]:
    prior = cast(Any, model).prior(1) if callable(getattr(model, "prior", None)) else None
    if not isinstance(prior, StructuredCodes):
        kept = distribution.rows
        if kept is None:
            return [{"kind": "normal", "from": 0, "size": distribution.latent}]
        some = kept[:: max(1, len(kept) // KEPT)][:KEPT]
        return [{"kind": "rows", "from": 0, "size": distribution.latent,
                 "rows": [_rounded(row) for row in some]}]  # fmt: skip
    blocks, start = [], 0
    kinds = ["normal", *["category"] * len(prior.categories), "uniform"]
    for kind, width in zip(kinds, prior.widths):
        if width:
            blocks.append({"kind": kind, "from": start, "size": width})
        start += width
    return blocks


def _sliders(
    model: Model, distribution: CodeDistribution, blocks: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Numbers of a code in falling order of their effect, with a name for what each changes."""
    places = [i for b in blocks for i in range(b["from"], b["from"] + b["size"])][:RANKED]
    condition = _usual_condition(model)
    result = traverse(model, steps=3, reach=1.5, y=condition, distribution=distribution)
    total = float(result.change[places].sum()) or 1.0
    order = sorted(places, key=lambda i: -float(result.change[i]))[:SLIDERS]
    order = [i for i in order if float(result.change[i]) > 1e-6 * total]
    names = name_changes(model.fitted_space(), [result.x[i] for i in order])
    ends = [_ends(distribution, blocks, i) for i in order]
    return [
        {
            "place": i,
            "name": name,
            "share": round(float(result.change[i]) / total, 4),
            "low": low,
            "high": high,
        }
        for i, name, (low, high) in zip(order, names, ends)
    ]


def _ends(
    distribution: CodeDistribution, blocks: Sequence[dict[str, Any]], i: int
) -> tuple[float, float]:
    """How far a slider moves number i of a code."""
    if any(b["kind"] == "uniform" and 0 <= i - b["from"] < b["size"] for b in blocks):
        return -1.0, 1.0
    centre, scale = float(distribution.centre[i]), float(distribution.scale[i])
    return centre - REACH * scale, centre + REACH * scale


def _usual_condition(model: Model) -> Any:
    """The first label, or the middle of every range."""
    space = model.condition_space
    if space is None:
        return None
    if space.is_label:
        return space.as_given(torch.zeros(1, dtype=torch.int64))
    return torch.tensor([[(c.low + c.high) / 2 for c in space.columns]])

"""The fields of a `Space`, and properties derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pushforward.core.argument_names import setting
from pushforward.core.columns import Column
from pushforward.core.errors import ShapeMismatch, suggest

__all__ = ["Form", "Kind", "SpaceFacts"]

Kind = Literal["points", "images", "clips"]
Form = Literal["tensor", "array", "frame", "images", "clips"]
UNLIKE = 100.0
"""Ratio of the ranges of two named columns above which they cannot be of one unit.

Heights in metres and weights in kilograms differ by so much, the four lengths of an iris by 3.
"""


@dataclass(frozen=True)
class SpaceFacts:
    """Facts about one observation.

    Args:
        kind: 'points' (vectors and table rows), 'images' or 'clips'.
        shape: shape of one observation; None marks a free size.
        columns: for points, one per coordinate.
        low, high: the range of values: of the levels for images,
            observed over all coordinates for points.
        integer: every value is a whole number (pixel levels, counts).
        form: the original form of the data, which `export` restores.
        frame_rate: frames per second of clips, if known.
        preparation: how the images were prepared, e.g. 'size 64, crop'.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    columns: tuple[Column, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")
    integer: bool = False
    form: Form = "tensor"
    frame_rate: float | None = None
    preparation: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of values in one observation."""
        total = 1
        for length in self.shape:
            if length is None:
                raise ShapeMismatch(
                    f"{self} varies in size; resize the images first ({setting('size', 64)},"
                    f" {setting('fit', 'crop')})"
                )
            total *= length
        return total

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each coordinate of a point; x0, x1, … if the data had none."""
        return tuple(c.name or f"x{i}" for i, c in enumerate(self.columns))

    @property
    def categorical(self) -> bool:
        """Whether any coordinate is a category."""
        return any(c.kind == "categorical" for c in self.columns)

    @property
    def is_label(self) -> bool:
        """Whether this is the space of a single label."""
        return self.shape == () and self.categorical

    @property
    def ranges(self) -> tuple[float, ...]:
        """The observed range of each column, in its unit; 1 where it is constant or unknown."""
        spans = [c.high - c.low for c in self.columns]
        return tuple(span if 0 < span < float("inf") else 1.0 for span in spans)

    @property
    def mixes_units(self) -> bool:
        """Whether sums over the columns of a point add different units.

        Columns may be categories, state different units, or vary more than a hundred times as much
        as others.
        """
        if self.kind != "points" or self.is_label:
            return False
        named = [c for c in self.columns if c.name]
        spans = [c.high - c.low for c in named if 0 < c.high - c.low < float("inf")] or [1.0]
        stated = {c.unit for c in self.columns}
        return self.categorical or len(stated) > 1 or max(spans) > UNLIKE * min(spans)

    def axis(self, name: str | int | np.integer[Any]) -> int:
        """The position of a coordinate named by its column, x-number or position.

        Names take precedence over positions:
        if a column is called '2019' (or '0'), both '2019' and 2019 mean that column.
        """
        names, text = self.names, str(name)
        if text in names:
            return names.index(text)
        if text.isdecimal() and int(text) < len(names):
            return int(text)
        some = f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
        if not any(c.name for c in self.columns):
            raise ShapeMismatch(f"no axis {text[:100]!r} in {self}; its axes are {some}")
        near = suggest(text, names)
        remedy = f"{near} The columns are" if near.startswith("did you mean") else "the columns are"
        raise ShapeMismatch(f"no column {text[:100]!r}; {remedy} {some}")

    def __str__(self) -> str:
        shape = "×".join("any" if s is None else str(s) for s in self.shape) or "1"
        if self.is_label:
            return f"label of {len(self.columns[0].categories)} categories"
        if self.kind == "points":
            many = "s" if shape != "1" else ""
            named = [c.name for c in self.columns if c.name]
            if not named:
                return f"points in {shape} dimension{many}"
            return f"{shape} column{many} ({', '.join(named[:6])}{', …' if len(named) > 6 else ''})"
        levels = (
            f", levels {self.low:g}..{self.high:g}"
            if self.integer
            else f", values {self.low:g}..{self.high:g}"
        )
        prepared = f", {self.preparation}" if self.preparation else ""
        return f"{self.kind} of {shape}{levels}{prepared}"

"""Pairs of images for comparison: checked, scaled to [0, 1], and described in a record."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, printable, quote
from pushforward.core.numbers import require_whole, to_python
from pushforward.core.records import Record
from pushforward.metrics.layouts import require_one_layout
from pushforward.metrics.pairs import describe_rows
from pushforward.metrics.samples import rows

__all__ = ["ImagePairs"]

Channel: TypeAlias = Literal["all", "y"]
"""All channels, or the luma (BT.601) alone."""


LUMA = (65.481, 128.553, 24.966)
"""Y - 16 for each channel at 1, in levels out of 255."""
BLOCK_NUMBERS = 1 << 22
"""Numbers per block: 32 MB of float64, of which filters hold a few copies."""


@dataclass(frozen=True, eq=False)
class ImagePairs:
    """Original and generated images (n, c, h, w), with the settings of their comparison."""

    real: Tensor
    generated: Tensor
    low: float
    high: float
    luma: bool
    crop: int
    data: str

    @classmethod
    def of(
        cls,
        real: object,
        generated: object,
        low: object,
        high: object,
        channel: object,
        crop: object,
        data: object,
    ) -> ImagePairs:
        crop = _require_kinds(channel, crop, data)
        low, high = _check_end("low", low), _check_end("high", high)
        x, y = rows(real), rows(generated)
        require_one_layout(x, y)
        x, y = (each[:, None] if each.ndim == 3 else each for each in (x, y))
        if x.ndim != 4 or x.shape[1] not in (1, 3, 4):
            raise ShapeMismatch(
                f"images must be (n, 1, 3 or 4 channels, height, width), got {tuple(x.shape)}; "
                "channels-last ones need x.transpose(0, 3, 1, 2)"
            )
        if x.shape != y.shape:
            raise ShapeMismatch(
                f"images are compared pairwise with their originals: expected {tuple(x.shape)},"
                f" got {tuple(y.shape)}; pass pairs of one size"
            )
        if channel == "y" and x.shape[1] == 4:
            raise InvalidValue(
                "channel 'y' is the luma of images of 1 or 3 channels, got images of 4; pass"
                " channel='all'"
            )
        if 2 * crop >= min(x.shape[2:]):
            raise InvalidValue(
                f"crop must leave some of {x.shape[2]}×{x.shape[3]} pixels, got"
                f" {printable(crop)}; pass the scale factor, say"
            )
        for name, each in (("real", x), ("generated", y)):
            if not bool(each.isfinite().all()):
                raise InvalidValue(f"the {name} images hold NaN or infinity; drop these rows")
        ends = _find_range(x, low, high)
        if low is None:
            _require_range(y, *ends)
        return cls(
            x, y, *ends, channel == "y" and x.shape[1] == 3, crop, str(data or describe_rows(x))
        )

    def require_side(self, side: int, what: str, instead: str) -> None:
        """Raise InvalidValue for images smaller than `side` after cropping."""
        height, width = (length - 2 * self.crop for length in self.real.shape[2:])
        if min(height, width) < side:
            raise InvalidValue(
                f"{what} needs images of at least {side}×{side} pixels, got {height}×{width}; use"
                f" {instead}"
            )

    def map_pairs(self, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Apply a measure to blocks of pairs; return one number per pair (n,)."""
        size = max(1, BLOCK_NUMBERS // max(1, self.real[0].numel()))
        blocks = zip(self.real.split(size), self.generated.split(size))
        return torch.cat([measure(self._prepare(x), self._prepare(y)) for x, y in blocks])

    def _prepare(self, x: Tensor) -> Tensor:
        """Convert images to (b, c, h, w) in [0, 1], float64, cropped, with the chosen channels."""
        _, _, h, w = x.shape
        x = x[:, :, self.crop : h - self.crop, self.crop : w - self.crop].to("cpu", torch.float64)
        x = (x - self.low) / (self.high - self.low)
        return (
            (16 + (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)) / 255
            if self.luma
            else x
        )

    def record(self, quantity: str, values: Tensor, settings: str, **details: Any) -> Record:
        """A record of the mean over images, with the settings."""
        c, h, w = self.real.shape[1:]
        channels = "luma (BT.601)" if self.luma else f"{c} channel{'s' if c > 1 else ''}"
        space = f"images {h}×{w}, {channels}, crop {self.crop}, values {self.low:g}..{self.high:g}"
        facts = {
            "feature_space": space,
            "real": len(self.real),
            "generated": len(self.generated),
            **details,
        }
        record = Record.of(quantity, values, bound="estimate", data=self.data)
        return replace(
            record, details={"features": f"{space}; {settings}" if settings else space, **facts}
        )


def _require_kinds(channel: object, crop: object, data: object) -> int:
    """Check the kinds of the settings; return the crop as an integer.

    Raises:
        InvalidKind, InvalidValue: For an invalid channel, crop or name.
    """
    if not isinstance(channel, str):
        raise InvalidKind(f"channel must be 'all' or 'y', got {quote(channel)}; pass one of these")
    if channel not in get_args(Channel):
        raise InvalidValue(f"channel must be 'all' or 'y', got {quote(channel)}; pass one of these")
    if not isinstance(data, str):
        raise InvalidKind(
            f"data must be a text that describes the images, got {quote(data)}; pass"
            " data='CIFAR-10', say"
        )
    return require_whole(crop, "crop")


def _check_end(name: str, value: object) -> float | None:
    """Convert an end of the value range to a number.

    Raises:
        InvalidKind, InvalidValue: If it is not one.
    """
    number = to_python(value)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidKind(f"{name} must be a number, got {quote(value)}; pass low=0, high=255, say")
    if not abs(number) <= sys.float_info.max:
        raise InvalidValue(
            f"{name} must be finite, got {printable(number)}; pass low=0, high=255, say"
        )
    return float(number)


def _require_range(y: Tensor, low: float, high: float) -> None:
    """Raise InvalidValue for generated images whose values cannot be of the originals' range.

    What a network makes may lie outside somewhat; half of the range is another range.
    """
    room = (high - low) / 2
    least, most = float(y.min()), float(y.max())
    if least < low - room or most > high + room:
        raise InvalidValue(
            f"the originals' values are taken to be of {low:g}..{high:g}, but the generated images"
            f" have {least:g}..{most:g}; bring both to one range, or pass low and high"
        )


def _find_range(x: Tensor, low: float | None, high: float | None) -> tuple[float, float]:
    """The range of values: the given one, or the usual range that contains the originals."""
    if (low is None) != (high is None):
        raise InvalidValue(
            f"the range of values has two ends, got low={low} and high={high}; pass both"
        )
    if low is not None and high is not None:
        if not 0 < high - low < math.inf:
            raise InvalidValue(
                f"images need a range with low < high, got {low:g} and {high:g}; pass low=0,"
                " high=255, say"
            )
        return low, high
    least, most = float(x.min()), float(x.max())
    whole = not x.is_floating_point() or bool((x == x.round()).all())
    if x.dtype == torch.uint8 and most == 1:  # binary images, as everywhere
        return 0.0, 1.0
    if x.dtype == torch.uint8 or (whole and least >= 0 and 2 < most <= 255):
        return 0.0, 255.0
    if least >= -1 and most <= 1:
        return (0.0 if least >= 0 else -1.0), 1.0
    raise InvalidValue(
        f"the range of images with values {least:g}..{most:g} is ambiguous; pass low and high (0"
        " and 65535, say)"
    )

"""Enlarged images beside the originals, by the protocol of published tables.

Images are cut to a multiple of the factor, reduced by antialiased bicubic interpolation as MATLAB's
`imresize` does, and enlarged; the brightness Y of ITU-R BT.601 of both, in whole levels (grey
images as they are), is compared without a border of as many pixels as the factor. Five images of
Set5 enlarged four times by bicubic interpolation have 28.42 dB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.records import Record
from pushforward.data.resampling import reduce
from pushforward.metrics.image_pairs import LUMA
from pushforward.metrics.image_quality import psnr, ssim, ssim_daala
from pushforward.metrics.structural_similarity import SIDE

__all__ = ["BASELINE", "Enlarged", "brightness", "enlargement_records", "reduced"]

BASELINE = " of bicubic"
"""What the names of records of bicubic interpolation end in."""

Enlarged = tuple[Tensor, Tensor, Tensor]
"""An original, what was made of its reduction, and bicubic interpolation of that: bytes (1, c, h,
w)."""


def reduced(x: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """An image (1, c, h, w), bytes, cut to a multiple of a factor, and reduced by it.

    Raises:
        BadSource: For an image smaller than the factor.
    """
    height, width = (side // factor * factor for side in x.shape[-2:])
    if not min(height, width):
        raise BadSource(
            f"an image of {x.shape[-2]}×{x.shape[-1]} cannot be reduced {factor} times; leave it"
            " out"
        )
    x = x[..., :height, :width]
    return x, reduce(x, factor)


def brightness(x: Tensor) -> Tensor:
    """Y (n, 1, h, w) of bytes (n, c, h, w), in whole levels; grey images as they are."""
    if x.shape[1] == 1:
        return x
    weights = torch.tensor(LUMA, dtype=torch.float64)[:, None, None]
    shades = 16 + (x[:, :3].to(torch.float64) / 255 * weights).sum(1, keepdim=True)
    return (shades + 0.5).floor().to(torch.uint8)


def enlargement_records(images: Iterable[Enlarged], factor: int, data: str) -> list[Record]:
    """PSNR, SSIM and daala's SSIM of enlarged images, and those of bicubic interpolation.

    Args:
        images: of any sizes; SSIM is measured if all have at least 11 pixels a side within the
            border.
        factor: of enlargement, and pixels of the border.
        data: what the images are, for the records.
    """
    measures = {"psnr": psnr, "ssim": ssim, "ssim_daala": ssim_daala}
    records: dict[str, list[Record]] = {}
    for real, made, smooth in images:
        low = min(real.shape[-2:]) < SIDE + 2 * factor
        if min(real.shape[-2:]) <= 2 * factor:
            raise BadSource(
                f"an image of {real.shape[-2]}×{real.shape[-1]} has nothing within a border of"
                f" {factor} pixels; leave it out"
            )
        for end, other in (("", made), (BASELINE, smooth)):
            pair = brightness(real), brightness(other)
            for name, measure in measures.items():
                if not (low and name == "ssim"):
                    record = measure(*pair, low=0, high=255, crop=factor, data=data)
                    records.setdefault(name + end, []).append(record)
    count = max((len(found) for found in records.values()), default=0)
    return [
        _together(name, found, factor, data)
        for name, found in records.items()
        if len(found) == count
    ]


def _together(name: str, records: list[Record], factor: int, data: str) -> Record:
    """One record of measurements of images of different sizes."""
    values = torch.cat([record.values for record in records if record.values is not None])
    settings = str(records[0].details["features"]).partition("; ")[2]
    protocol = (
        f"images reduced {factor} times by antialiased bicubic interpolation (MATLAB), Y"
        f" (BT.601) in whole levels, crop {factor}"
    )
    together = Record.of(name, values, bound="estimate", data=data, unit=records[0].unit)
    features = f"{protocol}; {settings}" if settings else protocol
    details = {"features": features, "feature_space": protocol, "real": len(values)}
    return replace(together, details={**details, "generated": len(values), "factor": factor})

"""Images made from images beside their originals: which measures suit them, and all of these."""

from __future__ import annotations

from torch import Tensor

from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.metrics.scores import scores
from pushforward.metrics.structural_similarity import SIDE

__all__ = ["likeness"]


def likeness(x: Tensor, made: Tensor, space: Space, data: str) -> list[Record]:
    """PSNR, SSIM of large enough images, absolute error, sharpness, colours of images in colour,
    and classes of label maps.

    Args:
        x: originals (n, *shape).
        made: the images made from their conditions (n, *shape).
        space: of both; that of label maps knows their palette.
        data: description of the images for the records.
    """
    metrics = ["psnr", "ssim", "absolute_error", "gradient_energy", "colour_histograms"]
    palette = space.extra.get("palette")
    if min(x.shape[-2:]) < SIDE:
        metrics.remove("ssim")
    if x.shape[1] != 3:
        metrics.remove("colour_histograms")
    if not bool((x.flatten(1) != x.flatten(1)[:, :1]).any()):
        metrics.remove("gradient_energy")
    return scores(
        x,
        made,
        metrics=[*metrics, "label_accuracy"] if palette else metrics,
        paired={"low": space.low, "high": space.high, "palette": palette},
        data=data,
    )

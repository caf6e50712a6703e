"""Similarity of images to their originals, pair by pair.

With x the original and y the other image, both scaled to [0, 1] by the range of values:

* PSNR = -10 log₁₀ mean (x - y)², dB, averaged over images;
  infinite if an image equals its original.
* SSIM, daala's SSIM and multi-scale SSIM: see `metrics.structural_similarity`.

Channels have equal weights, or only the luma is compared (Y of ITU-R BT.601, 16..235 of 255, as in
tables of super-resolution, with the scale factor in pixels cropped from every side).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from pushforward.core.data_types import Observations
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.metrics.image_pairs import Channel, ImagePairs
from pushforward.metrics.structural_similarity import (
    SCALES,
    SIDE,
    SIGMA,
    daala_similarity,
    multi_scale_similarity,
    wang_similarity,
)

__all__ = ["psnr", "ssim", "ssim_daala", "ms_ssim"]


@runtime_checkable
class PairedMetric(Protocol):
    """A metric of images by pairs, independent of feature spaces: see `paired_metric`."""

    __name__: str

    def __call__(
        self,
        real: Observations,
        generated: Observations,
        *,
        low: float | None = None,
        high: float | None = None,
        channel: Channel = "all",
        crop: int = 0,
        rng: Rng = 0,
        data: str = "",
    ) -> Record: ...


ARGUMENTS = """

    Args:
        real, generated: originals and the images compared with them (n, channels, height, width).
        low, high: the range of values; by default 0..255 for bytes and integers
            above 2, 0..1 or -1..1 for fractions.
        channel: 'all' or 'y', the luma of colour images (grey images are unchanged).
        crop: pixels to crop on every side.
        rng: unused; part of the signature shared by all metrics.
        data: description of the images for the record.

    Raises:
        ShapeMismatch: If the sets are not pairs of images.
        InvalidValue: If the range of values is ambiguous.
        InvalidKind: If an argument has another kind.
    """


def paired_metric(measure: Callable[[ImagePairs], Record]) -> PairedMetric:
    """Make a metric of image pairs from a measure; it gets the common arguments and docstring."""

    def metric(
        real: Observations,
        generated: Observations,
        *,
        low: float | None = None,
        high: float | None = None,
        channel: Channel = "all",
        crop: int = 0,
        rng: Rng = 0,
        data: str = "",
    ) -> Record:
        # its source of random numbers, if it needed one
        if rng is not None and not isinstance(rng, (np.random.Generator, np.random.RandomState)):
            generator(rng)
        return measure(ImagePairs.of(real, generated, low, high, channel, crop, data))

    for name in ("__name__", "__qualname__", "__module__"):
        setattr(metric, name, getattr(measure, name))
    metric.__doc__ = (measure.__doc__ or "").rstrip() + ARGUMENTS
    return metric


@paired_metric
def psnr(pair: ImagePairs) -> Record:
    """Peak signal-to-noise ratio, dB."""
    errors = pair.map_pairs(lambda x, y: (x - y).square().flatten(1).mean(1))
    values = -10 * errors.log10()
    return replace(pair.record("psnr", values, "", identical=int((errors == 0).sum())), unit="dB")


@paired_metric
def ssim(pair: ImagePairs) -> Record:
    """Structural similarity of images of at least 11×11 pixels; 1 is best.

    Reference: Wang et al. (2004), https://doi.org/10.1109/TIP.2003.819861.
    """
    pair.require_side(SIDE, "SSIM's window", "psnr or ssim_daala")
    values = pair.map_pairs(lambda x, y: wang_similarity(x, y)[0])
    return pair.record(
        "ssim",
        values,
        f"Wang et al. 2004: Gaussian {SIDE}×{SIDE}, sigma {SIGMA}, K = .01, .03",
        ideal=1.0,
    )


@paired_metric
def ssim_daala(pair: ImagePairs) -> Record:
    """Structural similarity as in daala's `dump_ssim`, with a window that grows with the image."""
    return pair.record(
        "ssim_daala",
        pair.map_pairs(daala_similarity),
        "daala: Gaussian, sigma 1.5 H/256, cut at borders, K = .01, .03",
        ideal=1.0,
    )


@paired_metric
def ms_ssim(pair: ImagePairs) -> Record:
    """Multi-scale structural similarity of images of at least 161×161 pixels; 1 is best."""
    pair.require_side(
        (SIDE - 1) * 2 ** (len(SCALES) - 1) + 1, "the window at the fifth scale", "ssim"
    )
    weights = " ".join(f"{w:g}" for w in SCALES)
    return pair.record(
        "ms_ssim",
        pair.map_pairs(multi_scale_similarity),
        f"Wang et al. 2003: five scales, weights {weights}, 2×2 means",
        ideal=1.0,
    )

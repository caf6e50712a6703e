"""Images made from images beside their originals: errors, colours, sharpness, classes, variation.

With x the original and y the other image, levels scaled to [0, 1] by the range of values:

* absolute_error = mean |x - y| (the L1 error).
* gradient_energy = Σ (differences of neighbouring pixels of y)² / Σ (those of x)²: sharpness
  relative to the original's; a blurred image has less than 1.
* colour_histograms: intersection Σ min(h, g) of the histograms of all pixels of both sets, for L, a
  and b of CIE L*a*b* each (Isola et al. 2017, §4.3, https://arxiv.org/abs/1611.07004).
* label_accuracy: pixels whose nearest colours in a palette agree, the mean over classes of the
  shares of each that agree, and the mean over classes of intersection over union (Long et al. 2015,
  §5, https://arxiv.org/abs/1411.4038); beside them the accuracy of the most frequent class.
* variation: mean |y - y'| of two translations of one condition under different noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.data.colours import rgb_to_lab
from pushforward.data.palettes import Palette, named_palette, nearest_colour, scaled_palette
from pushforward.metrics.image_pairs import Channel, ImagePairs
from pushforward.metrics.image_quality import paired_metric

__all__ = [
    "absolute_error",
    "colour_histograms",
    "gradient_energy",
    "label_accuracy",
    "variation",
]

BINS = {"L": (0.0, 100.0), "a": (-110.0, 110.0), "b": (-110.0, 110.0)}
"""Ranges of the histograms; those of a and b hold all of sRGB's colours."""
WIDTH = 2.0
"""Of a bin: 50 of lightness and 110 of a and b. It is within what people can tell apart (about 2),
and wide enough that a hundred images of 32x32 fill the bins.
"""


@paired_metric
def absolute_error(pair: ImagePairs) -> Record:
    """Mean absolute error of levels scaled to [0, 1]."""
    values = pair.map_pairs(lambda x, y: (x - y).abs().flatten(1).mean(1))
    return replace(pair.record("absolute_error", values, "", ideal=0.0), unit="of the range")


@paired_metric
def gradient_energy(pair: ImagePairs) -> Record:
    """Squared differences of neighbouring pixels, relative to the originals' (1 is ideal).

    The sums are over all images, so that flat ones do not decide; the error is that of a ratio of
    means.
    """
    if min(pair.real.shape[2:]) - 2 * pair.crop < 2:
        raise InvalidValue("gradient_energy needs images of at least 2×2 pixels")
    real = pair.map_pairs(lambda x, y: _energy(x))
    other = pair.map_pairs(lambda x, y: _energy(y))
    if float(real.sum()) == 0:
        raise InvalidValue(
            "gradient_energy is relative to the originals', and these are flat; leave it out"
        )
    ratio = float(other.mean() / real.mean())
    record = pair.record("gradient_energy", ratio + (other - ratio * real) / real.mean(), "")
    details = {**record.details, "ideal": 1.0}
    return replace(record, value=ratio, unit="relative to the originals", details=details)


def colour_histograms(
    real: Observations,
    generated: Observations,
    *,
    low: float | None = None,
    high: float | None = None,
    channel: Channel = "all",
    crop: int = 0,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Intersections of the histograms of L, a and b over all pixels, three records; 1 is best.

    Pixels need no partners: colours count, not places. Errors leave one pair of images out at a
    time (jackknife).

    Args:
        real, generated: images in colour (n, 3, height, width).
        low, high: the range of values, as for `psnr`.
        channel: 'all'; luma has no colours.
        crop: pixels to crop on every side.
        rng: unused; part of the signature shared by all metrics.
        data: description of the images for the record.

    Raises:
        InvalidValue: For images without colours.
    """
    pair = ImagePairs.of(real, generated, low, high, channel, crop, data)
    if pair.real.shape[1] != 3 or channel != "all":
        raise InvalidValue(
            f"colour_histograms compares images of 3 channels in all of them, got"
            f" {pair.real.shape[1]} and channel={channel!r}; leave it out"
        )
    counts = [pair.map_pairs(lambda x, y: _counts(x)), pair.map_pairs(lambda x, y: _counts(y))]
    records, start = [], 0
    for name, ends in BINS.items():
        count = round((ends[1] - ends[0]) / WIDTH)
        parts = [c[:, start : start + count] for c in counts]
        start += count
        value, error = _jackknife(torch.stack(parts, 1), _intersection)
        how = f"CIE {name} (sRGB, D65), {count} bins in {ends[0]:g}..{ends[1]:g}, all pixels"
        record = pair.record(f"histogram_{name}", torch.zeros(len(pair.real)), how, ideal=1.0)
        records.append(replace(record, value=value, error=error, values=None))
    return records


def label_accuracy(
    real: Observations,
    generated: Observations,
    *,
    palette: str | Sequence[Sequence[int]] | None = None,
    low: float | None = None,
    high: float | None = None,
    channel: Channel = "all",
    crop: int = 0,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Accuracy of classes in colours: by pixel, by class, mean intersection over union, and that
    of the most frequent class.

    Every pixel is of the class of the nearest colour. Classes that do not occur in the originals
    are left out of means over classes. Errors leave one pair out at a time (jackknife).

    Args:
        real, generated: maps of classes (n, c, height, width).
        palette: the colours, in levels of 0..255, or their name ('facades').
        low, high: the range of values, as for `psnr`.
        channel: 'all'.
        crop: pixels to crop on every side.
        rng: unused; part of the signature shared by all metrics.
        data: description of the images for the record.

    Raises:
        InvalidValue: Without a palette.
    """
    if palette is None:
        raise InvalidValue(
            f"label_accuracy needs the colours of the classes; pass {argument('palette')}"
        )
    pair = ImagePairs.of(real, generated, low, high, channel, crop, data)
    entries = named_palette(palette)
    colours = scaled_palette(entries, 0.0, 1.0)
    k = len(colours)

    def confusion(x: Tensor, y: Tensor) -> Tensor:
        pairs = nearest_colour(x, colours)[0] * k + nearest_colour(y, colours)[0]
        return torch.nn.functional.one_hot(pairs.flatten(1), k * k).sum(1)

    counts = pair.map_pairs(confusion).double().reshape(-1, k, k)
    how = f"nearest of {k} colours #{_digest(entries)}, all pixels, classes of the originals"
    measures = {
        "pixel_accuracy": lambda c: c.diagonal().sum() / c.sum(),
        "class_accuracy": _class_accuracy,
        "mean_iou": _mean_iou,
        "majority": lambda c: c.sum(1).max() / c.sum(),
    }
    records = []
    for name, measure in measures.items():
        value, error = _jackknife(counts, measure)
        record = pair.record(name, torch.zeros(len(counts)), how, palette=[*map(list, entries)])
        records.append(replace(record, value=value, error=error, values=None))
    return records


def variation(
    translations: Tensor, real: Observations, *, low: float, high: float, data: str = ""
) -> list[Record]:
    """How much translations of one condition differ by their noise, three records.

    Mean absolute difference of two of them, standard deviation of a pixel over them, both as shares
    of the range of values, and the first relative to the mean absolute error beside the original:
    0 for a model that ignores its noise, about 1 if it varies by as much as it errs.

    Args:
        translations: (k, n, *shape), k ≥ 2 of each condition.
        real: originals (n, *shape).
        low, high: the range of values.
        data: description of the images for the record.
    """
    k = len(translations)
    if k < 2:
        raise InvalidValue(f"variation needs two translations of each condition or more, got {k}")
    x = (translations.to("cpu", torch.float64) - low) / (high - low)
    truth = (torch.as_tensor(real).to("cpu", torch.float64) - low) / (high - low)
    apart = [(x[i] - x[j]).abs().flatten(1).mean(1) for i in range(k) for j in range(i)]
    difference = torch.stack(apart).mean(0)
    error = (x - truth).abs().flatten(2).mean(2).mean(0)
    deviation = x.var(0, correction=1).flatten(1).mean(1).sqrt()
    details = {"features": f"{k} translations of each condition", "translations": k}
    facts = {"bound": "estimate", "data": data, "details": details}
    share = {"unit": "of the range", **facts}
    relative = difference / error.mean()
    return [
        Record.of("variation", difference, **share),
        Record.of("variation_sd", deviation, **share),
        Record.of("variation_of_error", relative, unit="relative to the error", **facts),
    ]


def _energy(x: Tensor) -> Tensor:
    down, across = (x.diff(dim=d).square().flatten(1).sum(1) for d in (2, 3))
    return down + across


def _counts(x: Tensor) -> Tensor:
    """Counts (n, bins) of the L, a and b of each image, one after the other."""
    lab, parts = rgb_to_lab(x).flatten(2), []
    for i, (low, high) in enumerate(BINS.values()):
        count = round((high - low) / WIDTH)
        cell = ((lab[:, i] - low) / WIDTH).floor().to(torch.int64).clamp(0, count - 1)
        counts = torch.zeros(len(x), count, dtype=torch.float64)
        parts.append(counts.scatter_add_(1, cell, torch.ones_like(lab[:, i])))
    return torch.cat(parts, 1)


def _intersection(counts: Tensor) -> Tensor:
    shares = counts / counts.sum(1, keepdim=True)
    return torch.minimum(shares[0], shares[1]).sum()


def _class_accuracy(confusion: Tensor) -> Tensor:
    occurring = confusion.sum(1) > 0
    return (confusion.diagonal() / confusion.sum(1))[occurring].mean()


def _mean_iou(confusion: Tensor) -> Tensor:
    occurring, hits = confusion.sum(1) > 0, confusion.diagonal()
    return (hits / (confusion.sum(1) + confusion.sum(0) - hits))[occurring].mean()


def _jackknife(counts: Tensor, measure: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """A measure of summed counts (n, …), and its standard error by leaving out one row each."""
    total, n = counts.sum(0), len(counts)
    value = float(measure(total))
    if n < 2:
        return value, float("nan")
    without = torch.stack([measure(total - each) for each in counts])
    return value, float(((n - 1) / n * (without - without.mean()).square().sum()).sqrt())


def _digest(palette: Palette) -> str:
    return hashlib.blake2b(repr(palette).encode(), digest_size=4).hexdigest()

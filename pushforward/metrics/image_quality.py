r"""How like their originals images are, one by one, and an Inception-style score of generated ones.

With x the original and y its likeness, both brought to [0, 1] by the range of their values:

* PSNR = -10 log₁₀ mean (x - y)², dB, the mean over images of each one's own;
  infinite where an image equals its original.
* SSIM (Wang, Bovik, Sheikh & Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861): the mean
  over windows inside the image of

      l · cs = (2 μ_x μ_y + C₁)/(μ_x² + μ_y² + C₁) · (2 σ_xy + C₂)/(σ_x² + σ_y² + C₂),
          C₁ = .01², C₂ = .03²,

  moments under a Gaussian window of 11×11 pixels with σ = 1.5.
* daala's SSIM (the one that SRGAN's tables have): the window has σ = 1.5 H/256 for images of height
  H, with weights rounded to 256ths; it is cut off at the borders, and windows count by the weight
  that is left of them. It comes out higher than Wang's.
* Multi-scale SSIM (Wang, Simoncelli & Bovik 2003): Π_j mean(cs at scale j)^w_j ·
  mean(l · cs at the last scale)^w_5 over five scales, each half the one before
  (means of 2×2 pixels), w = .0448, .2856, .3001, .2363, .1333. Negative means count as 0.

Of several channels all count alike, or their luma alone (Y of ITU-R BT.601, 16..235 of 255, which
tables of super-resolution use, with as many pixels cropped from every side as the scale factor).

* Inception-style score: exp E_y KL(p(c|y) ‖ p(c)), c the classes of a stated classifier (Salimans
  et al. 2016, https://arxiv.org/abs/1606.03498), over all rows at once. It runs from 1 to the
  number of classes, and ignores real rows; compare it with theirs. Scores under different
  classifiers do not compare; the record names it by its fingerprint. Error bar: E KL moves with a
  row by that row's own KL.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, quoted, shown
from pushforward.core.numbers import plain, whole
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.metrics.features import Features, rows
from pushforward.metrics.layouts import require_alike
from pushforward.metrics.pairs import Pair, described

__all__ = ["psnr", "ssim", "ssim_daala", "ms_ssim", "inception_score"]

SIDE, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LUMA = (65.481, 128.553, 24.966)
"""Y - 16 of the three channels at 1, in levels of 255."""
STEPS = 256
"""daala's weights are whole parts of this."""
BLOCK_NUMBERS = 1 << 22


@runtime_checkable
class PairedMetric(Protocol):
    """A metric of images row by row, whatever the features: see `paired`."""

    __name__: str

    def __call__(
        self,
        real: Any,
        generated: Any,
        *,
        low: float | None = None,
        high: float | None = None,
        channel: str = "all",
        crop: int = 0,
        rng: Rng = 0,
        data: str = "",
    ) -> Record: ...


ARGUMENTS = """

    Arguments:
        real, generated: originals and their likenesses (n, channels, height, width), row by row.
        low, high: the ends of the range of values; if not given 0..255 for bytes and whole
            numbers above 2, 0..1 or -1..1 for fractions.
        channel: 'all' or 'y', the luma of colour images (grey ones are taken as they are).
        crop: pixels left out on every side.
        rng: for the signature shared by all metrics; nothing is drawn.
        data: what the images are, for the record.

    Raises ShapeMismatch for sets that are not pairs of images, InvalidValue for a range
    that cannot be told, InvalidKind for an argument of another kind.
    """


def paired(measure: Callable[[_Images], Record]) -> PairedMetric:
    """A metric of images row by row from what it makes of the pairs; the arguments and their
    description are those of all of them.
    """

    def metric(
        real: Any,
        generated: Any,
        *,
        low: float | None = None,
        high: float | None = None,
        channel: str = "all",
        crop: int = 0,
        rng: Rng = 0,
        data: str = "",
    ) -> Record:
        # from which it would draw
        if rng is not None and not isinstance(rng, (np.random.Generator, np.random.RandomState)):
            generator(rng)
        return measure(_Images.of(real, generated, low, high, channel, crop, data))

    for name in ("__name__", "__qualname__", "__module__"):
        setattr(metric, name, getattr(measure, name))
    metric.__doc__ = (measure.__doc__ or "").rstrip() + ARGUMENTS
    return metric


@paired
def psnr(pair: _Images) -> Record:
    """Peak signal-to-noise ratio, dB."""
    errors = pair.each(lambda x, y: (x - y).square().flatten(1).mean(1))
    values = -10 * errors.log10()
    return replace(pair.record("psnr", values, "", identical=int((errors == 0).sum())), unit="dB")


@paired
def ssim(pair: _Images) -> Record:
    """Structural similarity as Wang et al. (2004) have it,
    of images of 11×11 pixels at least; 1 is best.
    """
    pair.require(SIDE, "SSIM's window", "psnr or ssim_daala")
    values = pair.each(lambda x, y: _wang(x, y)[0])
    return pair.record(
        "ssim",
        values,
        f"Wang et al. 2004: Gaussian {SIDE}×{SIDE}, sigma {SIGMA}, K = .01, .03",
        ideal=1.0,
    )


@paired
def ssim_daala(pair: _Images) -> Record:
    """Structural similarity as daala's `dump_ssim` has it:
    a window that grows with the image; 1 is best.
    """
    return pair.record(
        "ssim_daala",
        pair.each(_daala),
        "daala: Gaussian, sigma 1.5 H/256, cut at borders, K = .01, .03",
        ideal=1.0,
    )


@paired
def ms_ssim(pair: _Images) -> Record:
    """Multi-scale structural similarity of images of 161×161 pixels at least; 1 is best."""
    pair.require((SIDE - 1) * 2 ** (len(SCALES) - 1) + 1, "the window at the fifth scale", "ssim")
    weights = " ".join(f"{w:g}" for w in SCALES)
    return pair.record(
        "ms_ssim",
        pair.each(_multi_scale),
        f"Wang et al. 2003: five scales, weights {weights}, 2×2 means",
        ideal=1.0,
    )


def inception_score(
    real: Any, generated: Any, *, features: Features | None = None, rng: Rng = 0, data: str = ""
) -> Record:
    """exp E KL(p(c|y) ‖ p(c)) of generated rows (m, *shape) under
    the classifier whose inside the features are.

    Arguments:
        real: real rows (n, *shape), whose own score is the record's 'ideal'.
        features: of a classifier (`metrics.classifiers.classifier`), which the record names.
        rng: for the signature shared by all metrics; nothing is drawn.

    Raises InvalidValue where the features are not those of a classifier.
    """
    pair = Pair.of(real, generated, features, data)
    if pair.features.head is None:
        raise InvalidValue(
            "an Inception-style score needs the features of a classifier, got"
            f" {pair.features.label}; pass features=classifier(x, labels), or --features classifier"
            " with labels"
        )
    (value, error, classes), (ideal, _, _) = (
        _score(pair.features.head(x)) for x in (pair.generated, pair.real)
    )
    return pair.record(
        "inception_score",
        value,
        error,
        settings=f"{classes} classes, one split",
        ideal=ideal,
        classes=classes,
    )


def _score(logs: Tensor) -> tuple[float, float, int]:
    """The score, its standard error, and the number of classes,
    from log-probabilities (n, classes).
    """
    logs = logs.to("cpu", torch.float64)
    mean = logs.logsumexp(0) - math.log(len(logs))
    divergences = (logs.exp() * (logs - mean)).sum(1)
    value = math.exp(float(divergences.mean()))
    return value, value * float(divergences.std()) / math.sqrt(len(logs)), logs.shape[1]


# ---------------------------------------------------------------------------------- pairs of images


@dataclass(frozen=True, eq=False)
class _Images:
    """Originals and likenesses (n, c, h, w) as they came, and how they are to be compared."""

    real: Tensor
    generated: Tensor
    low: float
    high: float
    luma: bool
    crop: int
    data: str

    @classmethod
    def of(
        cls, real: Any, generated: Any, low: Any, high: Any, channel: Any, crop: Any, data: Any
    ) -> _Images:
        crop = _require_kinds(channel, crop, data)
        low, high = _end("low", low), _end("high", high)
        x, y = rows(real), rows(generated)
        require_alike(x, y)
        x, y = (each[:, None] if each.ndim == 3 else each for each in (x, y))
        if x.ndim != 4 or x.shape[1] not in (1, 3, 4):
            raise ShapeMismatch(
                f"images must be (n, 1, 3 or 4 channels, height, width), got {tuple(x.shape)}; "
                "channels-last ones need x.transpose(0, 3, 1, 2)"
            )
        if x.shape != y.shape:
            raise ShapeMismatch(
                f"images are compared one by one with their originals: expected {tuple(x.shape)},"
                f" got {tuple(y.shape)}; pass pairs of one size"
            )
        if channel == "y" and x.shape[1] == 4:
            raise InvalidValue(
                "channel 'y' is the luma of images of 1 or 3 channels, got images of 4; pass"
                " channel='all'"
            )
        if 2 * crop >= min(x.shape[2:]):
            raise InvalidValue(
                f"crop must leave something of {x.shape[2]}×{x.shape[3]} pixels, got {shown(crop)};"
                " pass the scale factor, say"
            )
        for name, each in (("real", x), ("generated", y)):
            if not bool(each.isfinite().all()):
                raise InvalidValue(f"the {name} images hold NaN or infinity; drop these rows")
        ends = _ends(x, low, high)
        return cls(x, y, *ends, channel == "y" and x.shape[1] == 3, crop, data or described(x))

    def require(self, side: int, what: str, instead: str) -> None:
        """InvalidValue for images smaller than `side` after cropping."""
        height, width = (length - 2 * self.crop for length in self.real.shape[2:])
        if min(height, width) < side:
            raise InvalidValue(
                f"{what} needs images of at least {side}×{side} pixels, got {height}×{width}; use"
                f" {instead}"
            )

    def each(self, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """One number a pair (n,), a block of pairs at a time."""
        size = max(1, BLOCK_NUMBERS // max(1, self.real[0].numel()))
        blocks = zip(self.real.split(size), self.generated.split(size))
        return torch.cat([measure(self._prepared(x), self._prepared(y)) for x, y in blocks])

    def _prepared(self, x: Tensor) -> Tensor:
        """Images (b, c, h, w) in [0, 1], float64, cropped, of the channels wanted."""
        _, _, h, w = x.shape
        x = x[:, :, self.crop : h - self.crop, self.crop : w - self.crop].to("cpu", torch.float64)
        x = (x - self.low) / (self.high - self.low)
        return (
            (16 + (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)) / 255
            if self.luma
            else x
        )

    def record(self, quantity: str, values: Tensor, settings: str, **details: Any) -> Record:
        """The mean over images, with what the numbers depend on."""
        c, h, w = self.real.shape[1:]
        channels = "luma (BT.601)" if self.luma else f"{c} channel{'s' if c > 1 else ''}"
        space = f"images {h}×{w}, {channels}, crop {self.crop}, values {self.low:g}..{self.high:g}"
        facts = {
            "feature_space": space,
            "real": len(self.real),
            "generated": len(self.generated),
            **details,
        }
        found = Record.of(quantity, values, bound="estimate", data=self.data)
        return replace(
            found, details={"features": f"{space}; {settings}" if settings else space, **facts}
        )


def _require_kinds(channel: Any, crop: Any, data: Any) -> int:
    """The crop as a whole number; InvalidKind or InvalidValue for a channel,
    a crop or a name that is none.
    """
    if not isinstance(channel, str):
        raise InvalidKind(f"channel must be 'all' or 'y', got {quoted(channel)}; pass one of these")
    if channel not in ("all", "y"):
        raise InvalidValue(
            f"channel must be 'all' or 'y', got {quoted(channel)}; pass one of these"
        )
    if not isinstance(data, str):
        raise InvalidKind(
            f"data must be a text that says what the images are, got {quoted(data)}; pass"
            " data='CIFAR-10', say"
        )
    return whole(crop, "crop")


def _end(name: str, value: Any) -> float | None:
    """An end of the range of values as a number; InvalidKind or InvalidValue where it is none."""
    number = plain(value)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidKind(
            f"{name} must be a number, got {quoted(value)}; pass low=0, high=255, say"
        )
    if not abs(number) <= sys.float_info.max:
        raise InvalidValue(f"{name} must be finite, got {shown(number)}; pass low=0, high=255, say")
    return float(number)


def _ends(x: Tensor, low: float | None, high: float | None) -> tuple[float, float]:
    """The ends of the range of values: those given,
    or the usual ones that the originals lie between.
    """
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
        f"the range of images with values {least:g}..{most:g} cannot be told; pass low and high (0"
        " and 65535, say)"
    )


# ---------------------------------------------------------------------------- structural similarity


def _wang(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of l · cs and of cs (b,), over the windows inside the
    images (b, c, h, w) and over channels.
    """
    offsets = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    window = window / window.sum()
    luminance, structure = _similarity(x, y, lambda u: _filtered(u, window, 0, 0))
    return (luminance * structure).flatten(1).mean(1), structure.flatten(1).mean(1)


def _multi_scale(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM (b,) of images (b, c, h, w)."""
    value = x.new_ones(len(x))
    for scale, weight in enumerate(SCALES):
        whole, structure = _wang(x, y)
        last = scale == len(SCALES) - 1
        value = value * (whole if last else structure).clamp_min(0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return value


def _halved(x: Tensor) -> Tensor:
    """Means of 2×2 pixels; the last row or column of an odd number
    stands for the one that is missing.
    """
    odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
    return functional.avg_pool2d(functional.pad(x, odd, mode="replicate") if any(odd) else x, 2)


def _daala(x: Tensor, y: Tensor) -> Tensor:
    """daala's SSIM (b,) of images (b, c, h, w)."""
    height, width = x.shape[2:]
    window = _daala_window(SIGMA * height / 256, min(height, width))
    reach = len(window) // 2
    weight = _filtered(x.new_ones(1, 1, height, width), window, reach, reach)
    luminance, structure = _similarity(x, y, lambda u: _filtered(u, window, reach, reach) / weight)
    return (luminance * structure * weight).sum((2, 3)).mean(1) / weight.sum()


def _daala_window(sigma: float, most: int) -> Tensor:
    """Weights (2 reach + 1,) in 256ths;
    those that would round to 0 are left out, and the middle takes what is missing from 1.
    """
    peak = 1 / (math.sqrt(2 * math.pi) * sigma)
    least = 1 / (2 * STEPS * peak)  # of the exponential, for half a step
    reach = 0 if least >= 1 else min(math.floor(sigma * math.sqrt(-2 * math.log(least))), most - 1)
    side = torch.arange(reach, 0, -1, dtype=torch.float64)
    side = torch.floor(STEPS * peak * torch.exp(-side.square() / (2 * sigma**2)) + 0.5)
    return torch.cat([side, STEPS - 2 * side.sum(0, keepdim=True), side.flip(0)]) / STEPS


def _similarity(x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """l and cs at every window (b, c, h', w'), with moments by `mean`."""
    mx, my, xx, yy, xy = mean(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    structure = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
    return luminance, structure


def _filtered(x: Tensor, window: Tensor, down: int, across: int) -> Tensor:
    """Weighted sums of images (b, c, h, w) under a separable window,
    with so many zeros beyond the borders.
    """
    b, c, h, w = x.shape
    flat = functional.conv2d(
        x.reshape(b * c, 1, h, w), window[None, None, :, None], padding=(down, 0)
    )
    flat = functional.conv2d(flat, window[None, None, None, :], padding=(0, across))
    return flat.reshape(b, c, *flat.shape[2:])

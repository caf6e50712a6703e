"""Random changes to every batch, in the user's units, before the model's scaling.

Exactly resumable.

`held_out = True` marks those that change what is measured (dequantising, binarising): they are
applied, with a fixed seed, to held-out data as well. Conditions that are images are changed as the
images they belong to. Flips, crops and affine maps only augment the
training data; they are differentiable and accept any units, so a GAN can also apply them between
its samples and its critic (`critic_augment`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.random import integers, uniform
from pushforward.core.registry import Value
from pushforward.core.space import Space

__all__ = [
    "Augment",
    "Dequantise",
    "Binarise",
    "Flip",
    "Turn",
    "Crop",
    "Jitter",
    "Affine",
    "dequantise",
    "binarise",
    "flip",
    "turn",
    "crop",
    "jitter",
    "affine",
]


class Augment(Value, family="augmentation"):
    """A random change of a batch x (n, *space.shape) in the user's units."""

    held_out: ClassVar[bool] = False
    relative: ClassVar[bool] = True
    """Whether the same random numbers change an image and a smaller copy of it alike."""

    @abstractmethod
    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """The changed batch."""


@dataclass(frozen=True)
class Dequantise(Augment, name="dequantise"):
    """Adds U(-½, ½) to every integer coordinate: a density on levels becomes a density per unit.

    The expected log-density of the noisy data bounds the log-mass of the levels from below (Theis
    et al. 2016, Eq. 5, https://arxiv.org/abs/1511.01844).
    """

    held_out: ClassVar[bool] = True

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """x + u on integer coordinates."""
        noise = uniform(*x.shape, rng=rng, like=x) - 0.5
        if space.kind == "points" and space.shape:
            whole = [c.kind == "integer" for c in space.columns]
            return (
                x + noise
                if all(whole)
                else torch.where(torch.tensor(whole, device=x.device), x + noise, x)
            )
        return x + noise if space.integer else x


@dataclass(frozen=True)
class Binarise(Augment, name="binarise"):
    """Dynamic binarisation: samples every value as Bernoulli((x - low)/(high - low)).

    Reference: Burda et al. (2016), §5, https://arxiv.org/abs/1509.00519.
    """

    held_out: ClassVar[bool] = True

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """low or high for every value."""
        span = space.high - space.low
        lit = uniform(*x.shape, rng=rng, like=x) < (x - space.low) / span
        return torch.where(lit, space.high, space.low).to(x)


@dataclass(frozen=True)
class Flip(Augment, name="flip"):
    """Mirrors each image left to right with probability `share`."""

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidValue(f"flip's share must lie in 0..1, got {self.share}")

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """Some images mirrored."""
        _images(self, space)
        # in one type, so that the same images are mirrored whatever theirs is
        numbers = uniform(len(x), rng=rng, dtype=torch.float32, device=x.device)
        mirrored = numbers < self.share
        return torch.where(mirrored.reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)


@dataclass(frozen=True)
class Turn(Augment, name="turn"):
    """Turns each image by 0 to 3 quarters, all alike probable; images must be square."""

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """Some images turned; all frames of a clip alike."""
        return _frame_by_frame(self, x, space, lambda images: self._turned(images, rng))

    def _turned(self, x: Tensor, rng: torch.Generator) -> Tensor:
        if x.shape[-1] != x.shape[-2]:
            raise InvalidValue(
                f"turn takes square images, got {x.shape[-2]}x{x.shape[-1]}; use flip instead"
            )
        quarters = integers(4, (len(x),), rng=rng, device=x.device)
        turned = x.clone()
        for quarter in (1, 2, 3):
            chosen = quarters == quarter
            turned[chosen] = x[chosen].rot90(quarter, (-2, -1))
        return turned


@dataclass(frozen=True)
class Crop(Augment, name="crop"):
    """Shifts each image by up to `padding` pixels either way, repeating the edge."""

    relative: ClassVar[bool] = False
    padding: int = 4

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise InvalidValue(f"crop's padding must be at least 1 pixel, got {self.padding}")

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """Shifted images of the same size; all frames of a clip alike."""
        return _frame_by_frame(self, x, space, lambda images: self._shifted(images, rng))

    def _shifted(self, x: Tensor, rng: torch.Generator) -> Tensor:
        n, _, height, width = x.shape
        p = self.padding
        padded = pad(x, (p, p, p, p), mode="replicate")
        shift = integers(2 * p + 1, (n, 2), rng=rng, device=x.device)
        rows = torch.arange(height, device=x.device) + shift[:, :1]
        columns = torch.arange(width, device=x.device) + shift[:, 1:]
        at = torch.arange(n, device=x.device)
        return padded.permute(0, 2, 3, 1)[
            at[:, None, None], rows[:, :, None], columns[:, None, :]
        ].permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Jitter(Augment, name="jitter"):
    """Enlarges each image and cuts a piece of its former size out of it at random (Isola et al.
    2017, Appendix A.2, https://arxiv.org/abs/1611.07004: to 286 pixels, then 256).

    Args:
        scale: factor of enlargement.
    """

    relative: ClassVar[bool] = False
    scale: float = 286 / 256

    def __post_init__(self) -> None:
        if not 1 < self.scale <= 4:
            raise InvalidValue(f"jitter's scale lies above 1 and at most at 4, got {self.scale}")

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """Images of the same size, interpolated bicubically, label maps by the nearest pixel; all
        frames of a clip alike.
        """
        return _frame_by_frame(self, x, space, lambda images: self._cut(images, space, rng))

    def _cut(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        n, _, height, width = x.shape
        size = (
            max(height + 1, round(height * self.scale)),
            max(width + 1, round(width * self.scale)),
        )
        if space.extra.get("palette"):  # between two colours there may lie a third's
            larger = interpolate(x, size=size, mode="nearest-exact")
        else:
            larger = interpolate(x, size=size, mode="bicubic", align_corners=False)
        top = integers(size[0] - height + 1, (n,), rng=rng, device=x.device)
        left = integers(size[1] - width + 1, (n,), rng=rng, device=x.device)
        rows = top[:, None] + torch.arange(height, device=x.device)
        columns = left[:, None] + torch.arange(width, device=x.device)
        at = torch.arange(n, device=x.device)[:, None, None]
        cut = larger.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]]
        return cut.permute(0, 3, 1, 2).clamp(space.low, space.high)


@dataclass(frozen=True)
class Affine(Augment, name="affine"):
    """Rotates, shears, scales and shifts each image about its centre, repeating the edge.

    Args:
        degrees: largest rotation either way.
        shear: largest change of x as a share of y, either way.
        scale: largest factor of enlargement or reduction, log-uniform.
        shift: largest shift as a share of each side, either way, applied first.
    """

    degrees: float = 20.0
    shear: float = 0.3
    scale: float = 1.25
    shift: float = 0.1

    def __post_init__(self) -> None:
        for name in ("degrees", "shear", "shift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidValue(
                    f"affine's {name} must be finite and not below 0, got {getattr(self, name)}; 0"
                    " switches it off"
                )
        if not 1 <= self.scale < math.inf:
            raise InvalidValue(
                f"affine's scale is a factor of 1 or more, up and down alike, got {self.scale}; 1"
                " switches it off"
            )

    def apply(self, x: Tensor, space: Space, rng: torch.Generator) -> Tensor:
        """Images of the same size, interpolated bilinearly, label maps by the nearest pixel; all
        frames of a clip alike.
        """
        how = "nearest" if space.extra.get("palette") else "bilinear"
        return _frame_by_frame(self, x, space, lambda images: self._mapped(images, how, rng))

    def _mapped(self, x: Tensor, how: str, rng: torch.Generator) -> Tensor:
        n, _, height, width = x.shape
        turn, slant, log_scale, right, down = (2 * uniform(n, 5, rng=rng, like=x) - 1).unbind(1)
        angle, factor = turn * math.radians(self.degrees), self.scale**log_scale
        cos, sin, slant = angle.cos() * factor, angle.sin() * factor, slant * self.shear
        # source position of each output pixel, sides from -1 to 1: rotation and scale after shear
        rows = [
            [cos, (slant * cos - sin) * height / width, 2 * self.shift * right],
            [sin * width / height, slant * sin + cos, 2 * self.shift * down],
        ]
        at = affine_grid(
            torch.stack([torch.stack(row, 1) for row in rows], 1),
            list(x.shape),
            align_corners=False,
        )
        return grid_sample(x, at, mode=how, padding_mode="border", align_corners=False)


dequantise, binarise, flip, turn = Dequantise, Binarise, Flip, Turn
crop, jitter, affine = Crop, Jitter, Affine


def _frame_by_frame(
    augment: Augment, x: Tensor, space: Space, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """Apply a change to images (n, c, h, w).

    Clips (n, c, t, h, w) become images of c·t channels, so that frames change alike.
    """
    _images(augment, space)
    if x.ndim == 4:
        return change(x)
    if x.ndim != 5:
        raise ShapeMismatch(
            f"{augment.name} takes images (n, c, height, width) or clips (n, c, time, height,"
            f" width), got {tuple(x.shape)}"
        )
    return change(x.flatten(1, 2)).reshape(x.shape)


def _images(augment: Augment, space: Space) -> None:
    if space.kind == "points":
        raise InvalidValue(
            f"{augment.name} changes images or clips, but the data are {space}; leave it out"
        )

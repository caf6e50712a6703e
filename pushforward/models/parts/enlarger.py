"""Models that enlarge images: the network, its factor, and photographs of any size in tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias, get_args, overload

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, require_positive, suggest
from pushforward.core.phase import Batch
from pushforward.core.random import Rng
from pushforward.core.registry import Value
from pushforward.core.samplers import Sampler
from pushforward.core.space import Space
from pushforward.data.options import Fit
from pushforward.data.pairings import luma
from pushforward.fitting.augment import Flip, Turn
from pushforward.fitting.trainer import Trainer
from pushforward.models.parts.translator import Translator
from pushforward.nets.super_resolution import (
    FACTORS,
    EnlargingNetwork,
    PlainEnlarger,
    in_tiles,
)

__all__ = ["Enlarger", "Normalisation"]

Normalisation: TypeAlias = Literal["none", "batch"]
ACTIVATIONS = 1 << 26
"""Numbers that the maps of a tile may hold at once: 256 MB, so that a photograph of 2 megapixels
is enlarged in less than 1.5 GB, PyTorch itself included."""
LEAST_TILE = 32
"""Pixels a side below which the overlap of tiles would cost more than it saves."""
LEAST_ERROR = 1e-10
"""Squared errors below this, 100 dB, are rounding."""


class Enlarger(Translator):
    """A translator whose `generator` enlarges images by a whole factor, deduced from the spaces.

    Large images are enlarged in overlapping tiles, with the result of the whole.

    Args:
        width: channels of the maps.
        blocks: residual blocks.
        norm: 'none' or 'batch'.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})
    example: ClassVar[str] = "low_resolution(4)"
    others: ClassVar[str] = "the same images, 2, 3, 4 or 8 times as small, or a folder of such"
    scaling_kind = "signed"
    generator: EnlargingNetwork | PlainEnlarger

    def __init__(self, width: int, blocks: int, norm: Normalisation) -> None:
        super().__init__()
        require_positive(width=width, blocks=blocks)
        if norm not in get_args(Normalisation):
            raise InvalidValue(
                f"norm must be 'none' or 'batch', got {norm!r};"
                f" {suggest(str(norm), get_args(Normalisation))}"
            )
        self.width, self.blocks, self.norm = width, blocks, norm

    @property
    def factor(self) -> int:
        """How many times as high and wide the images are as their conditions.

        Raises:
            InvalidValue: If that is not one of the factors on offer.
        """
        channels, height, wide = self.event_shape()
        inputs, high, across = self.conditions.shape
        name = type(self).__name__
        if inputs != channels:
            raise InvalidValue(
                f"{name} takes conditions with the channels of the images, {channels}, got"
                f" {inputs}; read both with channels={channels}"
            )
        factor = height // high
        if (factor * high, factor * across) != (height, wide) or factor not in FACTORS:
            raise InvalidValue(
                f"{name} enlarges {', '.join(map(str, FACTORS[:-1]))} or {FACTORS[-1]} times, but"
                f" images of {height}x{wide} are conditioned on ones of {high}x{across}; use"
                " low_resolution(4), or images of a fitting size"
            )
        return factor

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """The generator for the factor of the spaces."""
        self.require_images(space, condition_space)
        make = EnlargingNetwork if self.norm == "batch" else PlainEnlarger
        self.generator = make(self.event_shape()[0], self.factor, self.width, self.blocks)

    def default_fitter(self) -> Trainer:
        """100 epochs of 16 images, at a rate that falls to nothing."""
        return Trainer(epochs=100, batch=16, schedule="cosine")

    def augmentations(self, space: Space) -> Sequence[Value]:
        """Mirrored and, if square, turned images, and their conditions alike."""
        square = space.shape[-1] == space.shape[-2]
        return (Flip(), Turn()) if square else (Flip(),)

    @property
    def tile(self) -> int:
        """Longest side of a tile, pixels of the condition, that bounds the memory."""
        network = self.generator
        return max(LEAST_TILE, math.isqrt(ACTIVATIONS // network.footprint) - 2 * network.reach)

    def make(self, y: Tensor, *, rng: Rng = None, tile: int | None = None) -> Tensor:
        """Images for conditions (n, c, h, w) of any size, both in model coordinates.

        They lie in the range of the data.

        Args:
            tile: longest side of a tile; by default one that bounds the memory.
        """
        network, space = self.generator, self.fitted_space()
        made = in_tiles(network, y, self.factor, network.reach, tile or self.tile)
        low, high = (float(self.scaling(torch.tensor(end))) for end in (space.low, space.high))
        return made.clamp(low, high)

    @overload
    def translate(
        self,
        y: Tensor,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
        tile: int | None = None,
    ) -> Tensor: ...

    @overload
    def translate(
        self,
        y: Conditioning,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
        tile: int | None = None,
    ) -> Tensor | list[Tensor]: ...

    @torch.no_grad()
    def translate(
        self,
        y: Conditioning,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
        tile: int | None = None,
    ) -> Tensor | list[Tensor]:
        """Images y of any size, enlarged, in the user's units, in the channels of the model.

        Args:
            y: one image or several, as `Translator.translate` takes them.
            rng, using: unused; nothing is random.
            derive_conditions: reduce each image first, as the model's conditions were.
            size, fit: as `Translator.translate` takes them.
            tile: longest side of the tiles computed at a time, pixels of y, which does not change
                the result; by default one that bounds the memory.

        Raises:
            BadSource: For files that cannot be read.
            ShapeMismatch: For arrays of another number of channels, or other levels.
        """
        return self._one_by_one(y, lambda one: self.make(one, tile=tile), derive=derive_conditions)

    @overload
    def enlarge(self, y: Tensor, *, tile: int | None = None) -> Tensor: ...

    @overload
    def enlarge(self, y: Conditioning, *, tile: int | None = None) -> Tensor | list[Tensor]: ...

    @torch.no_grad()
    def enlarge(self, y: Conditioning, *, tile: int | None = None) -> Tensor | list[Tensor]:
        """Photographs y of any size, enlarged, in the user's units, in channels of their own.

        A model of colours is shown a grey image, or transparency, in three equal channels; one of
        grey images is shown each channel by itself.

        Args:
            y: one image (of Pillow, a file, an array) or several (a list, a folder, an array), as
                `translate` takes them; what comes is alike.
            tile: longest side of the tiles computed at a time, pixels of y.

        Raises:
            BadSource: For files that cannot be read.
            ShapeMismatch: For arrays that are no images of 1, 3 or 4 channels.
        """
        from pushforward.data.image_inputs import ImageInputs  # imports Pillow

        require_positive(tile=tile)
        space = self._free_conditions().space
        assert space is not None
        images, single = ImageInputs(space, natural=True).read(y)
        made = [self._in_own_channels(image, tile) for image in images]
        return made[0] if single else self._joined(made)

    def _in_own_channels(self, x: Tensor, tile: int | None) -> Tensor:
        """An image (1, 3 or 4 channels, h, w) enlarged in its own channels."""
        wanted = self.event_shape()[0]
        if len(x) == wanted:
            return self.translate(x, tile=tile)
        if wanted == 1:
            return torch.cat([self.translate(channel[None], tile=tile) for channel in x])
        if len(x) == 4:
            return torch.cat([self._in_own_channels(part, tile) for part in (x[:3], x[3:])])
        shown = x.expand(3, -1, -1)
        if wanted == 4:
            opaque = torch.full_like(x[:1], self.fitted_space().high)
            shown = torch.cat([shown, opaque])
        made = self.translate(shown, tile=tile)[:3]
        return made if len(x) == 3 else luma(made[None])[0]

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The peak signal-to-noise ratio on held-out images, dB, over all channels."""
        assert batch.y is not None
        space = self.fitted_space()
        made, real = self.to_user(self.make(batch.y)), self.to_user(batch.x)
        error = ((made - real) / (space.high - space.low)).square().flatten(1).mean(1)
        return {"psnr": float(-10 * error.clamp_min(LEAST_ERROR).log10().mean())}

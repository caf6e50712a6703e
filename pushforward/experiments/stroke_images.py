"""Strokes, sketches and masks as people draw them: images of any size, in the size of a model's."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.space import Space
from pushforward.data.formats.images import opened, turned_upright, with_channels
from pushforward.data.image_inputs import image_files, is_single_file
from pushforward.data.options import Fit

__all__ = ["Picture", "colour_levels", "read_colours", "read_lines", "read_mask", "read_picture"]

Picture: TypeAlias = str | Path | Image.Image
"""A file, or an image of Pillow."""
FAINT = 0.1
"""Darkness of a sketch's ground, such as the noise of a JPEG, that is no line."""


def read_picture(source: Picture, name: str) -> Image.Image:
    """An image, upright, with transparency (RGBA).

    Args:
        name: of the argument, in errors.

    Raises:
        BadSource: For a file that is no image.
        InvalidValue: For several.
    """
    if isinstance(source, Image.Image):
        return with_channels(source, 4, name)
    if Path(source).exists() and not is_single_file(source):
        raise InvalidValue(f"{argument(name, str(source))} is no single image; pass one file")
    (file,) = image_files(source)
    with opened(file.open(), file.display_name, reduced=True) as image:
        return with_channels(turned_upright(image, file.display_name), 4, file.display_name).copy()


def read_colours(
    image: Image.Image, space: Space, size: tuple[int, int], fit: Fit
) -> tuple[Tensor, Tensor]:
    """Levels (c, h, w) in the units of a space, and where they are asked for (h, w).

    Raises:
        InvalidValue: For strokes without transparency, or without strokes.
    """
    if float(_levels(image)[3].min()) == 1:
        raise InvalidValue(
            f"{argument('colour')} is opaque everywhere; leave transparent what is not asked for"
        )
    return colour_levels(_fitted(image, size, fit), space)


def colour_levels(image: Image.Image, space: Space) -> tuple[Tensor, Tensor]:
    """What `read_colours` makes of an image (RGBA) that has the size of the model's.

    Raises:
        InvalidValue: For one without strokes.
    """
    channels, levels = space.shape[0] or 1, _levels(image)
    mask = levels[3]
    if float(mask.max()) == 0:
        raise InvalidValue(f"{argument('colour')} is empty; draw strokes that are opaque")
    opaque = Image.fromarray((levels[:3] * 255).round().byte().movedim(0, -1).numpy())
    shares = _levels(opaque.convert("L"))[:1] if channels == 1 else levels[:3]
    if channels == 4:
        shares = torch.cat([shares, torch.ones_like(shares[:1])])
    return shares * (space.high - space.low) + space.low, mask


def read_lines(image: Image.Image, size: tuple[int, int], fit: Fit) -> Tensor:
    """A sketch (h, w): 0 is the ground, 1 its darkest line.

    Raises:
        InvalidValue: For a sketch without lines, or of light lines on a dark ground.
    """
    darkness = 1 - _levels(_over_white(image).convert("L"))[0]
    if float(darkness.median()) > 0.5:
        raise InvalidValue(
            f"{argument('sketch')} is mostly dark; draw dark lines on a light ground, or invert it"
        )
    drawn = torch.where(darkness < FAINT, torch.zeros_like(darkness), darkness)
    lines = _levels(_fitted(Image.fromarray((drawn * 255).round().byte().numpy()), size, fit))[0]
    if float(lines.max()) == 0:
        raise InvalidValue(f"{argument('sketch')} is empty; draw dark lines on a light ground")
    return lines / lines.max()


def read_mask(image: Image.Image, size: tuple[int, int], fit: Fit) -> Tensor:
    """A mask (h, w) from 0 to 1: opacity, or brightness of an image that is opaque everywhere.

    Raises:
        InvalidValue: For a mask of nothing.
    """
    opacity = image.getchannel("A")
    plain = opacity.getextrema() == (255, 255)
    mask = _levels(_fitted(image.convert("L") if plain else opacity, size, fit))[0]
    if float(mask.max()) == 0:
        raise InvalidValue(f"{argument('fixed')} is empty; paint white what stays")
    return mask


def _over_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _fitted(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """The image in another size (height, width): the mean of its pixels, weighted by opacity."""
    wanted = size[1], size[0]
    if image.size == wanted:
        return image
    if fit == "stretch":
        return image.resize(wanted, Image.Resampling.BILINEAR)
    if fit == "crop":
        return ImageOps.fit(image, wanted, Image.Resampling.BILINEAR)
    return ImageOps.pad(image, wanted, Image.Resampling.BILINEAR)


def _levels(image: Image.Image) -> Tensor:
    """Shares 0..1 (c, h, w)."""
    array = np.array(image)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(planes.copy()).to(torch.float32) / 255

"""Images that a user hands to a fitted model, in the units and channels of its space.

    one image                                        many
    an image of Pillow, the path of a file,          a folder, glob or zip, a list of single ones,
    an array or tensor (c, h, w), (h, w, c), (h, w)  an array or tensor (n, c, h, w) or (n, h, w, c)

Files, images of Pillow and bytes are treated alike: turned upright, converted to the channels of
the space, and painted in the colours of its map of classes if it has one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource, DataWarning, ShapeMismatch, printable
from pushforward.core.frames import is_frame
from pushforward.core.numbers import to_numeric, view_as_tensor
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.core.space.conform import refuse_far_levels
from pushforward.data.dispatch import reader_of
from pushforward.data.formats.clip_files import list_clips
from pushforward.data.formats.image_files import IMAGES, ImageFile, open_listing
from pushforward.data.formats.image_lists import Listing
from pushforward.data.formats.images import (
    decode,
    header,
    item_array,
    opened,
    prepare_image,
    prepare_item,
    turned_upright,
)
from pushforward.data.formats.moving_images import animation, film, is_film
from pushforward.data.halves import conform_condition
from pushforward.data.options import Fit, Options
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import Edges, FirstFrame, find_pairing

__all__ = ["ImageInputs", "image_channels", "image_files", "is_single_file", "read_conditions"]

CHANNELS = (1, 3, 4)
"""Grey, colour, and colour with transparency."""


@dataclass(frozen=True)
class ImageInputs:
    """Reads images into a space.

    Args:
        space: of the images, such as a model's conditions; heights and widths are free.
        size, fit: bring images to this size; otherwise they keep their own.
        natural: whether images keep their own channels.
        first_frames: whether films are taken, too, and clips by their first frames.
        pairing: makes each image's condition, which is then what is read.
    """

    space: Space
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    natural: bool = False
    first_frames: bool = False
    pairing: Pairing | None = None

    @classmethod
    def deriving(
        cls, space: Space, pairing: Pairing, size: tuple[int, int] | None = None, fit: Fit = "crop"
    ) -> ImageInputs:
        """Reads the conditions that a pairing makes of images of a space, of any size.

        Args:
            space: of what a model makes.
            pairing: of its conditions.
            size, fit: of what is made, for images brought to one size; of one half of two.
        """
        if size is not None and pairing.halves:
            size = (size[0], 2 * size[1])
        free = replace(space, shape=(image_channels(space), None, None), extra={})
        return cls(free, size, fit, pairing=pairing)

    def read(self, images: object) -> tuple[Iterator[Tensor], bool]:
        """The images (c, h, w), and whether a single one was given.

        Raises:
            BadSource: For files that cannot be read.
            ShapeMismatch: For arrays that are no such images, or have other levels.
        """
        if isinstance(images, (str, os.PathLike)):
            source = os.fspath(images)
            files = image_files(source, films=self.first_frames)
            if self.first_frames:
                files = _clip_starts(files)
            return (self.file(file) for file in files), is_single_file(source)
        if isinstance(images, Image.Image):
            return iter([self.item(images)]), True
        if isinstance(images, Source) and not isinstance(images, (Tensor, np.ndarray)):
            rows = images.take(torch.arange(len(images))).x
            return (self.array(row) for row in rows), False
        if _is_list(images):
            return (self.one(image) for image in cast(Iterable[object], images)), False
        array = view_as_tensor(to_numeric(images, "y"))
        greys = self.space.extra.get("layout") == "no channel axis" and array.ndim == 3
        if array.ndim == 4 or (greys and len(array) != 1):
            return (self.array(row) for row in array), False
        return iter([self.array(array)]), True

    def one(self, image: object) -> Tensor:
        """A single image (c, h, w).

        Raises:
            ShapeMismatch: For several.
        """
        images, single = self.read(image)
        if not single:
            raise ShapeMismatch(
                "expected a list of single images, got several in one of its items; pass them by"
                " themselves"
            )
        return next(images)

    def file(self, file: ImageFile) -> Tensor:
        """The image in a file (c, h, w)."""
        name, channels = file.display_name, image_channels(self.space)
        if self.first_frames:
            frame = _first_frame(file)
            return self.levels(prepare_image(frame, channels, self._options, name))
        head = header(file.open(), name, reduced=True)
        if head.animated:
            _warn_of_frames(name)
        if self.natural:
            channels = head.channels
        return self.levels(decode(file.open(), name, self._options, channels, reduced=True))

    def item(self, image: Image.Image) -> Tensor:
        """An image of Pillow (c, h, w)."""
        channels = None if self.natural else image_channels(self.space)
        name = Path(str(getattr(image, "filename", "") or "the image")).name
        if getattr(image, "n_frames", 1) > 1:
            _warn_of_frames(name)
        options = replace(self._options, channels=channels)
        return self.levels(item_array(image, name, options, reduced=True))

    def array(self, image: Tensor) -> Tensor:
        """An image (c, h, w), (h, w, c) or (h, w), levels of the space, as (c, h, w).

        Raises:
            ShapeMismatch: For other shapes or levels.
        """
        if 0 in image.shape:
            raise ShapeMismatch(f"expected images with pixels, got shape {tuple(image.shape)}")
        if image.ndim == 2:
            image = image[None]
        planes = self._planes
        if image.ndim == 3 and self._is_channels_last(image):
            image = image.movedim(-1, 0)
        elif image.ndim == 3 and len(image) == planes and self._is_coded(image):
            return image.to(torch.get_default_dtype())
        channels = self._free_channels(image)
        resized = self.size is not None and tuple(image.shape[1:]) != self.size
        if image.ndim == 3 and (resized or len(image) != channels) and self._are_bytes(image):
            options = replace(self._options, channels=channels)
            levels = image.to(torch.uint8).cpu().numpy()
            image = torch.from_numpy(prepare_item(levels, options).copy())
        free = replace(self.space, shape=(channels, None, None), extra={})
        conformed = free.conform(image, what="y")
        refuse_far_levels(free, conformed, "y")
        return self._told(conform_condition(conformed, self.space)[0])

    def levels(self, image: NDArray[np.uint8]) -> Tensor:
        """Bytes (c, h, w) in the units of the space, and its classes."""
        levels = torch.from_numpy(image.copy()).to(torch.get_default_dtype())  # may be read-only
        low, high = self.space.low, self.space.high
        scaled = levels if (low, high) == (0.0, 255.0) else levels / 255 * (high - low) + low
        return self._told(conform_condition(scaled[None], self.space)[0])

    def _told(self, image: Tensor) -> Tensor:
        """What a model is told of an image (c, h, w)."""
        if self.pairing is None:
            return self._light_on_dark(image) if self._takes_outlines else image
        whole = replace(self.space, shape=tuple(image.shape))
        self.pairing.spaces(whole)  # refuses sizes that it cannot divide
        return self.pairing.condition(image[None], whole, torch.zeros(1, dtype=torch.int64))[0]

    @cached_property
    def _takes_outlines(self) -> bool:
        return isinstance(find_pairing(self.space.preparation), Edges)

    def _light_on_dark(self, image: Tensor) -> Tensor:
        """A drawing in light lines on a dark ground, as the outlines that a model was fitted to."""
        low, high = self.space.low, self.space.high
        if not float(image.mean()) > (low + high) / 2:
            return image
        warnings.warn(
            "a drawing of dark lines on a light ground is inverted, as the model was fitted to"
            f" light outlines on black ({setting('derive_conditions', True)} finds a photograph's)",
            DataWarning,
            stacklevel=4,
        )
        return low + high - image

    @cached_property
    def _options(self) -> Options:
        return Options(label=False, size=self.size, fit=self.fit)

    @property
    def _planes(self) -> int | None:
        return self.space.shape[0] if self.space.extra.get("planes") else None

    def _free_channels(self, image: Tensor) -> int:
        own = len(image) if self.natural and len(image) in CHANNELS else None
        return own or image_channels(self.space)

    def _is_channels_last(self, image: Tensor) -> bool:
        taken = (*CHANNELS, self._planes, image_channels(self.space))
        return len(image) not in taken and image.shape[-1] in CHANNELS

    def _is_coded(self, image: Tensor) -> bool:
        """Whether every pixel lies in one plane: a map of classes as the model knows it."""
        lit, dark = image == self.space.high, image == self.space.low
        return bool((lit | dark).all()) and bool((lit.sum(0) == 1).all())

    def _are_bytes(self, image: Tensor) -> bool:
        """Whether an image in the levels of files can be converted as those are."""
        if (self.space.low, self.space.high) != (0.0, 255.0) or len(image) not in CHANNELS:
            return False
        if image.dtype == torch.uint8:
            return True
        whole = not image.dtype.is_floating_point or bool((image == image.round()).all())
        return whole and float(image.min()) >= 0 and float(image.max()) <= 255


def _warn_of_frames(name: str) -> None:
    warnings.warn(
        f"{printable(name)} holds several frames or pages; the first is taken",
        DataWarning,
        stacklevel=4,
    )


def read_conditions(y: object, space: Space) -> object:
    """Images of any size, or first frames of clips, as conditions (n, c, h, w) of a space; paths of
    other data as they are.
    """
    if isinstance(y, (str, os.PathLike)) and reader_of(os.fspath(y)).name != "images":
        return y
    high, wide = space.shape[1:]
    size = None if high is None or wide is None else (high, wide)
    fit = space.extra.get("prepared", {}).get("fit", "crop")
    first_frames = isinstance(find_pairing(space.preparation), FirstFrame)
    images, _ = ImageInputs(space, size, fit, first_frames=first_frames).read(y)
    return torch.stack(list(images))


def _clip_starts(files: Sequence[ImageFile]) -> Sequence[ImageFile]:
    """The first frames of clips that are kept as folders of frames; other files as they are."""
    folders = {PurePosixPath(file.name).parent for file in files}
    if len(folders) == len(files) or PurePosixPath(".") in folders or is_film(files[0].name):
        return files
    head = header(files[0].open(), files[0].display_name, reduced=True)
    if head.animated or _is_strip(head.height, head.width):
        return files
    return [clip.frames[0] for clip in list_clips(Listing(list(files)), "folders")]


def _first_frame(file: ImageFile) -> Image.Image:
    """The first frame of a film, an animation or a strip of square frames; else the image."""
    name = file.display_name
    if is_film(file.name):
        return next(film(file.open, name).frames())
    if header(file.open(), name, reduced=True).animated:
        return next(animation(file.open, name).frames())
    with opened(file.open(), name, reduced=True) as image:
        upright = turned_upright(image, name).copy()
    side = min(upright.size)
    return upright.crop((0, 0, side, side)) if _is_strip(*upright.size) else upright


def _is_strip(height: int, width: int) -> bool:
    short, long = sorted((height, width))
    return long > short and long % short == 0


def image_channels(space: Space) -> int:
    """Channels of the images that become values of a space; those of colours for a map."""
    palette = space.extra.get("palette")
    return len(palette[0]) if palette else space.shape[0] or 1


def is_single_file(source: str | Path) -> bool:
    """Whether a source is one file and no archive of several."""
    path = Path(source).expanduser()
    return path.is_file() and path.suffix.lower() != ".zip"


def image_files(source: str | Path, *, films: bool = False) -> Sequence[ImageFile]:
    """The images, and films if wanted, of a file, folder, glob or zip, in the order of names."""
    if not str(source):
        raise BadSource("expected the path of an image, a folder or a glob, got an empty text")
    path = Path(source).expanduser()
    if path.is_file() and (path.suffix.lower() in IMAGES or (films and is_film(path.name))):
        return [ImageFile(path.name, str(path), path)]
    return open_listing(path, films=films).files


def _is_list(images: object) -> bool:
    """Whether images come one by one, and not as nested lists of numbers."""
    if isinstance(images, (Tensor, np.ndarray)) or is_frame(images):
        return False
    if isinstance(images, (list, tuple)):
        return not images or not isinstance(images[0], (list, tuple, int, float, np.number))
    return isinstance(images, Iterable)

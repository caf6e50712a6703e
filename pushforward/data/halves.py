"""Side-by-side images: one half is the condition of the other, and may be a map of classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, get_args

from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource, DataWarning, InvalidValue, one_of
from pushforward.core.numbers import to_floating
from pushforward.core.source import Source, space_rows
from pushforward.core.space import Space
from pushforward.data.pairing import Pairing
from pushforward.data.palettes import (
    check_palette,
    find_palette,
    named_palette,
    nearest_colour,
    paint,
    planes,
    scaled_palette,
    share_between,
)

__all__ = ["Labels", "Left", "Right", "Side", "conform_condition", "warn_of_photographs"]

Side: TypeAlias = Literal["left", "right"]
SIDE_BY_SIDE = (1.8, 2.2)
"""Width by height of two square images side by side, give or take a tenth; a photograph of 16:9,
1.78, is none.
"""
SURVEYED = 256
"""Images, evenly spaced, whose colours are compared with a palette, or make one."""


class _Half(Pairing):
    halves: ClassVar[bool] = True

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """Half as wide.

        Raises:
            BadSource: For images whose width is odd.
        """
        if image[2] % 2:
            raise BadSource(
                f"y={self.name!r} divides images into halves, got images {image[2]} pixels wide;"
                " expected an even width"
            )
        return image[0], image[1], image[2] // 2

    def spaces(self, space: Space) -> tuple[Space, Space]:
        """Both halves; further images of either kind are read at the size of a half."""
        image = tuple(side or 0 for side in space.shape)
        prepared = dict(space.extra.get("prepared", {}))
        words = space.preparation
        if "size" in prepared:
            height, width = prepared["size"]
            prepared["size"] = [height, width // 2]
            words = f"size {height}×{width // 2}, {prepared.get('fit', 'crop')}"
        extra = {**space.extra, "prepared": prepared} if prepared else dict(space.extra)
        half = replace(space, shape=self.shape(image), preparation=words, extra=extra)
        return half, replace(half, extra={**extra, "pairing": str(self)})


@dataclass(frozen=True)
class Left(_Half, name="left"):
    """Side-by-side images whose left half is the condition of the right one."""

    def observed(self, x: Tensor, space: Space) -> Tensor:
        """The right half."""
        return _half(x, "right")

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """The left half."""
        return _half(x, "left")


@dataclass(frozen=True)
class Right(_Half, name="right"):
    """Side-by-side images whose right half is the condition of the left one."""

    def observed(self, x: Tensor, space: Space) -> Tensor:
        """The left half."""
        return _half(x, "left")

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """The right half."""
        return _half(x, "right")


@dataclass(frozen=True)
class Labels(_Half, name="labels"):
    """Side-by-side images, one half a map of classes in colours, freed of the traces of JPEG.

    Every pixel of the map takes the nearest colour of the palette.

    Args:
        side: the half that is the condition, 'right' or 'left'; the other one is modelled.
        maps: the half with the map; that of the condition if not given.
        palette: 'facades', the colours of the classes in levels of 0..255, such as
            ((0, 0, 255), (255, 0, 0)), or how many to find in the images; 0 for all that are there.
        planes: whether the condition has one plane for each class in place of colours.
    """

    side: Side = "right"
    maps: Side | None = None
    palette: str | int | Sequence[Sequence[int]] = 0
    planes: bool = False

    def __post_init__(self) -> None:
        one_of("side", self.side, get_args(Side))
        if self.planes and self.map_side != self.side:
            raise InvalidValue(
                "labels(planes=True) makes planes of the condition, but the other half holds the"
                " map; leave planes out"
            )
        if isinstance(self.palette, int):
            if self.palette < 0 or self.palette == 1:
                raise InvalidValue(
                    f"labels finds two or more colours, or all with palette=0, got {self.palette}"
                )
        else:
            object.__setattr__(self, "palette", named_palette(self.palette))

    @property
    def map_side(self) -> Side:
        """The half that holds the map of classes."""
        return self.maps or self.side

    def settled(self, source: Source) -> Pairing:
        """The pairing with its palette, found in the images if it is not given."""
        rows = space_rows(len(source), SURVEYED)
        maps = _half(to_floating(source.take(rows).x), self.map_side)
        low, high = source.space.low, source.space.high
        if not isinstance(self.palette, int):
            files = getattr(source, "files", None)
            names = [f"row {i}" if files is None else files[i].display_name for i in rows.tolist()]
            reduced = "size" in source.space.extra.get("prepared", {})
            colours = self._colours(source.space)
            check_palette(maps, colours, high - low, names, reduced=reduced)
            return self
        return replace(self, palette=find_palette(maps, low, high, self.palette))

    def remarks(self, source: Source) -> tuple[str, ...]:
        """The palette, and how many pixels lie between its colours."""
        assert not isinstance(self.palette, (int, str))
        maps = _half(to_floating(source.take(space_rows(len(source), SURVEYED)).x), self.map_side)
        share = share_between(
            maps, self._colours(source.space), source.space.high - source.space.low
        )
        blurred = (
            f"; {share:.1%} of pixels lie between colours and take the nearest" if share else ""
        )
        colours = ", ".join(f"({', '.join(map(str, c))})" for c in self.palette)
        return (f"{len(self.palette)} label colours: {colours}{blurred}",)

    def observed(self, x: Tensor, space: Space) -> Tensor:
        """The half that is not the condition."""
        other: Side = "left" if self.side == "right" else "right"
        return self._cleaned(_half(x, other), other, space)

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """The half that is the condition, or its classes (n, k, h, w)."""
        half = _half(x, self.side)
        if not self.planes:
            return self._cleaned(half, self.side, space)
        number, _ = nearest_colour(half, self._colours(space))
        return planes(number, len(self._colours(space)), space.low, space.high).to(x)

    def _cleaned(self, half: Tensor, side: Side, space: Space) -> Tensor:
        if side != self.map_side:
            return half
        colours = self._colours(space)
        return paint(nearest_colour(half, colours)[0], colours.to(half))

    def _colours(self, space: Space) -> Tensor:
        assert not isinstance(self.palette, (int, str))
        return scaled_palette(named_palette(self.palette), space.low, space.high)

    def spaces(self, space: Space) -> tuple[Space, Space]:
        """Both halves; that of the map knows its palette."""
        half, told = super().spaces(space)
        assert not isinstance(self.palette, (int, str))
        facts = {"palette": [list(c) for c in self.palette], "planes": self.planes}
        if self.map_side != self.side:
            return replace(half, extra={**half.extra, **facts}), told
        shape = (len(self.palette), *half.shape[1:]) if self.planes else half.shape
        return half, replace(told, shape=shape, extra={**told.extra, **facts})


def conform_condition(y: Tensor, space: Space) -> Tensor:
    """Images of any size (n, c, h, w) as conditions of a space: maps of classes take the colours,
    or planes, that the model was fitted with.
    """
    palette = space.extra.get("palette")
    if palette is None:
        return y
    colours = scaled_palette(named_palette(palette), space.low, space.high)
    number, _ = nearest_colour(y, colours)
    if space.extra.get("planes"):
        return planes(number, len(colours), space.low, space.high)
    return paint(number, colours.to(y))


def warn_of_photographs(images: Source, pairing: Pairing) -> None:
    """Warn where files of images that are to be cut in halves are not about twice as wide as high.

    What the first file says counts, before it is brought to a size.
    """
    files = getattr(images, "files", None)
    if not files:
        return
    from pushforward.data.formats.images import header  # imports Pillow

    first, name = header(files[0].open(), files[0].display_name), files[0].display_name
    low, high = SIDE_BY_SIDE
    if not low * first.height <= first.width <= high * first.height:
        warnings.warn(
            f"{setting('y', str(pairing))} takes one half of each image for what the other is"
            f" made from, but {name} is {first.width} pixels wide and {first.height} high, hardly"
            " two images side by side; for photographs choose edges, grey or another condition that"
            " is made of the whole image",
            DataWarning,
            stacklevel=2,
        )


def _half(x: Tensor, side: Side) -> Tensor:
    middle = x.shape[-1] // 2
    return x[..., :middle] if side == "left" else x[..., middle:]

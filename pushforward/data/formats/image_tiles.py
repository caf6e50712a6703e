"""Photographs of mixed sizes cut into square tiles of one size, each tile a row.

The tiles of a photograph cover it, evenly spread, and overlap where its sides are no multiples of
theirs. Conditions are made of the whole photograph and cut at the same place, so that a low
resolution or an outline has no borders of its own inside the photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.phase import Batch
from pushforward.core.provenance import Provenance
from pushforward.core.source import Described, Source
from pushforward.core.space import Space
from pushforward.data.files import listed
from pushforward.data.formats.image_lists import ImageFile, list_images
from pushforward.data.formats.images import Header, decode, header, preparation
from pushforward.data.options import Options
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import find_pairing
from pushforward.data.sources.pairs import DerivedPairs, require_partners, stems

__all__ = ["Tiles", "tile_images"]

CACHED = 16
"""Photographs kept decoded while tiles are taken from disk: those of the rows of a batch."""

Surveyed = Sequence[tuple[ImageFile, Header]]


@dataclass(frozen=True)
class Place:
    """A tile: the number of its photograph, and its upper left corner in pixels."""

    photo: int
    top: int
    left: int


def tile_images(good: Surveyed, channels: int, options: Options) -> tuple[Source, list[str]]:
    """The tiles of surveyed images, with conditions if requested, and what was left out.

    Raises:
        BadSource: If no image is as large as a tile.
        InvalidValue: For tiles that the conditions do not fit.
    """
    side = options.tiles
    assert side is not None
    pairing = find_pairing(options.label)
    if pairing is not None and pairing.halves:
        raise InvalidValue(
            f"{setting('tiles', side)} does not cut side-by-side images; give the halves as two"
            " folders"
        )
    prepared = preparation(options)
    space = Space("images", (channels, side, side), (), 0.0, 255.0, True, "images", **prepared)
    large = [(file, head) for file, head in good if min(head.height, head.width) >= side]
    small = [file.name for file, head in good if min(head.height, head.width) < side]
    if not large:
        raise BadSource(
            f"{setting('tiles', side)}: all {len(good)} images are smaller than a tile"
            f" ({listed(small)}); choose smaller tiles"
        )
    notes = []
    if small:
        are = "images are" if len(small) > 1 else "image is"
        notes.append(f"{len(small)} {are} smaller than a tile of {side} pixels ({listed(small)})")
    conditions = _conditions(large, space, pairing, options)
    source = Tiles(large, space, conditions, options)
    result: Source = source
    if source.bytes <= options.memory:
        result = source.in_memory()
    if pairing is not None and not pairing.local:
        result = DerivedPairs(result, pairing)
    return result, notes


@dataclass(frozen=True)
class _Conditions:
    """How conditions of tiles are made.

    Args:
        space: of one condition.
        step: tiles begin at multiples of it.
        make: the condition of a whole photograph (1, c, h, w) with a number.
    """

    space: Space
    step: int
    make: Callable[[Tensor, int], Tensor]


def _conditions(
    good: Surveyed, space: Space, pairing: Pairing | None, options: Options
) -> _Conditions | None:
    if isinstance(options.y, str):
        return _conditions_of_files(good, space, options, options.y)
    if pairing is None or not pairing.local:
        return None
    side = options.tiles or 1
    step = getattr(pairing, "factor", 1)
    if side % step:
        raise InvalidValue(
            f"y='{pairing}' takes tiles whose sides are multiples of {step}, got {side}; use"
            f" {setting('tiles', side // step * step or step)}"
        )
    _, below = pairing.spaces(space)

    def make(x: Tensor, photo: int) -> Tensor:
        whole = replace(space, shape=tuple(x.shape[1:]))
        return pairing.condition(x, whole, torch.zeros(1, dtype=torch.int64))

    return _Conditions(below, step, make)


def _conditions_of_files(
    good: Surveyed, space: Space, options: Options, folder: str
) -> _Conditions:
    """Conditions in a folder of their own, found by name, smaller by one whole factor."""
    path = Path(folder).expanduser()
    files = list_images(path if path.exists() else folder).files
    names = stems([file for file, _ in good])
    require_partners(names, stems(files), options.name or "images")
    places = {name: place for place, name in enumerate(stems(files))}
    partners = [files[places[name]] for name in names]
    heads = [header(file.open(), file.display_name) for file in partners]
    factor = max(1, good[0][1].height // heads[0].height)
    for (file, large), partner, head in zip(good, partners, heads):
        if (large.height // factor, large.width // factor) != (head.height, head.width):
            raise BadSource(
                f"{partner.display_name}: is {head.height}×{head.width}, expected a"
                f" {factor}th of {file.display_name}, {large.height}×{large.width}; every"
                " condition must be smaller by one factor"
            )
    side, channels = options.tiles or 1, heads[0].channels
    if side % factor:
        raise InvalidValue(
            f"conditions {factor} times smaller take tiles whose sides are multiples of {factor},"
            f" got {side}; use {setting('tiles', side // factor * factor or factor)}"
        )
    shape = (channels, side // factor, side // factor)
    below = replace(space, shape=shape, preparation="", extra={})

    def make(x: Tensor, photo: int) -> Tensor:
        file = partners[photo]
        return _levels(decode(file.open(), file.display_name, Options(), channels))

    return _Conditions(below, factor, make)


def _levels(image: object) -> Tensor:
    return torch.as_tensor(image)[None].to(torch.float32)


class Tiles(Described):
    """Tiles decoded when their rows are taken.

    Args:
        good: images at least as large as a tile.
        space: of one tile.
        conditions: how they are made; None for none.
        options: of `read`.
    """

    resident = False
    unrequested_labels = False

    def __init__(
        self, good: Surveyed, space: Space, conditions: _Conditions | None, options: Options
    ) -> None:
        self.space, self.name, self.notes = space, options.name, ()
        self.provenance = Provenance()
        self._files, self._conditions = [file for file, _ in good], conditions
        step = 1 if conditions is None else conditions.step
        side = self._side = int(space.shape[1] or 0)
        self.places = [
            Place(photo, top, left)
            for photo, (_, head) in enumerate(good)
            for top in _starts(head.height // step * step, side, step)
            for left in _starts(head.width // step * step, side, step)
        ]
        self.files = [self._files[place.photo] for place in self.places]
        self.groups = torch.tensor([place.photo for place in self.places])
        """The photograph of every row: tiles of one are not divided between training and test."""
        self._photo = lru_cache(CACHED)(self._decode)

    @property
    def condition_space(self) -> Space | None:
        """The space of one condition, if there are conditions."""
        return None if self._conditions is None else self._conditions.space

    @property
    def bytes(self) -> int:
        """Bytes of all tiles and of their conditions, which are kept as float32."""
        below = 0 if self._conditions is None else 4 * self._conditions.space.size
        return len(self) * (self.space.size + below)

    def __len__(self) -> int:
        return len(self.places)

    def _decode(self, photo: int) -> tuple[Tensor, Tensor | None]:
        """A photograph (1, c, h, w) as float levels, and the condition of all of it."""
        file, conditions = self._files[photo], self._conditions
        x = _levels(
            decode(file.open(), file.display_name, Options(), int(self.space.shape[0] or 1))
        )
        if conditions is None:
            return x, None
        step = conditions.step
        x = x[..., : x.shape[-2] // step * step, : x.shape[-1] // step * step]
        return x, conditions.make(x, photo)

    def take(self, rows: Tensor) -> Batch:
        """The given rows, decoded now, as float levels."""
        side, x, y = self._side, [], []
        for row in rows.tolist():
            place = self.places[row]
            photo, condition = self._photo(place.photo)
            x.append(photo[0, :, place.top : place.top + side, place.left : place.left + side])
            if condition is None or self._conditions is None:
                continue
            top, left = place.top // self._conditions.step, place.left // self._conditions.step
            high, wide = self._conditions.space.shape[1:]
            y.append(condition[0, :, top : top + (high or 0), left : left + (wide or 0)])
        return Batch(torch.stack(x), torch.stack(y) if y else None)

    def in_memory(self) -> Arrays:
        """All tiles, kept in memory as bytes."""
        x = torch.empty(len(self), *(n or 0 for n in self.space.shape), dtype=torch.uint8)
        below = self.condition_space
        y = None if below is None else torch.empty(len(self), *(n or 0 for n in below.shape))
        for rows in torch.arange(len(self)).split(64):
            batch = self.take(rows)
            x[rows] = batch.x.to(torch.uint8)
            if y is not None and batch.y is not None:
                y[rows] = batch.y
        source = Arrays(x, y, space=self.space, condition_space=below, name=self.name)
        source.files, source.groups = self.files, self.groups
        return source


def _starts(length: int, side: int, step: int) -> list[int]:
    """Where tiles begin along a side: the fewest that cover it, evenly spread."""
    count = -(-length // side)
    if count == 1:
        return [0]
    gap = (length - side) / (count - 1)
    return [round(i * gap / step) * step for i in range(count)]

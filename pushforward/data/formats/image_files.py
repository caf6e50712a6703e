"""Images in a folder, glob or zip archive as a source,
with labels from sub-folders or a `metadata.csv`.

Headers are surveyed first, so that a mixed folder is refused at once with two example files and a
fix. Images are then decoded into memory as bytes or, beyond the memory budget, when their rows are
taken.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import BadSource
from pushforward.core.phase import Batch
from pushforward.core.source import Described, Source
from pushforward.core.space import Space
from pushforward.data.files import announce, listed, printable
from pushforward.data.formats.clip_files import (
    build_clips,
    find_layout,
    list_clips,
    survey_clips,
)
from pushforward.data.formats.image_labels import file_labels
from pushforward.data.formats.image_lists import IMAGES, ImageFile, Listing, list_images
from pushforward.data.formats.image_tiles import tile_images
from pushforward.data.formats.images import Header, decode, header, preparation
from pushforward.data.formats.metadata import Metadata, names_images
from pushforward.data.formats.moving_images import FILMS, is_film
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import labels_of
from pushforward.data.sources.pairs import Pairs, match_by_name

__all__ = [
    "IMAGES",
    "ImageFile",
    "Images",
    "list_images",
    "open_listing",
    "survey_images",
    "find_images",
    "from_images",
]


def survey_images(
    files: Sequence[ImageFile],
) -> tuple[list[tuple[ImageFile, Header]], list[tuple[str, str]]]:
    """The headers of the readable files, and (name, reason) of the others."""
    good, bad = [], []
    for file in files:
        try:
            good.append((file, header(file.open(), file.display_name)))
        except BadSource as error:
            bad.append((file.display_name, str(error).removeprefix(f"{file.display_name}: ")))
    return good, bad


def _is_images(text: str) -> bool:
    """Whether a text names a folder, a zip (or a folder in it, after a colon), an image, a film, a
    table of images or a glob.
    """
    path = Path(text).expanduser()
    if path.exists():
        suffix = path.suffix.lower()
        return path.is_dir() or suffix in (".zip", *IMAGES, *FILMS) or names_images(path)
    return glob.has_magic(text) or _zip_of(text).is_file()


def _zip_of(text: str) -> Path:
    """The archive in 'photos.zip:folder'; the path itself for other text."""
    stem = text.rpartition(":")[0]
    return Path(stem if stem.endswith(".zip") else text).expanduser()


@register_reader(name="images", suffixes=(*IMAGES, *FILMS), claims=_is_images)
def from_images(path: Path, options: Options) -> Source:
    """Images or clips in a folder, a zip (or a folder in it:
    photos.zip:train) or a glob, with labels if available.
    """
    listing, good, bad = find_images(path)
    if listing.splits:
        raise BadSource(f"{printable(path)}: {listing.splits}")
    layout = None if bad else find_layout(listing, good, options)
    if layout is not None:
        films, bad = survey_clips(list_clips(listing, layout))
        if not bad:
            return build_clips(listing, films, options)
    if bad:
        more = f" ({len(bad)} such files: `pushforward data` lists them)" if len(bad) > 1 else ""
        raise BadSource(f"{printable(bad[0][0])}: {bad[0][1]}{more}")
    return build(listing, good, options)


def open_listing(path: Path, *, films: bool = False) -> Listing:
    """The images (and films) that a path names: a folder, a glob, a zip or a folder in it after a
    colon.
    """
    inside = ""
    if not path.exists() and _zip_of(str(path)).is_file():
        path, inside = _zip_of(str(path)), str(path).rpartition(":")[2]
    return list_images(path if path.exists() else str(path), inside, films=films)


def find_images(
    path: Path,
) -> tuple[Listing, list[tuple[ImageFile, Header]], list[tuple[str, str]]]:
    """The images and films at a path, the headers of the readable images, and (name, reason) of the
    unreadable ones.
    """
    listing = open_listing(path, films=True)
    return listing, *survey_images([f for f in listing.files if not is_film(f.name)])


def build(listing: Listing, good: Sequence[tuple[ImageFile, Header]], options: Options) -> Source:
    """The source of surveyed images of one kind.

    Rows left out are listed in `notes` and warned of.
    """
    columns = _paired_columns(good, listing.table, options)
    if columns is not None:
        good, conditions = columns
        options = replace(options, label=False)
        targets = build(replace(listing, table=None), good, options)
        own = replace(options.for_conditions(), lenient=True)
        return Pairs(targets, build(replace(listing, table=None), conditions, own))
    if isinstance(options.y, Source) and options.y.space.kind == "images":
        images = build(listing, good, replace(options, y=None, label=False))
        return Pairs(images, match_by_name(images, options.y, options.name or "images"))
    channels = options.channels or _one_kind(good)
    if options.tiles is not None:
        tiles, left_out = tile_images(good, channels, options)
        tiles.notes = (*listing.notes(), *left_out)  # type: ignore[attr-defined]
        if not options.lenient:
            announce(options.name or "images", tiles.notes)  # type: ignore[attr-defined]
        return tiles
    height, width = options.size or _one_size(good)
    space = Space(
        "images", (channels, height, width), (), 0.0, 255.0, True, "images", **preparation(options)
    )
    files = [file for file, _ in good]
    y, condition_space = labels_of(file_labels(files, listing.table, options), options, len(files))
    notes = (*listing.notes(), *_notes(listing, good, options))
    decided = () if listing.table is None else listing.table.notes
    source: Images | Arrays = Images(files, space, y, condition_space, options)
    if len(files) * channels * height * width <= options.memory:
        x = source.decode(range(len(files)))  # type: ignore[union-attr]
        source = Arrays(
            x,
            source.y,
            options.weights,
            space=space,
            condition_space=source.condition_space,
            name=options.name,
        )
    source.notes, source.files = (*notes, *decided), files
    if not options.lenient:
        announce(options.name or "images", notes)
    return source


def _paired_columns(
    good: Sequence[tuple[ImageFile, Header]], table: Metadata | None, options: Options
) -> tuple[list[tuple[ImageFile, Header]], list[tuple[ImageFile, Header]]] | None:
    """The images and those that a column of the metadata table names as their conditions; None if
    the column does not name images.

    Raises:
        BadSource: For a condition that is not there.
    """
    name = options.label_name
    if table is None or name is None or name not in table.columns:
        return None
    named = {key: str(row.get(name, "")) for key, row in table.rows.items()}
    if not all(PurePosixPath(target).suffix.lower() in IMAGES for target in named.values()):
        return None
    if name == table.key:
        raise BadSource(
            f"{table.name}: column {name!r} names the images themselves; name the column of the"
            " conditions, and call that of the images file_name"
        )
    files = {file.name: (file, head) for file, head in good}
    pairs = [(files[key], target) for key, target in named.items() if key in files]
    for (image, _), target in pairs:
        if target not in files and (place := _outside(image, target)) is not None:
            files[target] = place, header(place.open(), place.display_name)
    missing = [target for _, target in pairs if target not in files]
    if missing:
        raise BadSource(
            f"{table.name}: column {name!r} names images that are not there ({listed(missing)});"
            " give their paths from the folder of the table"
        )
    return [image for image, _ in pairs], [files[target] for _, target in pairs]


def _outside(image: ImageFile, target: str) -> ImageFile | None:
    """The file that a table names by its path from the folder of the images, such as ../maps/1.png;
    None if there is none.
    """
    if image.archive is not None:
        return None
    path = Path(str(image.path).removesuffix(image.name)) / target
    return ImageFile(target, str(path), path) if path.is_file() else None


def _notes(
    listing: Listing, good: Sequence[tuple[ImageFile, Header]], options: Options
) -> list[str]:
    """Facts the user may not expect: only first frames are used,
    or labels dropped because of loose images.
    """
    notes = []
    several = [file.name for file, h in good if h.frames]
    if several:
        hold, each = ("files hold", "each") if len(several) > 1 else ("file holds", "it")
        notes.append(
            f"{len(several)} {hold} several frames or pages ({listed(several)}); only the first of"
            f" {each} is taken; clips are files that all are animations or films"
        )
    loose = [file.name for file, _ in good if "/" not in file.name]
    if (
        options.labelled
        and options.y is None
        and listing.table is None
        and loose
        and len(loose) < len(good)
    ):
        lie = "images lie" if len(loose) > 1 else "image lies"
        notes.append(
            f"{len(loose)} {lie} outside the sub-folders ({listed(loose)}), so these are not taken"
            " as labels"
        )
    return notes


def _one_kind(good: Sequence[tuple[ImageFile, Header]]) -> int:
    first, h = good[0]
    other = next(((f, g) for f, g in good if g.channels != h.channels), None)
    if other is not None:
        words = {1: "1 (grey)", 3: "3 (colour)", 4: "4 (colour and transparency)"}
        raise BadSource(
            f"images of mixed channels: {first.display_name} has {words[h.channels]},"
            f" {other[0].display_name} has {words[other[1].channels]}; choose with"
            f" {setting('channels', 1)}, 3 or 4"
        )
    return h.channels


def _one_size(good: Sequence[tuple[ImageFile, Header]]) -> tuple[int, int]:
    first, h = good[0]
    other = next(((f, g) for f, g in good if (g.height, g.width) != (h.height, h.width)), None)
    if other is not None:
        raise BadSource(
            f"images of mixed sizes: {first.display_name} is {h.height}×{h.width},"
            f" {other[0].display_name} is {other[1].height}×{other[1].width}; bring them to one"
            f" with {setting('size', 64)} and {setting('fit', 'crop')} ('pad', 'stretch'), or cut"
            f" them into tiles with {setting('tiles', 64)}"
        )
    return h.height, h.width


class Images(Described):
    """Images decoded when their rows are taken, for folders larger than memory."""

    resident = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        files: Sequence[ImageFile],
        space: Space,
        y: Conditioning,
        condition_space: Space | None,
        options: Options,
    ) -> None:
        self.files, self.space, self.options, self.name = files, space, options, options.name
        probe = Arrays(
            np.zeros((len(files), 1), np.uint8), y, options.weights, condition_space=condition_space
        )
        self.y, self.weights, self.condition_space = probe.y, probe.weights, probe.condition_space

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Tensor) -> Batch:
        """The given rows, decoded now, as float levels."""
        x = torch.from_numpy(self.decode(rows.tolist())).to(torch.get_default_dtype())
        return Batch(
            x,
            None if self.y is None else self.y[rows],
            None if self.weights is None else self.weights[rows],
        )

    def decode(self, rows: Sequence[int]) -> NDArray[Any]:
        """Bytes (len(rows), channels, height, width)."""
        out = np.empty((len(rows), *(int(s or 0) for s in self.space.shape)), np.uint8)

        def one(place: int) -> None:
            file = self.files[rows[place]]
            array = decode(file.open(), file.display_name, self.options, out.shape[1])
            if array.shape != out.shape[1:]:
                raise BadSource(
                    f"{file.display_name}: is {array.shape[1]}×{array.shape[2]}, expected"
                    f" {out.shape[2]}×{out.shape[3]}; it has changed"
                )
            out[place] = array

        if len(rows) < 32:
            for place in range(len(rows)):
                one(place)
            return out
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(len(rows))))
        return out
